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

# shellcheck source-path=SCRIPTDIR source=workers.sh
source tests/bench/workers.sh
watchers=()
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
  local watcher
  for watcher in "${watchers[@]}"; do kill "$watcher" 2>/dev/null || true; done
  ((${#watchers[@]} == 0)) || wait "${watchers[@]}" 2>/dev/null || true
  watchers=()
}

by_turns look look_away
look_away
tell "ten tails and a page"
