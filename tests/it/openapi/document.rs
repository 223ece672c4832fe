//! What the document has to be by itself.

use super::{Api, PATH, TOKENS, send, serve};
use roas::{
    v3_1::spec::Spec,
    validation::{Options, Validate},
};
use serde_json::Value;
use std::collections::BTreeSet;

/// Paths that are interfaces of programs.
fn is_interface(path: &str) -> bool {
    path.starts_with("/api/") || ["/metrics", "/healthz", "/readyz"].contains(&path)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_is_described_and_nothing_else() {
    let server = serve(None, "").await;
    let api = Api::of(&server, "").await;
    let described: BTreeSet<String> =
        api.operations().map(|own| format!("{} {}", own.method.to_uppercase(), own.path)).collect();
    let routes = crate::routes::of_source().into_iter().filter(|(_, path)| is_interface(path));
    let routes: BTreeSet<String> = routes.map(|(method, path)| format!("{method} {path}")).collect();
    let missing: Vec<_> = routes.difference(&described).collect();
    assert!(missing.is_empty(), "say in an OPERATIONS beside the route what these are: {missing:?}");
    assert_eq!(described, routes, "described, and not there");
    assert!(routes.len() > 30 && routes.contains("PATCH /api/v1/blocks/{id}"), "{routes:?}");
    // The running server agrees: it says which methods a path takes.
    for (path, methods) in api.document["paths"].as_object().unwrap() {
        let asked = path.split('/').map(|part| if part.starts_with('{') { "1" } else { part }).collect::<Vec<_>>();
        let response = send(&server, &format!("OPTIONS {}", asked.join("/")), super::JSON, "{}").await;
        let allowed: BTreeSet<String> = response.header("allow").split(',').map(str::to_lowercase).collect();
        let mut expected: BTreeSet<String> = methods.as_object().unwrap().keys().cloned().collect();
        if expected.contains("get") {
            expected.insert("head".to_owned());
        }
        assert_eq!((response.status, allowed), (405, expected), "{path}");
    }
    server.running.stop().await;
}

/// By a reader of the specification, and by the meta-schema of JSON Schema 2020-12, which is OpenAPI 3.1's dialect.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_one_by_the_specification() {
    let server = serve(None, "").await;
    let api = Api::of(&server, "").await;
    assert!(api.document["openapi"].as_str().unwrap().starts_with("3.1."));
    let spec: Spec = serde_json::from_value(api.document.clone()).unwrap();
    let options = Options::IgnoreMissingTags;
    if let Err(error) = spec.validate(options.into(), None) {
        panic!("{}", error.errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    }
    // What was read is all that is there.
    assert_eq!(serde_json::to_value(&spec).unwrap()["paths"].as_object().unwrap().len(), {
        api.document["paths"].as_object().unwrap().len()
    });
    let schemas = api.document["components"]["schemas"].as_object().unwrap();
    assert!(schemas.len() > 30, "{}", schemas.len());
    for (name, schema) in schemas {
        jsonschema::draft202012::meta::validate(schema).unwrap_or_else(|error| panic!("{name}: {error}"));
        // A number is put behind a name that two types have.
        assert!(!name.ends_with(|sign: char| sign.is_ascii_digit()), "{name}: give it a name of its own");
    }
    let mut ids = BTreeSet::new();
    for own in api.operations() {
        let place = format!("{} {}", own.method, own.path);
        assert!(ids.insert(own.told["operationId"].as_str().unwrap()), "{place}");
        assert!(!own.told["summary"].as_str().unwrap().is_empty(), "{place}");
        for parameter in own.told["parameters"].as_array().into_iter().flatten().filter(|own| own["in"] == "path") {
            assert!(!parameter["description"].as_str().unwrap().is_empty(), "{place}: {parameter}");
        }
        let responses = own.told["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{place} answers nothing");
    }
    // A query goes by its number, and exceptions by words.
    let schema = |path: &str, method: &str| api.document["paths"][path][method]["parameters"][0]["schema"].clone();
    assert_eq!(schema("/api/v1/log/{row}", "get")["type"], "integer");
    assert_eq!(schema("/api/v1/exceptions/{id}", "patch")["type"], "string");
    look(&api, &api.document, "");
    server.running.stop().await;
}

/// References lead somewhere, and texts are for those who don't see the source.
fn look(api: &Api, value: &Value, place: &str) {
    match value {
        Value::Array(all) => all.iter().for_each(|own| look(api, own, place)),
        Value::Object(all) => {
            for (name, own) in all {
                if let (true, Some(pointer)) = (name == "$ref", own.as_str()) {
                    api.at(pointer.strip_prefix('#').unwrap());
                }
                look(api, own, &format!("{place}/{name}"));
            }
        }
        Value::String(text) => {
            for sign in ["[`", "Self::", "`None`", "`Some"] {
                assert!(!text.contains(sign), "{place} is for those who see the source: {text}");
            }
        }
        _ => {}
    }
}

/// Whoever may look may read it, and it says truly who may do what.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_are_as_it_says() {
    let server = serve(None, TOKENS).await;
    let read = "Authorization: Bearer l00k-and-no-more\r\n";
    assert_eq!(send(&server, &format!("GET {PATH}"), "", "").await.status, 401);
    let api = Api::of(&server, read).await;
    for own in api.operations() {
        let path = own.path.split('/').map(|part| if part.starts_with('{') { "1" } else { part }).collect::<Vec<_>>();
        let line = format!("{} {}", own.method.to_uppercase(), path.join("/"));
        let none = send(&server, &line, super::JSON, "{}").await.status;
        let reader = send(&server, &line, &format!("{read}{}", super::JSON), "{}").await;
        let operator =
            send(&server, &line, &format!("Authorization: Bearer s3cret-of-the-owner\r\n{}", super::JSON), "{}").await;
        let is_told = |part: Value| own.told["security"].as_array().unwrap().contains(&part);
        match own.told["x-role"].as_str() {
            Some("operator") => {
                assert_eq!((none, reader.status, super::word(&reader).as_str()), (401, 403, "read_only"))
            }
            Some("read-only") => assert!(none == 401 && ![401, 403].contains(&reader.status), "{line}: {none}"),
            None => assert!(none != 401 && !is_told(serde_json::json!({ "token": [] })), "{line}: {none}"),
            Some(other) => panic!("{line}: {other}"),
        }
        assert!(![401, 403].contains(&operator.status), "{line}: {}", operator.status);
    }
    server.running.stop().await;
}
