#!/usr/bin/env bash
# What recording costs those who answer: processor time of the UDP workers by query, with the query log and without, by
# turns in one server. Prints medians and their ratio, and what was recorded.
#
#   tests/bench/log.sh [ROUNDS [SECONDS [QUERIES_PER_SECOND]]]      needs root, dnsperf, curl and a release build
set -euo pipefail
cd "$(dirname "$0")/../.."
binary=${BINARY:-$PWD/target/release/cleandns}
rounds=${1:-10} seconds=${2:-3} rate=${3:-20000}
[[ ${4-} == inside ]] || exec unshare --net "$0" "$rounds" "$seconds" "$rate" inside

more='[query_log]
enabled = true'
# shellcheck source-path=SCRIPTDIR source=workers.sh
source tests/bench/workers.sh
# record true|false: the configuration is taken up while the server runs.
record() {
  local before
  before=$(grep -c "configuration was read again" log || true)
  grep -qx "enabled = $1" own.toml && return
  sed "s/^enabled = .*/enabled = $1/" own.toml >next.toml
  mv next.toml own.toml
  for _ in $(seq 100); do
    (($(grep -c "configuration was read again" log || true) > before)) && return
    sleep 0.1
  done
  echo "the server did not take up the configuration:" >&2
  tail -3 log >&2
  exit 1
}
recording() { record true; }
not_recording() { record false; }

by_turns recording not_recording
tell "the query log"
curl -s http://127.0.0.1:8053/metrics | grep -E '^cleandns_query_log_(rows|written|dropped)' || true
