//! Names as people write them, and what has a name in it: exceptions, overrides, addresses of lists, what is pasted.

use super::{
    super::Override,
    text::{choice, shown},
};
use crate::{
    dns::{Name, NameError},
    policy::parse::{Extent, to_ascii},
};
use std::{borrow::Cow, net::IpAddr};

/// Octets of a URL: servers refuse much longer ones.
const URL_BYTES_MAX: usize = 2000;

/// A domain name as people mean it: no URL, no address, no pattern.
pub fn name(text: &str) -> Result<Name, String> {
    let no_name = |what: &str| Err(format!("{} is {what}; write a name such as \"example.com\"", shown(text)));
    if text.parse::<IpAddr>().is_ok() {
        return no_name("an address, not a name");
    }
    if text.contains("://") {
        return no_name("a URL, not a name");
    }
    let ascii = a_labels(text)?;
    // Legal on the wire, a slip in a file; whoever means one of the others writes its escape.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '\\');
    match ascii.chars().find(|&c| !plain(c)) {
        Some(' ') if !text.contains('\\') => no_name("not a name, because of the space in it"),
        Some(odd) if !text.contains('\\') => no_name(&format!("not a name, because of its `{}`", odd.escape_debug())),
        _ => ascii.parse().map_err(|error| format!("{} is not a name: {error}", shown(text))),
    }
}

/// A name as somebody types or pastes it to have it looked at, however odd: of a URL, or of what has a port or a path
/// behind it, the host. True: it is such a part of the text.
pub fn asked_name(text: &str) -> Result<(Name, bool), String> {
    let host = host_of(text);
    let own = host.unwrap_or(text);
    if host.is_some() && (own.starts_with('[') || own.parse::<IpAddr>().is_ok()) {
        return Err(format!("{} leads to an address, not to a name", shown(text)));
    }
    let is_spaced = own.contains(' ') && !own.contains('\\');
    let name = match is_spaced {
        true => Err("there is a space in it".to_owned()),
        false => a_labels(own)?.parse().map_err(|error: NameError| error.to_string()),
    };
    name.map(|name| (name, host.is_some())).map_err(|why| format!("{} is not a name: {why}", shown(text)))
}

/// The host of what is more than a name.
fn host_of(text: &str) -> Option<&str> {
    // What is escaped is meant as it stands.
    if text.contains('\\') {
        return None;
    }
    let url = text.split_once("://").map(|(_, rest)| rest);
    let rest = url.unwrap_or(text);
    let mut host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if url.is_some() {
        host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    }
    let is_port = |port: &str| port.bytes().all(|octet| octet.is_ascii_digit());
    let before_port = host.rsplit_once(':').filter(|(_, port)| is_port(port)).map(|(host, _)| host);
    let own = before_port.unwrap_or(host);
    // `0/25.2.0.192.in-addr.arpa` is a name (RFC 2317), and no path.
    let has_more = before_port.is_some() || host.len() < rest.len() && host.contains('.');
    (url.is_some() || has_more).then_some(own)
}

/// An internationalised name as the DNS has it, by the rules for names in lists.
fn a_labels(text: &str) -> Result<Cow<'_, str>, String> {
    if text.is_ascii() || text.contains('\\') {
        return Ok(text.into());
    }
    to_ascii(text).map(Cow::Owned).map_err(|(why, _)| format!("{} is {why}", shown(text)))
}

/// `example.com` means it and all below it, `=example.com` itself alone.
pub fn exception_name(text: &str) -> Result<(Name, Extent), String> {
    if let Some(below) = text.strip_prefix("*.") {
        return Err(format!("{} needs no star; write {}, which means it and all below it", shown(text), shown(below)));
    }
    match text.strip_prefix('=') {
        Some(exact) => Ok((name(exact)?, Extent::Exact)),
        None => Ok((name(text)?, Extent::Subtree)),
    }
}

/// `https://lists.example/path`: where a list is downloaded from.
pub fn list_url(text: &str) -> Result<String, String> {
    let wrong = |what: &str| Err(format!("{} {what}", shown(text)));
    let scheme = text.split_once("://").filter(|(scheme, _)| scheme.eq_ignore_ascii_case("https"));
    let Some((_, rest)) = scheme else {
        return match text.split_once("://") {
            Some((_, rest)) => {
                wrong(&format!("could be changed on its way; write {}", shown(&format!("https://{rest}"))))
            }
            None => wrong("is not a URL; write such as \"https://lists.example/hosts.txt\""),
        };
    };
    if text.len() > URL_BYTES_MAX {
        return wrong(&format!("is longer than {URL_BYTES_MAX} octets"));
    }
    if let Some(odd) = text.chars().find(|c| !c.is_ascii_graphic()) {
        return wrong(&format!("is not a URL, because of its `{}`; write that as %XX", odd.escape_debug()));
    }
    if text.contains('#') {
        return wrong("has a part after #, which no server is told; leave it out");
    }
    let authority = &rest[..rest.find(['/', '?']).unwrap_or(rest.len())];
    if authority.contains('@') {
        return wrong("has a user's name in it; leave it out");
    }
    let (host, port) = authority.split_once(':').unwrap_or((authority, "443"));
    if authority.starts_with('[') || host.parse::<IpAddr>().is_ok() {
        return wrong("names its server by address; write the server's name, which its certificate is for");
    }
    if !port.parse::<u16>().is_ok_and(|port| port > 0) {
        return wrong("has no usable port; leave it out for 443");
    }
    match name(host) {
        Ok(host) if !host.is_root() => Ok(text.to_owned()),
        _ => wrong("has no host name; write such as \"https://lists.example/hosts.txt\""),
    }
}

/// `passthru`, `cname:garden.example` and so on; `given` is no override.
pub fn rpz_override(text: &str) -> Result<Option<Override>, String> {
    if let Some(target) = text.strip_prefix("cname:") {
        return match target.strip_prefix("*.") {
            Some(below) => name(below).map(Override::CnameBelow).map(Some),
            None => name(target).map(Override::Cname).map(Some),
        };
    }
    let words = ["given", "passthru", "nxdomain", "nodata", "drop", "tcp-only", "disabled", "cname:garden.example"];
    Ok(match choice(text, &words)? {
        "passthru" => Some(Override::Passthru),
        "nxdomain" => Some(Override::NxDomain),
        "nodata" => Some(Override::NoData),
        "drop" => Some(Override::Drop),
        "tcp-only" => Some(Override::TcpOnly),
        "disabled" => Some(Override::Disabled),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_exceptions() {
        for (text, expected, extent) in [
            ("Example.com.", "example.com", Extent::Subtree),
            ("=example.com", "example.com", Extent::Exact),
            ("_dmarc.example", "_dmarc.example", Extent::Subtree),
            (r"a\.b.example", r"a\.b.example", Extent::Subtree),
            ("=Bücher.example", "xn--bcher-kva.example", Extent::Exact),
        ] {
            assert_eq!(exception_name(text), Ok((expected.parse().unwrap(), extent)), "{text}");
        }
        for (text, error) in [
            ("192.0.2.1", "is an address, not a name"),
            ("https://example.com/", "is a URL, not a name"),
            ("example.com/path", "is not a name, because of its `/`"),
            ("ads.*.example", "is not a name, because of its `*`"),
            ("*.example", r#"write "example", which means it and all below it"#),
            ("müller.\u{200d}", "can be written in A-labels (xn--…)"),
            ("a b.example", "because of the space in it; write a name such as"),
            ("a\u{7f}", "because of its `\\u{7f}`"),
            ("a..b", "empty label"),
            ("", "empty"),
            ("=", "empty"),
        ] {
            let given = exception_name(text).unwrap_err();
            assert!(given.contains(error), "{text}: {given}");
        }
    }

    #[test]
    fn the_host_of_what_is_pasted_is_looked_at() {
        for (text, expected, is_part) in [
            ("www.tiktok.com", "www.tiktok.com", false),
            ("https://www.tiktok.com/x", "www.tiktok.com", true),
            ("https://anna:secret@WWW.tiktok.com:443/x?y=a@b#z", "www.tiktok.com", true),
            ("tiktok.com:443", "tiktok.com", true),
            ("tiktok.com/", "tiktok.com", true),
            ("tiktok.com?lang=de", "tiktok.com", true),
            ("http://router", "router", true),
            ("bücher.example", "xn--bcher-kva.example", false),
            ("https://bücher.example/ä", "xn--bcher-kva.example", true),
            // Odd names are asked for too.
            ("0/25.2.0.192.in-addr.arpa", "0/25.2.0.192.in-addr.arpa", false),
            ("a+b.example", "a+b.example", false),
            (r"a\032b.example/x", r"a\032b.example/x", false),
            ("192.0.2.1", "192.0.2.1", false),
        ] {
            let (name, part) = asked_name(text).unwrap();
            assert_eq!((name.to_string(), part), (expected.to_owned(), is_part), "{text}");
        }
        for (text, error) in [
            ("https://192.0.2.1/x", "leads to an address, not to a name"),
            ("https://[2001:db8::1]:80/", "leads to an address, not to a name"),
            ("https:///x", "the name is empty"),
            ("a b", "there is a space in it"),
            ("a..b", "empty label"),
            ("", "empty"),
        ] {
            let given = asked_name(text).unwrap_err();
            assert!(given.contains(error), "{text}: {given}");
        }
    }

    #[test]
    fn urls_of_lists() {
        for text in [
            "https://lists.example/hosts.txt",
            "https://lists.example",
            "https://lists.example:8443/a/b?c=d@e&f=%20",
            "https://localhost/x",
        ] {
            assert_eq!(list_url(text), Ok(text.to_owned()), "{text}");
        }
        let long = format!("https://lists.example/{}", "a".repeat(2000));
        for (text, error) in [
            ("", "is not a URL; write such as \"https://lists.example/hosts.txt\""),
            ("lists.example/hosts.txt", "is not a URL; write such as"),
            ("http://lists.example/a", "could be changed on its way; write \"https://lists.example/a\""),
            ("file:///etc/hosts", "could be changed on its way"),
            ("https://", "has no host name"),
            ("https:///a", "has no host name"),
            ("https://./a", "has no host name"),
            ("https://a..b/", "has no host name"),
            ("https://me:secret@lists.example/", "has a user's name in it"),
            ("https://192.0.2.1/", "names its server by address"),
            ("https://[2001:db8::1]/", "names its server by address"),
            ("https://lists.example:0/", "has no usable port"),
            ("https://lists.example:99999/", "has no usable port"),
            ("https://lists.example/a b", "because of its ` `; write that as %XX"),
            ("https://lists.example/\n", r"because of its `\n`; write that as %XX"),
            ("https://müller.example/", "because of its `ü`"),
            ("https://lists.example/#top", "has a part after #"),
            (&long, "is longer than 2000 octets"),
        ] {
            let given = list_url(text).unwrap_err();
            assert!(given.contains(error), "{text}: {given}");
        }
    }

    #[test]
    fn overrides() {
        let name = |text: &str| text.parse().unwrap();
        for (text, expected) in [
            ("given", None),
            ("passthru", Some(Override::Passthru)),
            ("nxdomain", Some(Override::NxDomain)),
            ("nodata", Some(Override::NoData)),
            ("drop", Some(Override::Drop)),
            ("tcp-only", Some(Override::TcpOnly)),
            ("disabled", Some(Override::Disabled)),
            ("cname:Garden.example", Some(Override::Cname(name("garden.example")))),
            ("cname:*.garden.example", Some(Override::CnameBelow(name("garden.example")))),
        ] {
            assert_eq!(rpz_override(text), Ok(expected), "{text}");
        }
        for text in ["", "block", "cname", "cname:", "cname:a..b", "cname:*.*.b", "cname:192.0.2.1"] {
            assert!(rpz_override(text).is_err(), "{text}");
        }
    }
}
