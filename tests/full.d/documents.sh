# Every command in the documents, as it stands there, with the release build: blocks of `sh` as scripts, those of
# `console` command by command, with what is shown as output. What can't be run says why. Sourced by tests/full.

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

# Lists as those of blocklists/README.md, in a place of their own.
mount -t tmpfs none /srv && mkdir -p /srv/lists "$work/all/config"
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
      if (!sub(/^[a-z]+ not run: /, "", why)) why = ""
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
  "$binary" --config config/cleandns.toml >out 2>log &
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
    output=$(timeout 60 bash -c "$command" 2>&1) || { printf '%s\nfailed:\n%s\n' "$command" "$output"; return 1; }
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

run=0
while IFS=$'\t' read -r place language file why; do
  case $language in
    sh | console) ;;
    toml | yaml | sql | ini | text) continue ;;
    *) failed=$((failed + 1)); echo "FAILED $place: a block of what? name its language"; continue ;;
  esac
  if [[ -n $why ]]; then continue; fi
  [[ $place != blocklists/README.md:* ]] || [[ ! -s $file ]] || ! grep -q /srv/lists "$file" || {
    succeeds "$place" bash -c "cd '$work/all' && $(declare -f console alike); console '$file'"
    run=$((run + 1))
    continue
  }
  serving
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
# Should the reading above ever find nothing, that is no success.
((run >= 15)) || { failed=$((failed + 1)); echo "FAILED only $run blocks of commands were found in the documents"; }
if [[ -n ${server:-} ]]; then
  kill -TERM "$server" 2>/dev/null || true
  wait "$server" || true
fi
server=
umount /srv
export PATH=$path_before
