//! The parameters of SVCB and HTTPS records: `key=value` words to wire form (RFC 9460 §2.1, §7, RFC 9461 §5).

use super::{Field, RdataError, excerpt, number, unescape};
use smallvec::SmallVec;
use std::{net::Ipv4Addr, net::Ipv6Addr, slice};

/// Parameters that this program knows by name.
const KEYS: [(&str, u16); 9] = [
    ("mandatory", MANDATORY),
    ("alpn", ALPN),
    ("no-default-alpn", NO_DEFAULT_ALPN),
    ("port", 3),
    ("ipv4hint", 4),
    ("ech", 5),
    ("ipv6hint", 6),
    ("dohpath", 7),
    ("ohttp", 8),
];
const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;
/// Never a parameter (RFC 9460 §14.3.2).
const KEY_INVALID: u16 = 65_535;

type Octets = SmallVec<[u8; 64]>;

/// Reads the parameters that follow priority and target, and appends them in the order of their keys.
pub fn write_parameters(fields: &mut slice::Iter<'_, Field<'_>>, data: &mut Vec<u8>) -> Result<(), RdataError> {
    let mut parameters: Vec<(u16, Octets)> = Vec::new();
    let mut mandatory = Vec::new();
    for field in fields {
        let (key_text, value) = split(*field);
        let fail = |problem| RdataError::Parameter { key: excerpt(key_text), problem };
        let key = key_of(key_text)
            .ok_or_else(|| fail("is unknown; write such as alpn, port or ipv4hint, or its number such as key65280"))?;
        let value = value_of(key, key_text, value, &mut mandatory)?;
        if parameters.iter().any(|(other, _)| *other == key) {
            return Err(fail("stands there twice; keep one of the two"));
        }
        parameters.push((key, value));
    }
    let has = |key: u16| parameters.iter().any(|(other, _)| *other == key);
    let fail = |key: &str, problem| Err(RdataError::Parameter { key: key.to_owned(), problem });
    if mandatory.iter().any(|key| !has(*key)) {
        return fail("mandatory", "names a parameter that isn't there; add that, or remove its name");
    }
    if has(NO_DEFAULT_ALPN) && !has(ALPN) {
        return fail("no-default-alpn", "needs alpn beside it");
    }
    parameters.sort_by_key(|(key, _)| *key);
    for (key, value) in parameters {
        let length = u16::try_from(value.len()).map_err(|_| RdataError::TooLong)?;
        data.extend_from_slice(&key.to_be_bytes());
        data.extend_from_slice(&length.to_be_bytes());
        data.extend_from_slice(&value);
    }
    Ok(())
}

/// Key and value; quotation marks around the value are taken off, also if they stand around the whole.
fn split(field: Field<'_>) -> (&[u8], Option<Field<'_>>) {
    let Some(at) = field.text.iter().position(|&octet| octet == b'=') else { return (field.text, None) };
    let (key, text) = (&field.text[..at], &field.text[at + 1..]);
    let bare = text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")).filter(|_| !field.quoted);
    (key, Some(Field { text: bare.unwrap_or(text), quoted: field.quoted || bare.is_some() }))
}

/// The number of a key, by name or as `keyNNNNN` without leading zeros.
fn key_of(text: &[u8]) -> Option<u16> {
    if let Some((_, key)) = KEYS.iter().find(|(name, _)| text.eq_ignore_ascii_case(name.as_bytes())) {
        return Some(*key);
    }
    let (prefix, digits) = text.split_at_checked(3)?;
    let is_plain = !digits.is_empty() && (digits == b"0" || digits[0] != b'0');
    let key = number::<u16>(digits).filter(|&key| is_plain && key != KEY_INVALID)?;
    prefix.eq_ignore_ascii_case(b"key").then_some(key)
}

/// The wire form of a value. The keys that `mandatory` names are put into the list given.
fn value_of(
    key: u16,
    key_text: &[u8],
    value: Option<Field<'_>>,
    mandatory: &mut Vec<u16>,
) -> Result<Octets, RdataError> {
    let fail = |problem| RdataError::Parameter { key: excerpt(key_text), problem };
    let mut octets = Vec::new();
    if let Some(value) = value {
        unescape(value, &mut octets)?;
    }
    // `key1=…` is the wire form as it stands, whatever the name of key 1 is.
    let is_named = KEYS.iter().any(|(name, _)| key_text.eq_ignore_ascii_case(name.as_bytes()));
    if !is_named {
        return Ok(octets.into());
    }
    let is_flag = matches!(key, NO_DEFAULT_ALPN | 8);
    match (is_flag, octets.is_empty()) {
        (true, false) => return Err(fail("takes no value; write it alone")),
        (false, true) => return Err(fail("needs a value; write such as alpn=\"h2,h3\" or port=443")),
        _ => {}
    }
    match key {
        MANDATORY => {
            for item in items(&octets) {
                let named = key_of(&item).filter(|&key| key != MANDATORY && !mandatory.contains(&key));
                mandatory.push(named.ok_or_else(|| fail("names other parameters, each once: mandatory=alpn,port"))?);
            }
            mandatory.sort_unstable();
            Ok(mandatory.iter().flat_map(|key| key.to_be_bytes()).collect())
        }
        ALPN => {
            let mut list = Octets::new();
            for item in items(&octets) {
                let length = u8::try_from(item.len()).ok().filter(|&length| length > 0);
                list.push(length.ok_or_else(|| fail("is a list of protocols of 1 to 255 octets: alpn=\"h2,h3\""))?);
                list.extend_from_slice(&item);
            }
            Ok(list)
        }
        3 => match number::<u16>(&octets) {
            Some(port) => Ok(port.to_be_bytes().as_slice().into()),
            None => Err(fail("is a whole number from 0 to 65535: port=443")),
        },
        4 => addresses(&octets, |address: Ipv4Addr| address.octets())
            .ok_or_else(|| fail("is a list of IPv4 addresses: ipv4hint=192.0.2.1,192.0.2.2")),
        5 => base64(&octets).ok_or_else(|| fail("is written in base64: ech=\"AEX+…\"")),
        6 => addresses(&octets, |address: Ipv6Addr| address.octets())
            .ok_or_else(|| fail("is a list of IPv6 addresses: ipv6hint=2001:db8::1,2001:db8::2")),
        _ => Ok(octets.into()),
    }
}

/// The items of a list. Inside one `\,` is a comma and `\\` a backslash (RFC 9460 appendix A.1).
fn items(list: &[u8]) -> Vec<Octets> {
    let mut all = vec![Octets::new()];
    let mut octets = list.iter();
    while let Some(&octet) = octets.next() {
        let item = all.last_mut().expect("there is one from the start, and none is taken away");
        match octet {
            b',' => all.push(Octets::new()),
            b'\\' => item.extend(octets.next().copied()),
            _ => item.push(octet),
        }
    }
    all
}

fn addresses<A: std::str::FromStr, const N: usize>(list: &[u8], octets: impl Fn(A) -> [u8; N]) -> Option<Octets> {
    let text = std::str::from_utf8(list).ok()?;
    let mut all = Octets::new();
    for address in text.split(',') {
        all.extend_from_slice(&octets(address.parse().ok()?));
    }
    Some(all)
}

/// Octets from base64 with its padding (RFC 4648 §4).
fn base64(text: &[u8]) -> Option<Octets> {
    let digits = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    if !text.len().is_multiple_of(4) || digits.len() % 4 == 1 {
        return None;
    }
    let (mut octets, mut bits, mut count) = (Octets::new(), 0u32, 0);
    for &digit in digits {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            octets.push((bits >> count) as u8);
        }
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::{super::Tokens, *};
    use crate::dns::presentation::Token;

    fn read(text: &str) -> Result<Vec<u8>, RdataError> {
        let fields: Vec<_> = Tokens::new(text.as_bytes())
            .map(|token| match token.unwrap() {
                Token::Field(field) => field,
                other => panic!("{other:?}"),
            })
            .collect();
        let mut data = Vec::new();
        write_parameters(&mut fields.iter(), &mut data).map(|()| data)
    }

    #[test]
    fn parameters_are_written_in_order() {
        // The examples of RFC 9460 appendix D, less priority and target, and some more.
        for (text, expected) in [
            ("", &b""[..]),
            ("port=53", b"\0\x03\0\x02\0\x35"),
            ("key667=hello", b"\x02\x9b\0\x05hello"),
            (r#"key667="hello\210qoo""#, b"\x02\x9b\0\x09hello\xd2qoo"),
            ("key667", b"\x02\x9b\0\0"),
            ("key667=", b"\x02\x9b\0\0"),
            ("key1=raw", b"\0\x01\0\x03raw"),
            (
                r#"ipv6hint="2001:db8::1,2001:db8::53:1""#,
                b"\0\x06\0\x20\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\x53\0\x01",
            ),
            (
                "alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1",
                b"\0\0\0\x04\0\x01\0\x04\0\x01\0\x09\x02h2\x05h3-19\0\x04\0\x04\xc0\0\x02\x01",
            ),
            (r#"alpn="f\\\\oo\\,bar,h2""#, b"\0\x01\0\x0c\x08f\\oo,bar\x02h2"),
            (r"alpn=f\\\092oo\092,bar,h2", b"\0\x01\0\x0c\x08f\\oo,bar\x02h2"),
            ("no-default-alpn ALPN=h2", b"\0\x01\0\x03\x02h2\0\x02\0\0"),
            ("\"alpn=h2\"", b"\0\x01\0\x03\x02h2"),
            ("ech=AAEC", b"\0\x05\0\x03\0\x01\x02"),
            ("ech=\"AAE=\"", b"\0\x05\0\x02\0\x01"),
            ("ech=AA==", b"\0\x05\0\x01\0"),
            ("dohpath=/dns-query{?dns}", b"\0\x07\0\x10/dns-query{?dns}"),
            ("ohttp", b"\0\x08\0\0"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, key, part) in [
            ("port", "port", "needs a value"),
            ("port=", "port", "needs a value"),
            ("port=65536", "port", "65535"),
            ("port=+1", "port", "65535"),
            ("port=1,2", "port", "65535"),
            ("alpn=h2,,h3", "alpn", "list of protocols"),
            ("alpn=", "alpn", "needs a value"),
            ("no-default-alpn=1 alpn=h2", "no-default-alpn", "takes no value"),
            ("no-default-alpn", "no-default-alpn", "needs alpn"),
            ("ipv4hint=192.0.2", "ipv4hint", "IPv4"),
            ("ipv4hint=192.0.2.1,", "ipv4hint", "IPv4"),
            ("ipv6hint=192.0.2.1", "ipv6hint", "IPv6"),
            ("ech=A", "ech", "base64"),
            ("ech=AAAAA===", "ech", "base64"),
            ("ech=!AAA", "ech", "base64"),
            ("mandatory=port", "mandatory", "isn't there"),
            ("mandatory=mandatory", "mandatory", "each once"),
            ("mandatory=port,port port=1", "mandatory", "each once"),
            ("port=1 port=2", "port", "twice"),
            ("port=1 key3=ab", "key3", "twice"),
            ("key65535=x", "key65535", "unknown"),
            ("key065=x", "key065", "unknown"),
            ("keyx=1", "keyx", "unknown"),
            ("=1", "", "unknown"),
            ("colour=red", "colour", "unknown"),
        ] {
            match read(text) {
                Err(RdataError::Parameter { key: found, problem }) => {
                    assert!(found == key && problem.contains(part), "{text}: {found} {problem}");
                }
                other => panic!("{text}: {other:?}"),
            }
        }
        assert_eq!(read(r"alpn=h2\"), Err(RdataError::BadEscape));
        let long = format!("key9={}", "a".repeat(65_536));
        assert_eq!(read(&long), Err(RdataError::TooLong));
    }
}
