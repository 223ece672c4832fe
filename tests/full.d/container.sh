# The image: what its first stage makes is made here by the same commands with this machine's compiler; its last stage is
# built from the Dockerfile by buildah, and run by podman as CONTAINERS.md says, on the network of this test.
# Sourced by tests/full.

mkdir -p "$work/container/storage" && cd "$work/container"
static=$here/../target/release/cleandns-static
expect "the program for the image needs no library" ldd "$static" -- "statically linked"
"$here/../config/install.sh" container "$static" "$PWD/out"
setcap cap_net_bind_service=+ep out/usr/bin/cleandns

# Containers want version 2 of control groups, whatever this machine has.
umount -R /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 none /sys/fs/cgroup
storage=(--storage-driver vfs --root "$PWD/storage" --runroot "$PWD/run")
pod() { podman --runtime crun --cgroup-manager cgroupfs "${storage[@]}" "$@"; }
# Nothing here keeps the time for health checks; a sandbox may not raise limits.
how=(--cgroups disabled --no-healthcheck --ulimit nofile=4096:4096 --ulimit nproc=1000:1000 --network host)
# As the documents say.
tight=(--read-only --cap-drop ALL --cap-add NET_BIND_SERVICE --security-opt no-new-privileges)

succeeds "buildah builds the last stage" buildah "${storage[@]}" build --isolation chroot --format docker \
  --build-context build="$PWD" -f "$here/../Dockerfile" -t cleandns "$here/.."
expect "what the image says of itself" pod image inspect cleandns -- '"User": "65532:65532"' '"/usr/bin/cleandns"' \
  '"health"' '"53/udp"' '"/var/lib/cleandns"' 'STATE_DIRECTORY=/var/lib/cleandns'
check_compose() { docker-compose -f "$here/../config/compose.yaml" config --quiet; }
succeeds "the compose file is one" check_compose

pod run -d --name first "${how[@]}" "${tight[@]}" -v state:/var/lib/cleandns cleandns >/dev/null 2>podman.log || cat podman.log
here_53=(@127.0.0.1 +tries=1 +time=2)
until_true "it answers on port 53" dig "${here_53[@]}" www.tiktok.com -- "clean-store/tiktok"
expect "over TCP" dig "${here_53[@]}" www.tiktok.com +tcp -- "status: NXDOMAIN"
expect "its health check is well" pod exec first /usr/bin/cleandns health -- answers
status_of() { cat "/proc/$(pod inspect --format '{{.State.Pid}}' first)/status"; }
expect "a user with one capability" status_of -- $'Uid:\t65532\t65532' $'CapEff:\t0000000000000400' \
  $'CapBnd:\t0000000000000400' $'NoNewPrivs:\t1'
root_of() { grep ' / / ' "/proc/$(pod inspect --format '{{.State.Pid}}' first)/mountinfo" || cat "/proc/$(pod inspect --format '{{.State.Pid}}' first)/mountinfo"; }
expect "a file system that nobody writes" root_of -- "/ ro"
expect "its state is kept" bash -c "stat -c '%u %n' storage/volumes/state/_data/*" -- "65532 storage/volumes/state/_data/queries.db"
expect "lists are in /etc" pod exec first /usr/bin/cleandns lists status -- /etc/cleandns/blocklists/clean-store/tiktok.list
pod stop --time 20 first >/dev/null 2>&1
expect "it leaves by itself" pod inspect --format 'code {{.State.ExitCode}}' first -- "code 0"
succeeds "and another takes its state" pod run -d --name second "${how[@]}" "${tight[@]}" -v state:/var/lib/cleandns cleandns
until_true "it goes on" dig "${here_53[@]}" www.tiktok.com -- "clean-store/tiktok"
pod stop --time 20 second >/dev/null 2>&1

# A configuration and lists of one's own, mounted as folders; time zones are inside.
mkdir -p own/lists && chmod -R a+rX .
cat >own/cleandns.toml <<'TOML'
[listen]
do53 = ["127.0.0.1:53"]
[[program]]
name = "own"
lists = [{ path = "lists", match = "subtree" }]
schedule = "Mon-Sun 00:00-24:00 Europe/Berlin"
TOML
printf 'first.example\n' >own/lists/own.list
pod run -d --name third "${how[@]}" "${tight[@]}" --image-volume ignore -v "$PWD/own:/config:ro" cleandns \
  --config /config/cleandns.toml >/dev/null 2>podman.log || cat podman.log
until_true "lists of one's own" dig "${here_53[@]}" first.example -- "own/own own.list:1"
printf 'first.example\nsecond.example\n' >own/new && mv own/new own/lists/own.list
until_true "are read anew" dig "${here_53[@]}" second.example -- "own/own own.list:2"
expect "without a place for state it says so" pod logs third -- state
pod stop --time 20 third >/dev/null 2>&1
expect "without the capability it can't start" pod run --rm "${how[@]}" --read-only --cap-drop ALL cleandns health -- \
  "peration not permitted"
pod rm -fa >/dev/null 2>&1 || true
