# Every command in the documents, as it stands there, with the release build: blocks of `sh` as scripts, those of
# `console` command by command, with what is shown as output; and what stands within a line or a table's cell. What can't be
# run says why: as a block it must be a script that bash reads, whose commands of ours are held against what the program
# takes; within a line, `not_run` below has the reason. Of OpenWrt's commands only the form is tried, by stand-ins. What goes
# on until somebody ends it (`for a moment`) has to be at it still after some seconds.
# Sourced by tests/full.

mkdir -p "$work/documents/target/release" "$work/documents/bin" "$work/commands"
cd "$work/documents" || exit
cp -r "$here/../config" "$here/../blocklists" .
ln -s "$binary" target/release/cleandns
ln -s "$binary" bin/cleandns
path_before=$PATH
export PATH=$PWD/bin:$PATH

# What the documents' examples are about.
mkdir old new lists
printf '#! cleandns\n#: service: tiktok\ntiktok.com\ntiktokcdn.com\n' >old/tiktok.list
printf '#! cleandns\n#: service: tiktok\ntiktok.com\n=api.tiktok.com\n' >new/tiktok.list
cp old/tiktok.list old.list
cp new/tiktok.list new.list
printf '[[program]]\nname = "own"\nlists = [{ path = "new.list" }]\n' >new.toml
# One query for www.example.com from 192.0.2.1: a capture's head, a record's, Ethernet, IPv4, UDP, DNS.
{
  printf '\xd4\xc3\xb2\xa1\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x00\x00\x01\x00\x00\x00'
  printf '\x00\x00\x00\x65\x00\x00\x00\x00\x4b\x00\x00\x00\x4b\x00\x00\x00'
  printf '\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x00'
  printf '\x45\x00\x00\x3d\x00\x00\x00\x00\x40\x11\x00\x00\xc0\x00\x02\x01\xc0\x00\x02\x35'
  printf '\x30\x39\x00\x35\x00\x29\x00\x00\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00'
  printf '\x03www\x07example\x03com\x00\x00\x01\x00\x01'
} >capture.pcap
ln -s "$XDG_STATE_HOME/cleandns/queries.db" queries.db

# Lists as those of blocklists/README.md, in a place of their own; and a layer on /etc, where documents write.
mount -t tmpfs none /srv && mkdir -p /srv/lists /srv/etc/{upper,work} "$work/all/config"
mount -t overlay overlay -o lowerdir=/etc,upperdir=/srv/etc/upper,workdir=/srv/etc/work /etc && mkdir -p /etc/cleandns
# The machine that ROUTER.md has on its network.
ip address add 192.168.1.2/32 dev lo
printf 'address=/a.example/\naddress=/b.example/\naddress=/c.example/\nserver=/x.example/192.0.2.1\naddress=/d.example/\n' >/srv/lists/dm.conf
printf '[[program]]\nname = "all"\nlists = [{ path = "/srv/lists/dm.conf" }]\n' >"$work/all/config/cleandns.toml"

# blocks FILE: its blocks of commands as files in `commands`, each with a line before it: place, language, why not.
blocks() {
  awk -v file="$1" -v folder="$work/commands" '
    /^ *```/ && !inside {
      inside = 1
      line = $0
      sub(/^ *```/, "", line)
      language = line
      sub(/ .*/, "", language)
      why = line
      if (why ~ /^[a-z]+ for a moment$/) { why = "for a moment" }
      else if (!sub(/^[a-z]+ not run: /, "", why)) why = ""
      file_name = file
      gsub("/", "_", file_name)
      out = sprintf("%s/%s:%d", folder, file_name, NR)
      printf "%s:%d\t%s\t%s\t%s\n", file, NR, language, out, why
      if (language != line && why == "") printf "%s:%d\twrong\t%s\t%s\n", file, NR, out, line
      printf "" >out
      next
    }
    /^ *```/ { inside = 0; close(out); next }
    inside { print >out }
  ' "$here/../$1"
}

# serving: a server with the shipped configuration runs, also after a document has ended the last one.
serving() {
  curl -sf http://127.0.0.1:8053/readyz >/dev/null && return
  if [[ -n ${server:-} ]]; then
    kill -TERM "$server" 2>/dev/null || true
    wait "$server" || true
  fi
  nobody() { [[ -n $(ss -Hln 'sport = :5300') ]] || echo nobody; }
  until_true "the last server has left" nobody -- nobody
  CLEANDNS_LISTEN__DO53='["127.0.0.1:5300", "192.168.1.2:53"]' "$binary" --config config/cleandns.toml >out 2>log &
  server=$!
  until_true "a server for the documents" cat out -- "is ready"
}

# alike: numbers are told apart by nobody.
alike() { sed -E 's/[0-9]+/N/g; s/[[:space:]]+/ /g; s/^ //; s/ $//'; }

# console FILE: each command with the output that is shown.
console() {
  local command='' shown='' line output
  run_one() {
    [[ -n $command ]] || return 0
    # Who asks for a password is given one.
    output=$(timeout 60 bash -c "$command" 2>&1 <<<"correct horse battery staple") || { printf '%s\nfailed:\n%s\n' "$command" "$output"; return 1; }
    while IFS= read -r line; do
      [[ -z $line || $line == … ]] && continue
      grep -qxF -- "$(alike <<<"$line")" <<<"$(alike <<<"$output")" || {
        printf '%s\nhas no line like\n%s\nbut:\n%s\n' "$command" "$line" "$output"
        return 1
      }
    done <<<"$shown"
  }
  while IFS= read -r line; do
    case $line in
      '$ '*) run_one || return 1; command=${line#\$ } shown='' ;;
      *) shown+=$line$'\n' ;;
    esac
  done <"$1"
  run_one
}

# takes PLACE COMMAND: the program knows the commands, options and forms of values, by asking for help behind them.
takes() {
  succeeds "$1: $2, which isn't run, is a command" bash -c "$2 --help"
}

# prepare FILE: what a block takes for granted.
prepare() {
  case $(<"$1") in
    *' lists rollback '*)
      echo 'another.example' >>blocklists/clean-store/tiktok.list
      until_true "the list has another text" cleandns lists versions clean-store/tiktok.list --diff -- "+ another.example"
      ;;
    *'admin token new /etc/cleandns/token'*) rm -f /etc/cleandns/token ;;
    *'/etc/cleandns/token'*) cleandns admin token new /etc/cleandns/token >token.out ;;
    *'nft -f /etc/cleandns/router.nft'*)
      cleandns lists export --format nftables --output /etc/cleandns/bypass.nft
      cp config/router.nft /etc/cleandns/
      ;;
  esac
}

# goes_on PLACE FILE: it is at work still when it is ended. A server needs the addresses for itself.
goes_on() {
  local ended=0 output
  if grep -qE '(^| )cleandns$' "$2"; then
    kill -TERM "$server" && wait "$server" || true
    server=
  fi
  output=$(timeout 5 bash -euo pipefail "$2" 2>&1) || ended=$?
  if ((ended == 124)); then passed=$((passed + 1)); return; fi
  failed=$((failed + 1))
  echo "FAILED $1: it ended by itself ($ended):"
  sed 's/^/    /' <<<"$output"
}

# with_stand_ins FILE: a script for OpenWrt, by stand-ins that look at the form of what they are told.
mkdir stand-ins
cat >stand-ins/uci <<'UCI'
#!/bin/sh
case $1:$# in
  set:2 | add_list:2) echo "$2" | grep -qE '^[a-z]+\.(@[a-z]+\[[0-9]+\]|[a-z]+)\.[a-z_]+=.+$' && exit ;;
  commit:2) echo "$2" | grep -qE '^[a-z]+$' && exit ;;
esac
echo "no command of uci: $*" >&2
exit 1
UCI
cat >stand-ins/service <<'SERVICE'
#!/bin/sh
[ $# = 2 ] && [ "$2" = restart ] && exit
echo "no command of service: $*" >&2
exit 1
SERVICE
chmod +x stand-ins/*
with_stand_ins() { PATH=$PWD/stand-ins:$PATH bash -euo pipefail "$1"; }

# within_lines FILE: each piece of code within a line outside of blocks, with its place, on one line.
within_lines() {
  awk -v file="$1" '
    function pieces(  n, part, i, at, text) {
      n = split(paragraph, part, "`")
      at = begun
      for (i = 1; i <= n; i++) {
        text = part[i]
        if (i % 2 == 0) { gsub(/[ \n]+/, " ", text); gsub(/\\\|/, "|", text); printf "%s:%d\t%s\n", file, at, text }
        at += gsub(/\n/, "", part[i])
      }
      paragraph = ""
    }
    /^ *```/ { pieces(); inside = !inside; next }
    inside { next }
    /^ *$/ { pieces(); next }
    paragraph == "" { begun = NR }
    { paragraph = paragraph $0 "\n" }
    END { pieces() }
  ' "$here/../$1"
}

# not_run COMMAND: why a command within a line isn't run here; nothing if it is.
not_run() {
  case $1 in
    'sudo setcap '* | 'sudo sysctl '*) echo "by-hand.sh runs it" ;;
    'systemctl '* | 'install -d -o cleandns '* | 'ulimit '*) echo "it is for a machine with the service installed" ;;
    'apt '* | 'apt-get '*) echo "package.sh does it by dpkg" ;;
    'tcpdump '* | 'dig @192.168.'*) echo "it needs a network with others" ;;
    'clickhouse-client '*) echo "it needs a server of ClickHouse" ;;
    'promtool '*) echo "monitoring.sh runs it" ;;
    'tests/run '*) echo "it is what runs this" ;;
    'cleandns admin token show') echo "container.sh and package.sh run it, where one is asked for" ;;
  esac
}

# one_within PLACE COMMAND: runs a command of ours, or asks whether the program takes it.
one_within() {
  local why command=$2 place=$1 choice
  why=$(not_run "$command")
  [[ -z $why ]] || return 0
  command=${command#sudo }
  case $command in
    cleandns\ * | 'curl -s '*) ;;
    *) failed=$((failed + 1)); echo "FAILED $place: $command is neither run nor said not to be"; return ;;
  esac
  # [a | b] is each of them, and neither.
  if [[ $command =~ ^([^\[]*)\[([^]|]*)\|([^]|]*)\](.*)$ ]]; then
    local before=${BASH_REMATCH[1]} first=${BASH_REMATCH[2]} second=${BASH_REMATCH[3]} after=${BASH_REMATCH[4]}
    for choice in "$first" "$second" ''; do one_within "$place" "$before$choice$after"; done
    return
  fi
  # What is to be filled in, and what serves, changes another folder, or asks another server, is only held against what the
  # program takes.
  if [[ $command =~ \[|\||' serve'|/etc/|'--source clickhouse' || $command =~ (^|[ =])[A-Z]+($|[^a-z]) ]]; then
    command=$(sed -E 's/[][]//g; s/\|.*//; s/--type T\b/--type A/; s/--(from|to) T\b/--\1 2d/; s/--match M\b/--match subtree/
      s/--mode M\b/--mode shadow/; s/--client (IP|C|ADDRESS)\b/--client 192.0.2.1/; s/(diff.*--format) F/\1 hosts/
      s/(report.*--format) F/\1 json/; s/(export.*--format) F/\1 text/; s/ TYPE\b/ A/; s/--port PORT\b/--port 5353/' <<<"$command")
    takes "$place" "$command"
    return
  fi
  serving
  succeeds "$place: $command" timeout 60 bash -euo pipefail -c "$command"
  run=$((run + 1))
}

run=0
not_run=0
while IFS=$'\t' read -r place language file why; do
  case $language in
    sh | console) ;;
    toml | yaml | sql | ini | lua | text) continue ;;
    *) failed=$((failed + 1)); echo "FAILED $place: a block of what? name its language"; continue ;;
  esac
  if [[ $why == 'for a moment' ]]; then
    serving
    goes_on "$place" "$file"
    run=$((run + 1))
    continue
  fi
  if [[ -n $why ]]; then
    not_run=$((not_run + 1))
    succeeds "$place, which isn't run, is a script" bash -n "$file"
    # Commands of ours that are a line of their own, or begin one.
    while read -r line; do takes "$place" "$line"; done < <(sed -nE 's/^(sudo )?(cleandns [^#|&]*).*/\2/p' "$file")
    if grep -q '^uci ' "$file"; then succeeds "$place, by stand-ins" with_stand_ins "$file"; fi
    continue
  fi
  [[ $place != blocklists/README.md:* ]] || [[ ! -s $file ]] || ! grep -q /srv/lists "$file" || {
    succeeds "$place" bash -c "cd '$work/all' && $(declare -f console alike); console '$file'"
    run=$((run + 1))
    continue
  }
  serving
  prepare "$file"
  if [[ $language == sh ]]; then
    succeeds "$place" timeout 120 bash -euo pipefail "$file"
  else
    succeeds "$place" console "$file"
  fi
  run=$((run + 1))
done < <(
  cd "$here/.." || exit
  for document in README.md $(find config blocklists -name '*.md' | sort); do blocks "$document"; done
)
nft delete table inet cleandns 2>/dev/null || true
echo "blocks of commands in the documents: $run run, $not_run not"
# Should the reading above ever find nothing, that is no success.
((run >= 30)) || { failed=$((failed + 1)); echo "FAILED only $run blocks of commands were found in the documents"; }

# Commands within lines ask a server with the groups that they name.
if [[ -n ${server:-} ]]; then
  kill -TERM "$server" 2>/dev/null || true
  wait "$server" || true
fi
printf '\n[[group]]\nname = "guests"\nclients = ["192.168.7.0/24"]\n' >>config/cleandns.toml
run=0
while IFS=$'\t' read -r place command; do one_within "$place" "$command" </dev/null; done < <(
  cd "$here/.." || exit
  for document in README.md $(find config blocklists -name '*.md' | sort); do within_lines "$document"; done |
    grep -E $'\t(sudo|cleandns|systemctl|apt|apt-get|curl|dig|tcpdump|clickhouse-client|promtool|tests/run|install|ulimit) [^=]'
)
((run >= 30)) || { failed=$((failed + 1)); echo "FAILED only $run commands within lines were run"; }
if [[ -n ${server:-} ]]; then
  kill -TERM "$server" 2>/dev/null || true
  wait "$server" || true
fi
server=
umount --lazy /etc
umount --lazy /srv
ip address delete 192.168.1.2/32 dev lo
export PATH=$path_before
