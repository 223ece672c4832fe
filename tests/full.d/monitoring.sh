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
