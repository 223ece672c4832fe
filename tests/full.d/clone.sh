# The README's commands in a clean clone, a binary alone in a folder, and lists of one's own: what everybody begins with.
# Sourced by tests/full.

cd "$here/.."
# A clean clone: the configuration and lists of the project, no argument. Cargo becomes the program that it runs.
cargo run --release >"$work/out" 2>"$work/log" &
server=$!
until_true "it starts" cat "$work/out" -- "is ready"
expect "it tells a person what is there" cat "$work/out" -- 127.0.0.1:5300 http://127.0.0.1:8053 clean-store clean-apps \
  enforce "dig @127.0.0.1 -p 5300 www.tiktok.com"
expect "blocked over UDP" dig "${at[@]}" www.tiktok.com -- "status: NXDOMAIN" "EDE: 15 (Blocked)" \
  "clean-store/tiktok tiktok.list:" "tiktok.com.		30	IN	SOA"
expect "blocked over TCP, by kdig" kdig +tcp +edns "${at[@]}" short.wechat.com HTTPS -- "status: NXDOMAIN" Blocked clean-store/wechat
expect "blocked for DO and CD" dig "${at[@]}" api16-core.tiktokv.com AAAA +dnssec +cd -- "status: NXDOMAIN" "flags: qr rd ra cd"
expect "Huawei's store" dig "${at[@]}" store.hispace.hicloud.com -- "clean-apps/huawei-appgallery"
expect "localhost" dig "${at[@]}" localhost +short -- 127.0.0.1
expect "no network: SERVFAIL at once, with the reason" dig "${at[@]}" example.com +tries=1 +time=5 -- "status: SERVFAIL" "EDE: 22"
until_true "no network: said in readyz" curl -s http://127.0.0.1:8053/readyz -- "outbound port 53 seems blocked"
expect "version.bind is refused" dig "${at[@]}" version.bind TXT CH -- "status: REFUSED"
expect "AXFR is refused" dig "${at[@]}" tiktok.com AXFR -- "Transfer failed"
expect "explain" "$binary" explain www.tiktok.com -- "is blocked by clean-store/tiktok" "tiktok.list:" "qname"
expect "query" "$binary" query www.tiktok.com -- NXDOMAIN "EDE 15"
expect "health" "$binary" health -- "answers"
expect "metrics" curl -s http://127.0.0.1:8053/metrics -- "cleandns_queries_total{transport=\"udp\",rcode=\"NXDOMAIN\"}" \
  "cleandns_blocked_total{program=\"clean-store\",service=\"tiktok\""
expect "a second one on the same port says what to do" "$binary" -- "another program has port" "cleandns (PID $server)" \
  "serve --take-over"
kill -TERM "$server"
wait "$server" && passed=$((passed + 1)) || { failed=$((failed + 1)); echo "FAILED it leaves with 0 on SIGTERM"; }
server=

# A bare binary, alone in a folder, runs on what is inside it.
mkdir "$work/bare" && cp "$binary" "$work/bare/" && cd "$work/bare"
./cleandns >"$work/out" 2>"$work/log" &
server=$!
until_true "a bare binary starts" cat "$work/out" -- "is ready"
expect "and says what it runs on" cat "$work/out" -- "built in"
expect "and blocks" dig "${at[@]}" www.capcut.com -- "status: NXDOMAIN" clean-store/capcut
kill -TERM "$server" && wait "$server" || true
server=

# Lists of one's own, changed while it runs.
mkdir "$work/own" && cd "$work/own"
printf 'first.example\n' >own.list
cat >own.toml <<'TOML'
[listen]
do53 = ["127.0.0.1:5300", "[::1]:5300"]
[[program]]
name = "own"
lists = [{ path = "own.list", match = "subtree" }]
TOML
"$binary" --config own.toml >"$work/out" 2>"$work/log" &
server=$!
until_true "own lists are read" dig "${at[@]}" first.example -- "own/own own.list:1"
expect "over IPv6" dig @::1 -p 5300 first.example -- "own/own own.list:1"
printf 'first.example\nsecond.example\n' >new && mv new own.list
until_true "a renamed list is in force" dig "${at[@]}" second.example -- "own/own own.list:2"
printf '<!DOCTYPE html><title>Login</title>' >own.list
until_true "a web page in a list's place is refused" curl -s http://127.0.0.1:8053/readyz -- "it is a web page"
expect "and its rules stay" dig "${at[@]}" second.example -- "own/own own.list:2"
kill -TERM "$server" && wait "$server" || true
server=

# A group told by a hardware address that the kernel knows, for either family.
ip link add lan type bridge 2>/dev/null || ip link add lan type dummy
ip link set lan up
ip address add 192.0.2.1/24 dev lan
ip -6 address add 2001:db8::1/64 dev lan nodad
ip neighbour add 192.0.2.7 lladdr 02:00:5e:10:00:07 dev lan nud permanent
ip -6 neighbour add 2001:db8::7 lladdr 02:00:5e:10:00:07 dev lan nud permanent
cat >>own.toml <<'TOML'
[[group]]
name = "laptop"
clients = ["mac:02:00:5e:10:00:07"]
programs = { own = "shadow" }
TOML
printf 'first.example\n' >own.list
"$binary" --config own.toml >"$work/out" 2>"$work/log" &
server=$!
until_true "a group by hardware address" "$binary" --config own.toml explain first.example --client 192.0.2.7 -- "laptop"
expect "it decides" "$binary" --config own.toml explain first.example --client 192.0.2.7 -- "would block it"
expect "over IPv6 too" "$binary" --config own.toml explain first.example --client 2001:db8::7 -- "laptop" "would block it"
expect "for nobody else" "$binary" --config own.toml explain first.example --client 192.0.2.8 -- "is blocked by own/own"
kill -TERM "$server" && wait "$server" || true
server=
