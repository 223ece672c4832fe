# Who may, in a real browser and by the keyboard alone: to sign in, to pause, to end it, to sign out. Sourced by tests/full.

mkdir "$work/who" && cd "$work/who"
printf '#! cleandns\nblocked.example\n' >own.list
own_config >own.toml
cat >>own.toml <<'TOML'
[admin]
users_file = "users"
[[group]]
name = "kids"
clients = ["192.0.2.7"]
TOML
succeeds "a user is added" "$binary" admin user add anna --file users <<<'correct horse'
succeeds "and one who may look" "$binary" admin user add bob --read-only --file users <<<'battery staple'
"$binary" --config own.toml >out 2>log &
server=$!
until_true "a server with users" cat out -- "is ready"

chromedriver --port=9515 --silent >driver.log 2>&1 &
driver=$!
# drive METHOD PATH [JSON]: WebDriver (W3C), as chromedriver speaks it.
drive() { curl -s -X "$1" "http://127.0.0.1:9515$2" -H 'Content-Type: application/json' ${3+-d "$3"}; }
until_true "a browser that can be driven" drive GET /status -- '"ready":true'
options='"args":["--headless=new","--no-sandbox","--disable-gpu","--disable-dev-shm-usage","--window-size=1280,900"]'
browser=$(drive POST /session "{\"capabilities\":{\"alwaysMatch\":{\"goog:loggingPrefs\":{\"browser\":\"ALL\"},\"goog:chromeOptions\":{$options}}}}" |
  sed -n 's/.*"sessionId":"\([^"]*\)".*/\1/p')
at_browser() { drive "$1" "/session/$browser$2" "${@:3}"; }
go() { at_browser POST /url "{\"url\":\"http://127.0.0.1:8053$1\"}" >/dev/null; }
# keys TEXT…: typed one after the other; TAB and ENTER are those keys.
keys() {
  local word sign actions=()
  for word in "$@"; do
    case $word in
      TAB) actions+=('\uE004') ;;
      ENTER) actions+=('\uE007') ;;
      *) for ((sign = 0; sign < ${#word}; sign++)); do actions+=("${word:sign:1}"); done ;;
    esac
  done
  local all=
  for word in "${actions[@]}"; do all+=",{\"type\":\"keyDown\",\"value\":\"$word\"},{\"type\":\"keyUp\",\"value\":\"$word\"}"; done
  at_browser POST /actions "{\"actions\":[{\"type\":\"key\",\"id\":\"keys\",\"actions\":[${all:1}]}]}" >/dev/null
}
# says JS: what a line of script gives, as text.
says() { at_browser POST /execute/sync "{\"script\":\"return String($1)\",\"args\":[]}"; }
# until_focus TEXT: goes on by Tab until what has the focus says so.
until_focus() {
  for _ in $(seq 60); do
    says "(document.activeElement.innerText || document.activeElement.name)" | grep -qF "\"value\":\"$1\"" && return 0
    keys TAB
  done
  echo "never at $1"
  return 1
}
page="document.body.innerText.replace(/\\\\s+/g,' ')"

go /lists
until_true "who isn't known is asked to sign in" says location.pathname -- /sign-in
expect "the first field has the focus" says document.activeElement.name -- user
keys anna TAB "correct hors" ENTER
until_true "a wrong password" says "$page" -- "That isn't right"
keys TAB
succeeds "to the password" until_focus password
keys "correct horse" ENTER
until_true "and in, where one wanted to go" says location.pathname -- /lists
expect "the page says who it is" says "$page" -- "anna operator"
expect "scripts don't get the session" says "document.cookie.length" -- '"value":"0"'
go /
succeeds "to the pause, by Tab alone" until_focus "30 min"
keys ENTER
until_true "paused" says "$page" -- "anna paused everybody until"
expect "nothing is blocked" dig "${at[@]}" blocked.example +tries=1 +time=5 -- "EDE: 22"
succeeds "to its end" until_focus "End it"
keys ENTER
until_true "ended" says "$page" -- "anna ended the pause of everybody"
until_true "it is blocked again" dig "${at[@]}" blocked.example -- "own/own own.list:2"
go /changes
expect "it is written down" says "$page" -- "ended the pause of everybody" "paused everybody until" "signed in"
go /
succeeds "out again" until_focus "Sign out"
keys ENTER
until_true "signed out" says location.pathname -- /sign-in
go /changes
until_true "and nothing is shown" says location.search -- back=%2Fchanges
keys bob TAB "battery staple" ENTER
until_true "who may look sees it" says location.pathname -- '"value":"/changes"'
go /
expect "and can't change it" says "document.querySelectorAll('form[method=post]').length" -- '"value":"1"'
# Of signing in wrong a browser itself says that it got 401.
at_browser POST /se/log '{"type":"browser"}' | tr '{' '\n' | grep '"level":"SEVERE"' | grep -v 'status of 401' >console || true
expect "no word on the console" wc -c console -- "0 console"
at_browser DELETE "" >/dev/null
kill "$driver" && wait "$driver" 2>/dev/null || true
kill -TERM "$server" && wait "$server" || true
server=
