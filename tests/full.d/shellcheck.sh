# Every script of the project, by shellcheck. Parts of tests/full have no first line of their own, run where errors end
# everything, and use what it defines. Sourced by tests/full.

cd "$here/.."
# What begins so: a script may hold another.
scripts() {
  find . \( -name target -o -name .git \) -prune -o -type f \
    -exec awk 'FNR == 1 && /^#!\/(usr\/bin\/env )?(bin\/)?(ba)?sh/ { print FILENAME } { nextfile }' {} + | sort
}
expect "scripts are found" scripts -- ./tests/run ./tests/full ./.ci/run ./config/install.sh ./config/debian/postinst
mapfile -t found < <(scripts)
succeeds "shellcheck of scripts" shellcheck --severity=warning --exclude=SC1090 "${found[@]}"
succeeds "shellcheck of the parts of this" shellcheck --severity=warning --shell=bash --exclude=SC2034,SC2154,SC2164 \
  tests/full.d/*.sh
