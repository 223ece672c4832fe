# The query log as its owner finds it: by SQLite's own tool, after a kill, and on a disk that is full.
# Sourced by tests/full.

mkdir "$work/recorded" && cd "$work/recorded"
printf 'blocked.example\n' >own.list
own_config subtree >own.toml

database=state/queries.db
count() { sqlite3 "$database" "SELECT 'rows ' || count(*) FROM queries"; }

"$binary" --config own.toml >out 2>log &
server=$!
until_true "a server that records" cat out -- "is ready"
ask 100
until_true "questions are recorded" count -- "rows 100"
expect "the view tells which line blocked them" sqlite3 "$database" \
  "SELECT fate, program, list, rules, trigger, count(*) FROM log GROUP BY 1, 2, 3, 4, 5" \
  -- "blocked|own|own.list|1:blocked.example|qname|100"
expect "nobody else may read it" stat -c %a "$database" -- 640
ask 100
sleep 1
kill -KILL "$server"
wait "$server" 2>/dev/null || true
expect "a killed server loses at most its last second" count -- "rows 200"
expect "and the database is whole" sqlite3 "$database" "PRAGMA integrity_check" -- ok
"$binary" --config own.toml >out 2>log &
server=$!
until_true "it starts again" cat out -- "is ready"
ask 10
until_true "and goes on" count -- "rows 210"
kill -TERM "$server" && wait "$server" || true
expect "sums are right after a kill" sqlite3 "$database" "SELECT 'sum ' || sum(count) FROM sums" -- "sum 210"

# Twenty thousand questions a second for five seconds, each for another name: all of them are recorded, and summed up.
rm -rf state && mkdir state
seq 100000 | sed 's/.*/host&.blocked.example A/' >asked
"$binary" --config own.toml >out 2>log &
server=$!
until_true "a server that is asked much" cat out -- "is ready"
expect "all are answered" dnsperf -s 127.0.0.1 -p 5300 -d asked -n 1 -Q 20000 -- "Queries lost:         0"
until_true "all are recorded" count -- "rows 100000"
recorded() { curl -s http://127.0.0.1:8053/metrics | grep '^cleandns_query_log_[rd].*{sink="sqlite"}'; }
expect "none is dropped" recorded -- 'rows_total{sink="sqlite"} 100000' 'dropped_total{sink="sqlite"} 0'
kill -TERM "$server" && wait "$server" || true
expect "and all are in the sums" sqlite3 "$database" "SELECT 'sum ' || sum(count) FROM sums" -- "sum 100000"

# A disk that is full: the answers go on, what can't be recorded is counted, and recording goes on when there is room.
dropped() { curl -s http://127.0.0.1:8053/metrics | grep '^cleandns_query_log_dropped_total{sink="sqlite"}' | grep -v ' 0$'; }
more() { ask 10 && [[ $(count) != "$before" ]] && echo more; }
# starts_on WHAT: a server whose state folder is such a disk.
starts_on() {
  "$binary" --config own.toml >out 2>log &
  server=$!
  until_true "a server on $1" cat out -- "is ready"
}
# drops_on WHAT COUNT: so many questions can't be recorded there.
drops_on() {
  ask "$2"
  expect "answers don't care for $1" dig "${at[@]}" www.blocked.example -- "status: NXDOMAIN"
  until_true "the log tells of $1" cat log -- "questions can't be recorded"
  until_true "what $1 has no room for is counted" dropped -- cleandns_query_log_dropped_total
}
# fills WHAT COUNT: it records there, until others have filled it.
fills() {
  starts_on "$1"
  ask 20
  until_true "it records on $1" count -- "rows 20"
  dd if=/dev/zero of=state/filler bs=1k status=none 2>/dev/null || true
  drops_on "$1" "$2"
}
# recovers_on WHAT: others make room there again.
recovers_on() {
  rm -f state/filler*
  before=$(count)
  until_true "recording goes on when there is room on $1" more -- more
  kill -TERM "$server" && wait "$server" || true
  umount state
}
rm -rf state && mkdir state && mount -t tmpfs -o size=1m tmpfs state
fills "a small disk" 3000
recovers_on "a small disk"

# On a file system of small blocks SQLite leaves holes in the index of its journal: a store into one would end the server when
# the disk is full, also at its next start.
truncate -s 12M image && mkfs.ext4 -q -b 1024 -O ^has_journal image && mount -o loop image state
fills "a disk of small blocks" 40000
kill -TERM "$server" && wait "$server" || true
dd if=/dev/zero of=state/filler2 bs=1k status=none 2>/dev/null || true
starts_on "a full disk"
drops_on "a full disk" 1000
recovers_on "a full disk"

# A disk that it fills by itself, though its size would allow more: the oldest go.
mount -t tmpfs -o size=6m tmpfs state
"$binary" --config own.toml >out 2>log &
server=$!
until_true "a server on a disk smaller than its size" cat out -- "is ready"
for _ in 1 2; do ask 40000; done
newest() { sqlite3 "$database" "SELECT 'newest ' || (max(time) / 1000000 >= $1) FROM queries"; }
start=$(date +%s)
again() { ask 10 >/dev/null; newest "$start"; }
until_true "it goes on by itself, with the newest" again -- "newest 1"
kill -TERM "$server" && wait "$server" || true
umount state

# Lines that nobody reads hold nothing up, not even the end.
cat >>own.toml <<TOML
[query_log.json]
to = "stdout"
TOML
mkfifo unread && exec 7<>unread
"$binary" --config own.toml >unread 2>log &
server=$!
until_true "a server whose lines nobody reads" dig "${at[@]}" www.blocked.example -- "status: NXDOMAIN"
ask 3000
kill -TERM "$server"
gone() { kill -0 "$server" 2>/dev/null || echo gone; }
until_true "it leaves when it is told to" gone -- gone
wait "$server" || true
exec 7>&-
server=
