# The pages in a real browser: each loads in light and dark, on a phone and a wide screen, without a word on its console,
# where a browser tells what the policy of the page forbids. Sourced by tests/full.

mkdir "$work/pages" && cd "$work/pages"
printf '#! cleandns\n#: title: <script>console.error("run")</script>\nblocked.example # <img src=x onerror=alert(1)>\n\"><b>\n' >own.list
own_config >own.toml
cat >>own.toml <<'TOML'
[[group]]
name = "kids"
clients = ["192.0.2.7"]
programs = { own = "shadow" }
TOML
# browse PLACE OPTIONS…: loads a page and keeps what the browser's console said in `console`.
browse() {
  # Debian's package asks the desktop for much that isn't here; only the page's own words count.
  timeout 60 chromium --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars \
    --user-data-dir="$PWD/profile" --enable-logging=stderr "${@:2}" "$1" >browser.out 2>browser.log
  local code=$?
  # What the browser says of pages of its own, as on a busy machine, is not ours to answer for. Setup has it look for a name
  # that isn't found here, where nobody asks this server.
  grep -E 'CONSOLE|Refused to' browser.log | grep -v -e 'source: chrome://' -e 'check[.]cleandns[.]home[.]arpa' >console || true
  return $code
}
# is_quiet PLACE FILE OPTIONS…: the page is drawn into a file, and the console stays empty.
is_quiet() {
  browse "$1" --screenshot="$PWD/$2.png" "${@:3}" || { cat browser.log; return 1; }
  [[ ! -s console && -s $2.png ]] || { cat console; return 1; }
}
sees_the_console() { browse 'data:text/html,<script>console.error("heard")</script>' --dump-dom && grep -q heard console; }

"$binary" --config own.toml >out 2>log &
server=$!
until_true "a server with pages" cat out -- "is ready"
for name in www.blocked.example localhost; do dig "${at[@]}" "$name" >/dev/null; done
until_true "what was asked is recorded" curl -s http://127.0.0.1:8053/api/v1/log -- localhost
succeeds "what a browser's console says is heard" sees_the_console
for page in / /programs '/programs?group=kids' '/programs/preview?program=own' /log '/log?verdict=blocked&from=1h' /log/1 /explain '/explain?name=www.blocked.example' \
  /except /lists /lists/own/own.list /clients /setup /changes; do
  file=$(tr -c 'a-z\n' _ <<<"$page")
  succeeds "$page on a phone" is_quiet "http://127.0.0.1:8053$page" "phone$file" --window-size=500,900
  succeeds "$page on a wide screen, dark" is_quiet "http://127.0.0.1:8053$page" "wide$file" --window-size=1280,900 \
    --blink-settings=preferredColorScheme=0
done
expect "a page that isn't there is drawn too" browse http://127.0.0.1:8053/nothing --dump-dom --
until_true "as an error" cat browser.out -- "There is no such thing"
succeeds "and printed" browse http://127.0.0.1:8053/ --print-to-pdf="$PWD/print.pdf"

# How soon something is to be seen, and how much is sent for it. The first is a figure, which the machine has its part in.
source "$here/driver.sh"
open_browser
script 'return 0' >/dev/null
drive POST /goog/cdp/execute '{"cmd": "Network.setCacheDisabled", "params": {"cacheDisabled": true}}' >/dev/null
drive POST /goog/cdp/execute '{"cmd": "Network.enable", "params": {}}' >/dev/null
painted() { script 'return Math.round(performance.getEntriesByName("first-paint")[0]?.startTime ?? -1)'; }
sent() { script 'return ["navigation", "resource"].flatMap((kind) => performance.getEntriesByType(kind)).reduce((sum, own) => sum + own.transferSize, 0)'; }
is_light() { local octets; octets=$(sent); ((octets > 1000 && octets < 150 * 1024)) || { echo "$octets octets"; return 1; }; }
for page in / /programs /log /lists /explain?name=www.blocked.example; do
  times=()
  for _ in 1 2 3 4 5; do visit "http://127.0.0.1:8053$page"; times+=("$(painted)"); done
  mapfile -t times < <(printf '%s\n' "${times[@]}" | sort -n)
  echo "first paint of $page: ${times[2]} ms (${times[0]}-${times[4]}), $(($(sent) / 1024)) KiB sent"
  succeeds "$page is light" is_light
done
close_browser
kill -TERM "$server" && wait "$server" || true
server=
