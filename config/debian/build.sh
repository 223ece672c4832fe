#!/bin/sh
# Builds the Debian package out of a program that is built already:
#
#   config/debian/build.sh target/release/cleandns FOLDER
#
# dpkg-deb alone is needed: the package is the folder that config/install.sh lays out, and the scripts beside this one. The
# version is the program's own; PACKAGE_VERSION says another.
set -eu

[ $# -eq 2 ] || { echo "usage: $0 PROGRAM FOLDER" >&2; exit 64; }
program=$1
into=$2
own=$(cd "$(dirname "$0")" && pwd)
version=${PACKAGE_VERSION:-$("$program" --version | cut -d ' ' -f 2)}
architecture=$(dpkg --print-architecture)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

umask 022
"$own/../install.sh" system "$program" "$stage"
chmod 755 "$stage"
mkdir "$stage/DEBIAN"
for script in postinst prerm postrm; do install -m 755 "$own/$script" "$stage/DEBIAN/$script"; done
install -m 644 "$own/copyright" "$stage/usr/share/doc/cleandns/copyright"
echo /etc/cleandns/cleandns.toml >"$stage/DEBIAN/conffiles"
# A program with the C library inside it needs none; else the one that it was built with, or a later one.
depends=passwd
if needed=$(ldd "$program" 2>/dev/null) && echo "$needed" | grep -q 'libc\.so'; then
  libc=$(dpkg-query -W -f '${Version}' libc6 2>/dev/null | cut -d - -f 1)
  depends="$depends, libc6${libc:+ (>= $libc)}, libgcc-s1"
fi
cat >"$stage/DEBIAN/control" <<CONTROL
Package: cleandns
Version: $version
Architecture: $architecture
Maintainer: The cleandns project <cleandns@localhost>
Installed-Size: $(du -k -s --exclude=DEBIAN "$stage" | cut -f 1)
Depends: $depends
Section: net
Priority: optional
Description: recursive, validating DNS resolver with program blocklists
 Answers everything the Internet has, checks it (DNSSEC), and leaves out what
 you decided to leave out: lists come as programs, with modes by group and by
 service, and every verdict names the list and the line that caused it. What
 a list would block can be measured before it blocks anything.
CONTROL
# The same goes in as comes out, whoever builds it and when, if SOURCE_DATE_EPOCH says when.
dpkg-deb --root-owner-group --build "$stage" "$into" >/dev/null
echo "$into/cleandns_${version}_$architecture.deb"
