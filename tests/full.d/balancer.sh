# Behind a load balancer that says who asks: dnsdist, by the lines of SERVER.md, which here runs beside cleandns. Sourced by
# tests/full.

mkdir "$work/balancer" && cd "$work/balancer"
printf 'blocked.example\n' >own.list
{
  own_config
  printf '[[group]]\nname = "guests"\nclients = ["127.0.0.7"]\nprograms = { own = "off" }\n'
} | sed 's|^do53 = .*|&\nproxy_protocol_from = ["127.0.0.1"]|' >own.toml
of_this_machine() { sed 's|10\.0\.0\.2:53|127.0.0.1:5300|; s|10\.0\.0\.7|127.0.0.1|'; }
expect "its option is that of SERVER.md" sh -c "sed -n '/^## Behind a load/,\$p' '$here/../config/SERVER.md'" -- \
  'proxy_protocol_from = ["10.0.0.7"]'
{
  printf 'setLocal("127.0.0.1:5301")\nsetACL({"127.0.0.0/8"})\n'
  sed -n '/^```lua/,/^```$/p' "$here/../config/SERVER.md" | grep newServer | of_this_machine
} >dnsdist.conf
"$binary" --config own.toml >out 2>log &
server=$!
until_true "cleandns starts" cat out -- "is ready"
dnsdist --config "$PWD/dnsdist.conf" --supervised --disable-syslog >dnsdist.log 2>&1 &
capture=$!
until_true "dnsdist takes it for alive" cat dnsdist.log -- "Marking downstream 127.0.0.1:5300 as 'up'"
asks=(@127.0.0.1 -p 5301 +tries=1 +time=5)
for how in +notcp +tcp; do
  expect "a client's question is blocked, $how" dig -b 127.0.0.8 "${asks[@]}" "$how" blocked.example -- "own/own own.list:1"
  expect "a guest's isn't, $how" dig -b 127.0.0.7 "${asks[@]}" "$how" blocked.example -- "status: SERVFAIL" "EDE: 22"
done
recorded() { curl -s http://127.0.0.1:8053/api/v1/log | jq -r '.rows[] | select(.name == "blocked.example") | .client' | sort | uniq -c; }
until_true "both are recorded as who they are" recorded -- "2 127.0.0.8"
until_true "the guest too" recorded -- "2 127.0.0.7"
expect "commands of this machine are heard" "$binary" --config own.toml health -- "127.0.0.1:5300 answers"
expect "and ask over TCP" "$binary" --config own.toml query blocked.example --tcp -- "EDE 15"
silence() { dig -b 127.0.0.1 "${at[@]}" +tries=1 +time=1 blocked.example || true; }
expect "who asks as the balancer must say for whom" silence -- "no servers could be reached"
expect "others ask for themselves" dig -b 127.0.0.9 "${at[@]}" +tries=1 blocked.example -- "own/own"
expect "that is counted" curl -s http://127.0.0.1:8053/metrics -- 'cleandns_proxy_headers_refused_total{reason="missing"} 1'
expect "and told, with what to do" cat log -- "a query without a PROXY header was dropped" "from=127.0.0.1"
# Without the option dnsdist's questions are none.
kill -TERM "$server" && wait "$server" || true
sed -i '/^proxy_protocol_from/d' own.toml
"$binary" --config own.toml >out 2>log &
server=$!
until_true "without the option dnsdist takes it for dead" cat dnsdist.log -- "Marking downstream 127.0.0.1:5300 as 'down'"
kill -TERM "$capture" "$server" 2>/dev/null || true
wait "$capture" "$server" || true
capture=
server=
