# A browser that is told what to do: Chromium, over WebDriver. Sourced by parts of tests/full, which run in a folder of
# their own and in a network namespace, where the port is free.

driver=
session=

# drive METHOD PATH [JSON]: asks the driver; its value as JSON.
drive() {
  curl -s -X "$1" "http://127.0.0.1:9515/session${session:+/$session}$2" -H 'Content-Type: application/json' \
    ${3+--data-binary "$3"} | jq -c '.value | if type == "object" and has("error") then {error, message} else . end'
}
# It is called by itself, and not by `succeeds`: what it learns is for all that follows.
open_browser() {
  chromedriver --port=9515 --log-path="$PWD/driver.log" >driver.out 2>&1 &
  driver=$!
  local options
  options=$(jq -nc --arg profile "$PWD/driven" '{capabilities: {alwaysMatch: {
    browserName: "chrome", "goog:loggingPrefs": {browser: "ALL"},
    "goog:chromeOptions": {args: ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
      "--hide-scrollbars", "--user-data-dir=" + $profile]}}}}')
  for _ in $(seq 100); do
    session=$(drive POST '' "$options" 2>/dev/null | jq -r '.sessionId // empty') && [[ -n $session ]] && break
    sleep 0.1
  done
  [[ -n $session ]] || { cat driver.out driver.log; return 1; }
}
close_browser() {
  drive DELETE '' >/dev/null
  session=
  kill "$driver" && wait "$driver" || true
  driver=
}
# look_as WIDTH HEIGHT light|dark: what page is shown on.
look_as() {
  drive POST /goog/cdp/execute "$(jq -nc --argjson width "$1" --argjson height "$2" '{cmd: "Emulation.setDeviceMetricsOverride",
    params: {width: $width, height: $height, deviceScaleFactor: 1, mobile: ($width < 700)}}')" >/dev/null
  drive POST /goog/cdp/execute "$(jq -nc --arg colours "$3" '{cmd: "Emulation.setEmulatedMedia",
    params: {features: [{name: "prefers-color-scheme", value: $colours}]}}')" >/dev/null
}
visit() { drive POST /url "$(jq -nc --arg url "$1" '{url: $url}')" >/dev/null; }
# script TEXT: what a function with this body returns in the page.
script() { drive POST /execute/sync "$(jq -nc --arg script "$1" '{script: $script, args: []}')"; }
# picture FILE: the whole page.
picture() {
  drive POST /goog/cdp/execute '{"cmd": "Page.captureScreenshot", "params": {"captureBeyondViewport": true}}' |
    jq -r .data | base64 -d >"$1"
  [[ -s $1 ]]
}
# console: what the page said on it since this was asked the last time; nothing is as it should be, but for whole lines that
# `expected_word` describes. The browser's own pages are none of ours.
expected_word=
console() {
  drive POST /se/log '{"type": "browser"}' | jq -r '.[].message | select(startswith("chrome://") | not)' |
    { grep -Ev "${expected_word:-^$}" || true; }
}
is_silent() { local said; said=$(console); [[ -z $said ]] || { echo "$said"; return 1; }; }
# fits: nothing of the page is wider than the screen.
fits() {
  local wide
  wide=$(script 'const width = document.documentElement.clientWidth;
    const inside = (part) => part.closest(".scroll") && part !== part.closest(".scroll");
    return [...document.querySelectorAll("body *")].filter((part) => !inside(part) && !part.closest(".out, .skip, [hidden], svg")
      && part.getBoundingClientRect().right > width + 1).map((part) => part.outerHTML.slice(0, 120)).slice(0, 5)')
  [[ $wide == "[]" ]] || { echo "$wide"; return 1; }
}
# is WHAT SCRIPT [PART]: what the script returns, retried for ten seconds.
is() { until_true "$1" script "$2" -- "${3-true}"; }
# looks_well WIDTHS PATH…: each of the pages at $page, in light and dark: drawn, nothing beside the screen, a silent console.
looks_well() {
  local widths=$1 colours width path what
  shift
  for colours in light dark; do
    for width in $widths; do
      look_as "$width" 900 "$colours"
      for path in "$@"; do
        what="$path at $width, $colours"
        visit "$page$path"
        # What a page finds out by itself would be told on the next one's console.
        is "$what: nothing is under way" 'return !document.querySelector("[data-check]")'
        succeeds "$what: nothing is beside the screen" fits
        succeeds "$what: it is drawn" picture "$(tr -c 'a-z0-9' _ <<<"$path-$width-$colours").png"
        succeeds "$what: the console is silent" is_silent
      done
    done
  done
}
