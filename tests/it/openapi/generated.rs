//! Requests made up from the document: whatever fits its types, and some that don't. Nothing of it may be a fault or a
//! hang, and every answer is one that the document has.

use super::{Api, JSON, Operation, send, serve};
use crate::harness::DEADLINE;
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// Requests to each operation.
const TRIES: usize = 24;
/// Depth of values that fit no type.
const DEPTH_MAX: u32 = 3;

/// Words that mean something somewhere, and some that are odd everywhere.
fn texts() -> BoxedStrategy<String> {
    let known = [
        "",
        "strict",
        "watching",
        "seen",
        "kids",
        "default",
        "everybody",
        "enforce",
        "shadow",
        "off",
        "names",
        "exact",
        "a.example",
        "=a.example",
        "*.example",
        ".",
        "..",
        "xn--",
        "127.0.0.1",
        "::1",
        "10.0.0.0/8",
        "AAAA",
        "TYPE65535",
        "1",
        "-1",
        "0",
        "9223372036854775807",
        "99999999999999999999",
        "2h",
        "2026-11-28",
        "9999-12-31",
        "2026-11-28T21:00:00Z",
        "-009999-01-01T00:00:00Z",
        "Mon-Fri 08:00-17:00",
        "true",
        "null",
        "{}",
        "[]",
        "\u{0}",
        "\u{202e}",
        "e1",
        "b1",
        "any",
        "blocked,passed",
        "\u{1f600}",
    ];
    prop_oneof![
        6 => proptest::sample::select(known.to_vec()).prop_map(str::to_owned),
        1 => any::<String>(),
        1 => "[a-z.]{1,300}",
    ]
    .boxed()
}

/// Any JSON.
fn anything() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        texts().prop_map(Value::from),
    ];
    let within = |inner: BoxedStrategy<Value>| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(texts(), inner, 0..4).prop_map(|all| Value::Object(all.into_iter().collect())),
        ]
        .boxed()
    };
    leaf.prop_recursive(DEPTH_MAX, 16, 4, move |inner| within(inner.boxed())).boxed()
}

/// What a schema describes, and now and then something else.
fn fitting(api: &Api, schema: &Value) -> BoxedStrategy<Value> {
    if let Some(reference) = schema["$ref"].as_str() {
        return fitting(api, api.at(reference.strip_prefix('#').unwrap()).1);
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    let of = |kind: &str| -> BoxedStrategy<Value> {
        match kind {
            "null" => Just(Value::Null).boxed(),
            "boolean" => any::<bool>().prop_map(Value::from).boxed(),
            "integer" => prop_oneof![
                any::<u64>().prop_map(Value::from),
                any::<i64>().prop_map(Value::from),
                (0..100_i64).prop_map(Value::from)
            ]
            .boxed(),
            "string" => texts().prop_map(Value::from).boxed(),
            "array" => prop::collection::vec(fitting(api, &schema["items"]), 0..4).prop_map(Value::from).boxed(),
            "object" => {
                let none = Map::new();
                let fields = schema["properties"].as_object().unwrap_or(&none);
                let each: Vec<BoxedStrategy<Option<(String, Value)>>> = fields
                    .iter()
                    .map(|(name, own)| {
                        let name = name.clone();
                        prop::option::weighted(0.7, fitting(api, own))
                            .prop_map(move |own| own.map(|own| (name.clone(), own)))
                            .boxed()
                    })
                    .collect();
                each.prop_map(|all| Value::Object(all.into_iter().flatten().collect())).boxed()
            }
            _ => anything(),
        }
    };
    let all: Vec<BoxedStrategy<Value>> =
        if kinds.is_empty() { vec![anything()] } else { kinds.into_iter().map(of).collect() };
    prop_oneof![9 => proptest::strategy::Union::new(all), 1 => anything()].boxed()
}

/// As it stands in an address.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut all, octet| {
        let _ = write!(all, "%{octet:02X}");
        all
    })
}

/// A request: its line, and its body.
fn requests(api: &Api, own: Operation<'_>) -> BoxedStrategy<(String, String)> {
    let method = own.method.to_uppercase();
    let texts = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let parameters = own.told["parameters"].as_array().cloned().unwrap_or_default();
    let given: Vec<BoxedStrategy<(String, bool, Option<String>)>> = parameters
        .iter()
        .map(|parameter| {
            let (name, in_path) = (parameter["name"].as_str().unwrap().to_owned(), parameter["in"] == "path");
            let value = fitting(api, &parameter["schema"]);
            let value = match in_path {
                true => value.prop_map(Some).boxed(),
                false => prop::option::of(value).boxed(),
            };
            value.prop_map(move |value| (name.clone(), in_path, value.map(texts))).boxed()
        })
        .collect();
    let body = match own.told.get("requestBody") {
        Some(body) => {
            fitting(api, &body["content"]["application/json"]["schema"]).prop_map(|body| body.to_string()).boxed()
        }
        None => Just("{}".to_owned()).boxed(),
    };
    let path = own.path.to_owned();
    (given, body)
        .prop_map(move |(given, body)| {
            let (mut path, mut query) = (path.clone(), String::new());
            for (name, in_path, value) in given {
                match (in_path, value) {
                    (true, value) => path = path.replace(&format!("{{{name}}}"), &encoded(&value.unwrap_or_default())),
                    (false, Some(value)) => {
                        let before = if query.is_empty() { '?' } else { '&' };
                        let _ = write!(query, "{before}{name}={}", encoded(&value));
                    }
                    (false, None) => {}
                }
            }
            (format!("{method} {path}{query}"), body)
        })
        .boxed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_can_be_sent_is_a_fault() {
    let server = serve(None, "").await;
    let api = Api::of(&server, "").await;
    let seed = proptest::test_runner::RngAlgorithm::ChaCha;
    let rng = proptest::test_runner::TestRng::deterministic_rng(seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut taken = 0;
    for own in api.operations() {
        let requests = requests(&api, own);
        for _ in 0..TRIES {
            let (line, body) = requests.new_tree(&mut runner).unwrap().current();
            // Longer than the head of a request may be: that is refused before anybody reads it.
            if line.len() > 8 << 10 {
                continue;
            }
            let sent = tokio::time::timeout(
                DEADLINE,
                send(&server, &line, JSON, if own.method == "get" { "" } else { &body }),
            );
            let response = sent.await.unwrap_or_else(|_| panic!("{line} {body}: no answer"));
            let is_none = matches!(response.status, 404 | 405);
            assert!(response.status < 500, "{line} {body}: {} {}", response.status, response.body);
            // An empty variable is another path.
            if !(is_none && own.path.contains('{')) {
                api.check(own, &line, &response);
            }
            taken += usize::from(response.status < 300);
        }
    }
    // They aren't all nonsense.
    assert!(taken > 100, "{taken}");
    assert_eq!(server.get("/healthz").await.0, 200);
    server.running.stop().await;
}
