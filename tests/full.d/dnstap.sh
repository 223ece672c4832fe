# dnstap into the programs that others collect and read it with: fstrm_capture, dnstap-read (BIND), dnstap-ldns.
# Sourced by tests/full.

mkdir "$work/tap" && cd "$work/tap"
printf 'blocked.example\n' >own.list
tap_config() {
  own_config subtree
  printf '[query_log.dnstap]\nto = "%s"\nresolver = true\n' "$1"
}
events() { dnstap-read "$1" | awk '{ print $3 }' | sort | uniq -c; }

# tap HOW TARGET CAPTURE_ARGUMENTS…: a collector over a socket gets every query, also after it was gone for a while.
tap() {
  local how=$1 target=$2
  shift 2
  fstrm_capture -t protobuf:dnstap.Dnstap "$@" -w "$how.tap" 2>capture.log &
  capture=$!
  tap_config "$target" >own.toml
  "$binary" --config own.toml >out 2>log &
  server=$!
  until_true "dnstap over $how: it starts" cat out -- "is ready"
  ask 50
  # Without a network nobody answers, and what this server asks others is told.
  dig "${at[@]}" example.com +tries=1 +time=5 >/dev/null || true
  # The stream has a proper end, which the collector waits for.
  kill -TERM "$server" && wait "$server" || true
  server=
  kill -TERM "$capture" && wait "$capture" || true
  capture=
  expect "dnstap over $how: queries, of clients and of this server" events "$how.tap" -- "51 CQ" "51 CR" RQ
}
tap unix "unix:$PWD/tap.sock" -u "$PWD/tap.sock"
tap tcp tcp:127.0.0.1:6000 -a 127.0.0.1 -p 6000
expect "BIND's reader reads what was asked" dnstap-read -p unix.tap -- ";www.blocked.example." "status: NXDOMAIN" \
  "127.0.0.1:0"
expect "ldns's reads what this server asked others" dnstap-ldns -y -r tcp.tap -- RESOLVER_QUERY "query_message:" "response_address: \""
expect "so does ldns's" dnstap-ldns -y -r unix.tap -- CLIENT_RESPONSE 'query_address: "127.0.0.1"' "www.blocked.example" \
  'identity: "'

# A file.
tap_config "$PWD/file.tap" >own.toml
"$binary" --config own.toml >out 2>log &
server=$!
until_true "dnstap to a file: it starts" cat out -- "is ready"
dig "${at[@]}" example.com +tries=1 +time=5 >/dev/null || true
kill -TERM "$server" && wait "$server" || true
server=
expect "dnstap to a file: clients and name servers" events file.tap -- "1 CQ" "1 CR" RQ
