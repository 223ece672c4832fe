#!/usr/bin/env bash
# What people who look cost those who ask: processor time of the UDP workers by query, with ten who watch the log as it
# comes (/api/v1/log/tail) and a page that is asked again and again, and without, by turns. Prints medians and their ratio.
#
#   tests/bench/tails.sh [ROUNDS [SECONDS [QUERIES_PER_SECOND]]]      needs root, dnsperf, curl and a release build
set -euo pipefail
cd "$(dirname "$0")/../.."
binary=${BINARY:-$PWD/target/release/cleandns}
rounds=${1:-10} seconds=${2:-3} rate=${3:-10000}
[[ ${4-} == inside ]] || exec unshare --net "$0" "$rounds" "$seconds" "$rate" inside

ip link set lo up
work=$(mktemp -d)
server=
watchers=()
leave() {
  for watcher in "${watchers[@]}"; do kill "$watcher" 2>/dev/null || true; done
  [[ -z $server ]] || kill "$server" 2>/dev/null || true
  rm -rf --one-file-system "$work"
}
trap leave EXIT
cd "$work"
printf '#! cleandns\nblocked.example\n' >own.list
cat >own.toml <<'TOML'
[listen]
do53 = ["127.0.0.1:5300"]
workers = 1
[state]
dir = "state"
[local]
records = ["kept.example. A 192.0.2.7"]
[[program]]
name = "strict"
lists = [{ path = "own.list", match = "subtree" }]
TOML
"$binary" --config own.toml >out 2>log &
server=$!
for _ in $(seq 100); do grep -q "is ready" out && break; sleep 0.1; done
# Half is blocked, half is answered.
for number in $(seq 500); do printf 'n%s.blocked.example A\nkept.example A\n' "$number"; done >queries

# on_processor: nanoseconds that the UDP workers were on a processor, and those of all other threads.
on_processor() {
  local task own=0 others=0 time
  for task in /proc/"$server"/task/*; do
    read -r time _ <"$task/schedstat" || continue
    if [[ $(<"$task/comm") == udp-* ]]; then own=$((own + time)); else others=$((others + time)); fi
  done 2>/dev/null
  echo "$own $others"
}
# by_query: nanoseconds of the workers by query, and of the others, over one stretch of a steady rate.
by_query() {
  local before after asked
  read -ra before < <(on_processor)
  asked=$(dnsperf -s 127.0.0.1 -p 5300 -d queries -l "$seconds" -Q "$rate" -c 4 | sed -n 's/.*Queries completed: *\([0-9]*\).*/\1/p')
  read -ra after < <(on_processor)
  echo $(((after[0] - before[0]) / asked)) $(((after[1] - before[1]) / asked))
}
# median FILE [FIELD]
median() { cut -d' ' -f"${2-1}" "$1" | sort -n | awk '{ all[NR] = $1 } END { print (NR % 2 ? all[(NR + 1) / 2] : (all[NR / 2] + all[NR / 2 + 1]) / 2) }'; }
look() {
  watchers=()
  for _ in $(seq 10); do
    curl -sN http://127.0.0.1:8053/api/v1/log/tail >/dev/null &
    watchers+=($!)
  done
  while :; do curl -s -o /dev/null http://127.0.0.1:8053/; sleep 1; done &
  watchers+=($!)
}
look_away() {
  for watcher in "${watchers[@]}"; do kill "$watcher" 2>/dev/null && wait "$watcher" 2>/dev/null || true; done
  watchers=()
}

by_query >/dev/null
for ((round = 0; round < rounds; round++)); do
  # Whichever comes first has no advantage of it.
  for turn in $(((round + 1) % 2)) $((round % 2)); do
    if ((turn)); then
      look
      sleep 0.3
      by_query >>with
      look_away
    else
      sleep 0.3
      by_query >>without
    fi
  done
done
without=$(median without) with=$(median with)
spread() { cut -d' ' -f1 "$1" | sort -n | sed -n '1p;$p' | paste -sd-; }
echo "without: $without ns of a worker by query ($(spread without)), $rounds times $seconds s of $rate queries a second"
echo "with ten tails and a page: $with ns ($(spread with))"
echo "of all other threads, which record and show: $(median without 2) and $(median with 2) ns by query"
awk -v with="$with" -v without="$without" 'BEGIN { printf "cost: %+.1f %%\n", (with / without - 1) * 100 }'
