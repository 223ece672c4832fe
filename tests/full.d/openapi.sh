# The API's document by a validator of others, which has the official schema of OpenAPI 3.1: in the tests of `cargo test` it
# is read by crates alone. Sourced by tests/full.

mkdir "$work/openapi" && cd "$work/openapi"
printf 'blocked.example\n' >own.list
own_config >own.toml
valid() { openapi-spec-validator --schema 3.1 --validation-errors all --subschema-errors all "$1"; }

"$binary" --config own.toml >out 2>log &
server=$!
until_true "a server with an API" cat out -- "is ready"
succeeds "it has a document" curl -sf -o openapi.json http://127.0.0.1:8053/api/v1/openapi.json
expect "of OpenAPI 3.1" jq -r .openapi openapi.json -- 3.1.
succeeds "which is valid" valid openapi.json
# And a document that isn't is told from it.
jq '.info |= del(.title)' openapi.json >shape.json
expect "a wrong shape is found" valid shape.json -- "Validation Error" "'title' is a required property"
jq '(.paths["/api/v1/lists/{program}/{list}"].get.parameters) |= .[1:]' openapi.json >parameter.json
expect "and a variable of a path that nothing describes" valid parameter.json -- "was not resolved"
jq '.components.schemas |= with_entries(select(.key != "ListView"))' openapi.json >reference.json
expect "and a reference to nothing" valid reference.json -- ListView
kill -TERM "$server" && wait "$server" || true
server=
