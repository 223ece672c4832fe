# A service: the unit under systemd, which runs as the first process of namespaces made for it; sockets that systemd
# passes; root that becomes somebody else; and who has port 53. Sourced by tests/full.

mkdir "$work/service" && cd "$work/service"
place=$PWD
chmod 755 "$work" "$place"
at=(@127.0.0.1 -p 53)
export place binary here

# boot: systemd in a view of the file system in which nothing of this machine can be written to, with the program and its
# units installed on top. It knows no other unit: those of the system would set up a machine, and empty /tmp on the way.
cat >boot.sh <<'BOOT'
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/given /run/layers/etc/{upper,work} /run/layers/usr/bin/{upper,work}
cp "$binary" /run/given/cleandns
cp "$here/../config/cleandns.service" "$here/../config/cleandns.socket" "$place"/{service,socket}.conf \
  "$place/cleandns.toml" "$place/own.list" /run/given/
for folder in /etc /usr/bin; do
  mount -t overlay overlay -o "lowerdir=$folder,upperdir=/run/layers$folder/upper,workdir=/run/layers$folder/work" "$folder"
done
for folder in /tmp /var /home /root; do mount -t tmpfs -o mode=755 tmpfs "$folder"; done
# Every disk there is.
while read -r device target _; do
  [[ $device == /dev/* ]] && mount -o remount,bind,ro "$target"
done </proc/self/mounts
mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys
if touch /probe 2>/dev/null || touch /usr/probe 2>/dev/null; then echo "the machine could still be written to"; exit 1; fi
mkdir -p /var/lib /var/tmp /etc/cleandns
rm -rf /etc/systemd/system && mkdir -p /etc/systemd/system/cleandns.{service,socket}.d
cp /run/given/cleandns /usr/bin/cleandns
cp /run/given/cleandns.{service,socket} /etc/systemd/system/
cp /run/given/service.conf /etc/systemd/system/cleandns.service.d/
cp /run/given/socket.conf /etc/systemd/system/cleandns.socket.d/
cp /run/given/{cleandns.toml,own.list} /etc/cleandns/
printf '[Unit]\nDefaultDependencies=no\nAllowIsolate=yes\n' >/etc/systemd/system/nothing.target
exec env -i container=other SYSTEMD_UNIT_PATH=/etc/systemd/system PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --system --unit=nothing.target --log-target=console --show-status=0
BOOT
# No journal runs there; a dead process is to be noticed sooner; nothing else of a system is there to be waited for.
cat >service.conf <<'CONF'
[Unit]
DefaultDependencies=no
Wants=
After=
[Service]
StandardOutput=append:/var/lib/out
StandardError=append:/var/lib/log
WatchdogSec=2
RestartSec=100ms
CONF
printf '[Unit]\nDefaultDependencies=no\n' >socket.conf
printf 'blocked.example\n' >own.list
cat >cleandns.toml <<'TOML'
[listen]
do53 = ["127.0.0.1:53"]
[state]
dir = "/var/lib/cleandns"
[[program]]
name = "own"
lists = [{ path = "own.list", match = "subtree" }]
TOML
# systemd takes the control groups it begins in for all there are, and puts them in order: so it begins in one of its own.
cat >apart.sh <<'APART'
for groups in /sys/fs/cgroup /sys/fs/cgroup/*; do
  [[ -e $groups/cgroup.procs ]] || continue
  mkdir -p "$groups/cleandns-test" 2>/dev/null && echo $$ >"$groups/cleandns-test/cgroup.procs" || true
done 2>/dev/null
exec unshare --pid --fork --kill-child --mount-proc --mount --uts --ipc --cgroup bash boot.sh
APART
bash apart.sh >boot.log 2>&1 &
server=$!
inside() { nsenter -t "$(pgrep -P "$server" | head -1)" -a "$@"; }
shown() { inside systemctl show cleandns.service -p "$1" --value; }
# Of the service's process.
process() { inside cat "/proc/$(shown MainPID)/status"; }
# says_nothing WHAT COMMAND…: the command must end well, without a word.
says_nothing() {
  local what=$1 output
  shift
  output=$("$@" 2>&1) && [[ -z $output ]] && { passed=$((passed + 1)); return; }
  failed=$((failed + 1))
  echo "FAILED $what: $output"
}
until_true "systemd runs" inside systemctl is-active nothing.target -- active
units=(/etc/systemd/system/cleandns.service /etc/systemd/system/cleandns.socket)
says_nothing "systemd takes the units without a word" inside env SYSTEMD_UNIT_PATH=/etc/systemd/system:/lib/systemd/system \
  systemd-analyze verify "${units[@]}"
succeeds "their exposure is 2.0 at most" inside systemd-analyze security --offline=true --threshold=20 "${units[0]}"

succeeds "the service starts" inside systemctl start cleandns.service
expect "and is ready" shown ActiveState -- active
expect "it says what is in force" shown StatusText -- "Answers on 127.0.0.1:53; 1 rules of 1 lists in force; blocks for own"
expect "it answers on port 53" dig "${at[@]}" blocked.example -- "status: NXDOMAIN" "own/own own.list:1"
expect "it has no right but low ports" process -- $'CapEff:\t0000000000000400' $'NoNewPrivs:\t1' $'Seccomp:\t2'
no_root() { process | grep -c $'^Uid:\t0' || true; }
expect "nor is it root" no_root -- 0
expect "what it gave up is told" inside cat /var/lib/log -- "and no others (Landlock" "system calls are refused (seccomp)"
inside sed -i '$aanother.example' /etc/cleandns/own.list
until_true "lists are followed" dig "${at[@]}" another.example -- "own/own own.list:2"
succeeds "it reloads" inside systemctl reload cleandns.service
until_true "and is ready again" shown ActiveState -- active
expect "what is recorded can be read" inside cleandns --config /etc/cleandns/cleandns.toml report --from 1d -- blocked.example
says_nothing "nothing was denied" inside bash -c "! grep -iE 'denied|not permitted' /var/lib/log"
inside kill -STOP "$(shown MainPID)"
until_true "who gives no sign of life is started anew" shown NRestarts -- 1
until_true "and answers" dig "${at[@]}" +tries=1 +time=1 blocked.example -- "status: NXDOMAIN"
expect "systemd gives no socket to what runs" inside systemctl start cleandns.socket -- "Job failed"
succeeds "it stops" inside systemctl stop cleandns.service
expect "in order" shown Result -- success

# Sockets of systemd: the first question starts the service, and none is lost while it starts again.
succeeds "systemd has the sockets" inside systemctl start cleandns.socket
expect "nobody runs yet" shown ActiveState -- inactive
expect "the first question starts it" dig "${at[@]}" +tries=1 +time=10 blocked.example -- "own/own own.list:1"
expect "over TCP too" dig "${at[@]}" +tcp blocked.example -- "own/own own.list:1"
expect "a check says whose the port is" inside cleandns --config /etc/cleandns/cleandns.toml check -- \
  "systemd (PID 1) has port 53 for a socket unit" "cleandns.socket all is well"
: >asked
(until [[ -e enough ]]; do
  dig "${at[@]}" +tries=1 +time=5 +noall +comments blocked.example >>asked 2>&1 || echo lost >>asked
done) &
asking=$!
for _ in 1 2 3; do succeeds "it starts again" inside systemctl restart cleandns.service; done
touch enough
wait "$asking" || true
succeeds "questions were asked meanwhile" grep -q NXDOMAIN asked
lost() { grep -cE "lost|timed out|refused|SERVFAIL" asked || true; }
expect "none is lost" lost -- 0
inside systemctl stop cleandns.socket cleandns.service
kill -KILL "$server" && wait "$server" 2>/dev/null || true
server=
listeners() { ss -Hlun "sport = :53" | wc -l; }
until_true "port 53 is free again" listeners -- 0
find /sys/fs/cgroup -depth -type d -path '*/cleandns-test*' -exec rmdir {} + 2>/dev/null || true

# Root that becomes somebody else, on a low port, and is followed by the next process.
printf 'blocked.example\n' >own.list
sed "s|/var/lib/cleandns|$place/state|" cleandns.toml >base.toml
(cat base.toml && printf '[process]\nuser = "daemon"\n') >own.toml
chmod 644 ./*.list ./*.toml
rights() { cat "/proc/$server/status"; }
"$binary" --config own.toml >out 2>log &
server=$!
until_true "root becomes somebody else: it starts" cat out -- "is ready"
expect "it is daemon, with low ports alone" rights -- $'Uid:\t1\t1\t1\t1' $'Gid:\t1\t1\t1\t1' $'CapPrm:\t0000000000000400' \
  $'CapBnd:\t0000000000000400' $'NoNewPrivs:\t1'
expect "it says so" cat log -- "became daemon (1)"
expect "it answers on port 53" dig "${at[@]}" blocked.example -- "own/own own.list:1"
until_true "its state is its own" stat -c %n:%U state state/queries.db -- state/queries.db:daemon
first=$server
"$binary" --config own.toml serve --take-over >out2 2>log2 &
server=$!
until_true "another takes over" cat out2 -- "is ready"
kill -TERM "$first" && wait "$first" || true
printf 'blocked.example\nmore.example\n' >own.list
until_true "and reads lists" dig "${at[@]}" more.example -- "own/own own.list:2"
kill -TERM "$server" && wait "$server" || true
server=
chown -R root: state
expect "a folder that isn't the user's is told of" "$binary" --config own.toml -- "state.dir: $place/state can't be written" \
  "install -d -o daemon"

# What an access list gives counts too, though modes know nothing of it: root's check tries what the user may. Version 2 of
# such lists (acl(5)), by the number of setxattr(2).
# shellcheck disable=SC2016
grants() {
  local call=188
  [[ $(uname -m) == x86_64 ]] || call=5
  perl -e 'my ($call, $folder, $user) = @ARGV; my ($nobody, $name) = (0xffffffff, "system.posix_acl_access");
    my $list = pack("V(vvV)*", 2, 1, 7, $nobody, 2, 7, $user, 4, 0, $nobody, 16, 7, $nobody, 32, 0, $nobody);
    exit(syscall($call + 0, $folder, $name, $list, length $list, 0) == 0 ? 0 : 1)' "$call" "$1" "$2"
}
mkdir -m 700 listed
sed "s|$place/state|$place/listed|" own.toml >listed.toml
expect "root's folder is none for the user" "$binary" --config listed.toml check -- "state.dir: $place/listed can't be written to by daemon"
succeeds "but by an access list" grants "$PWD/listed" "$(id -u daemon)"
succeeds "a check says so" "$binary" --config listed.toml check

# The right to port 53 without root.
chown -R daemon: state
cp "$binary" plain && cp "$binary" able && chmod 755 plain able
setcap cap_net_bind_service=+ep able
as_daemon=(setpriv --reuid=daemon --regid=daemon --clear-groups)
expect "without a right, the ways to it" "${as_daemon[@]}" ./plain --config base.toml -- "setcap cap_net_bind_service=+ep" \
  "config/cleandns.service" "ip_unprivileged_port_start"
"${as_daemon[@]}" ./able --config base.toml >out 2>log &
server=$!
until_true "with the capability it starts" cat out -- "is ready"
expect "and answers" dig "${at[@]}" blocked.example -- "own/own own.list:1"
kill -TERM "$server" && wait "$server" || true
server=

# Who has port 53.
dnsmasq --no-daemon --no-resolv --no-hosts --conf-file=/dev/null --listen-address=127.0.0.1 --bind-interfaces --user=root \
  >dnsmasq.log 2>&1 &
server=$!
until_true "dnsmasq runs" cat dnsmasq.log -- "started"
expect "dnsmasq is known" "$binary" --config base.toml -- "port 53: dnsmasq (PID $server)" "port=0"
expect "check tells it too" "$binary" --config base.toml check -- "warning: listen.do53" "port 53: dnsmasq (PID $server)"
expect "who lacks the right learns both" "${as_daemon[@]}" ./plain --config base.toml check -- \
  "setcap cap_net_bind_service=+ep" "; besides, another program has port 53: " "sudo ss -lpn"
expect "nobody takes over from it" "$binary" --config base.toml serve --take-over -- "port 53: dnsmasq (PID $server)" \
  "--take-over is for a cleandns"
expect "others are told how to find it" "${as_daemon[@]}" ./able --config base.toml -- "another program has port 53: " "ss -lpn"
kill -TERM "$server" && wait "$server" || true
# A process of that name stands in for systemd's resolver.
cp "$binary" systemd-resolved
(sed 's/127.0.0.1:53"/127.0.0.53:53"/' base.toml && printf '[admin]\nlisten = ""\n') >stub.toml
./systemd-resolved --config stub.toml >out 2>log &
server=$!
until_true "the stub runs" cat out -- "is ready"
says_nothing "a machine's own address is free beside it" bash -c "! '$binary' --config base.toml check | grep 'another program'"
sed 's/127.0.0.1:53"/0.0.0.0:53"/' base.toml >wide.toml
expect "systemd-resolved is known" "$binary" --config wide.toml -- "port 53: systemd-resolved (PID $server), at 127.0.0.53:53" \
  "DNSStubListener=no" "ln -sf /run/systemd/resolve/resolv.conf"
kill -TERM "$server" && wait "$server" || true
server=
at=(@127.0.0.1 -p 5300)

# A machine without IPv6, with the addresses that the package has: those of IPv4 are served, and the other one is told of.
sed 's|^do53 = .*|do53 = ["127.0.0.1:53", "[::1]:53"]|' base.toml >both.toml
start_without() {
  exec unshare --net bash -c 'ip link set lo up
    sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.lo.disable_ipv6=1
    exec "$@"' without "$@"
}
without() { (start_without "$@"); }
expect "a check without IPv6" without "$binary" --config both.toml check -- "warning: listen.do53: [::1]:53 is left out"
start_without "$binary" --config both.toml >out 2>log &
server=$!
until_true "a start without IPv6" cat out -- "is ready"
expect "says where it answers" cat out -- "answers      127.0.0.1:53 (UDP"
expect "and what it leaves out" cat log -- "listen.do53: [::1]:53 is left out: this machine has no IPv6"
expect "and is well" nsenter --target "$server" --net "$binary" --config both.toml health -- "127.0.0.1:53 answers"
kill -TERM "$server" && wait "$server" || true
server=
sed -i 's|"127.0.0.1:53", ||' both.toml
expect "IPv6 alone is an error" without "$binary" --config both.toml -- "can't listen on [::1]:53"
