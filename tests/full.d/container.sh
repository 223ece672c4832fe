# The image: the commands of its first stage are run as they stand in the Dockerfile, on what its COPY brings, but for two:
# `cargo build` hands over the program that tests/full has built with the same flags by this machine's compiler, and
# `apt-get` only looks whether there is such a package. Its last stage is
# built from the Dockerfile by buildah, and run on the network of this test by podman, by a dockerd of its own with the
# commands of CONTAINERS.md, and by runc as containerd has it run for Kubernetes. Not run: `docker build`, since its base comes
# from a registry, and whatever needs a cluster. Sourced by tests/full.

mkdir -p "$work/container/storage" && cd "$work/container"
static=$here/../target/release/cleandns-static
expect "the program for the image needs no library" ldd "$static" -- "statically linked"
# Without what debuggers alone read, which is four fifths of it: each container below has a copy of its own.
strip -o program "$static"
static=$PWD/program
# stage INSTRUCTION: what stands in the Dockerfile's first stage of it, lines that are continued as one.
stage() {
  awk -v instruction="$1" '/^FROM / { stages++ } /^#/ { next }
    { line = line $0; if (sub(/\\$/, "", line)) next; if (stages == 1 && index(line, instruction " ") == 1) print substr(line, length(instruction) + 2); line = "" }' \
    "$here/../Dockerfile"
}
expect "the image's first stage begins with Rust" stage FROM -- "docker.io/library/rust:1-bookworm AS build"
expect "and takes the whole project" stage COPY -- ". ."
expect "but what isn't needed" cat "$here/../.dockerignore" -- .git target
mkdir src stage
tar -C "$here/.." --exclude=./target --exclude=./.git -cf - . | tar -C src -xf -
cat >stage/apt-get <<'APT'
#!/bin/sh
[ "$1" = update ] && exit 0
for package; do case $package in install | -*) ;; *) apt-cache show "$package" >/dev/null || exit 1 ;; esac; done
APT
cat >stage/cargo <<'CARGO'
#!/bin/sh
target=$(rustc -vV | sed -n 's/^host: //p')
[ "$RUSTFLAGS $*" = "-C target-feature=+crt-static build --release --locked --target $target" ] || { echo "RUSTFLAGS=$RUSTFLAGS cargo $*"; exit 1; }
grep -q '^name = "cleandns"' Cargo.toml && [ -f Cargo.lock ] && [ -f src/main.rs ] || { echo "no project in $PWD"; exit 1; }
mkdir -p "target/$target/release" && cp "$STATIC" "target/$target/release/cleandns"
CARGO
chmod +x stage/*
expect "and its program is the one that tests/full builds" grep crt-static "$here/full" -- "--release --locked --bin cleandns -- -C target-feature=+crt-static"
stage RUN | sed "s| /out| $PWD/out|g" >stage.sh
expect "it has three commands" cat stage.sh -- "apt-get update" "cargo build" "install.sh container" "setcap cap_net_bind_service"
first_stage() { (cd src && STATIC=$static PATH=$PWD/../stage:$PATH sh -eux ../stage.sh); }
succeeds "its commands run" first_stage
expect "and the program has the capability" getcap out/usr/bin/cleandns -- "cap_net_bind_service=ep"
succeeds "and is the one that was built" cmp out/usr/bin/cleandns "$static"

# Containers want version 2 of control groups, whatever this machine has.
umount -R /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 none /sys/fs/cgroup
storage=(--storage-driver vfs --root "$PWD/storage" --runroot "$PWD/run")
pod() { podman --runtime crun --cgroup-manager cgroupfs "${storage[@]}" "$@"; }
# Nothing here keeps the time for health checks; a sandbox may not raise limits.
how=(--cgroups disabled --no-healthcheck --ulimit nofile=4096:4096 --ulimit nproc=1000:1000 --network host)
# Tighter than the documents say: podman gives the user the capability, so this holds too.
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

# Docker gives a user who isn't root no capability, which podman's kindness would hide. A dockerd of its own, with processes and
# mounts of its own, which all end with it.
pod save --quiet cleandns --output image.tar
export DOCKER_HOST=unix://$PWD/docker.sock
mkdir docker
# shellcheck disable=SC2016
unshare --mount --pid --fork --kill-child bash -c '
  mount -t proc proc /proc && mount -t tmpfs none /run
  exec dockerd --host "$DOCKER_HOST" --data-root "$PWD/docker" --exec-root /run/docker --pidfile /run/docker.pid \
    --storage-driver vfs --iptables=false --ip6tables=false --bip 172.30.0.1/24' >docker.log 2>&1 &
driver=$!
until_true "a dockerd for this test" docker info -- "Storage Driver: vfs"
expect "takes the image" docker load --input image.tar -- "Loaded image"
docker tag localhost/cleandns cleandns
# block PATTERN: the block of commands of CONTAINERS.md that has it, lines that are continued as one.
block() {
  awk -v pattern="$1" '/^```/ { if (inside && text ~ pattern) printf "%s", text; inside = !inside; text = ""; next }
    inside { line = $0; if (sub(/ *\\$/, " ", line)) text = text line; else text = text line "\n" }' "$here/../config/CONTAINERS.md" |
    sed 's/^docker compose /docker-compose /'
}
block 'docker build' >commands
expect "CONTAINERS.md says how" cat commands -- "docker build -t cleandns ." "docker run -d --name cleandns --network host" \
  "docker exec cleandns /usr/bin/cleandns health"
succeeds "docker: it starts as CONTAINERS.md says" bash -euxo pipefail <(grep '^docker run' commands)
until_true "docker: it answers on port 53" dig "${here_53[@]}" www.tiktok.com -- "clean-store/tiktok"
expect "docker: its health" bash -euxo pipefail <(grep '^docker exec' commands) -- answers
until_true "docker: its health check too" docker inspect --format '{{.State.Health.Status}}' cleandns -- healthy
inside() { nsenter --target "$(pgrep --parent "$driver")" --mount --pid "$@"; }
status_in_docker() { inside cat "/proc/$(docker inspect --format '{{.State.Pid}}' "$1")/status"; }
expect "docker: a user with one capability, who forbids itself more" status_in_docker cleandns -- $'Uid:\t65532\t65532' \
  $'CapEff:\t0000000000000400' $'CapBnd:\t0000000000000400' $'NoNewPrivs:\t1'
docker rm --force cleandns >/dev/null
expect "docker: no-new-privileges would take port 53 away" docker run --rm --network host --read-only --tmpfs /tmp --cap-drop ALL \
  --cap-add NET_BIND_SERVICE --security-opt no-new-privileges cleandns -- "ports below 1024 need a privilege"
mkdir cleandns && cp -r own/cleandns.toml own/lists cleandns/ && chmod -R a+rX cleandns
block '--config /config/cleandns.toml' | grep '^docker run' >commands
succeeds "docker: a configuration of one's own, as CONTAINERS.md says" bash -euxo pipefail commands
until_true "docker: is in force" dig "${here_53[@]}" second.example -- "own/own own.list:2"
docker rm --force cleandns >/dev/null
# The page for others, and the token that the first start makes, which the next one finds.
block 'admin token show' >commands
grep '^docker run' commands >page.start && grep '^docker exec' commands >page.token
succeeds "docker: with a page for others, as CONTAINERS.md says" bash -euxo pipefail page.start
until_true "docker: it is ready" docker logs cleandns -- "is ready"
expect "docker: and has made a token" docker logs cleandns -- "made a token" "file=/var/lib/cleandns/token"
bash -eu page.token >token || true
expect "docker: which is shown" grep -cE '^[0-9a-f]{64}$' token -- 1
page_status() { curl -s -o /dev/null -w 'status %{http_code}' "$@" http://127.0.0.1:8053/api/v1/lists; }
expect "docker: and asked for" page_status -- "status 401"
expect "docker: and lets in" page_status -H "Authorization: Bearer $(cat token)" -- "status 200"
docker rm --force cleandns >/dev/null
succeeds "docker: it starts again" bash -euxo pipefail page.start
until_true "docker: and is ready again" docker logs cleandns -- "is ready"
bash -eu page.token >again || true
succeeds "docker: with the same token" cmp token again
docker rm --force cleandns >/dev/null
# On a bridge low ports are everybody's, so it may be tighter there. Nothing is published: that is Docker's.
docker run -d --name bridged --read-only --tmpfs /tmp --cap-drop ALL --cap-add NET_BIND_SERVICE \
  --security-opt no-new-privileges cleandns >/dev/null
until_true "docker: on a bridge, with no-new-privileges" dig "@$(docker inspect --format '{{.NetworkSettings.IPAddress}}' bridged)" \
  +tries=1 +time=2 www.tiktok.com -- "clean-store/tiktok"
docker rm --force bridged >/dev/null
# The compose file, from the project's folder, with the image that is there.
block 'docker-?.?compose' | grep '^docker-compose' >commands
expect "CONTAINERS.md has it with Compose" cat commands -- "config/compose.yaml up -d" "exec cleandns"
in_project() { (cd "$here/.." && bash -euxo pipefail "$1"); }
grep 'up -d' commands >up && grep 'exec cleandns' commands | sed 's/ exec / exec -T /' >execs
grep 'lists status' execs >status && grep 'token show' execs >shown
succeeds "docker: Compose starts it" in_project "$PWD/up"
until_true "docker: by Compose, on port 53" dig "${here_53[@]}" www.tiktok.com -- "clean-store/tiktok"
expect "docker: and tells of its lists" in_project "$PWD/status" -- /etc/cleandns/blocklists/clean-store/tiktok.list
in_project "$PWD/shown" 2>/dev/null >token || true
expect "docker: which lets in" page_status -H "Authorization: Bearer $(cat token)" -- "status 200"
succeeds "docker: Compose ends it" docker-compose -f "$here/../config/compose.yaml" down --volumes
kill -TERM "$(pgrep --parent "$driver")" 2>/dev/null || true
wait "$driver" || true
driver=
unset DOCKER_HOST

# Kubernetes: containerd gives the capability to the process that becomes the program, not to its user, and
# `allowPrivilegeEscalation: false` is no_new_privs. runc is what containerd has run it.
mkdir -p pod/rootfs && cp -a out/. pod/rootfs/ && mkdir -p pod/rootfs/{proc,dev,tmp} && chown 65532:65532 pod/rootfs/var/lib/cleandns
as_kubernetes() {
  jq -n --argjson had "$1" '{ociVersion: "1.0.2", hostname: "", root: {path: "rootfs"},
    process: {user: {uid: 65532, gid: 65532}, args: ["/usr/bin/cleandns"], cwd: "/var/lib/cleandns", noNewPrivileges: true,
      env: ["STATE_DIRECTORY=/var/lib/cleandns"], capabilities: {bounding: ["CAP_NET_BIND_SERVICE"], permitted: $had, effective: $had}},
    mounts: [{destination: "/proc", type: "proc", source: "proc"}, {destination: "/tmp", type: "tmpfs", source: "tmpfs"}],
    linux: {namespaces: [{type: "mount"}, {type: "pid"}]}} | del(.hostname)' >pod/config.json
  exec runc --root "$PWD/runc" run --bundle pod "pod$2"
}
(as_kubernetes '["CAP_NET_BIND_SERVICE"]' 1) >pod.out 2>&1 &
server=$!
until_true "as in Kubernetes: it answers on port 53" dig "${here_53[@]}" www.tiktok.com -- "clean-store/tiktok"
runc --root "$PWD/runc" kill pod1 TERM
wait "$server" || true
server=
given_nothing() { (as_kubernetes '[]' 2); }
expect "with cri-dockerd it would not" given_nothing -- "ports below 1024 need a privilege"

# What the commands for Kubernetes make of files, by kubectl, without a cluster: nothing is applied.
mkdir -p manifests && cp -r own/lists manifests/
from_block() { (cd manifests && block "$1" | grep "$2" | sed 's/ | kubectl apply .*//; /--dry-run/!s/$/ --dry-run=client -o yaml/' | bash -eu); }
expect "kubectl makes the token" from_block 'create secret' 'create secret' -- "kind: Secret" "name: cleandns" "namespace: cleandns" "  token: "
expect "and the lists" from_block 'create configmap' 'create configmap' -- "kind: ConfigMap" "name: cleandns-lists" "own.list:"
