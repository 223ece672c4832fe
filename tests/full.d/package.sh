# The Debian package in a clean root where systemd itself runs: installs, starts, blocks, reloads, upgrades under load,
# is removed, is purged. The network is that of this test. Sourced by tests/full, which makes the clean root.

mkdir "$work/package" && cd "$work/package"
root=$PWD/over/root
mkdir over && mount -t tmpfs none over && mkdir over/{upper,work,root}
mount -t overlay overlay -o "lowerdir=$here/../target/clean-root,upperdir=over/upper,workdir=over/work" over/root
# The same machine as another: what systemd wants to find.
cat >boot <<'BOOT'
set -e
root=$1
mountpoint -q "$root"
umount -R /sys/fs/cgroup 2>/dev/null || true
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 dev "$root/dev"
for device in null zero full random urandom tty; do
  touch "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/shm" "$root/dev/pts"
ln -s /proc/self/fd "$root/dev/fd"
# Of a device of its own for each service, systemd makes this one too.
ln -s pts/ptmx "$root/dev/ptmx"
# Nothing of this machine's files is left within reach: systemd tidies what it takes for its own.
cd "$root"
mkdir outside
pivot_root . outside
cd /
umount -l /outside
rmdir /outside
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd systemd.unit=multi-user.target
BOOT
unshare --mount --propagation private --pid --fork --cgroup --uts --ipc bash boot "$root" >boot.log 2>&1 &
booting=$!
within() { nsenter -t "$init" -m -p -C -u -i -r -w env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"; }
until init=$(pgrep -P "$booting"); do kill -0 "$booting" || { cat boot.log; break; }; sleep 0.1; done
# Should anything here end the test, nothing is left running.
capture=$init
until_true "systemd runs" within systemctl is-system-running -- running

# Without what debuggers alone read, which is four fifths of it, and would be packed and unpacked a dozen times.
strip -o program "$binary"
PACKAGE_VERSION=0.1.0 "$here/../config/debian/build.sh" program . >built
PACKAGE_VERSION=0.1.1 "$here/../config/debian/build.sh" program . >>built
expect "two packages are built" cat built -- cleandns_0.1.0_ cleandns_0.1.1_
expect "what is in it" dpkg-deb --contents cleandns_0.1.0_*.deb -- ./usr/bin/cleandns ./etc/cleandns/cleandns.toml \
  ./usr/share/cleandns/blocklists/clean-store/tiktok.list ./usr/share/man/man1/cleandns.1.gz \
  ./usr/share/man/man1/cleandns-lists-export.1.gz ./usr/share/bash-completion/completions/cleandns \
  ./usr/share/zsh/vendor-completions/_cleandns ./usr/share/fish/vendor_completions.d/cleandns.fish \
  ./usr/share/doc/cleandns/README.md ./usr/share/doc/cleandns/config/HOME.md ./usr/lib/systemd/system/cleandns.service
find_all() { (cd "$root" && find etc usr var -path var/cache -prune -o -path var/log -prune -o -path var/lib/dpkg -prune -o -path var/lib/apt -prune -o -path var/tmp -prune -o -print | sort); }
find_all >before
cp cleandns_*.deb "$root/root/"

asks=(dig @127.0.0.1 -p 53 +tries=1 +time=2)
# As SERVER.md's readers do it, without a network: what it depends on is there.
succeeds "it installs" within apt-get install -y -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts=/dev/null \
  "/root/$(basename cleandns_0.1.0_*.deb)"
until_true "it starts by itself" within systemctl is-active cleandns.service -- active
within systemctl --quiet is-active cleandns.service || within journalctl --no-pager --unit cleandns.service --lines 30
until_true "it blocks" "${asks[@]}" www.tiktok.com -- "clean-store/tiktok"
expect "as a user of its own" within sh -c 'ps -o user= -C cleandns 2>/dev/null || stat -c %U "/proc/$(systemctl show -P MainPID cleandns)"' -- cleandns
expect "its files are whole" within sh -c 'dpkg -V cleandns && echo whole' -- whole
expect "it will start with the machine" within systemctl is-enabled cleandns.service -- enabled
expect "health" within cleandns health -- answers
expect "its lists are beside its configuration" within cat /etc/cleandns/blocklists/clean-store/tiktok.list -- tiktokv.com
# dead_links: links of the installed pages that lead to no file.
dead_links() {
  local page link
  find "$root/usr/share/doc/cleandns/" -name '*.md' | while read -r page; do
    grep -oE '\]\([^)#]+' "$page" | cut -c 3- | grep -v '^https:' | sort -u | while read -r link; do
      within test -e "$(dirname "${page#"$root"}")/$link" || echo "${page#"$root"}: $link"
    done || true # a page without links
  done
}
succeeds "the pages are there" test -s "$root/usr/share/doc/cleandns/config/ROUTER.md"
dead_links >dead
succeeds "and what they lead to ($(head -n 5 dead | tr '\n' ' '))" test ! -s dead
until_true "state is kept" within ls /var/lib/cleandns -- queries.db

# The owner's configuration and list.
printf 'first.example\n' >"$root/etc/cleandns/own.list"
printf '\n[[program]]\nname = "own"\nlists = [{ path = "own.list" }]\n' >>"$root/etc/cleandns/cleandns.toml"
succeeds "it starts again" within systemctl restart cleandns.service
until_true "with the owner's list" "${asks[@]}" first.example -- "own/own own.list:1"
printf 'first.example\nsecond.example\n' >"$root/etc/cleandns/own.list"
succeeds "it reloads" within systemctl reload cleandns.service
until_true "and has the new list" "${asks[@]}" second.example -- "own/own own.list:2"

# The page for the network: a token is made, which root is shown whatever folder its own surroundings name.
cp "$root/etc/cleandns/cleandns.toml" loopback.toml
sed -i 's|^listen = "127.0.0.1:8053"|listen = "0.0.0.0:8053"|' "$root/etc/cleandns/cleandns.toml"
succeeds "it starts with a page for others" within systemctl restart cleandns.service
expect "its token is the service's" within stat -c '%U %a' /var/lib/cleandns/token -- "cleandns 600"
expect "the journal says where" within journalctl --no-pager --unit cleandns.service -- "made a token" /var/lib/cleandns/token
expect "and root is shown it" within sh -c 'test "$(cleandns admin token show)" = "$(cat /var/lib/cleandns/token)" && echo the same' -- "the same"
succeeds "commands of root's have it" within cleandns pause
cp loopback.toml "$root/etc/cleandns/cleandns.toml"
succeeds "and back" within systemctl restart cleandns.service

# load: asks until it is enough, one query each, and counts answers.
load() {
  local asked=0 answered=0
  for _ in $(seq 100); do echo "www.tiktok.com A"; done >questions
  until [[ -e enough ]]; do
    "${asks[@]}" +time=5 -f questions +noall +comments >answers 2>&1 || true
    asked=$((asked + 100))
    answered=$((answered + $(grep -c 'status: NXDOMAIN' answers || true)))
  done
  echo "$asked asked, $((asked - answered)) lost" >loaded
}
before_pid=$(within systemctl show -P MainPID cleandns.service)
load &
loading=$!
succeeds "it upgrades" within dpkg -i "/root/$(basename cleandns_0.1.1_*.deb)"
until_true "the new one runs" within systemctl is-active cleandns.service -- active
touch enough && wait "$loading"
cat loaded
expect "without a lost query" cat loaded -- " asked, 0 lost"
expect "by another process" test "$before_pid" != "$(within systemctl show -P MainPID cleandns.service)" --
[[ $before_pid != "$(within systemctl show -P MainPID cleandns.service)" ]] || { failed=$((failed + 1)); echo "FAILED the old process runs on"; }
expect "what the owner changed is there" grep own.list "$root/etc/cleandns/cleandns.toml" -- own.list
expect "and in force" "${asks[@]}" second.example -- "own/own own.list:2"

# A configuration that is wrong leaves the server as it is.
cp "$root/etc/cleandns/cleandns.toml" good.toml
echo 'nonsense = 1' >>"$root/etc/cleandns/cleandns.toml"
expect "a wrong configuration is told at an upgrade" within dpkg -i "/root/$(basename cleandns_0.1.0_*.deb)" -- \
  "correct the configuration" nonsense
expect "and the old server goes on" "${asks[@]}" second.example -- "own/own own.list:2"
cp good.toml "$root/etc/cleandns/cleandns.toml"

# So does one that an administrator's own unit names.
mkdir -p "$root/etc/systemd/system/cleandns.service.d"
printf '[Service]\nExecStart=\nExecStart=/usr/bin/cleandns serve --config /etc/cleandns/other.toml\n' \
  >"$root/etc/systemd/system/cleandns.service.d/own.conf"
echo 'other_nonsense = 1' >"$root/etc/cleandns/other.toml"
within systemctl daemon-reload
expect "the configuration of the unit is what is checked" within dpkg -i "/root/$(basename cleandns_0.1.1_*.deb)" -- \
  "correct the configuration" other_nonsense
rm "$root/etc/systemd/system/cleandns.service.d/own.conf" "$root/etc/cleandns/other.toml"

# And what it says in variables, quoted as units quote.
cat >"$root/etc/systemd/system/cleandns.service.d/own.conf" <<'CONF'
[Service]
Environment="CLEANDNS_LISTEN__DO53=[\"127.0.0.1:53\", \"$HOME `id`\"]" CLEANDNS_CACHE__SIZE=64MiB
CONF
expect "the variables of the unit are checked too" within dpkg -i "/root/$(basename cleandns_0.1.1_*.deb)" -- \
  "correct the configuration" 'CLEANDNS_LISTEN__DO53' '$HOME `id`'
rm -r "$root/etc/systemd/system/cleandns.service.d"
within systemctl daemon-reload

# A unit that leaves out the word: serving is what the program does anyhow.
mkdir -p "$root/etc/systemd/system/cleandns.service.d"
printf '[Service]\nExecStart=\nExecStart=/usr/bin/cleandns --config /etc/cleandns/cleandns.toml\n' \
  >"$root/etc/systemd/system/cleandns.service.d/own.conf"
within systemctl daemon-reload
before_pid=$(within systemctl show -P MainPID cleandns.service)
upgraded() { within dpkg -i "/root/$(basename cleandns_0.1.0_*.deb)" 2>&1 | grep "doesn't start" || echo "no complaint"; }
expect "an upgrade with that" upgraded -- "no complaint"
other_process() { [[ $before_pid != "$(within systemctl show -P MainPID cleandns.service)" ]] && echo another; }
expect "is another process" other_process -- another
expect "that answers" "${asks[@]}" second.example -- "own/own own.list:2"
rm -r "$root/etc/systemd/system/cleandns.service.d"
within systemctl daemon-reload

succeeds "it is removed" within dpkg -r cleandns
gone() { "${asks[@]}" +time=1 www.tiktok.com || true; }
expect "nobody answers" gone -- "no servers could be reached"

# It comes back, first with a configuration that was spoilt meanwhile.
echo 'nonsense = 1' >>"$root/etc/cleandns/cleandns.toml"
expect "what is wrong is told when it comes back" within dpkg -i "/root/$(basename cleandns_0.1.1_*.deb)" -- nonsense
expect "it will start with the machine all the same" within systemctl is-enabled cleandns.service -- enabled
cp good.toml "$root/etc/cleandns/cleandns.toml"
succeeds "it is removed again" within dpkg -r cleandns
succeeds "it comes back" within dpkg -i "/root/$(basename cleandns_0.1.1_*.deb)"
until_true "and starts by itself" within systemctl is-active cleandns.service -- active
until_true "and blocks" "${asks[@]}" www.tiktok.com -- "clean-store/tiktok"
expect "and will start with the machine" within systemctl is-enabled cleandns.service -- enabled
# What an administrator switched off stays off, and what stands in its way is told.
succeeds "it is switched off" within systemctl disable --now cleandns.service
succeeds "it is removed while it is off" within dpkg -r cleandns
cp good.toml "$root/etc/cleandns/cleandns.toml"
mkdir "$root/etc/cleandns/conf.d"
printf '[local]\nhosts = ["/etc/cleandns/own.hosts"]\n' >"$root/etc/cleandns/conf.d/own.toml"
printf 'nonsense nonsense\n' >"$root/etc/cleandns/own.hosts"
expect "it comes back with a warning" within dpkg -i "/root/$(basename cleandns_0.1.1_*.deb)" -- "warning: " own.hosts
rm -r "$root/etc/cleandns/own.hosts" "$root/etc/cleandns/conf.d"
is_off() { within systemctl is-enabled cleandns.service || true; within systemctl is-active cleandns.service || true; }
expect "and stays off" is_off -- disabled inactive
succeeds "it is removed at last" within dpkg -r cleandns
expect "nobody answers again" gone -- "no servers could be reached"
expect "what the owner wrote stays" cat "$root/etc/cleandns/own.list" "$root/etc/cleandns/cleandns.toml" -- second.example
succeeds "it is purged" within dpkg -P cleandns
find_all >after
left() { diff before after | grep '^[<>]' | grep -vE ' (root/|etc/(passwd|group|shadow|gshadow)-?$|etc/subuid|etc/subgid)' || true; }
expect "only the owner's file is left" left -- "> etc/cleandns/own.list"
[[ $(left | wc -l) -le 2 ]] || { failed=$((failed + 1)); echo "FAILED more is left than etc/cleandns/own.list:"; left; }
expect "and no user" within sh -c 'getent passwd cleandns || echo none' -- none
kill -KILL "$init"
capture=
wait "$booting" || true
umount over/root && umount over
