# Whoever can't see a page, or has no mouse, or gets ill from what moves: every page is looked through by accessible.js, in
# light and dark, on a phone and a wide screen, gone through by Tab alone, and stands still where that is asked for.
# Sourced by tests/full.

source "$here/driver.sh"
mkdir "$work/accessible" && cd "$work/accessible"
printf '#! cleandns\n#: title: The listed\n#: breaks: nothing much\n#: sources: two\nblocked.example # it is\n@pass.blocked.example\nno rule at all !\nzip\n' >own.list
printf '#! cleandns\n#: title: The watched\nwatched.example\n' >watch.list
basic_config >own.toml
cat >>own.toml <<'TOML'
[admin]
users_file = "users"
[[program]]
name = "strict"
lists = [{ path = "own.list", gate = "hold" }]
[[program]]
name = "watching"
mode = "shadow"
lists = [{ path = "watch.list" }]
[[group]]
name = "kids"
clients = ["127.0.0.7"]
schedule = "daily 19:00-07:00"
TOML
page=http://127.0.0.1:8053
"$binary" admin user add anna --file users <<<'correct horse' >/dev/null
"$binary" --config own.toml >out 2>log &
server=$!
until_true "a server with something to look at" cat out -- "is ready"
for name in www.blocked.example pass.blocked.example www.watched.example localhost; do dig "${at[@]}" "$name" +tries=1 >/dev/null; done

# is_accessible: the page that is open has no fault that can be found.
is_accessible() {
  local found
  found=$(script "$(<"$here/accessible.js")")
  [[ $found == "[]" ]] || { jq -r '.[]?' <<<"$found" 2>/dev/null || true; [[ $found == \[* ]] || echo "$found"; return 1; }
}
# tabs COUNT: the key Tab, so many times; what comes to have the focus is noted by the page.
tabs() {
  local keys
  keys=$(jq -nc --argjson count "$1" '{actions: [{type: "key", id: "keys", actions: [range($count) |
    {type: "keyDown", value: "\uE004"}, {type: "keyUp", value: "\uE004"}]}]}')
  drive POST /actions "$keys" >/dev/null
}
# by_keyboard: Tab reaches everything, in the order in which it stands, and where one is can be seen.
by_keyboard() {
  local count found
  visit "$1"
  # What is renewed while one looks is the same if it says the same. A field of a date has parts of its own.
  count=$(script '
    window.key = (part) => [part.tagName, part.textContent, part.href, part.name, part.value, part.id, part.getAttribute("aria-label")].join(" ");
    const able = (part) => part.tabIndex >= 0 && part.checkVisibility({ visibilityProperty: true }) && !part.disabled;
    window.wanted = [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]")].filter(able);
    window.met = document.activeElement === document.body ? [] : [document.activeElement]; window.unseen = [];
    document.addEventListener("focusin", ({ target }) => {
      met.push(target);
      const style = getComputedStyle(target);
      const is = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
      const box = target.getBoundingClientRect();
      if (!is || box.bottom <= 0 || box.top >= innerHeight) unseen.push(target);
    });
    return wanted.length + 8 * document.querySelectorAll("input[type^=date]").length')
  tabs $((count + 3))
  found=$(script '
    const shown = (part) => part.outerHTML.replace(/\s+/g, " ").slice(0, 110);
    const problems = unseen.map((part) => "where one is can not be seen: " + shown(part));
    const first = met.filter((part, at) => part.isConnected && met.indexOf(part) === at);
    const keys = new Set(met.map(key));
    // Of buttons that are one choice Tab may meet one.
    const missed = wanted.filter((part) => !keys.has(key(part)) && part.type !== "radio");
    problems.push(...missed.map((part) => "never reached: " + shown(part)));
    for (let at = 1; at < first.length; at++) {
      if (!(first[at - 1].compareDocumentPosition(first[at]) & Node.DOCUMENT_POSITION_FOLLOWING)) problems.push("out of order: " + shown(first[at]));
    }
    return [...new Set(problems)].slice(0, 20)')
  [[ $found == "[]" ]] || { jq -r '.[]?' <<<"$found" 2>/dev/null || echo "$found"; return 1; }
}
# stands_still: nothing moves where that is asked for.
stands_still() {
  local found
  found=$(script 'const long = (text) => text.split(",").some((part) => parseFloat(part) > 0.01);
    return [...document.querySelectorAll("*")].flatMap((part) => [null, "::before", "::after"].map((pseudo) => [part, getComputedStyle(part, pseudo)]))
      .filter(([, style]) => style.animationName !== "none" && long(style.animationDuration) || long(style.transitionDuration) || style.scrollBehavior === "smooth")
      .map(([part]) => part.outerHTML.slice(0, 110)).slice(0, 5)')
  [[ $found == "[]" ]] || { echo "$found"; return 1; }
}
# look_through PATH: a page in all its looks.
look_through() {
  local path=$1 colours width
  visit "$page$path"
  expect "$path is a page" script 'return document.querySelectorAll("main h1").length' -- 1
  for colours in light dark; do
    for width in 360 1280; do
      look_as "$width" 900 "$colours"
      # All that can be opened is looked at too.
      script 'document.querySelectorAll("details").forEach((part) => { part.open = true })' >/dev/null
      succeeds "$path at $width, $colours" is_accessible
    done
  done
  succeeds "$path by the keyboard" by_keyboard "$page$path"
  look_as 360 900 light
  succeeds "$path by the keyboard of a narrow screen" by_keyboard "$page$path"
}

open_browser
# Who looks for faults has to find them: a page with one of each.
faults='<!doctype html><html><body><div><h1>a</h1><h3>b</h3></div><main><p style="color:#999;background:#fff">pale <a href="/x" style="text-decoration:none">x</a></p>
  <input><button></button><img src="data:,"><svg></svg><i id="x"></i><i id="x"></i><table><tr><th>a</th></tr></table><label for="no">a</label><ul><p>b</p></ul>
  <input aria-label="a" style="border-color:#eee" placeholder="b"><a href="/y" tabindex="3">y</a><b role="knob">c</b><input type="password" aria-label="c"></main></body></html>'
visit "data:text/html,$(jq -rn --arg text "$faults" '$text | @uri')"
expect "faults are found" script "$(<"$here/accessible.js")" -- "no language" "no title" "be enlarged" "skips a level" "outside all landmarks" "has a contrast of" \
  "only its colour tells" "has no name: <input" "has no name: <button" "has no alt" "a drawing is neither" "there twice" "of what" "for leads nowhere" "no item of it" \
  "the edge of a field" "goes before its turn" "an unknown role" "no browser can fill in"
look_through /sign-in
script 'document.querySelector("[name=user]").value = "anna"; document.querySelector("[name=password]").value = "wrong horse"; document.forms[0].submit()' >/dev/null
until_true "a wrong password is told" script 'return document.querySelector("[role=alert]").innerText' -- "right"
succeeds "the page of a wrong password" is_accessible
script 'document.querySelector("[name=user]").value = "anna"; document.querySelector("[name=password]").value = "correct horse"; document.forms[0].submit()' >/dev/null
until_true "signed in" script 'return location.pathname' -- '"/"'
csrf=$(script 'return document.querySelector("[name=csrf]").value' | jq -r .)
# change METHOD PATH JSON: by the page's script, as its forms do.
change() {
  drive POST /execute/async "$(jq -nc --arg method "$1" --arg path "$2" --arg body "$3" --arg csrf "$csrf" '{args: [$method, $path, $body, $csrf], script:
    "const [method, path, body, csrf, done] = arguments; fetch(path, {method, body, headers: {\"Content-Type\": \"application/json\", \"X-CSRF-Token\": csrf}}).then((answer) => done(answer.status))"}')"
}
expect "an exception" change POST /api/v1/exceptions '{"names": ["x.example"], "reason": "wanted", "until": "2099-01-31"}' -- 201
expect "a block" change POST /api/v1/blocks '{"name": "y.example", "groups": ["kids"]}' -- 201
expect "a pause" change POST /api/v1/pause '{"group": "kids", "seconds": 3600, "reason": "holidays"}' -- 200
look_as 1280 900 light
for path in "/?done=2" /programs '/programs?group=kids' '/programs/preview?program=watching' /log '/log?verdict=blocked&from=1h' '/log?name=nothing' \
  '/log?from=never' /log/1 /explain '/explain?name=www.blocked.example' '/explain?name=..' /except '/except?name=www.blocked.example' /lists /lists/strict/own.list '/lists/strict/own.list?let_through=zip' /clients \
  /setup /changes /nothing; do
  look_through "$path"
done
drive POST /goog/cdp/execute '{"cmd": "Emulation.setEmulatedMedia", "params": {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]}}' >/dev/null
for path in / /log /programs; do
  visit "$page$path"
  [[ $path != /log ]] || { dig "${at[@]}" new.blocked.example >/dev/null; until_true "a new row" script 'return document.querySelectorAll("#rows .new").length > 0' -- true; }
  succeeds "$path stands still for whom it has to" stands_still
done
close_browser
kill -TERM "$server" && wait "$server" || true
server=
