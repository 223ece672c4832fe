# What Prometheus's own tool says of the metrics and of the alerts. Sourced by tests/full.

mkdir "$work/monitoring" && cd "$work/monitoring"
printf 'blocked.example\n' >own.list
own_config >own.toml
check_metrics() { curl -sf http://127.0.0.1:8053/metrics >page && promtool check metrics <page; }

"$binary" --config own.toml >out 2>log &
server=$!
until_true "a server to watch" cat out -- "is ready"
succeeds "metrics are as Prometheus wants them, at the start" check_metrics
dig "${at[@]}" blocked.example >/dev/null
dig "${at[@]}" localhost +tcp >/dev/null
succeeds "and after some questions" check_metrics
kill -TERM "$server" && wait "$server" || true
server=
succeeds "the alerts can be loaded" promtool check rules "$here/../config/prometheus-alerts.yml"
succeeds "and ring when they should" promtool test rules "$here/data/alerts-test.yml"
# The configuration of MONITORING.md, by the command there, in this folder in place of /etc/prometheus.
sed -n '/^```yaml/,/^```$/p' "$here/../config/MONITORING.md" | sed "/^\`\`\`/d; s|/etc/prometheus|$PWD|" >prometheus.yml
cp "$here/../config/prometheus-alerts.yml" cleandns-alerts.yml
echo token >cleandns-token
# shellcheck disable=SC2016
promtool_command=$(sed -n 's/^`\(promtool check config [^`]*\)`.*/\1/p' "$here/../config/MONITORING.md")
expect "Prometheus' configuration is one, by the command of MONITORING.md" bash -euc "$promtool_command" -- SUCCESS "rules found"
