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
rm -rf state && mkdir state && mount -t tmpfs -o size=1m tmpfs state
"$binary" --config own.toml >out 2>log &
server=$!
until_true "a server on a small disk" cat out -- "is ready"
ask 20
until_true "it records" count -- "rows 20"
dd if=/dev/zero of=state/filler bs=64k status=none 2>/dev/null || true
ask 3000
expect "answers don't care" dig "${at[@]}" www.blocked.example -- "status: NXDOMAIN"
until_true "the log says so" cat log -- "questions can't be recorded"
dropped() { curl -s http://127.0.0.1:8053/metrics | grep '^cleandns_query_log_dropped_total{sink="sqlite"}' | grep -v ' 0$'; }
until_true "what is dropped is counted" dropped -- cleandns_query_log_dropped_total
rm state/filler
before=$(count)
ask 20
more() { [[ $(count) != "$before" ]] && echo more; }
until_true "recording goes on when there is room" more -- more
kill -TERM "$server" && wait "$server" || true
umount state

# The same on a file system of small blocks, where SQLite leaves holes in the index of its journal: a store into one would end
# the server when the disk is full.
truncate -s 12M image && mkfs.ext4 -q -b 1024 -O ^has_journal image && mount -o loop image state
"$binary" --config own.toml >out 2>log &
server=$!
until_true "a server on a disk of small blocks" cat out -- "is ready"
ask 100
until_true "it records" count -- "rows 100"
dd if=/dev/zero of=state/filler bs=1k status=none 2>/dev/null || true
ask 40000
expect "answers don't care for small blocks" dig "${at[@]}" www.blocked.example -- "status: NXDOMAIN"
until_true "what is dropped there is counted" dropped -- cleandns_query_log_dropped_total
kill -TERM "$server" && wait "$server" || true
dd if=/dev/zero of=state/filler2 bs=1k status=none 2>/dev/null || true
"$binary" --config own.toml >out 2>log &
server=$!
until_true "it starts on a full disk" cat out -- "is ready"
ask 1000
until_true "and drops" dropped -- cleandns_query_log_dropped_total
expect "and answers" dig "${at[@]}" www.blocked.example -- "status: NXDOMAIN"
rm -f state/filler state/filler2
rows() { sqlite3 "$database" "SELECT 'more ' || (count(*) > 100) FROM queries"; }
again_there() { ask 10 >/dev/null; rows; }
until_true "there is room again, and rows" again_there -- "more 1"
kill -TERM "$server" && wait "$server" || true
umount state

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
