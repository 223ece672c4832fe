//! Asks the running server over HTTP, as the configuration says where it is.

use super::Failure;
use crate::config::{Admin, Config, rights};
use serde::Serialize;
use std::{fmt, time::Duration};
use ureq::tls::TlsConfig;

/// What an error of the server says to people: the detail of a problem (RFC 9457), or all of it.
fn detail_of(text: &str) -> String {
    let problem = serde_json::from_str::<serde_json::Value>(text).ok();
    let detail = problem.as_ref().and_then(|problem| problem["detail"].as_str().or_else(|| problem["title"].as_str()));
    detail.unwrap_or(text).trim().to_owned()
}

/// How long the running server may take to answer, and to say whether it is well: who asks for that may be asked itself,
/// and by orchestrators within three seconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const READY_WITHIN: Duration = Duration::from_secs(1);

fn agent(within: Duration) -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_global(Some(within))
        .http_status_as_error(false)
        .user_agent(concat!("cleandns/", env!("CARGO_PKG_VERSION")))
        // It is an address of this very machine, which no certificate names: nothing leaves it.
        .tls_config(TlsConfig::builder().disable_verification(true).build())
        .build()
        .into()
}

/// Scheme and address of the running server.
fn server(admin: &Admin) -> String {
    let scheme = if admin.tls.is_some() { "https" } else { "http" };
    format!("{scheme}://{}", crate::app::reachable(admin.listen))
}

/// What a server says of itself.
#[derive(Serialize)]
pub struct Ready {
    url: String,
    /// Whether queries should go there.
    #[serde(skip)]
    pub serves: bool,
    status: String,
    /// What isn't as it should be.
    reasons: Vec<String>,
}

impl fmt::Display for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} says: {}", self.url, self.status)?;
        self.reasons.iter().try_for_each(|reason| write!(f, "\n  {reason}"))
    }
}

/// Asks the running server how it is, which takes no token; `None`: it has no HTTP.
pub fn ready(config: &Config) -> Result<Option<Ready>, String> {
    #[derive(serde::Deserialize)]
    struct Said {
        status: String,
        reasons: Vec<String>,
    }
    let Some(admin) = &config.admin else { return Ok(None) };
    let url = format!("{}/readyz", server(admin));
    let unreachable = |error: ureq::Error| format!("{url} doesn't answer ({error})");
    let mut response = agent(READY_WITHIN).get(&url).call().map_err(unreachable)?;
    let serves = response.status().is_success();
    let text = response.body_mut().read_to_string().map_err(unreachable)?;
    let said = serde_json::from_str::<Said>(&text).map_err(|_| format!("{url} gave no answer of cleandns"))?;
    Ok(Some(Ready { url, serves, status: said.status, reasons: said.reasons }))
}

/// Why none is shown, if none is.
fn why_no_token(admin: &Admin) -> Option<String> {
    match (&admin.token, &admin.token_unread, &admin.token_file) {
        (Some(_), ..) => None,
        (None, Some(why), _) => Some(why.clone()),
        (None, None, Some(file)) => file.symlink_metadata().err().map(|error| rights::unreadable(file, &error)),
        (None, None, None) => Some("the configuration on disk names no token_file that can be read here".to_owned()),
    }
}

/// Asks the running server's HTTP interface for JSON.
pub fn fetch<T: serde::de::DeserializeOwned>(
    config: &Config,
    path: &str,
    query: &[(&str, &str)],
) -> Result<T, Failure> {
    ask_server(config, path, query, None::<&()>)
}

/// Asks the running server's HTTP interface for JSON, or tells it some.
pub fn ask_server<T: serde::de::DeserializeOwned>(
    config: &Config,
    path: &str,
    query: &[(&str, &str)],
    body: Option<&impl serde::Serialize>,
) -> Result<T, Failure> {
    let Some(admin) = &config.admin else {
        return Err(Failure::Other("[admin] listen is empty, so the running server can't be asked".into()));
    };
    let (agent, server) = (agent(ANSWER_WITHIN), server(admin));
    let url = format!("{server}{path}");
    let token = admin.token.as_ref().map(|token| format!("Bearer {token}"));
    let unreachable = |error: ureq::Error| {
        Failure::Other(format!("no server answers at {server} ({error}); start it with `cleandns serve`"))
    };
    let mut response = match body {
        None => {
            let request = agent.get(url).query_pairs(query.iter().copied());
            match token {
                Some(token) => request.header("Authorization", token).call(),
                None => request.call(),
            }
        }
        Some(body) => {
            let request = agent.post(url);
            match token {
                Some(token) => request.header("Authorization", token).send_json(body),
                None => request.send_json(body),
            }
        }
    }
    .map_err(unreachable)?;
    // What was begun and isn't in force yet is 202.
    if !response.status().is_success() {
        let text = response.body_mut().read_to_string().unwrap_or_default();
        let untold = match response.status().as_u16() {
            401 => why_no_token(admin).map(|why| format!("; {why}")).unwrap_or_default(),
            _ => String::new(),
        };
        return Err(Failure::Other(format!("the server answered {}: {}{untold}", response.status(), detail_of(&text))));
    }
    let text = response.body_mut().read_to_string().map_err(unreachable)?;
    serde_json::from_str(&text).map_err(|error| Failure::Other(format!("{server} gave no answer of cleandns: {error}")))
}
