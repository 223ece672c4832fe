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
source "$here/driver.sh"
sees_the_console() { script 'console.error("heard")' >/dev/null && console | grep -q heard; }

"$binary" --config own.toml >out 2>log &
server=$!
until_true "a server with pages" cat out -- "is ready"
for name in www.blocked.example localhost; do dig "${at[@]}" "$name" >/dev/null; done
until_true "what was asked is recorded" curl -s http://127.0.0.1:8053/api/v1/log -- localhost
page=http://127.0.0.1:8053
open_browser
# Long words and large counts, for which there is little room where the screen is neither small nor wide.
crowd='for (const part of document.querySelectorAll("details")) part.open = true;
  for (const cell of document.querySelectorAll(".services td:nth-child(n + 4)")) cell.innerHTML = "<span class=\"v w\">1,226,730 would be blocked</span>";
  for (const row of document.querySelectorAll("#rows tr")) row.cells[4].append(" ", "x".repeat(63));'
for width in 320 360 768 820 900 992 1024 1100 1180 1280; do
  look_as "$width" 900 light
  for path in /programs /log; do
    visit "$page$path"
    script "$crowd" >/dev/null
    succeeds "$path at $width: much is no wider than the screen" fits
  done
done
visit "$page/"
succeeds "what a browser's console says is heard" sees_the_console
looks_well "360 768 820 1024 1180 1280" / /programs '/programs?group=kids' '/programs/preview?program=own' /log '/log?verdict=blocked&from=1h' /log/1 /explain \
  '/explain?name=www.blocked.example' /except /lists /lists/own/own.list /clients /changes
# It has the browser look for a name that isn't found here, where nobody asks this server; and says nothing else.
expected_word='^http://t-[0-9a-f]{16}[.]check[.]cleandns[.]home[.]arpa:8053/seen - Failed to load resource: net::ERR_(INTERNET_DISCONNECTED|NAME_NOT_RESOLVED)$'
looks_well "360 1280" /setup
expected_word=
visit "$page/nothing"
expect "a page that isn't there is drawn too" script 'return document.body.innerText' -- "There is no such thing"
console >/dev/null
visit "$page/"
pdf() { drive POST /print '{}' | jq -r . | base64 -d >print.pdf && [[ $(head -c 4 print.pdf) == %PDF ]]; }
succeeds "and printed" pdf

# A page that stays open while the server is started anew, which takes no token of the one before.
visit "$page/programs"
kill -TERM "$server" && wait "$server" || true
"$binary" --config own.toml >again 2>log &
server=$!
until_true "the server is there anew" cat again -- "is ready"
script 'document.querySelector("#own button[value=\"=shadow\"]").click()' >/dev/null
is "what is pressed on a page from before is done" 'return document.querySelector("main").innerText.includes("set own to shadow")'
console >/dev/null

# How soon something is to be seen, and how much is sent for it. The first is told and not judged: it is a figure, which the
# machine has its part in.
look_as 1280 900 light
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
