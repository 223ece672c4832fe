#!/bin/sh
# Lays cleandns out below a folder, as packages and images have it. Run it from anywhere:
#
#   config/install.sh system    PROGRAM FOLDER   for a server: / if you install by hand, else what is packed
#   config/install.sh container PROGRAM FOLDER   for an image on `scratch`: the program, configuration and lists
#   config/install.sh remove            FOLDER   takes away what `system` has laid there
#
# What stands in etc/cleandns already is left as it is, also by `remove`, but for its link to the lists.
set -eu

usage() {
  echo "usage: $0 system|container PROGRAM FOLDER, or $0 remove FOLDER" >&2
  exit 64
}

kind=${1-}
if [ "$kind" = remove ]; then
  [ $# -eq 2 ] || usage
  folder=${2%/}
else
  [ $# -eq 3 ] || usage
  program=$2
  folder=${3%/}
fi
project=$(cd "$(dirname "$0")/.." && pwd)
[ "$kind" = remove ] || [ -x "$program" ] || { echo "$0: $program isn't a program that can be run" >&2; exit 1; }

# configuration ADDRESSES FILE: the shipped configuration, answering there.
configuration() {
  [ ! -e "$2" ] || return 0
  sed "s|^do53 = .*|do53 = [$1]|" "$project/config/cleandns.toml" >"$2"
  grep -qF "do53 = [$1]" "$2" || { echo "$0: config/cleandns.toml has no line \`do53 =\`" >&2; exit 1; }
  chmod 644 "$2"
}

# lists FOLDER: the lists that come with it.
lists() {
  mkdir -p "$1"
  cp -R "$project/blocklists/." "$1/"
  find "$1" -type d -exec chmod 755 {} +
  find "$1" -type f -exec chmod 644 {} +
}

container() {
  install -D -m 755 "$program" "$folder/usr/bin/cleandns"
  mkdir -p "$folder/etc/cleandns" "$folder/var/lib/cleandns"
  configuration '"0.0.0.0:53"' "$folder/etc/cleandns/cleandns.toml"
  lists "$folder/etc/cleandns/blocklists"
  # For whoever reads names; nothing here needs them.
  echo 'cleandns:x:65532:65532:cleandns:/var/lib/cleandns:/nonexistent' >"$folder/etc/passwd"
  echo 'cleandns:x:65532:' >"$folder/etc/group"
}

system() {
  install -D -m 755 "$program" "$folder/usr/bin/cleandns"
  lists "$folder/usr/share/cleandns/blocklists"
  mkdir -p "$folder/etc/cleandns"
  configuration '"127.0.0.1:53", "[::1]:53"' "$folder/etc/cleandns/cleandns.toml"
  # The lists belong to the package, which takes away what is no longer in it; another folder may stand in their place.
  [ -e "$folder/etc/cleandns/blocklists" ] || ln -s ../../usr/share/cleandns/blocklists "$folder/etc/cleandns/blocklists"

  pages=$(mktemp -d)
  "$program" man "$pages"
  mkdir -p "$folder/usr/share/man/man1"
  # Without times in them, so that the same goes in as comes out.
  gzip -9n "$pages"/*.1
  cp "$pages"/*.1.gz "$folder/usr/share/man/man1/"
  rm -rf "$pages"
  for shell in bash:bash-completion/completions/cleandns zsh:zsh/vendor-completions/_cleandns \
    fish:fish/vendor_completions.d/cleandns.fish; do
    mkdir -p "$folder/usr/share/$(dirname "${shell#*:}")"
    "$program" completions "${shell%%:*}" >"$folder/usr/share/${shell#*:}"
  done

  documents=$folder/usr/share/doc/cleandns
  mkdir -p "$documents/config"
  cp "$project/README.md" "$project/Dockerfile" "$documents/"
  # What the pages lead to, or tell to copy.
  for kind in md toml json yml yaml nft service socket; do cp "$project"/config/*."$kind" "$documents/config/"; done
  cp -R "$project/config/kubernetes" "$project/config/clickhouse" "$documents/config/"
  # Its links to lists lead there.
  [ -e "$documents/blocklists" ] || ln -s ../../cleandns/blocklists "$documents/blocklists"
  for unit in "$project"/config/*.service "$project"/config/*.socket; do
    [ ! -e "$unit" ] || install -D -m 644 "$unit" "$folder/usr/lib/systemd/system/$(basename "$unit")"
  done
}

remove() {
  if [ -e "$folder/var/lib/dpkg/info/cleandns.list" ]; then
    echo "$0: the package cleandns is installed in ${folder:-/}: apt remove cleandns" >&2
    exit 1
  fi
  rm -f "$folder/usr/bin/cleandns" "$folder"/usr/share/man/man1/cleandns.1.gz "$folder"/usr/share/man/man1/cleandns-*.1.gz \
    "$folder/usr/share/bash-completion/completions/cleandns" "$folder/usr/share/zsh/vendor-completions/_cleandns" \
    "$folder/usr/share/fish/vendor_completions.d/cleandns.fish"
  for unit in "$project"/config/*.service "$project"/config/*.socket; do
    rm -f "$folder/usr/lib/systemd/system/$(basename "$unit")"
  done
  rm -rf "$folder/usr/share/cleandns" "$folder/usr/share/doc/cleandns"
  [ ! -L "$folder/etc/cleandns/blocklists" ] || [ -e "$folder/etc/cleandns/blocklists" ] || rm "$folder/etc/cleandns/blocklists"
}

case $kind in
  system | container | remove) "$kind" ;;
  *) usage ;;
esac
