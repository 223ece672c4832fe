# A switch on the page changes what dig gets, and the page's undo changes it back; a name let pass, and one blocked. Sourced
# by tests/full, after who.sh, whose functions drive the browser.

mkdir "$work/changes" && cd "$work/changes"
printf '#! cleandns\n#: title: The watched\n#: breaks: nothing much\nwatched.example\n' >watched.list
printf '#! cleandns\nblocked.example\n' >blocked.list
basic_config >own.toml
cat >>own.toml <<'TOML'
[[program]]
name = "strict"
lists = [{ path = "blocked.list" }]
[[program]]
name = "watching"
mode = "shadow"
lists = [{ path = "watched.list" }]
[[group]]
name = "kids"
clients = ["127.0.0.7"]
TOML
"$binary" --config own.toml >out 2>log &
server=$!
until_true "a server with switches" cat out -- "is ready"
chromedriver --port=9515 --silent >driver.log 2>&1 &
driver=$!
until_true "a browser that can be driven again" drive GET /status -- '"ready":true'
browser=$(drive POST /session "{\"capabilities\":{\"alwaysMatch\":{\"goog:loggingPrefs\":{\"browser\":\"ALL\"},\"goog:chromeOptions\":{$options}}}}" |
  sed -n 's/.*"sessionId":"\([^"]*\)".*/\1/p')
# press SELECTOR: clicks what a selector finds.
press() { at_browser POST /execute/sync "{\"script\":\"document.querySelector(arguments[0]).click()\",\"args\":[\"$1\"]}" >/dev/null; }
# fill SELECTOR TEXT: what somebody types into a field.
fill() { at_browser POST /execute/sync "{\"script\":\"document.querySelector(arguments[0]).value=arguments[1]\",\"args\":[\"$1\",\"$2\"]}" >/dev/null; }
# shot NAME: what the page looks like, as a file, for whoever looks.
shot() { at_browser GET /screenshot | sed -n 's/.*"value":"\([^"]*\)".*/\1/p' | base64 -d >"$1.png"; }

expect "blocked at first" dig "${at[@]}" blocked.example -- "strict/blocked blocked.list:2"
dig "${at[@]}" watched.example +tries=1 +time=5 >/dev/null
go /programs
expect "the switch shows what is written" says "document.querySelector('#strict [aria-current=true]').innerText" -- enforce
press "#strict button[value='=shadow']"
until_true "the page tells of it" says "$page" -- "set strict to shadow for everybody"
expect "and that stays in sight" says "(document.querySelector('main').style.paddingBottom='200vh',scrollTo(0,innerHeight),scrollY>0&&document.querySelector('.done').getBoundingClientRect().top>=0)" -- true
expect "with its undo" says "document.elementsFromPoint(...['left','top'].map((side)=>document.querySelector('.done button').getBoundingClientRect()[side]+5)).some((own)=>own.name=='change')" -- true
expect "and dig gets no block" dig "${at[@]}" blocked.example +tries=1 +time=5 -- "EDE: 22"
shot programs
press ".good button[name=change]"
until_true "the undo leads past the preview too" says location.pathname+location.search -- "/programs/preview" "undo="
expect "and nothing is blocked yet" dig "${at[@]}" blocked.example +tries=1 +time=5 -- "EDE: 22"
press "main button[name=change]"
until_true "undone" says "$page" -- "gave strict back to the configuration for everybody"
until_true "and blocked again" dig "${at[@]}" blocked.example -- "strict/blocked blocked.list:2"
go "/programs?group=kids"
press "#watching button[value='=enforce']"
until_true "to enforce leads past the preview" says location.pathname -- /programs/preview
expect "which says what breaks" says "$page" -- "nothing much" "Enforce watching for kids"
shot preview
press "button[value=enforce]"
until_true "and back" says "$page" -- "set watching to enforce for clients of kids"
expect "dig of one of them is blocked" dig -b 127.0.0.7 "${at[@]}" watched.example -- "watching/watched watched.list:4"
expect "and nobody else's" dig "${at[@]}" watched.example +tries=1 +time=5 -- "EDE: 22"
go /programs
press "#strict button[value='blocked=shadow']"
until_true "a single service is switched" says "$page" -- "set strict/blocked to shadow for everybody"
expect "and dig gets no block of it" dig "${at[@]}" blocked.example +tries=1 +time=5 -- "EDE: 22"
press "#strict button[value='blocked=']"
until_true "back to what is configured it goes past the preview" says "$page" -- "strict/blocked as configured"
expect "until then nothing is blocked" dig "${at[@]}" blocked.example +tries=1 +time=5 -- "EDE: 22"
press "main button[name=mode]"
until_true "then it is given back" says "$page" -- "gave strict/blocked back to the configuration for everybody"
expect "and dig is blocked again" dig "${at[@]}" blocked.example -- "strict/blocked blocked.list:2"
go "/except?name=blocked.example"
succeeds "the form can be used by Tab alone" until_focus "Let it pass"
keys ENTER
until_true "a name is let pass" says "$page" -- "blocked.example and all below it pass every program"
expect "and dig gets no block of it" dig "${at[@]}" blocked.example +tries=1 +time=5 -- "EDE: 22"
fill "#block input[name=name]" "game.example"
press "#block button.main"
until_true "a name is blocked" says "$page" -- "blocked game.example and all below it"
expect "for dig too" dig "${at[@]}" www.game.example -- "own/everybody everybody.list:4"
shot exceptions
# Who sits elsewhere means their own clock.
at_browser POST /goog/cdp/execute '{"cmd":"Emulation.setTimezoneOverride","params":{"timezoneId":"Asia/Tokyo"}}' >/dev/null
go /
expect "a time is asked for by the device's clock" says "document.querySelector('#pause').innerText" -- "this device's clock"
soon=$(($(date +%s) / 60 * 60 + 7200))
fill "#pause input[name=until]" "$(TZ=Asia/Tokyo date -d "@$soon" +%Y-%m-%dT%H:%M)"
press "#pause button[value='']"
until_true "the pause lasts until then" curl -s http://127.0.0.1:8053/api/v1/pause -- "\"until\":$soon"
until_true "which is told by that clock too" says "$page" -- "(here $(TZ=Asia/Tokyo date -d "@$soon" '+%Y-%m-%d %H:%M'))"
press "#pause button[value='0']"
until_true "it is ended" curl -s http://127.0.0.1:8053/api/v1/pause -- '"pauses":[]'
at_browser POST /goog/cdp/execute '{"cmd":"Emulation.setTimezoneOverride","params":{"timezoneId":""}}' >/dev/null
go /changes
expect "all of it is written down" says "$page" -- "blocked game.example" "set strict to shadow"
shot changes
for width in 360 1280; do
  # A window isn't made narrower than 500.
  at_browser POST /goog/cdp/execute "{\"cmd\":\"Emulation.setDeviceMetricsOverride\",\"params\":{\"width\":$width,\"height\":900,\"deviceScaleFactor\":1,\"mobile\":false}}" >/dev/null
  for place in /programs /programs?group=kids "/programs/preview?program=strict" /except /changes; do
    go "$place"
    expect "$place is shown at $width" says window.innerWidth -- "$width"
    expect "$place is as wide as that" says "document.documentElement.scrollWidth <= window.innerWidth" -- true
  done
done
at_browser POST /se/log '{"type":"browser"}' | tr '{' '\n' | grep '"level":"SEVERE"' >console || true
expect "no word on the console" wc -c console -- "0 console"
at_browser DELETE "" >/dev/null
kill "$driver" && wait "$driver" 2>/dev/null || true
driver=
kill -TERM "$server" && wait "$server" || true
server=
