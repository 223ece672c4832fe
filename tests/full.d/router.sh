# The rules of ROUTER.md on a router of its own: a device that asks elsewhere is led to cleandns, one that asks in secret
# is refused. Three hosts in namespaces: device - router - outside. Sourced by tests/full.

mkdir "$work/router" && cd "$work/router"
mkdir -p /run/netns && mount -t tmpfs none /run/netns
ip netns add device && ip netns add router && ip netns add outside
ip -n router link add br-lan type veth peer name lan netns device
ip -n router link add wan type veth peer name wan netns outside
on() { ip netns exec "$@"; }
for part in "router br-lan 192.168.1.1/24" "device lan 192.168.1.7/24" "router wan 203.0.113.1/24" "outside wan 203.0.113.2/24" \
  "router br-lan fd00::1/64" "device lan fd00::7/64" "router wan 2001:db8::1/64" "outside wan 2001:db8::2/64"; do
  read -r host link address <<<"$part"
  [[ $address != *:* ]] || no_wait=nodad
  ip -n "$host" address add "$address" dev "$link" ${no_wait:-}
  ip -n "$host" link set "$link" up
  ip -n "$host" link set lo up
done
ip -n device route add default via 192.168.1.1
ip -n device -6 route add default via fd00::1
ip -n outside route add default via 203.0.113.1
ip -n outside -6 route add default via 2001:db8::1
on router sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1

# The shipped addresses load as sets, and the rules with them.
succeeds "the shipped addresses are written" "$binary" --config "$here/../config/cleandns.toml" lists export \
  --format nftables --output shipped.nft
cat shipped.nft "$here/../config/router.nft" >shipped-all.nft
succeeds "nftables takes them" on router nft --check --file shipped-all.nft
sed 's/^#add/add/' shipped-all.nft >all.nft
succeeds "and the rules that wait to be wanted" on router nft --check --file all.nft

# Addresses of this test in their place: the host outside has one that is in a set, and one that isn't.
mkdir lists
printf '#! cleandns\n#: service: public-resolver-addresses\n203.0.113.8\n2001:db8::8\n' >lists/resolvers.list
printf '#! cleandns\n#: service: bytedance-addresses\n203.0.113.9\n' >lists/apps.list
printf 'blocked.example\n' >own.list
cat >own.toml <<'TOML'
[listen]
do53 = ["192.168.1.1:53", "[fd00::1]:53"]
[access]
allow = ["192.168.1.0/24", "fd00::/64"]
[[program]]
name = "own"
lists = [{ path = "own.list" }]
[[program]]
name = "bypass"
mode = "shadow"
lists = [{ path = "lists" }]
TOML
ip -n outside address add 203.0.113.8/24 dev wan
ip -n outside address add 203.0.113.9/24 dev wan
ip -n outside address add 2001:db8::8/64 dev wan nodad
printf '#! cleandns\n#: service: other\nnothing.example\n' >other.list
printf '[listen]\ndo53 = ["0.0.0.0:53", "[::]:53", "0.0.0.0:443", "[::]:443", "0.0.0.0:853"]\n[access]\nallow = ["0.0.0.0/0", "::/0"]\ni_know_this_is_open = true\n[admin]\nlisten = ""\n[[program]]\nname = "outside"\nlists = [{ path = "other.list" }]\n' >outside.toml
grep -q i_know_this_is_open "$here/../config/cleandns.toml" || sed -i '/i_know/d' outside.toml
XDG_STATE_HOME=$PWD/outside-state on outside "$binary" --config outside.toml >outside.out 2>outside.log &
outside=$!
on router "$binary" --config own.toml >out 2>log &
server=$!
until_true "cleandns on the router" cat out -- "is ready"
until_true "another resolver outside" cat outside.out -- "is ready"
https() { timeout 5 bash -c "</dev/tcp/$1/$2" 2>&1 && echo through; }
export -f https
asks=(on device dig +tries=1 +time=2 nothing.example)
# ask whoever: a blocked answer tells who gave it.
until_true "without rules a device asks whom it likes" "${asks[@]}" @203.0.113.2 -- "outside/other"
until_true "and in secret" on device bash -c 'https 203.0.113.8 443' -- through

on router "$binary" --config own.toml lists export --format nftables --output bypass.nft
sed '/httpdns\|rented/d' "$here/../config/router.nft" >router.nft
succeeds "the rules are loaded" on router nft -f bypass.nft
succeeds "with those that lead" on router nft -f router.nft
for server_of in 203.0.113.2 2001:db8::2; do
  expect "port 53 of $server_of leads to cleandns" on device dig @"$server_of" +tries=1 +time=2 blocked.example -- "own/own"
  expect "over TCP too" on device dig @"$server_of" +tcp +tries=1 +time=2 blocked.example -- "own/own"
done
expect "who asks it by itself is answered" on device dig @192.168.1.1 +tries=1 +time=2 blocked.example -- "own/own"
for target in "203.0.113.8 443" "203.0.113.2 853" "203.0.113.9 443"; do
  expect "$target is refused at once" on device bash -c "https ${target% *} ${target#* }" -- "No route to host"
done
expect "over IPv6 too" on device bash -c 'https 2001:db8::8 443' -- "ermission denied"
expect "other sites are open" on device bash -c 'https 203.0.113.2 443' -- through
# New addresses replace the old ones under rules that stay.
printf '#! cleandns\n#: service: public-resolver-addresses\n203.0.113.2\n' >lists/resolvers.list
on router "$binary" --config own.toml lists export --format nftables --output bypass.nft
succeeds "new addresses are loaded" on router nft -f bypass.nft
expect "the new one is refused" on device bash -c 'https 203.0.113.2 443' -- "No route to host"
expect "the old one isn't" on device bash -c 'https 203.0.113.8 443' -- through
kill -TERM "$server" "$outside" 2>/dev/null || true
wait "$server" "$outside" || true
server=
for host in device router outside; do ip netns delete "$host"; done
umount /run/netns
