#!/bin/sh
# Builds the Debian package out of a program that is built already:
#
#   config/debian/build.sh target/release/cleandns FOLDER
#
# config/install.sh lays the files out in target/package, and cargo-deb makes a package of them by what Cargo.toml says below
# [package.metadata.deb], with the scripts beside this one. The version is the program's own; PACKAGE_VERSION says another.
set -eu

[ $# -eq 2 ] || { echo "usage: $0 PROGRAM FOLDER" >&2; exit 64; }
[ -x "$1" ] || { echo "$0: $1 isn't a program that can be run: cargo build --release --locked makes one" >&2; exit 1; }
command -v cargo-deb >/dev/null || { echo "$0: needs cargo-deb: cargo install --locked cargo-deb" >&2; exit 1; }
command -v dpkg-shlibdeps >/dev/null || { echo "$0: needs dpkg-shlibdeps: apt install dpkg-dev" >&2; exit 1; }
program=$(realpath "$1")
into=$(realpath "$2")
own=$(cd "$(dirname "$0")" && pwd)
cd "$own/../.."
version=${PACKAGE_VERSION:-$("$program" --version | cut -d ' ' -f 2)}

umask 022
rm -rf target/package
config/install.sh system "$program" target/package
install -m 644 "$own/copyright" target/package/usr/share/doc/cleandns/copyright
# Their links follow the program (postinst): cargo-deb takes a link to a folder for the folder.
find target/package -type l -delete
# The same goes in as comes out, whoever builds it and when, if SOURCE_DATE_EPOCH says when.
cargo deb --no-build --no-strip --quiet --deb-version "$version" --output "$into/"
