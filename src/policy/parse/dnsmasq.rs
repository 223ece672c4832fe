//! Lines of dnsmasq's configuration that block names: `address=/x/…`, `local=/x/`, `server=/x/`.
//!
//! dnsmasq means a name and everything below it. A list's address only says where a blocked client is sent there; here
//! the program says that.

use super::{
    Sink,
    name::{read_name, shown},
    ours::network,
};
use crate::{
    dns::Name,
    policy::{Anchor, Effect, Matcher, Pattern, Place, Rule, Scope},
};

/// True for a line that only dnsmasq's configuration has.
pub fn is_directive(text: &str) -> bool {
    ["address=/", "local=/", "server=/", "bogus-nxdomain="].iter().any(|start| text.starts_with(start))
}

/// Reads a trimmed line that is not empty.
pub fn line(text: &str, number: u32, sink: &mut dyn Sink) {
    if text.starts_with('#') {
        return;
    }
    // On a command line options begin with dashes.
    let text = text.strip_prefix("--").unwrap_or(text);
    // A comment begins at a `#` after white space; `address=/#/` has one that is none.
    let comment = text.as_bytes().windows(2).position(|pair| pair[0].is_ascii_whitespace() && pair[1] == b'#');
    let text = text[..comment.unwrap_or(text.len())].trim_end();
    let Some((option, value)) = text.split_once('=') else {
        return sink.skip(number, "not a line of dnsmasq's that blocks names", shown(text));
    };
    match option.trim() {
        "address" | "local" | "server" => names(option.trim(), value.trim(), number, sink),
        "bogus-nxdomain" => match network(value.trim()) {
            Some(net) => sink.rule(Rule::new(Effect::Block, Matcher::Address(Place::Net(net)), number)),
            None => sink.skip(number, "not an address or network", shown(value)),
        },
        _ => sink.skip(number, "an option of dnsmasq's that blocks no name", shown(option)),
    }
}

/// `/x/y/`, or `/x/y/` and an address.
fn names(option: &str, value: &str, number: u32, sink: &mut dyn Sink) {
    let Some((names, target)) = value.strip_prefix('/').and_then(|rest| rest.rsplit_once('/')) else {
        return sink.skip(number, "it names no domain between slashes, so it is about all questions", shown(value));
    };
    if option != "address" && !target.is_empty() {
        return sink.skip(number, "it forwards the names to another server and blocks nothing", shown(target));
    }
    for text in names.split('/') {
        let (scope, text) = match text.strip_prefix('*') {
            // A star stands for the beginning of a name, up to any place in it.
            Some(rest) => match rest.strip_prefix('.') {
                Some(name) => (Scope::Below, name),
                None => {
                    ends_with(rest, number, sink);
                    continue;
                }
            },
            // For historical reasons a dot before a name means nothing.
            None => (Scope::Subtree, text.strip_prefix('.').unwrap_or(text)),
        };
        match text {
            "#" => sink.name(Effect::Block, Scope::Subtree, &Name::ROOT, number),
            // `server=//` is about names without dots, which are not blocked for that.
            "" => sink.skip(number, "it names an empty domain", shown(value)),
            text => match read_name(text) {
                Ok(name) => sink.name(Effect::Block, scope, &name, number),
                Err((reason, detail)) => sink.skip(number, reason, detail),
            },
        }
    }
}

/// `*text`: every name that ends so.
fn ends_with(text: &str, number: u32, sink: &mut dyn Sink) {
    match read_name(text) {
        // A pattern has no way to say that a dot is no separator, or a star no star.
        Ok(name) if !name.labels().flatten().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(octet)) => {
            sink.skip(number, "a star and signs that no host name has", shown(text));
        }
        Ok(name) => {
            let pattern = Pattern::Glob { start: Anchor::Anywhere, text: name.to_string(), end: true };
            sink.rule(Rule::new(Effect::Block, Matcher::Pattern(pattern), number));
        }
        Err((reason, detail)) => sink.skip(number, reason, detail),
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::parse::tests::{skips, takes};

    #[test]
    fn what_blocks() {
        for (line, expected) in [
            ("address=/ads.example/", "ads.example"),
            ("address=/ads.example/0.0.0.0", "ads.example"),
            ("address=/ads.example/192.0.2.7", "ads.example"),
            ("address=/Ads.Example./::", "ads.example"),
            ("address=/a.example/b.example/127.0.0.1", "a.example b.example"),
            ("address=/ads.example/#", "ads.example"),
            ("address=/#/0.0.0.0", "*"),
            ("address=/.ads.example/", "ads.example"),
            ("address=/*.ads.example/", "*.ads.example"),
            ("address=/*ads.example/", "*ads.example^"),
            ("--address=/ads.example/", "ads.example"),
            ("address = /ads.example/", "ads.example"),
            ("local=/ads.example/", "ads.example"),
            ("server=/ads.example/", "ads.example"),
            ("server=/a.example/b.example/", "a.example b.example"),
            ("server=/ads.example/ # why", "ads.example"),
            ("address=/müller.example/", "xn--mller-kva.example"),
            ("bogus-nxdomain=192.0.2.1", "192.0.2.1/32"),
            ("# comment", ""),
        ] {
            takes("dnsmasq", line, expected);
        }
    }

    #[test]
    fn what_does_not() {
        for line in [
            "server=/ads.example/192.0.2.53",
            "server=/ads.example/#",
            "local=/ads.example/192.0.2.53",
            "server=192.0.2.53",
            "address=ads.example",
            "server=//",
            "cache-size=1000",
            "ipset=/ads.example/blocked",
            "no-resolv",
            "address=/a..b/",
            "address=//192.0.2.1",
            "address=/*/192.0.2.1",
            "address=/*a\\.b.example/",
            "address=/*+.b.example/",
            "ads.example",
        ] {
            skips("dnsmasq", line);
        }
    }
}
