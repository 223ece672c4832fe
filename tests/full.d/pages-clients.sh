# Clients in a browser: what they are called, by the owner, a router and this machine's neighbours; one of them paused; what
# exceptions let pass; when programs are on; and whether the browser's own device asks here. Sourced by tests/full.

source "$here/driver.sh"
mkdir "$work/pages-clients" && cd "$work/pages-clients"
printf '#! cleandns\nblocked.example\n@pass.blocked.example\n@quiet.blocked.example\n' >own.list
cat >own.toml <<'TOML'
[listen]
do53 = ["127.0.0.1:5300", "127.0.0.1:53", "198.51.100.1:53"]
[access]
allow = ["127.0.0.0/8", "198.51.100.0/24"]
[state]
dir = "state"
[local]
records = ["kid.lan. A 127.0.0.7", '\060img\047src=x\047onerror=hostile6\062.lan. A 127.0.0.10']
[[resolve.forward]]
zone = "127.in-addr.arpa"
servers = ["udp://127.0.0.1:5399"]
[[policy.exception]]
names = ["mine.blocked.example"]
reason = "we need it"
[[program]]
name = "mine"
lists = [{ path = "own.list" }]
[[group]]
name = "kids"
clients = ["127.0.0.7"]
[[group]]
name = "den"
clients = ["mac:02:00:5e:10:00:0d"]
TOML
page=http://127.0.0.1:8053
# A device of its own, next to this machine.
unshare --net sleep 600 &
device=$!
until_true "a device" readlink "/proc/$device/ns/net" -- "net:"
until [[ $(readlink "/proc/$device/ns/net") != $(readlink /proc/self/ns/net) ]]; do sleep 0.1; done
ip link add house type veth peer name device netns "$device"
ip address add 198.51.100.1/24 dev house && ip link set house up
at_device() { nsenter -t "$device" -n "$@"; }
at_device ip link set device address 02:00:5e:10:00:0d up
at_device ip address add 198.51.100.2/24 dev device
dnsmasq --keep-in-foreground --port=5399 --listen-address=127.0.0.1 --bind-interfaces --no-resolv --no-hosts --conf-file=/dev/null \
  --pid-file="$PWD/router.pid" --ptr-record=9.0.0.127.in-addr.arpa,tablet.lan \
  --ptr-record='11.0.0.127.in-addr.arpa,<img/src=x/onerror=hostile5>"<b>.lan' >router.log 2>&1 &
router=$!
# What this device asks, asks here.
echo 'nameserver 127.0.0.1' >resolv.conf
mount --bind resolv.conf /etc/resolv.conf

"$binary" --config own.toml >out 2>log &
server=$!
until_true "a server with clients" cat out -- "is ready"
for name in blocked.example pass.blocked.example mine.blocked.example; do
  dig -b 127.0.0.7 "${at[@]}" "$name" +tries=1 >/dev/null
  for client in 9 10 11; do dig -b "127.0.0.$client" "${at[@]}" "$name" +tries=1 >/dev/null; done
done
expect "the device is blocked" at_device dig @198.51.100.1 blocked.example -- "mine/own own.list:2"
until_true "all is recorded" curl -s "$page/api/v1/clients" -- 198.51.100.2
until_true "the router's name for one comes" curl -s "$page/api/v1/clients" -- '"name":"tablet.lan","name_by":"ptr"'
expect "the owner's is there" curl -s "$page/api/v1/clients" -- '"name":"kid.lan","name_by":"owner"'
until_true "and the hardware address of the neighbour" curl -s "$page/api/v1/clients" -- '"mac":"02:00:5e:10:00:0d"'
expect "and the group that is told by it" curl -s "$page/api/v1/clients" -- '"group":"den"'
expect "whom a preview is for, too" curl -s "$page/api/v1/programs/mine/preview?group=den" -- "1 of 1 query of den"
expect "who is known by name is explained by it" "$binary" --config own.toml explain blocked.example --client kid.lan -- "from 127.0.0.7" kids
expect "by a part of the router's too" "$binary" --config own.toml explain blocked.example --client Tablet -- "from 127.0.0.9"
expect "and by hardware address" "$binary" --config own.toml explain blocked.example --client 02:00:5e:10:00:0d -- "from 198.51.100.2" den
expect "of several all are told" "$binary" --config own.toml explain blocked.example --client lan -- "may be any of 127.0.0.7 (kid.lan)"
expect "the address that was asked" dig "${at[@]}" check.cleandns.home.arpa +short -- 127.0.0.1
expect "by the device too" at_device dig @198.51.100.1 check.cleandns.home.arpa +short -- 198.51.100.1
expect "over TCP" at_device dig +tcp @198.51.100.1 x.check.cleandns.home.arpa -- 198.51.100.1 "home.arpa. 0"

open_browser
visit "$page/clients"
expect "names are on the page" script 'return document.querySelector("main").innerText' -- kid.lan "tablet.lan by PTR" 02:00:5e:10:00:0d
# What others call themselves, or the owner calls them, is text; `looks_well` hears if it is more.
for sign in 5 6; do
  for place in /clients '/log?name=blocked.example' /; do
    visit "$page$place"
    is "$place: the name of a client is told ($sign)" "return document.querySelector('main').innerText.includes('onerror=hostile$sign')"
    is "$place: and is text" 'return !document.querySelector("main img, main [onerror]")'
  done
done
succeeds "nothing of it ran" is_silent
visit "$page/clients"
script '[...document.querySelectorAll("a")].find((link) => link.textContent == "Pause" && link.href.includes("mac%3A02")).click()' >/dev/null
is "the device is chosen" 'return document.querySelector("#pause input[name=client]")?.value == "mac:02:00:5e:10:00:0d"'
script 'document.querySelector("#pause button[value=\"300\"]").click()' >/dev/null
is "and paused" 'return document.querySelector("#pause").innerText.includes("Nothing is blocked for client mac:02:00:5e:10:00:0d for another 5 minutes")'
expect "it is blocked no more" at_device dig @198.51.100.1 blocked.example +tries=1 +time=5 -- "EDE: 22"
expect "others are" dig "${at[@]}" blocked.example -- "mine/own own.list:2"
expect "by the command too" "$binary" --config own.toml pause -- "client mac:02:00:5e:10:00:0d: nothing is blocked"
script '[...document.querySelectorAll("#pause button")].find((button) => button.textContent == "End it").click()' >/dev/null
until_true "it is ended" at_device dig @198.51.100.1 blocked.example -- "mine/own own.list:2"
succeeds "one address is paused by the command" "$binary" --config own.toml pause --for 1m --client 198.51.100.2
expect "it alone" at_device dig @198.51.100.1 blocked.example +tries=1 +time=5 -- "EDE: 22"
succeeds "and ended" "$binary" --config own.toml pause --end --client 198.51.100.2

visit "$page/programs"
script 'const when = document.querySelector("#mine .when"); when.open = true; when.querySelector("input[name=schedule]").value = "daily 00:00-24:00 Mars";
  when.querySelector("button").click()' >/dev/null
is "a schedule that is none is told" 'return document.querySelector("#mine .wrong")?.innerText.includes("is not a time zone")'
# A browser says of a refused form that it was refused.
console >/dev/null
script 'const form = document.querySelector("#mine .when form"); form.schedule.value = "daily 00:00-24:00"; form.querySelector("button").click()' >/dev/null
is "and one that is" 'return document.querySelector("#mine").innerText.includes("daily 00:00-24:00 UTC: now it is")'
visit "$page/except"
is "exceptions tell how often" 'return document.querySelector("main").innerText.includes("1 used in 7 days")'
expect "and which never" script 'const all = document.querySelectorAll("details"); all.forEach((one) => one.open = true); return document.querySelector("main").innerText' -- \
  "mine.blocked.example" "quiet.blocked.example"

visit "$page/setup"
is "this device finds out that it asks here" 'return document.querySelector("#device h2").innerText == "This device asks here"'
expect "and what it asked" script 'return document.querySelector("#device").innerText' -- "You look from 127.0.0.1"
looks_well "360 390 1280" /setup /clients '/clients?pause=127.0.0.7' /programs /except / /log
close_browser
# Another resolver, which nobody is.
echo 'nameserver 127.0.0.2' >resolv.conf
open_browser
visit "$page/setup"
is "this device finds out that it doesn't" 'return document.querySelector("#device h2").innerText.startsWith("This device doesn")'
expect "and what to do" script 'return document.querySelector("#device").innerText' -- "another DNS server" "Try again"
picture elsewhere.png
close_browser
umount /etc/resolv.conf
kill "$router" "$device" 2>/dev/null
wait "$router" "$device" 2>/dev/null || true
kill -TERM "$server" && wait "$server" || true
server=
