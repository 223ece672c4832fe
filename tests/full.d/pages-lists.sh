# A list that went wrong, in a browser that is driven: what changed in it and whom that hits, rolled back and released, and
# what the gate holds back of another let through; with lines that would be more than text if they were put into a page as
# they are. Sourced by tests/full.

source "$here/driver.sh"
mkdir "$work/pages-lists" && cd "$work/pages-lists"
printf '#! cleandns\n#: title: A list of ours\nblocked.example\nquiet.example # never asked\n' >own.list
watching_config >own.toml
printf '#! cleandns\nwatched.example\n' >watch.list
printf '[[program]]\nname = "others"\nlists = [{ path = "wide.list", gate = "hold" }]\n' >>own.toml
printf '#! cleandns\nnarrow.example\nzip\n/<img src=x onerror=alert(5)>|\\.mov$/\n*\n' >wide.list
page=http://127.0.0.1:8053
one=$page/lists/own/own.list
kept() { curl -s "$page/api/v1/lists/own/own.list" | jq -r '[.versions[] | select(.bytes)] | length'; }
version() { curl -s "$page/api/v1/lists/own/own.list" | jq -r ".versions[$1].version"; }
text='document.body.innerText.replace(/\s+/g, " ")'
# press TEXT: the first button or link of that text is used.
press() {
  script "[...document.querySelectorAll('button, a')].find((part) => part.innerText == '$1').click()" >/dev/null
}

"$binary" --config own.toml >out 2>log &
server=$!
until_true "a server with lists" cat out -- "is ready"
for name in www.blocked.example blocked.example a.zip; do dig "${at[@]}" "$name" +tries=1 >/dev/null; done
until_true "its text is kept" kept -- 1
{
  printf '#! cleandns\n#: title: <script>alert(1)</script>\n#: note: "><img src=x onerror=alert(2)>\n'
  printf 'quiet.example # </ul><script>alert(3)</script>\nshop.example\nlocalhost\n/<img src=x onerror=alert(4)>/\n<b>no rule</b>\n'
  for number in $(seq 40); do echo "a-rather-long-name-of-number-$number.below-another-long-name.example"; done
} >new.list
mv new.list own.list
until_true "the new text is in force" dig "${at[@]}" shop.example -- "own/own own.list:5"
until_true "and kept beside the old one" kept -- 2
first=$(version 1)
expect "the command line shows both" "$binary" --config own.toml lists versions own/own.list -- "$first" "in force"
expect "and what differs" "$binary" --config own.toml lists versions own/own.list --diff -- "- blocked.example" "+ shop.example"
until_true "and whom it hits" "$binary" --config own.toml lists versions own/own.list --diff -- "1 removed rules match 2 queries for 2 names by 1 clients"

open_browser
looks_well "390 1280" /lists '/lists?never_hit=yes' /lists/others/wide.list '/lists/others/wide.list?let_through=zip' \
  /lists/own/own.list "/lists/own/own.list?from=$first&to=$(version 0)&hours=168"
visit "$page/lists?never_hit=yes"
until_true "a list that never hit is found" script "return $text" -- watch.list
visit "$one"
press "Diff with previous"
until_true "what differs is shown" script "return $text" -- "1 rule removed"
expect "lines of lists stay text" script "return [document.querySelectorAll('main script, main img, main b > b').length, $text.includes('<img src=x onerror=alert(4)>')].join()" -- '"0,true"'
press "Whom that would have hit in the last 7 days"
until_true "and whom it would have hit" script "return $text" -- "They match 2 of these queries for 2 names, asked by 1 client."

visit "$one"
script 'document.querySelector("#rollback [name=reason]").value = "the shop <b>"' >/dev/null
press "Roll back to this"
until_true "it is rolled back" script "return $text" -- "pinned own/own.list at version $first: the shop <b>."
expect "and dig gets the old block" dig "${at[@]}" blocked.example -- "own/own own.list:3"
expect "and not the new one" dig "${at[@]}" shop.example +tries=1 +time=5 -- "EDE: 22"
expect "the newer one waits" script "return $text" -- "was read and checked, and waits"
for width in 390 1280; do
  look_as "$width" 900 light
  succeeds "pinned at $width: nothing is beside the screen" fits
  succeeds "pinned at $width: it is drawn" picture "pinned-$width.png"
done
expect "the command line tells" "$binary" --config own.toml lists status -- "pinned at $first: the shop <b>"
expect "and check" "$binary" --config own.toml check -- "own/own.list is pinned at version $first"
press "Release it"
until_true "released" script "return $text" -- "released own/own.list from version $first"
expect "and dig gets the new block" dig "${at[@]}" shop.example -- "own/own own.list:5"
expect "by the command line" "$binary" --config own.toml lists rollback own/own.list --reason again -- "pinned own/own.list at version $first: again"
expect "counts at once too" dig "${at[@]}" blocked.example -- "own/own own.list:3"
expect "and is released" "$binary" --config own.toml lists release own/own.list -- "released own/own.list from version $first"

visit "$page/lists/others/wide.list"
expect "what is held back is told" script "return $text" -- "line 3: covers all of .zip" "covers every name"
press "Let it through…"
until_true "what it would cover is asked first" script "return $text" -- "They match 1 of these queries for 1 name, asked by 1 client."
expect "and nothing is done yet" dig "${at[@]}" a.zip +tries=1 +time=5 -- "EDE: 22"
script 'document.querySelector("#let-through [name=reason]").value = "a shop of <b>zips</b>"' >/dev/null
press "Let it through"
until_true "it is let through" script "return $text" -- "let rules on zip of others/wide.list through"
expect "with its reason, as text" script "return $text" -- "rules on zip: a shop of <b>zips</b>"
expect "and dig gets the block" dig "${at[@]}" a.zip -- "others/wide wide.list:3"
press "Hold back again"
until_true "it is held back again" script "return $text" -- "had rules on zip of others/wide.list held back again"
expect "and dig gets no block" dig "${at[@]}" b.zip +tries=1 +time=5 -- "EDE: 22"
succeeds "the console stayed silent" is_silent
close_browser
kill -TERM "$server" && wait "$server" || true
server=
