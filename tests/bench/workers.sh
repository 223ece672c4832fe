#!/usr/bin/env bash
# Processor time of the UDP workers by query, with something and without, by turns: what tails.sh and log.sh share. To be
# sourced by a script in a network namespace of its own, with $binary, $rounds, $seconds and $rate; `more` is appended to the
# configuration. It leaves you in the folder of a server that answers, half of whose questions are blocked.

: "${binary:?}" "${rounds:?}" "${seconds:?}" "${rate:?}"
ip link set lo up
work=$(mktemp -d)
server=
leave() {
  ! declare -F look_away >/dev/null || look_away
  [[ -z $server ]] || kill "$server" 2>/dev/null || true
  rm -rf --one-file-system "$work"
}
trap leave EXIT
cd "$work" || exit
printf '#! cleandns\nblocked.example\n' >own.list
cat >own.toml <<'TOML'
[listen]
do53 = ["127.0.0.1:5300"]
workers = 1
[state]
dir = "state"
[local]
records = ["kept.example. A 192.0.2.7"]
[[program]]
name = "strict"
lists = [{ path = "own.list", match = "subtree" }]
TOML
printf '%s\n' "${more-}" >>own.toml
"$binary" --config own.toml >out 2>log &
server=$!
for _ in $(seq 100); do grep -q "is ready" out && break; sleep 0.1; done
# Half is blocked, half is answered.
for number in $(seq 500); do printf 'n%s.blocked.example A\nkept.example A\n' "$number"; done >queries

# on_processor: nanoseconds that the UDP workers were on a processor, and those of all other threads.
on_processor() {
  local task own=0 others=0 time
  for task in /proc/"$server"/task/*; do
    read -r time _ <"$task/schedstat" || continue
    if [[ $(<"$task/comm") == udp-* ]]; then own=$((own + time)); else others=$((others + time)); fi
  done 2>/dev/null
  echo "$own $others"
}
# by_query: nanoseconds of the workers by query, and of the others, over one stretch of a steady rate.
by_query() {
  local before after asked
  read -ra before < <(on_processor)
  asked=$(dnsperf -s 127.0.0.1 -p 5300 -d queries -l "$seconds" -Q "$rate" -c 4 | sed -n 's/.*Queries completed: *\([0-9]*\).*/\1/p')
  read -ra after < <(on_processor)
  echo $(((after[0] - before[0]) / asked)) $(((after[1] - before[1]) / asked))
}
# median FILE [FIELD]
median() { cut -d' ' -f"${2-1}" "$1" | sort -n | awk '{ all[NR] = $1 } END { print (NR % 2 ? all[(NR + 1) / 2] : (all[NR / 2] + all[NR / 2 + 1]) / 2) }'; }

# by_turns WITH WITHOUT: rounds of the two, each of which prepares what is then measured.
by_turns() {
  local round turn
  by_query >/dev/null
  for ((round = 0; round < rounds; round++)); do
    # Whichever comes first has no advantage of it.
    for turn in $(((round + 1) % 2)) $((round % 2)); do
      if ((turn)); then
        "$1"
        sleep 0.3
        by_query >>with
      else
        "$2"
        sleep 0.3
        by_query >>without
      fi
    done
  done
}
spread() { cut -d' ' -f1 "$1" | sort -n | sed -n '1p;$p' | paste -sd-; }
# tell WHAT: medians, and what it costs the workers.
tell() {
  local without with
  without=$(median without) with=$(median with)
  echo "without: $without ns of a worker by query ($(spread without)), $rounds times $seconds s of $rate queries a second"
  echo "with $1: $with ns ($(spread with))"
  echo "of all other threads: $(median without 2) and $(median with 2) ns by query"
  awk -v with="$with" -v without="$without" 'BEGIN { printf "cost: %+.1f %%\n", (with / without - 1) * 100 }'
}
