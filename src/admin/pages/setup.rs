//! How to have others ask this server, and whether the device that looks does.

use super::super::{
    AdminState,
    asked::Query,
    auth::Reader,
    guard::AlsoAsks,
    serve::{Peer, Reached},
    view::{
        seen::{CheckState, SeenAsked, SeenView, seen},
        setup::{Setup, ToChange, Why, setup},
    },
};
use super::{
    Shell, show,
    words::{ago, count},
};
use crate::report::Moment;
use askama::Template;
use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use std::net::IpAddr;

/// A check that was begun.
#[derive(Deserialize)]
pub struct Wanted {
    #[serde(default)]
    nonce: Option<String>,
}

#[derive(Template)]
#[template(path = "setup.html", config = "src/admin/pages/askama.toml")]
struct Page {
    shell: Shell,
    view: Setup,
    seen: SeenView,
    now: Moment,
    /// Where the name that is checked leads: its host with the port by which this page was asked.
    host: String,
}

/// `GET /setup?nonce`
pub async fn page(
    State(state): State<AdminState>,
    reader: Reader,
    Extension(Peer(client)): Extension<Peer>,
    Extension(Reached(own)): Extension<Reached>,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Response {
    let (reached, port) = asked_by(&headers);
    let view = setup(&state, own).await;
    // What a browser wrote into its address bar leads here from where it is; this machine's own address may not, as where
    // a container has one of its own.
    let asked = SeenAsked { nonce: wanted.nonce };
    let seen = seen(&state, client, reached.or(Some(own)), &asked, &view).await;
    let host = format!("{}{port}", seen.check.name);
    let also = AlsoAsks(host.clone());
    let now = Moment(state.pipeline.now().saturating_mul(1_000_000));
    let shell = Shell::new(&state, reader, "/setup", "Setup");
    (Extension(also), show(Page { shell, view, seen, now, host })).into_response()
}

/// The address by which a browser asks, if it is one, and its port as it stands in an address.
fn asked_by(headers: &HeaderMap) -> (Option<IpAddr>, String) {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let is_port = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (bare, port) = match host.rsplit_once(':') {
        Some((bare, port)) if is_port(port) && !bare.ends_with(':') => (bare, format!(":{port}")),
        _ => (host, String::new()),
    };
    (bare.trim_start_matches('[').trim_end_matches(']').parse().ok(), port)
}

impl Page {
    fn is(&self, word: &str) -> bool {
        let own = match self.seen.check.state {
            CheckState::Waiting => "waiting",
            CheckState::Arrived => "arrived",
            CheckState::NotArrived => "not arrived",
            CheckState::Unknown => "unknown",
        };
        own == word
    }

    /// What has to be changed for others to ask here, if it is for that reason.
    fn change(&self, why: Why) -> Option<&ToChange> {
        self.view.to_change.as_ref().filter(|change| change.why == why)
    }

    /// The addresses that devices are told, IPv4 first: not every device takes another.
    fn servers(&self) -> Vec<IpAddr> {
        let (ipv4, ipv6) = (self.view.ipv4.map(IpAddr::V4), self.view.ipv6.map(IpAddr::V6));
        ipv4.into_iter().chain(ipv6).collect()
    }

    /// Values as the configuration has them, or else some that stand for them.
    fn toml(values: &[String], or: &str) -> String {
        if values.is_empty() {
            return or.to_owned();
        }
        format!("[{}]", values.iter().map(|value| format!("\"{value}\"")).collect::<Vec<_>>().join(", "))
    }

    /// The name came from the very address that looks.
    fn is_direct(&self) -> bool {
        self.seen.check.from.contains(&self.seen.client)
    }

    fn senders(&self) -> String {
        self.seen.check.from.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }

    /// What the device asked of late, in words.
    fn asked(&self) -> String {
        let SeenView { queries_10m, there_are_more, last, .. } = &self.seen;
        match (queries_10m, last) {
            (Some(0), _) => "It asked nothing in the last 10 minutes".to_owned(),
            (Some(queries), last) => {
                let queries = match *queries as u64 {
                    1 => "one question".to_owned(),
                    queries => format!("{} questions", count(queries)),
                };
                let more = if *there_are_more { "more than " } else { "" };
                let last = last.map(|last| format!(", the last one {}", ago(last, self.now))).unwrap_or_default();
                format!("It asked {more}{queries} in the last 10 minutes{last}")
            }
            (None, _) => match &self.seen.caveat {
                Some(caveat) => format!("What it asked of late isn't known: {caveat}"),
                None => "What it asked of late isn't known".to_owned(),
            },
        }
    }
}

/// What NetworkManager calls addresses of a kind.
fn family(address: &IpAddr) -> &'static str {
    if address.is_ipv4() { "ipv4" } else { "ipv6" }
}

#[cfg(test)]
mod tests {
    use super::{
        super::super::{
            auth::{By, Role, Who},
            view::{called::Called, seen::CheckView},
        },
        *,
    };

    /// The page of a machine that others reach at these addresses.
    fn page(ipv4: Option<&str>, ipv6: Option<&str>) -> String {
        let who = Who { name: "local".to_owned(), role: Role::ReadOnly, by: By::Page, from: None };
        let reader = Reader { who, csrf: "".into(), session: None, done: None };
        let shell = Shell {
            current: "/setup",
            title: "Setup".to_owned(),
            state: String::new(),
            is_well: true,
            epoch: 1,
            reader,
            done: None,
        };
        let view = Setup {
            ipv4: ipv4.map(|address| address.parse().unwrap()),
            ipv6: ipv6.map(|address| address.parse().unwrap()),
            to_change: None,
            addresses: Vec::new(),
            refused: Vec::new(),
            loopback: Vec::new(),
            access: Vec::new(),
            pages_are_local: false,
        };
        let check =
            CheckView { nonce: String::new(), name: String::new(), state: CheckState::Unknown, from: Vec::new() };
        let seen = SeenView {
            client: "fd00::9".parse().unwrap(),
            called: Called::default(),
            queries_10m: None,
            there_are_more: false,
            last: None,
            caveat: None,
            addresses: Vec::new(),
            check,
        };
        Page { shell, view, seen, now: Moment(0), host: String::new() }.render().unwrap()
    }

    #[test]
    fn what_to_write_down_is_told_for_the_addresses_that_there_are() {
        const ROUTER_OF_IPV6: &str =
            "Write <code>fd00::2</code> as the only DNS server for IPv6. One for IPv4 would be used too";
        const NO_ANDROID: &str = "It can be told no IPv6 address by hand: the router has to announce it.";
        const ROUTER: &str = "Write <code>192.168.1.2</code> as the only DNS server.";
        for (ipv4, ipv6, has, has_not) in [
            (
                None,
                Some("fd00::2"),
                &[
                    ROUTER_OF_IPV6,
                    NO_ANDROID,
                    "<dt>IPv6</dt><dd class=\"text\">fd00::2</dd>",
                    "IPv6 on, Preferred DNS <code>fd00::2</code>",
                    "add <code>fd00::2</code>.",
                    "ipv6.dns fd00::2 ipv6.ignore-auto-dns yes",
                    "<code>DNS=fd00::2</code>",
                ][..],
                &["DNS server</dt>", "IPv4 on", "ipv4.dns", "DNS 1", "switch off its announcement"][..],
            ),
            (
                Some("192.168.1.2"),
                Some("fd00::2"),
                &[
                    ROUTER,
                    "write <code>fd00::2</code>, or switch off its announcement",
                    "IPv4 on, Preferred DNS <code>192.168.1.2</code>, IPv6 on, Preferred DNS <code>fd00::2</code>",
                    "add <code>192.168.1.2</code> and <code>fd00::2</code>.",
                    "ipv4.dns 192.168.1.2",
                    "ipv6.dns fd00::2",
                    "DNS 1 <code>192.168.1.2</code>",
                ],
                &[ROUTER_OF_IPV6, NO_ANDROID],
            ),
            (
                Some("192.168.1.2"),
                None,
                &[
                    ROUTER,
                    "If there is a DNS server for IPv6, switch off its announcement.",
                    "DNS 1 <code>192.168.1.2</code>",
                ],
                &["IPv6 on", "ipv6.dns", ROUTER_OF_IPV6, NO_ANDROID, "<dt>IPv6</dt>"],
            ),
            (None, None, &["Who is answered"], &["One device", "Any router"]),
        ] {
            let page = page(ipv4, ipv6);
            for part in has {
                assert!(page.contains(part), "{ipv4:?} {ipv6:?}: no {part} in {page}");
            }
            for part in has_not {
                assert!(!page.contains(part), "{ipv4:?} {ipv6:?}: {part} in {page}");
            }
        }
    }

    #[test]
    fn what_a_browser_asked_by_is_taken_apart() {
        for (host, address, port) in [
            ("192.0.2.1:8053", Some("192.0.2.1"), ":8053"),
            ("192.0.2.1", Some("192.0.2.1"), ""),
            ("[2001:db8::1]:80", Some("2001:db8::1"), ":80"),
            ("[2001:db8::1]", Some("2001:db8::1"), ""),
            ("localhost:8053", None, ":8053"),
            ("x:8053\"><b>", None, ""),
        ] {
            let headers = HeaderMap::from_iter([(header::HOST, host.parse().unwrap())]);
            let address = address.map(|address| address.parse().unwrap());
            assert_eq!(asked_by(&headers), (address, port.to_owned()), "{host}");
        }
    }
}
