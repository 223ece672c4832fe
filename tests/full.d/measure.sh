# The release build's reports and replays: what the README tells the measurer to type. An optimised build once freed
# something twice here (rust-lang/rust#158830), which no debug build shows.
# Sourced by tests/full.

mkdir "$work/measure" && cd "$work/measure"
printf 'blocked.example\n' >own.list
printf 'other.example\n' >new.list
for list in own new; do
  basic_config >"$list.toml"
  cat >>"$list.toml" <<TOML
[query_log.json]
to = "queries.json"
[[program]]
name = "own"
lists = [{ path = "$list.list", match = "subtree" }]
TOML
done
"$binary" --config own.toml >out 2>log &
server=$!
until_true "a server that records" cat out -- "is ready"
for name in www.blocked.example a.blocked.example www.blocked.example other.example; do
  dig "${at[@]}" "$name" +tries=1 +time=5 >/dev/null || true
done
own=("$binary" --config own.toml)
until_true "a report on the terminal" "${own[@]}" report -- "It blocked 3 of 4 queries (75.0 %)"
expect "a page" "${own[@]}" report --format html --output report.html --
expect "the page tells it too" cat report.html -- "<!doctype html>" "75.0 %" "blocked.example" "</html>"
expect "as JSON" "${own[@]}" report --format json -- '"queries": 4' '"schema": "cleandns.report/1"'
expect "as CSV" "${own[@]}" report --format csv -- blocked.example
expect "for research" "${own[@]}" report --format export-csv --k 1 -- "blocked.example"
expect "from lines of JSON" "${own[@]}" report --source queries.json -- "3 of 4 queries"
expect "whom new rules would hit" "${own[@]}" lists diff own.list new.list --match subtree --asked 1d -- \
  "new: 1 new rules match 1 queries for 1 names by 1 clients" "1 removed rules match 3 queries"
for file in queries.json state/queries.db; do
  expect "replay of $file against the same" "${own[@]}" replay "$file" --against own.toml -- "nothing changes"
  expect "replay of $file against another" "${own[@]}" replay "$file" --against new.toml -- \
    "1 newly blocked, 3 newly passed" "other.example"
done
for _ in $(seq 20000); do printf 'www.blocked.example A\nother.example AAAA\n'; done >asked.txt
expect "replay of a query file" "${own[@]}" replay asked.txt --against own.toml --before none -- \
  "20000 newly blocked" "queries a second"
kill -TERM "$server" && wait "$server" || true
server=
