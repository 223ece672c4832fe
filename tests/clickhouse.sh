#!/usr/bin/env bash
# The query log in a real ClickHouse server (Debian's, 18.16), which is stopped and started meanwhile. All of it runs in a
# network namespace of its own, with its data in a temporary folder. Needs root. CLEANDNS is the binary, if it isn't the
# release build.
set -euo pipefail
cd "$(dirname "$0")/.."

for tool in clickhouse-server clickhouse-client dig ip unshare; do
  command -v "$tool" >/dev/null || {
    echo "tests/clickhouse.sh needs $tool: apt-get install --no-install-recommends clickhouse-server clickhouse-client" \
      "bind9-dnsutils iproute2 util-linux" >&2
    exit 1
  }
done
if [[ ${1-} != inside ]]; then
  if [[ -z ${CLEANDNS-} ]]; then
    cargo build --release --locked
    CLEANDNS=$PWD/target/release/cleandns
  fi
  # Built here, where there may be a network, and run where there is none.
  reader=$(cargo test --locked --test clickhouse_server --no-run 2>&1 | sed -n 's/.*(\(.*\))$/\1/p' | tail -1)
  CLEANDNS=$(realpath "$CLEANDNS") CLEANDNS_READER=$(realpath "$reader")
  export CLEANDNS CLEANDNS_READER
  exec unshare --net "$0" inside
fi

ip link set lo up
work=$(mktemp -d)
passed=0
failed=0
database=
servers=()
cleanup() {
  local process
  for process in "${servers[@]}" $database; do kill "$process" 2>/dev/null || true; done
  wait
  rm -rf "$work"
}
trap cleanup EXIT

# expect WHAT COMMAND… -- PART…: the command's output must contain every part.
expect() {
  local what=$1 output part ok=true
  shift
  local command=()
  while [[ $1 != -- ]]; do command+=("$1"); shift; done
  shift
  output=$("${command[@]}" 2>&1) || true
  for part in "$@"; do
    grep -qF -- "$part" <<<"$output" || { ok=false; echo "FAILED $what: no \"$part\" in:"; sed 's/^/    /' <<<"$output"; }
  done
  if $ok; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
}

# until_true WHAT COMMAND… -- LINE: the output must have this line, within a minute.
until_true() {
  local what=$1 line=${!#} output
  local command=("${@:2:$#-3}")
  for _ in $(seq 300); do
    output=$("${command[@]}" 2>&1) || true
    grep -qxF -- "$line" <<<"$output" && { passed=$((passed + 1)); return; }
    sleep 0.2
  done
  failed=$((failed + 1))
  echo "FAILED $what: never \"$line\", at last:"
  sed 's/^/    /' <<<"$output"
}

mkdir -p "$work/data" "$work/tmp"
cat >"$work/config.xml" <<XML
<yandex>
  <logger><level>warning</level><log>$work/clickhouse.log</log><errorlog>$work/clickhouse.err</errorlog></logger>
  <http_port>8123</http_port>
  <tcp_port>9000</tcp_port>
  <listen_host>127.0.0.1</listen_host>
  <path>$work/data/</path>
  <tmp_path>$work/tmp/</tmp_path>
  <users_config>users.xml</users_config>
  <default_profile>default</default_profile>
  <default_database>default</default_database>
  <mark_cache_size>67108864</mark_cache_size>
  <!-- Not UTC, so that times that depend on it would show. -->
  <timezone>Asia/Tokyo</timezone>
</yandex>
XML
cat >"$work/users.xml" <<'XML'
<yandex>
  <profiles><default><max_memory_usage>1000000000</max_memory_usage></default></profiles>
  <users>
    <default>
      <password></password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota>
    </default>
    <writer>
      <password>s3cret</password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota>
    </writer>
  </users>
  <quotas><default/></quotas>
</yandex>
XML

sql() { clickhouse-client --query "$1"; }
start_database() {
  clickhouse-server --config-file="$work/config.xml" >>"$work/clickhouse.out" 2>&1 &
  database=$!
  until_true "ClickHouse starts" sql "SELECT 'up'" -- up
}
stop_database() {
  kill "$database"
  { wait "$database"; } 2>/dev/null || true
  database=
}

# start_server NAME PORT: cleandns with this name for its instance.
start_server() {
  cat >"$work/$1.toml" <<TOML
[listen]
do53 = ["127.0.0.1:$2"]
[state]
dir = "$work/state-$1"
[admin]
listen = ""
[query_log]
instance = "$1"
[query_log.clickhouse]
url = "http://127.0.0.1:8123"
user = "writer"
password_file = "password"
[[program]]
name = "own"
lists = [{ path = "own.list", match = "subtree", service = "shop" }]
TOML
  "$CLEANDNS" --config "$work/$1.toml" >>"$work/$1.out" 2>>"$work/$1.log" &
  servers+=($!)
  until_true "$1 starts" dig +short +tries=1 +time=1 @127.0.0.1 -p "$2" localhost -- 127.0.0.1
}
stop_servers() {
  local process
  for process in "${servers[@]}"; do
    kill "$process"
    wait "$process" && passed=$((passed + 1)) || { failed=$((failed + 1)); echo "FAILED it leaves with 0 on SIGTERM"; }
  done
  servers=()
}
# ask PORT FROM TO: asks once for each of these numbers, whose names are blocked.
ask() {
  seq -f "%.0f.blocked.example" "$2" "$3" >"$work/names"
  dig +tries=1 +time=5 @127.0.0.1 -p "$1" -f "$work/names" >"$work/answers"
  expect "all are answered" grep -c "status: NXDOMAIN" "$work/answers" -- "$(($3 - $2 + 1))"
}
waiting() { ls "$work/state-$1/clickhouse-spill" 2>/dev/null | wc -l; }
blocked="FROM cleandns.queries FINAL WHERE name LIKE '%.blocked.example'"

printf 'blocked.example\n' >"$work/own.list"
printf 's3cret\n' >"$work/password"

# The tables are made, and rows arrive as they are.
start_database
start_server one 5301
until_true "the tables are made" sql "SELECT number, name FROM cleandns.migrations" -- "1	queries"
ask 5301 1 500
until_true "questions arrive" sql "SELECT count(), uniqExact(name) $blocked" -- "500	500"
until_true "with all that was decided" sql "SELECT DISTINCT instance, client, client_group, transport, type, rcode, ede,
  fate, kind, program, service, list, line, rule, trigger, outcome, acted $blocked" -- \
  "one	127.0.0.1	default	udp	A	NXDOMAIN	15	blocked	0	['own']	['shop']	['own.list']	[1]	['blocked.example']	['qname']	['block']	[1]"
until_true "at the right time" sql "SELECT count() $blocked AND toUnixTimestamp(time) = intDiv(time_micros, 1000000)
  AND abs(toUnixTimestamp(time) - toUnixTimestamp(now())) < 100" -- 500

# Two write to one table.
start_server two 5302
ask 5302 1001 1300
until_true "both arrive" sql "SELECT instance, count() $blocked GROUP BY instance" -- "two	300"
until_true "and are told apart" sql "SELECT instance, count() $blocked GROUP BY instance" -- "one	500"

# The database goes away for a while.
stop_database
ask 5301 501 900
ask 5302 1301 1500
until_true "what can't be sent waits on disk" eval '(($(waiting one) > 0 && $(waiting two) > 0)) && echo yes' -- yes
expect "and the log says so" cat "$work/one.log" -- "questions can't be sent, and wait"
sleep 3
ask 5301 901 1000
start_database
until_true "all arrive, once" sql "SELECT instance, count(), uniqExact(name) $blocked GROUP BY instance" -- "one	1000	1000"
until_true "of both" sql "SELECT instance, count(), uniqExact(name) $blocked GROUP BY instance" -- "two	500	500"
until_true "nothing waits" eval 'echo $(waiting one) $(waiting two)' -- "0 0"

# It goes away, and so do the servers, before it is back.
stop_database
ask 5301 2001 2200
stop_servers
until_true "what waits outlives the process" eval '(($(waiting one) > 0)) && echo yes' -- yes
start_database
start_server one 5301
until_true "the next one sends it" sql "SELECT count() $blocked AND instance = 'one'" -- 1200
until_true "nothing waits then" eval 'echo $(waiting one)' -- 0

# It is killed in the middle of inserts, and again.
for round in 1 2 3; do
  ask 5301 $((round * 10000)) $((round * 10000 + 2999)) &
  asking=$!
  sleep 1.2
  kill -KILL "$database"
  { wait "$database"; } 2>/dev/null || true
  start_database
  wait "$asking"
done
until_true "a killed database has all in the end" sql "SELECT uniqExact(name), count() $blocked AND instance = 'one'" -- \
  "10200	10200"

# A table that is lost is made again.
sql "DROP DATABASE cleandns"
ask 5301 1 10
until_true "a lost database is made again" sql "SELECT count() $blocked" -- 10
report() { "$CLEANDNS" --config "$work/one.toml" report --source clickhouse --from 1h "$@"; }
expect "reports" report -- "all 10 queries" "blocked.example  own/shop own.list:1"
printf 'fresh.example\n' >"$work/new.list"
expect "rules that differ are tried on what is recorded there" "$CLEANDNS" --config "$work/one.toml" lists diff \
  "$work/own.list" "$work/new.list" --match subtree --asked 1h --source clickhouse -- "of 10 queries recorded since" \
  "1 removed rules match 10 queries for 10 names by 1 clients" "1 new rules match 0 queries"
stop_servers
expect "nothing was lost" eval 'grep -c "dropped" "$work/one.log" "$work/two.log" || true' -- "one.log:0" "two.log:0"

# Sums are read as they were written.
export CLEANDNS_CLICKHOUSE=http://127.0.0.1:8123 CLEANDNS_CLICKHOUSE_USER=writer CLEANDNS_CLICKHOUSE_PASSWORD=s3cret
expect "reports can be read" "$CLEANDNS_READER" -- "test result: ok. 2 passed"

echo "$passed passed, $failed failed"
((failed == 0))
