# The rules of ROUTER.md on a router of its own: a device that asks elsewhere is led to cleandns, one that asks in secret
# is refused. Hosts in namespaces: device, public (a device with an address of the Internet alone, beside its private IPv4
# one), guest (of a second network) and resolver (the other machine that cleandns may run on) - router - outside. What
# OpenWrt alone has, `uci` and its services, is not run here; of its script for procd it is looked at what it asks for.
# Sourced by tests/full.

mkdir "$work/router" && cd "$work/router"
mkdir -p /run/netns && mount -t tmpfs none /run/netns
hosts=(device public guest resolver router outside)
for host in "${hosts[@]}"; do ip netns add "$host"; done
ip -n router link add br-lan type bridge
for host in device public resolver; do
  ip -n router link add "to-$host" master br-lan type veth peer name lan netns "$host"
  ip -n router link set "to-$host" up
done
ip -n resolver link set lan address 02:00:5e:10:00:02
ip -n router link add br-guest type veth peer name lan netns guest
ip -n router link add wan type veth peer name wan netns outside
on() { ip netns exec "$@"; }
# start_on, in the background: the process itself, which can then be ended.
start_on() { exec ip netns exec "$@"; }
# The public addresses of a home come after its own, and are looked at first by who wants any.
for part in "router br-lan 192.168.1.1/24" "device lan 192.168.1.7/24" "router wan 203.0.113.1/24" "outside wan 203.0.113.2/24" \
  "router br-lan fd00::1/64" "device lan fd00::7/64" "router wan 2001:db8::1/64" "outside wan 2001:db8::2/64" \
  "resolver lan 192.168.1.2/24" "resolver lan fd00::2/64" "resolver lan fd00::22/64" \
  "router br-guest 192.168.2.1/24" "guest lan 192.168.2.7/24" "router br-guest fd01::1/64" "guest lan fd01::7/64" \
  "router br-lan 2001:db8:7::1/64" "public lan 2001:db8:7::7/64" "public lan 192.168.1.8/24" "resolver lan 2001:db8:7::2/64"; do

  read -r host link address <<<"$part"
  no_wait=
  [[ $address != *:* ]] || no_wait=nodad
  ip -n "$host" address add "$address" dev "$link" $no_wait
  ip -n "$host" link set "$link" up
  ip -n "$host" link set lo up
done
# By which announcements tell of the router.
ip -n router address add fe80::1/64 dev br-lan nodad
for host in device resolver; do
  ip -n "$host" route add default via 192.168.1.1
  ip -n "$host" -6 route add default via fd00::1
done
# As the router's announcements have it: who has no address in fd00::/64 goes there through the router all the same.
ip -n public route add default via 192.168.1.1
ip -n public -6 route add default via 2001:db8:7::1
ip -n guest route add default via 192.168.2.1
ip -n guest -6 route add default via fd01::1
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
allow = ["192.168.1.0/24", "fd00::/64", "fe80::/10"]
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
# start_both HOST CONFIGURATION: cleandns on a host, and another resolver outside.
start_both() {
  XDG_STATE_HOME=$PWD/outside-state start_on outside "$binary" --config outside.toml >outside.out 2>outside.log &
  outside=$!
  start_on "$1" "$binary" --config "$2" >out 2>log &
  server=$!
  until_true "cleandns on the $1" cat out -- "is ready"
  until_true "another resolver outside" cat outside.out -- "is ready"
}
end_both() {
  kill -TERM "$server" "$outside" 2>/dev/null || true
  wait "$server" "$outside" || true
  server=
}
start_both router own.toml
https() { timeout 5 bash -c "</dev/tcp/$1/$2" 2>&1 && echo through; }
export -f https
asks=(on device dig +tries=1 +time=2 nothing.example)
# ask whoever: a blocked answer tells who gave it.
until_true "without rules a device asks whom it likes" "${asks[@]}" @203.0.113.2 -- "outside/other"
until_true "and in secret" on device bash -c 'https 203.0.113.8 443' -- through

sed '/httpdns\|rented/d' "$here/../config/router.nft" >router.nft
# head_of FILE: the commands in the head of a file of rules, as they stand there, but for the folder.
head_of() { sed -n "/^# Where/q; s|/etc/cleandns|$PWD|g; s/^#   //p" "$here/../config/$1"; }
head_of router.nft >commands
expect "the head of router.nft says how" cat commands -- "cleandns lists export" "nft -f $PWD/bypass.nft" "nft -f $PWD/router.nft"
mkdir bin && printf '#!/bin/sh\nexec %q --config %q "$@"\n' "$binary" "$PWD/own.toml" >bin/cleandns && chmod +x bin/cleandns
with_path() { PATH=$PWD/bin:$PATH on "$@"; }
succeeds "the rules are loaded by the commands in their head" with_path router bash -euxo pipefail commands
for server_of in 203.0.113.2 2001:db8::2; do
  expect "port 53 of $server_of leads to cleandns" on device dig @"$server_of" +tries=1 +time=2 blocked.example -- "own/own"
  expect "over TCP too" on device dig @"$server_of" +tcp +tries=1 +time=2 blocked.example -- "own/own"
done
# A public address of the home: led to where cleandns listens, and then a matter of [access].
asks=(on public dig +tries=1 +time=2 blocked.example)
for server_of in 203.0.113.2 2001:db8::2 2001:db8:7::1; do
  for how in +notcp +tcp; do
    [[ $server_of == 203.* ]] || expect "who isn't allowed is told so, $server_of $how" "${asks[@]}" @"$server_of" "$how" \
      -- "REFUSED" "EDE: 18"
  done
done
sed 's|^allow = \[|&"2001:db8:7::/64", |' own.toml >new && mv new own.toml
until_true "the home's own prefix is allowed" "${asks[@]}" @2001:db8::2 -- "own/own"
for server_of in 203.0.113.2 2001:db8::2 2001:db8:7::1 fd00::1 fe80::1%lan; do
  for how in +notcp +tcp; do
    expect "port 53 of $server_of leads a public address to cleandns, $how" "${asks[@]}" @"$server_of" "$how" -- "own/own"
  done
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
end_both

# cleandns on another machine of the network: whom it sees is told by the program that blocks.
cat >elsewhere.toml <<'TOML'
[listen]
do53 = ["192.168.1.2:53", "[fd00::2]:53"]
[admin]
listen = ""
[[program]]
name = "direct"
lists = [{ path = "own.list" }]
[[program]]
name = "led"
mode = "off"
lists = [{ path = "own.list" }]
[[group]]
name = "router"
clients = ["192.168.1.1", "fd00::1"]
programs = { direct = "off", led = "enforce" }
TOML
start_both resolver elsewhere.toml
cp "$here/../config/router-elsewhere.nft" .
head_of router-elsewhere.nft >commands
expect "the head of router-elsewhere.nft says how" cat commands -- "nft -f $PWD/router-elsewhere.nft"
succeeds "its rules are loaded by the commands in their head" on router bash -euxo pipefail commands
for server_of in 203.0.113.2 2001:db8::2; do
  for how in +notcp +tcp; do
    asks=(dig @"$server_of" "$how" +tries=1 +time=2)
    expect "$server_of by a device, $how" on device "${asks[@]}" blocked.example -- "led/own"
    expect "$server_of by a public address, $how" on public "${asks[@]}" blocked.example -- "led/own"
    expect "$server_of by the machine of cleandns itself, $how" on resolver "${asks[@]}" nothing.example -- "outside/other"
    expect "$server_of by who isn't among the devices, $how" on guest "${asks[@]}" nothing.example -- "outside/other"
  done
done
expect "from another address of it" on resolver dig -b fd00::22 @2001:db8::2 +tries=1 +time=2 nothing.example -- "outside/other"
for host in device guest; do
  for address in 192.168.1.2 fd00::2; do
    for how in +notcp +tcp; do
      expect "a $host that asks $address by itself is seen, $how" on "$host" dig @"$address" "$how" +tries=1 +time=2 \
        blocked.example -- "direct/own"
    done
  done
done
# As OpenWrt's script has it: the first two once more, in a firewall that is empty again.
on router nft delete table inet cleandns
sed -n "s|^nft -f /etc/cleandns|nft -f $PWD|p" "$here/../config/ROUTER.md" >script
expect "ROUTER.md has lines for OpenWrt" cat script -- "$PWD/bypass.nft" "$PWD/router.nft"
succeeds "which load the rules" on router sh -eu script
expect "and have it led to the router" on router nft list chain inet cleandns lead -- "dnat ip6 to fd00::1"

end_both
for host in "${hosts[@]}"; do ip netns delete "$host"; done
umount /run/netns

# OpenWrt's script for procd, with stand-ins for the functions of rc.common that tell what they are asked for.
awk '/^#!\/bin\/sh \/etc\/rc.common$/ { inside = 1 } /^```/ { inside = 0 } inside' "$here/../config/ROUTER.md" >procd
cat >rc.common <<'RC'
procd_open_instance() { echo "open"; }
procd_set_param() {
  echo "set $*"
  case $1 in
    command | respawn) [ $# -gt 1 ] ;;
    limits) case $2 in *=*) ;; *) return 1 ;; esac ;;
    stdout | stderr) case $2 in 0 | 1) ;; *) return 1 ;; esac ;;
    *) return 1 ;;
  esac
}
procd_close_instance() { echo "close"; }
procd_send_signal() { echo "signal $*"; }
RC
# Of rc.common: it reads the script, and calls the function of the action.
as_rc_common() { sh -euc '. ./rc.common; . ./procd; echo "start $START procd $USE_PROCD"; start_service; reload_service'; }
expect "ROUTER.md has a script for OpenWrt" head -n 1 procd -- "#!/bin/sh /etc/rc.common"
succeeds "it is one for sh" sh -n procd
succeeds "and for shellcheck" shellcheck --shell=dash --exclude=SC2034 procd
as_rc_common >asked 2>&1 || true
cat >expected <<'EXPECTED'
start 95 procd 1
open
set command /usr/bin/cleandns --config /etc/cleandns/cleandns.toml
set limits nofile=65536 65536
set respawn 3600 5 0
set stderr 1
close
signal cleandns
EXPECTED
succeeds "it asks procd for one instance that is started for ever" diff expected asked
read -ra command < <(sed -n 's/^set command //p' asked)
command[0]=$binary
command[2]=$here/../config/cleandns.toml
expect "its command is one of the program's" "${command[@]}" check -- "0 lists unusable"
