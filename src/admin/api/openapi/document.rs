//! The document: what all operations share, and each of them.

use super::{
    super::super::{
        auth::sessions::cookie_name,
        problem::{self, Kind, Problem},
    },
    operation::{Content, Operation, Who},
    schemas::{Schemas, not_null, usual_formats},
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What is said of it all.
const ABOUT: &str = "What cleandns shows, and what can be changed of it while it runs. Times are RFC 3339 in UTC. What is \
                     none or empty is left out, unless its schema requires it. Unknown words in a query or a body are \
                     errors.\n\nWhoever asks shows a token, or comes with the cookie of a session. On loopback nobody has to \
                     show anything if neither tokens nor users are configured. A *read-only* role sees everything; changes \
                     want an *operator*. Changes are sent as `application/json`; whoever comes with a \
                     session's cookie shows its token as `X-CSRF-Token` too, and says by `Origin` that a page of this server \
                     sends it: the scheme and host that are asked, as in `http://192.168.1.2:8053`. Browsers do that by \
                     themselves, or send `Sec-Fetch-Site: same-origin`.\n\nErrors are problems (RFC 9457); the last part of `type` is a word that stays.";

/// What a path's variables are: name, what it is, whether it is a number.
const VARIABLES: [(&str, &str, bool); 7] = [
    ("program", "Name of a program.", false),
    ("list", "Name of a list, as `GET /api/v1/lists` tells it.", false),
    ("id", "What an exception, a block, or what was let through is called.", false),
    ("row", "Number of a query, as `GET /api/v1/log` tells it.", true),
    ("change", "Number of a change.", true),
    ("group", "Name of a group.", false),
    ("client", "A client, as far as it is told.", false),
];

/// The API as OpenAPI 3.1 describes it. `is_tls`: the pages are served over TLS, which the cookie's name depends on.
pub fn document(is_tls: bool) -> Value {
    let mut parts = Parts { schemas: Schemas::new(), problems: BTreeMap::new() };
    let mut paths = Map::new();
    for operation in super::super::operations() {
        let methods = paths.entry(operation.path).or_insert_with(|| json!({}));
        methods[operation.method] = parts.operation(operation);
    }
    let Parts { mut schemas, problems } = parts;
    let problem = schemas.reference::<Problem>();
    let responses = problems.iter().map(|(name, kinds)| (name.clone(), problem_response(kinds, &problem)));
    let responses: Map<String, Value> = responses.collect();
    let mut schemas = schemas.into_all();
    schemas["Problem"]["properties"]["type"]["enum"] = Kind::ALL.into_iter().map(Kind::uri).collect();
    let mut document = json!({
        "openapi": "3.1.1",
        "info": { "title": "cleandns", "version": env!("CARGO_PKG_VERSION"), "description": ABOUT },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": responses,
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "A token of `[admin] token_file`, or of `read_token_file`." },
                "session": { "type": "apiKey", "in": "cookie", "name": cookie_name(is_tls), "description": "As `POST /api/v1/session` sets it." },
                "csrf": { "type": "apiKey", "in": "header", "name": "X-CSRF-Token", "description": "`csrf` of `GET /api/v1/session`, with every change; beside it `Origin` (or `Sec-Fetch-Site`) has to name this server." },
            },
        },
    });
    usual_formats(&mut document);
    document
}

/// What operations refer to.
struct Parts {
    schemas: Schemas,
    /// Problems that share a status, by their name.
    problems: BTreeMap<String, Vec<Kind>>,
}

impl Parts {
    fn operation(&mut self, operation: &Operation) -> Value {
        let mut described = json!({
            "operationId": id(operation),
            "tags": [tag(operation.path)],
            "summary": operation.summary,
            "responses": self.responses(operation),
            "security": security(operation.who),
        });
        let role = role(operation.who);
        let told = role.map(|role| format!("Role: {role}.")).into_iter();
        let told: Vec<String> =
            Some(operation.more.to_owned()).filter(|more| !more.is_empty()).into_iter().chain(told).collect();
        if !told.is_empty() {
            described["description"] = told.join("\n\n").into();
        }
        if let Some(role) = role {
            described["x-role"] = role.into();
        }
        let parameters = self.parameters(operation);
        if !parameters.is_empty() {
            described["parameters"] = parameters.into();
        }
        if let Some(body) = operation.body {
            let schema = self.schemas.read(body);
            let is_required = !operation.body_is_optional;
            described["requestBody"] =
                json!({ "required": is_required, "content": { "application/json": { "schema": schema } } });
        }
        described
    }

    fn parameters(&mut self, operation: &Operation) -> Vec<Value> {
        let variables = operation.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let mut parameters: Vec<Value> = variables.map(variable).collect();
        if let Some(query) = operation.query {
            let fields = self.schemas.read(query);
            let required = fields["required"].as_array().cloned().unwrap_or_default();
            for (name, schema) in fields["properties"].as_object().into_iter().flatten() {
                let mut schema = schema.clone();
                not_null(&mut schema);
                let told = schema.as_object_mut().and_then(|schema| {
                    schema.remove("default");
                    schema.remove("description")
                });
                let is_required = required.iter().any(|own| own == name);
                let mut parameter = json!({ "name": name, "in": "query", "required": is_required, "schema": schema });
                if let Some(told) = told {
                    parameter["description"] = told;
                }
                parameters.push(parameter);
            }
        }
        parameters
    }

    fn responses(&mut self, operation: &Operation) -> Value {
        let mut responses = json!({});
        for answer in operation.answers.iter().flatten() {
            let mut response = json!({ "description": answer.what });
            let (media_type, schema) = match answer.content {
                Content::None => ("", Value::Null),
                Content::Json(made) => ("application/json", self.schemas.written(made)),
                Content::Text(media_type) => (media_type, json!({ "type": "string" })),
            };
            if !media_type.is_empty() {
                response["content"] = json!({ media_type: { "schema": schema } });
            }
            responses[answer.status.to_string()] = response;
        }
        if !problem::is_of_api(operation.path) {
            if operation.who != Who::Anybody {
                responses["401"] = json!({ "description": Kind::NotSignedIn.title() });
                responses["421"] = json!({ "description": Kind::OtherHost.title() });
                responses["429"] = json!({ "description": Kind::TooMany.title() });
            }
            return responses;
        }
        let mut by_status: BTreeMap<u16, Vec<Kind>> = BTreeMap::new();
        for kind in problems(operation) {
            by_status.entry(kind.status().as_u16()).or_default().push(kind);
        }
        for (status, kinds) in by_status {
            let words: Vec<&str> = kinds.iter().map(|kind| kind.word()).collect();
            let name = words.join("_or_");
            responses[status.to_string()] = json!({ "$ref": format!("#/components/responses/{name}") });
            self.problems.insert(name, kinds);
        }
        responses
    }
}

/// What an operation may be refused for, in order.
fn problems(operation: &Operation) -> impl Iterator<Item = Kind> {
    let mut all = vec![Kind::BadRequest, Kind::NotSignedIn, Kind::OtherHost, Kind::Fault];
    if operation.is_changing() {
        all.extend([Kind::Csrf, Kind::NotJson, Kind::TooLarge, Kind::TooSlow]);
    }
    // Wrong tokens.
    if matches!(operation.who, Who::Reader | Who::Operator) {
        all.push(Kind::TooMany);
    }
    if operation.who == Who::Operator {
        all.extend([Kind::ReadOnly, Kind::NotRecorded]);
    }
    if operation.body.is_some() {
        all.push(Kind::Invalid);
    }
    all.extend(operation.problems);
    Kind::ALL.into_iter().filter(move |kind| all.contains(kind))
}

/// The response of problems that share a status.
fn problem_response(kinds: &[Kind], problem: &Value) -> Value {
    let told: Vec<String> = kinds.iter().map(|kind| format!("`{}`: {}.", kind.word(), kind.title())).collect();
    let uris: Value = kinds.iter().map(|kind| kind.uri()).collect();
    let mut schema = problem.clone();
    schema["properties"] = json!({ "type": { "enum": uris } });
    json!({ "description": told.join(" "), "content": { "application/problem+json": { "schema": schema } } })
}

fn variable(name: &str) -> Value {
    let known = VARIABLES.into_iter().find(|(own, ..)| *own == name);
    let (_, what, is_number) = known.unwrap_or((name, "", false));
    let schema = if is_number {
        json!({ "type": "integer", "format": "uint64", "minimum": 0 })
    } else {
        json!({ "type": "string" })
    };
    json!({ "name": name, "in": "path", "required": true, "schema": schema, "description": what })
}

/// What one shows: one of these.
fn security(who: Who) -> Value {
    match who {
        Who::Anybody => json!([]),
        Who::Newcomer => json!([{ "csrf": [] }, {}]),
        Who::Reader => json!([{ "token": [] }, { "session": [] }, {}]),
        Who::Operator => json!([{ "token": [] }, { "session": [], "csrf": [] }, {}]),
    }
}

fn role(who: Who) -> Option<&'static str> {
    match who {
        Who::Anybody | Who::Newcomer => None,
        Who::Reader => Some("read-only"),
        Who::Operator => Some("operator"),
    }
}

/// A name for programs that are made from the document: `put_modes`.
fn id(operation: &Operation) -> String {
    let path = operation.path.strip_prefix("/api/v1").unwrap_or(operation.path);
    let parts = path.split(['/', '.']).filter(|part| !part.is_empty());
    let parts = parts.map(|part| part.trim_matches(['{', '}']));
    [operation.method].into_iter().chain(parts).collect::<Vec<_>>().join("_")
}

/// What it is of: the first word of its path.
fn tag(path: &str) -> &str {
    let path = path.strip_prefix("/api/v1/").unwrap_or("server");
    path.split(['/', '.']).next().unwrap_or(path)
}
