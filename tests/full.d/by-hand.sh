# Installed by hand, as OPERATING.md says, into a folder instead of /, and taken away again; and low ports for who isn't root
# as SERVER.md says. `systemctl` is not run here: service.sh and package.sh have systemd. Sourced by tests/full.

mkdir "$work/by-hand" && cd "$work/by-hand"
# command_of PAGE PATTERN: the one command in a page's block or text that has it, without sudo, and with paths of this test.
command_of() {
  grep -oE "$2" "$here/../config/$1" | head -n 1 |
    sed "s|^sudo ||; s|target/release/cleandns|$binary|; s|/usr/bin/cleandns|$PWD/low/cleandns|; s|config/|$here/../config/|; s| /\$| $PWD/root|"
}
command_of OPERATING.md 'sudo config/install.sh system [^#]*[^ #]' >install
command_of OPERATING.md 'sudo config/install.sh remove [^#]*[^ #]' >remove
expect "OPERATING.md says how to install by hand" cat install remove -- "install.sh system $binary $PWD/root" \
  "install.sh remove $PWD/root"
succeeds "it installs" bash -eux install
expect "the program has its lists" root/usr/bin/cleandns --config root/etc/cleandns/cleandns.toml check --verbose -- \
  "clean-store/tiktok: enforce" "0 lists unusable"
echo 'own.example' >root/etc/cleandns/own.list
mkdir -p root/usr/share/man/man1 && echo other >root/usr/share/man/man1/other.1
succeeds "it goes" bash -eux remove
left_by_hand() { find root ! -type d | sort | tr '\n' ' '; }
expect "and leaves what is the owner's, and what is others'" left_by_hand -- \
  "root/etc/cleandns/cleandns.toml root/etc/cleandns/own.list root/usr/share/man/man1/other.1 "
[[ $(left_by_hand | wc -w) == 3 ]] || { failed=$((failed + 1)); echo "FAILED more is left: $(left_by_hand)"; }
mkdir -p root/var/lib/dpkg/info && touch root/var/lib/dpkg/info/cleandns.list
expect "what a package brought is the package's" bash -eu remove -- "apt remove cleandns"

# A user who isn't root has no port 53, but by one of these.
mkdir low && cp "$binary" low/cleandns && chmod -R a+rX "$work/by-hand" && chmod a+x "$work"
printf '[listen]\ndo53 = ["127.0.0.1:53"]\n[admin]\nlisten = ""\n[state]\ndir = ""\n[[program]]\nname = "own"\nlists = [{ path = "own.list" }]\n' >low/low.toml
echo blocked.example >low/own.list
as_somebody() { timeout 5 unshare --net bash -c "ip link set lo up; $1; exec setpriv --reuid=65532 --regid=65532 --clear-groups \
  --bounding-set=-all,+net_bind_service low/cleandns --config low/low.toml" 2>&1 | sed '/is ready/q'; }
expect "without a privilege there is no port 53" as_somebody true -- "ports below 1024 need a privilege"
expect "by sysctl there is" as_somebody "$(command_of SERVER.md 'sudo sysctl -w [^`]*')" -- "is ready"
setcap_command=$(command_of SERVER.md 'sudo setcap [^`]*')
succeeds "by setcap" bash -eux -c "$setcap_command"
expect "there is, too" as_somebody true -- "is ready"
# With no-new-privileges the file's capability means nothing to who has none: what containers trip over. Of the two the
# first leaves root's behind.
as_somebody_bound() { timeout 5 unshare --net bash -c "ip link set lo up; exec setpriv --reuid=65532 --regid=65532 --clear-groups \
  --bounding-set=-all,+net_bind_service setpriv --no-new-privs low/cleandns --config low/low.toml" 2>&1 | sed '/is ready/q'; }
expect "but not with no-new-privileges" as_somebody_bound -- "ports below 1024 need a privilege"
