# The log and what the script adds, in a browser that is driven: queries as they come, why in place, hostile names that
# stay text, on a phone and a wide screen, light and dark, and not a word on the console. Sourced by tests/full.

source "$here/driver.sh"
mkdir "$work/pages-log" && cd "$work/pages-log"
printf '#! cleandns\nblocked.example # it is\n@pass.blocked.example\n' >own.list
printf '#! cleandns\nwatched.example\n' >watch.list
watching_config >own.toml
page=http://127.0.0.1:8053
# Names that would be more than text if they were put into a page as they are.
hostile=('<script>alert(1)</script>' '"><img\032src=x\032onerror=alert(2)>' "'onmouseover=alert(3)//" '</title><svg/onload=alert(4)>'
  '{{7*7}}${7*7}' 'javascript:alert(5)' '<iframe/src=javascript:alert(6)>' '&lt;b&gt;' '\226\128\174gpj' '\000\027[31m' '</template><script>alert(7)</script>')
ask_all() {
  local name
  for name in www.blocked.example pass.blocked.example watched.example localhost; do dig "${at[@]}" "$name" +tries=1 >/dev/null; done
  for name in "${hostile[@]}"; do dig "${at[@]}" "$(sed 's/[;@$"().]/\\&/g' <<<"$name").blocked.example" +tries=1 >/dev/null; done
}
recorded() { curl -s "$page/api/v1/log?limit=500" | jq '.rows | length'; }

"$binary" --config own.toml >out 2>log &
server=$!
until_true "a server with a log" cat out -- "is ready"
ask_all
until_true "all is recorded" recorded -- $((4 + ${#hostile[@]}))
open_browser
looks_well "360 820 1024 1280" /log '/log?verdict=blocked&type=A' /log/1 / /programs /lists /explain?name=www.blocked.example
expect "dark is dark" script 'return getComputedStyle(document.body).backgroundColor' -- "rgb(20, 23, 27)"

visit "$page/log"
expect "rows of what was asked" script 'return document.querySelectorAll("#rows tr").length >= 15' -- true
expect "no name became more than text" script \
  'return [...document.querySelectorAll("#rows *")].every((part) => ["TR", "TD", "TH", "A", "SMALL", "SPAN", "TIME"].includes(part.tagName))' -- true
expect "as text it is there" script 'return document.querySelector("#rows").textContent' -- '\\<script\\>alert' 'onerror=alert'
is "times are by this device's clock" 'return [...document.querySelectorAll("[data-zone]")].every((zone) => !zone.textContent)'
is "it is live" 'return document.querySelector("#live [role=status]").textContent == "live"'
# The page watches itself, so that no time is lost by asking. What is recorded at once may come with the look that the page takes
# at the log when it has begun to listen.
script 'window.seen = {}; new MutationObserver(() => { for (const link of document.querySelectorAll("#rows a")) seen[link.textContent] ??= Date.now() })
  .observe(document.querySelector("#rows"), { childList: true })' >/dev/null
asked=$(date +%s%3N)
dig "${at[@]}" new.blocked.example >/dev/null
is "a query is seen as it comes" 'return Boolean(window.seen["new.blocked.example"])'
within() { local came; came=$(script 'return window.seen["new.blocked.example"]'); ((came - asked < 1000)) || { echo "after $((came - asked)) ms"; return 1; }; }
succeeds "within a second" within
ask_all
is "hostile names come too" "return document.querySelectorAll('#rows .new').length >= ${#hostile[@]}"
expect "as text" script \
  'return [...document.querySelectorAll("#rows *")].every((part) => ["TR", "TD", "TH", "A", "SMALL", "SPAN", "TIME"].includes(part.tagName))' -- true

# why NAME: opens the reason below the row of a name.
why() { script "const link = [...document.querySelectorAll('#rows a')].find((link) => link.textContent == '$1'); link.click(); return link.textContent"; }
expect "a row is opened" why new.blocked.example -- new.blocked.example
is "with its reason below" 'return document.querySelector("#rows .why")?.textContent.includes("Blocked by own/own")'
is "and its line" 'return document.querySelector("#rows .why")?.textContent.includes("blocked.example # it is")'
look_as 360 900 light
succeeds "on a phone too" fits
look_as 1280 900 light
expect "the address stays" script 'return location.pathname' -- '"/log"'
expect "it is closed again" why new.blocked.example -- new.blocked.example
is "and gone" 'return !document.querySelector("#rows .why")'

expect "it is paused" script 'document.querySelector("#live button").click(); return document.querySelector("#live").textContent' -- pausedGo
dig "${at[@]}" paused.blocked.example >/dev/null
until_true "what is asked meanwhile is recorded" curl -s "$page/api/v1/log?name=paused" -- paused.blocked.example
expect "and not shown" script 'return document.querySelector("#rows").textContent.includes("paused")' -- false
script 'document.querySelector("#live button").click()' >/dev/null
is "until it goes on" 'return document.querySelector("#rows").textContent.includes("paused.blocked.example")'

visit "$page/log?verdict=would-block"
is "a search is live too" 'return document.querySelector("#live [role=status]").textContent == "live"'
for name in other.blocked.example x.watched.example; do dig "${at[@]}" "$name" >/dev/null; done
is "what it looks for comes" 'return document.querySelector("#rows").textContent.includes("x.watched.example")'
expect "and nothing else" script 'return document.querySelector("#rows").textContent.includes("other.blocked")' -- false

visit "$page/log"
typed='const form = document.querySelector("main form"); form.from.value = "2026-01-02T03:04"; form.requestSubmit()'
script "$typed" >/dev/null
is "a time that is typed is by this device's clock" 'return new URLSearchParams(location.search).get("from") == new Date("2026-01-02T03:04").toISOString()'
expect "and is shown so" script 'return document.querySelector("main form").from.value' -- '"2026-01-02T03:04"'

visit "$page/"
blocked='Number(document.querySelector("#tiles .b").closest("div").querySelector("dd").textContent)'
script "window.before = $blocked" >/dev/null
for _ in 1 2 3; do dig "${at[@]}" www.blocked.example >/dev/null; done
is "tiles keep up" "return $blocked >= window.before + 3"
visit "$page/lists"
expect "lists are filtered" script 'const field = document.querySelector("[data-filter]"); field.value = "watch"; field.dispatchEvent(new Event("input"));
  return [...document.querySelectorAll("main .rows tbody tr")].filter((row) => row.getClientRects().length).length' -- 1
succeeds "the console stayed silent" is_silent
close_browser
kill -TERM "$server" && wait "$server" || true
server=
