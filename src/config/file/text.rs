//! The values people write in the configuration, from text: durations, sizes, days, addresses, networks, names.
//!
//! Pure: text in; a value, or what is wrong with the text and what to write instead, out.

use super::super::{ForwardProtocol, ForwardServer};
use crate::policy::{ClientKey, ClientKeyError, Schedule, Zone};
use ipnet::IpNet;
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

/// Characters of a value that a message repeats: enough to find it, too few to flood a log.
const SHOWN_CHARS_MAX: usize = 60;
/// Octets of a program's or service's name: three of them fit in the 120 octets of an EDE text.
pub const WORD_BYTES_MAX: usize = 40;
/// Octets of a list's name, for the same reason.
const TITLE_BYTES_MAX: usize = 60;
/// Where DNS servers listen.
const DNS_PORT: u16 = 53;

/// Text in quotes and escaped, cut when long.
pub fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("\"{}…\"", text[..end].escape_debug()),
        None => format!("\"{}\"", text.escape_debug()),
    }
}

/// `30s`, `5m`, `24h`, `1d`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = number_and_unit(text);
    let unit_seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => 0,
    };
    match (number, unit_seconds) {
        (Some(number), 1..) => number.checked_mul(unit_seconds).map(Duration::from_secs),
        _ => None,
    }
    .ok_or_else(|| {
        format!("{} is not a duration; write a whole number and s, m, h or d, such as \"30s\" or \"1d\"", shown(text))
    })
}

/// `128 MiB`, `100 MB`, `65536`: octets.
pub fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = number_and_unit(text);
    let factor: Option<u64> = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "kb" => Some(1000),
        "mb" => Some(1000u64.pow(2)),
        "gb" => Some(1000u64.pow(3)),
        "tb" => Some(1000u64.pow(4)),
        "kib" => Some(1 << 10),
        "mib" => Some(1 << 20),
        "gib" => Some(1 << 30),
        "tib" => Some(1 << 40),
        _ => None,
    };
    number.zip(factor).and_then(|(number, factor)| number.checked_mul(factor)).ok_or_else(|| {
        format!("{} is not a size; write a whole number and KiB, MiB or GiB, such as \"128 MiB\"", shown(text))
    })
}

/// Digits, spaces, the rest.
fn number_and_unit(text: &str) -> (Option<u64>, &str) {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    (text[..digits].parse().ok(), text[digits..].trim_start())
}

/// `2027-01-31`: the second since 1970 at which that day ends in `zone`.
pub fn end_of_day(text: &str, zone: &Zone) -> Result<i64, String> {
    let number = |digits: &str, length: usize| {
        let is_plain = digits.len() == length && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_plain.then(|| digits.parse::<i16>().ok()).flatten()
    };
    let end = match text.split('-').collect::<Vec<_>>()[..] {
        [year, month, day] => match (number(year, 4), number(month, 2), number(day, 2)) {
            (Some(year), Some(month), Some(day)) => zone.end_of_day(year, month as i8, day as i8),
            _ => None,
        },
        _ => None,
    };
    end.ok_or_else(|| format!("{} is not a day; write year-month-day, such as \"2027-01-31\"", shown(text)))
}

/// `50%`, from 1 to 100.
pub fn percent(text: &str) -> Result<u8, String> {
    match number_and_unit(text) {
        (Some(number @ 1..=100), "%") => Ok(number as u8),
        _ => Err(format!("{} is not a share; write \"1%\" to \"100%\"", shown(text))),
    }
}

/// `192.0.2.1`, `2001:db8::1`.
pub fn address(text: &str) -> Result<IpAddr, String> {
    let address = text.parse::<IpAddr>().map(|address| address.to_canonical());
    address.map_err(|_| format!("{} is not an address; write such as \"192.0.2.1\" or \"2001:db8::1\"", shown(text)))
}

/// `192.168.7.0/24`, `192.168.7.5`, `mac:aa:bb:cc:dd:ee:ff`, `id:laptop`.
pub fn client(text: &str) -> Result<ClientKey, String> {
    text.parse().map_err(|error: ClientKeyError| format!("{} {error}", shown(text)))
}

/// `Mon-Fri 08:00-17:00 Europe/Berlin`.
pub fn schedule(text: &str, zone: &Zone) -> Result<Schedule, String> {
    Schedule::parse(text, zone).map_err(|error| error.to_string())
}

/// Bits that tell IPv4 written as IPv6.
const MAPPED_PREFIX: u8 = 96;

/// `Europe/Berlin`.
pub fn time_zone(text: &str) -> Result<Zone, String> {
    Zone::named(text).map_err(|error| error.to_string())
}

/// `192.168.0.0/16`, `fd00::/8`, or one address, which is a network of its own. IPv4 written as IPv6 (RFC 4291 §2.5.5.2) is
/// the IPv4 that it means, as clients' addresses are; all of it at once, `::ffff:0:0/96`, stays that form.
pub fn network(text: &str) -> Result<IpNet, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.to_canonical().into());
    }
    let network: IpNet = text.parse().map_err(|_| {
        format!("{} is not a network; write an address and a prefix length, such as \"192.168.0.0/16\"", shown(text))
    })?;
    // `10.0.0.5/8` is as likely a slip for the one address as for the network.
    if network != network.trunc() {
        let (whole, alone) = (network.trunc(), IpNet::from(network.addr()));
        return Err(format!("{} has bits set after its prefix; write \"{whole}\" or \"{alone}\"", shown(text)));
    }
    let prefix = network.prefix_len().checked_sub(MAPPED_PREFIX).filter(|&prefix| prefix > 0);
    Ok(match (network.addr().to_canonical(), prefix) {
        (IpAddr::V4(address), Some(prefix)) if network.addr().is_ipv6() => {
            IpNet::new(address.into(), prefix).expect("of 128 bits 96 are taken away")
        }
        _ => network,
    })
}

/// `127.0.0.1:53`, `[::1]:53`.
pub fn listen_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        let what = format!("{} is not an address and a port", shown(text));
        match (text.parse::<IpAddr>(), text.strip_prefix(':').and_then(|port| port.parse::<u16>().ok())) {
            (Ok(address), _) => format!("{what}; write \"{}\"", SocketAddr::new(address, DNS_PORT)),
            (_, Some(port)) => format!("{what}; write \"0.0.0.0:{port}\" for IPv4, \"[::]:{port}\" for IPv6"),
            _ => format!("{what}; write such as \"127.0.0.1:53\" or \"[::1]:53\""),
        }
    })
}

/// A server as it is written, of a kind that this version can or can't ask.
#[derive(Debug, PartialEq)]
pub enum WrittenServer {
    Plain(ForwardServer),
    /// `tls://…`, `https://…`, `quic://…`
    Encrypted,
}

/// `10.0.0.1`, `udp://10.0.0.1`, `tcp://[fd00::1]:5300`.
pub fn forward_server(text: &str) -> Result<WrittenServer, String> {
    let (protocol, place) = match text.split_once("://") {
        None => (ForwardProtocol::Udp, text),
        Some(("udp", place)) => (ForwardProtocol::Udp, place),
        Some(("tcp", place)) => (ForwardProtocol::Tcp, place),
        Some(("tls" | "https" | "quic", _)) => return Ok(WrittenServer::Encrypted),
        Some((scheme, _)) => return Err(format!("{} is not a protocol; write udp:// or tcp://", shown(scheme))),
    };
    let bracketed = place.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let alone = bracketed.unwrap_or(place).parse::<IpAddr>().map(|address| SocketAddr::new(address, DNS_PORT));
    match alone.or_else(|_| place.parse::<SocketAddr>()) {
        Ok(address) if address.port() == 0 => Err(format!("{} has port 0; leave it out for 53", shown(text))),
        Ok(address) => Ok(WrittenServer::Plain(ForwardServer { protocol, address })),
        Err(_) => Err(format!(
            "{} is not a server's address; write such as \"udp://10.0.0.1\" or \"tcp://[fd00::1]:5300\" (no host name)",
            shown(text)
        )),
    }
}

/// The name of a program or service: a metric label, and a part of every verdict's text.
pub fn word(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    if text.is_empty() || text.len() > WORD_BYTES_MAX || !text.bytes().all(plain) {
        return Err(format!(
            "{} is not usable as a name; write 1 to {WORD_BYTES_MAX} lower-case letters, digits, - and _",
            shown(text)
        ));
    }
    Ok(text.to_owned())
}

/// The name of a service, or `*` for those that nobody names.
pub fn service(text: &str) -> Result<String, String> {
    if text == "*" { Ok(text.to_owned()) } else { word(text) }
}

/// What a list is shown as.
pub fn title(text: &str) -> Result<String, String> {
    if text.trim().is_empty() || text.len() > TITLE_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(format!("{} is not usable as a name; write 1 to {TITLE_BYTES_MAX} octets of text", shown(text)));
    }
    Ok(text.to_owned())
}

/// One of some words.
pub fn choice<'c>(text: &str, words: &[&'c str]) -> Result<&'c str, String> {
    words.iter().find(|&&word| word == text).copied().ok_or_else(|| {
        let quoted: Vec<_> = words.iter().map(|word| shown(word)).collect();
        let advice = nearest(text, words.iter().copied()).map_or("one of these".to_owned(), shown);
        format!("{} is not one of {}; write {advice}", shown(text), quoted.join(", "))
    })
}

/// The candidate that `given` was most likely meant to be.
pub fn nearest<'c>(given: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let distance = |candidate: &str| strsim::damerau_levenshtein(&given.to_lowercase(), candidate);
    let (candidate, distance) =
        candidates.into_iter().map(|candidate| (candidate, distance(candidate))).min_by_key(|&(_, far)| far)?;
    // A third of the letters may differ: more than that is another word.
    (distance <= given.chars().count().max(3) / 3).then_some(candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes() {
        for (text, seconds) in [("30s", 30), ("5m", 300), ("24h", 86_400), ("1d", 86_400), ("2 d", 172_800), ("0s", 0)]
        {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in
            ["", "30", "s", "1.5h", "-1s", "1w", "1 h 2 m", "30S", "99999999999999999999s", "999999999999999999d"]
        {
            assert!(duration(text).unwrap_err().contains("is not a duration; write"), "{text}");
        }
        for (text, octets) in [
            ("0", 0),
            ("65536", 65_536),
            ("10 B", 10),
            ("64 KiB", 65_536),
            ("128MiB", 134_217_728),
            ("1 GiB", 1_073_741_824),
            ("2 tib", 2_199_023_255_552),
            ("100 MB", 100_000_000),
            ("1 kB", 1000),
            ("1 TB", 1_000_000_000_000),
        ] {
            assert_eq!(size(text), Ok(octets), "{text}");
        }
        for text in ["", "MiB", "1.5 GiB", "-1", "128 M", "128 MiBs", "99999999999 TiB"] {
            assert!(size(text).unwrap_err().contains("is not a size; write"), "{text}");
        }
    }

    #[test]
    fn days() {
        for (text, days) in [
            ("1970-01-01", 1),
            ("1969-12-31", 0),
            ("1970-03-01", 60),
            ("2000-02-29", 11_017),
            ("2027-01-31", 20_850),
            ("2100-03-01", 47_542),
        ] {
            assert_eq!(end_of_day(text, &Zone::utc()), Ok(days * 86_400), "{text}");
        }
        let berlin = Zone::named("Europe/Berlin").unwrap();
        assert_eq!(end_of_day("2027-01-31", &berlin), Ok(20_850 * 86_400 - 3600));
        for text in ["", "2027-1-31", "2027-13-01", "2027-02-29", "2100-02-29", "2027-00-10", "2027-04-31", "31.1.2027"]
        {
            assert!(end_of_day(text, &Zone::utc()).unwrap_err().contains("is not a day; write"), "{text}");
        }
    }

    #[test]
    fn networks_and_addresses() {
        for (text, shown) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("192.0.2.1", "192.0.2.1/32"),
            ("::1", "::1/128"),
            ("fd00::/8", "fd00::/8"),
            ("::ffff:127.0.0.7", "127.0.0.7/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:0:0/96", "::ffff:0.0.0.0/96"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ] {
            assert_eq!(network(text).unwrap().to_string(), shown, "{text}");
        }
        assert_eq!(
            network("10.0.0.5/8").unwrap_err(),
            r#""10.0.0.5/8" has bits set after its prefix; write "10.0.0.0/8" or "10.0.0.5/32""#
        );
        for text in ["", "10.0.0.0/33", "10.0.0/8", "lan", "::/129"] {
            assert!(network(text).unwrap_err().contains("is not a network; write"), "{text}");
        }
        for (text, hint) in [
            ("127.0.0.1", r#"write "127.0.0.1:53""#),
            ("::1", r#"write "[::1]:53""#),
            (":53", r#"write "0.0.0.0:53" for IPv4, "[::]:53" for IPv6"#),
            ("localhost:53", r#"write such as "127.0.0.1:53" or "[::1]:53""#),
            ("127.0.0.1:99999", r#"write such as "127.0.0.1:53" or "[::1]:53""#),
        ] {
            assert_eq!(listen_address(text).unwrap_err().split_once("; ").unwrap().1, hint, "{text}");
        }
    }

    #[test]
    fn forward_servers() {
        for (text, protocol, address) in [
            ("10.0.0.1", ForwardProtocol::Udp, "10.0.0.1:53"),
            ("10.0.0.1:5300", ForwardProtocol::Udp, "10.0.0.1:5300"),
            ("udp://10.0.0.1", ForwardProtocol::Udp, "10.0.0.1:53"),
            ("tcp://[fd00::1]:5300", ForwardProtocol::Tcp, "[fd00::1]:5300"),
            ("tcp://[fd00::1]", ForwardProtocol::Tcp, "[fd00::1]:53"),
            ("fd00::1", ForwardProtocol::Udp, "[fd00::1]:53"),
        ] {
            let server = ForwardServer { protocol, address: address.parse().unwrap() };
            assert_eq!(forward_server(text), Ok(WrittenServer::Plain(server)), "{text}");
        }
        for text in ["tls://9.9.9.9#dns.quad9.net", "https://dns.example/dns-query", "quic://[fd00::1]"] {
            assert_eq!(forward_server(text), Ok(WrittenServer::Encrypted), "{text}");
        }
        for text in ["", "udp://", "dns.example", "udp://dns.example:53", "10.0.0.1:0", "ftp://10.0.0.1", "[fd00::1"] {
            assert!(forward_server(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shares_and_addresses() {
        for (text, expected) in [("1%", 1), ("50 %", 50), ("100%", 100)] {
            assert_eq!(percent(text), Ok(expected), "{text}");
        }
        for text in ["", "50", "0%", "101%", "-1%", "0.5%", "half"] {
            assert!(percent(text).unwrap_err().contains("is not a share; write"), "{text}");
        }
        assert_eq!(address("::ffff:192.0.2.1"), Ok(IpAddr::from([192, 0, 2, 1])));
        assert!(address("192.0.2.0/24").unwrap_err().contains("is not an address; write"));
    }

    #[test]
    fn words() {
        for (text, fine) in
            [("clean-store", true), ("a_1", true), ("", false), ("Clean", false), ("a/b", false), ("a b", false)]
        {
            assert_eq!(word(text).is_ok(), fine, "{text}");
        }
        assert!(word(&"a".repeat(41)).is_err());
        assert!(title("My list").is_ok() && title(" ").is_err() && title("a\nb").is_err());
    }

    #[test]
    fn the_nearest_word_is_suggested_and_a_far_one_not() {
        for (given, expected) in
            [("validte", Some("validate")), ("Validate", Some("validate")), ("ipv5", Some("ipv4")), ("colour", None)]
        {
            assert_eq!(nearest(given, ["ipv4", "validate", "workers"]), expected, "{given}");
        }
    }
}
