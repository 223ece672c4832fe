use super::*;
use proptest::prelude::*;

/// Splits text into fields, as a zone file would.
fn fields(text: &str) -> Vec<Field<'_>> {
    Tokens::new(text.as_bytes())
        .filter_map(|token| match token.unwrap() {
            Token::Field(field) => Some(field),
            _ => None,
        })
        .collect()
}

fn read(rr_type: &str, text: &str) -> Result<Vec<u8>, RdataError> {
    let origin: Name = "o.example".parse().unwrap();
    rdata(rr_type.parse().unwrap(), &fields(text), Some(&origin))
}

#[test]
fn data_of_each_type_is_read() {
    let soa = b"\x01p\0\x01m\x01o\x07example\0\0\0\0\x07\0\0\x0e\x10\0\0\x02\x58\0\x01\x51\x80\0\0\x07\x08";
    for (rr_type, text, expected) in [
        ("A", "192.0.2.1", &[192, 0, 2, 1][..]),
        ("AAAA", "2001:DB8::1", b"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"),
        ("NS", "ns.x.", b"\x02ns\x01x\0"),
        ("CNAME", ".", b"\0"),
        ("CNAME", "*.", b"\x01*\0"),
        ("cname", "@", b"\x01o\x07example\0"),
        ("CNAME", r"\@", b"\x01@\x01o\x07example\0"),
        ("CNAME", "WWW", b"\x03www\x01o\x07example\0"),
        ("CNAME", r"a\.", b"\x02a.\x01o\x07example\0"),
        ("CNAME", r"a\\.", b"\x02a\\\0"),
        ("DNAME", "y.", b"\x01y\0"),
        ("PTR", "y", b"\x01y\x01o\x07example\0"),
        ("MX", "10 mail.x.", b"\0\x0a\x04mail\x01x\0"),
        ("TXT", "\"a b\" c", b"\x03a b\x01c"),
        ("TXT", r#""a\"\\\007\;" "" "#, b"\x05a\"\\\x07;\0"),
        ("TXT", "\"é\"", b"\x02\xc3\xa9"),
        ("SPF", "\"v=spf1 -all\"", b"\x0bv=spf1 -all"),
        ("SRV", "0 5 5060 sip.x.", b"\0\0\0\x05\x13\xc4\x03sip\x01x\0"),
        ("SOA", "p. m 7 1h 10m 1d 30m", soa),
        ("SOA", "p. m ( 7\n3600 600 ; comment\n86400 1800 )", soa),
        ("CAA", "0 issue \"ca.example; a=b\"", b"\0\x05issueca.example; a=b"),
        ("HINFO", "PC \"Linux 6\"", b"\x02PC\x07Linux 6"),
        ("NAPTR", "10 20 \"s\" SIP+D2U \"\" x.", b"\0\x0a\0\x14\x01s\x07SIP+D2U\0\x01x\0"),
        ("TLSA", "3 1 1 01ab CD e f", b"\x03\x01\x01\x01\xab\xcd\xef"),
        ("SSHFP", "4 2 0102", b"\x04\x02\x01\x02"),
        ("DS", "258 13 2 ff", b"\x01\x02\x0d\x02\xff"),
        ("URI", "10 1 \"https://x/\"", b"\0\x0a\0\x01https://x/"),
        ("HTTPS", "1 . alpn=\"h2,h3\"", b"\0\x01\0\0\x01\0\x06\x02h2\x02h3"),
        ("SVCB", "0 svc", b"\0\0\x03svc\x01o\x07example\0"),
        ("TYPE65280", r"\# 3 01 0203", b"\x01\x02\x03"),
        ("TYPE65280", r"\# 0", b""),
        ("A", r"\# 4 c0000201", b"\xc0\0\x02\x01"),
        ("MX", r"\# 5 000a 01 78 00", b"\0\x0a\x01x\0"),
        ("RRSIG", r"\# 1 ff", b"\xff"),
    ] {
        assert_eq!(read(rr_type, text).as_deref(), Ok(expected), "{rr_type} {text}");
    }
    assert_eq!(rdata(RrType::CNAME, &[Field::word("a")], None).as_deref(), Ok(&b"\x01a\0"[..]));
}

#[test]
fn what_is_wrong_is_said() {
    let long_text = "a".repeat(256);
    let long_name = format!("{}.", vec!["a".repeat(63); 4].join("."));
    let near = format!("{}x", "a.".repeat(124));
    let huge = "\"".to_owned() + &"b".repeat(255) + "\" ";
    let huge = huge.repeat(257);
    for (rr_type, text, part) in [
        ("A", "", "A data is one IPv4 address: `192.0.2.1`"),
        ("A", "192.0.2.1 192.0.2.2", "A data is one IPv4 address"),
        ("A", "192.0.2.256", "`192.0.2.256` is no IPv4 address; write one such as 192.0.2.1"),
        ("A", "::1", "IPv4 address"),
        ("AAAA", "fe80::1%eth0", "no IPv6 address"),
        ("NS", "a..b", "empty label"),
        ("NS", "müller", "A-labels"),
        ("NS", &long_name, "longer than 255"),
        ("NS", &near, "longer than 255"),
        ("MX", "mail.x.", "`mail.x.` is no preference; write a whole number from 0 to 65535"),
        ("MX", "10", "MX data is a preference and a host"),
        ("MX", "70000 x.", "0 to 65535"),
        ("MX", "+1 x.", "0 to 65535"),
        ("TXT", "", "in quotation marks"),
        ("TXT", &long_text, "split it into several"),
        ("TXT", r"a\300", "backslash"),
        ("TXT", r"a\1", "backslash"),
        ("TXT", "k=\"v w\"", "has a quotation mark inside"),
        ("TXT", &huge, "longer than 65535"),
        ("SRV", "0 0 x.", "is no port"),
        ("SOA", "p. m. 1 1 1 1", "five numbers"),
        ("SOA", "p. m. 1 1x 1 1 1", "refresh time"),
        ("CAA", "0 iss-ue x", "no tag"),
        ("CAA", "256 issue x", "0 to 255"),
        ("TLSA", "3 1 1 abc", "two digits for each octet"),
        ("TLSA", "3 1 1 zz", "hexadecimal"),
        ("TLSA", "3 1 1 \"\"", "hexadecimal"),
        ("DS", "1 2 3", "hexadecimal digits"),
        ("URI", "1 1 \"\"", "priority, weight and address"),
        ("HTTPS", "1", "priority, target"),
        ("HTTPS", "1 . port=x", "parameter `port`"),
        ("RRSIG", "A 8 2", r"RRSIG data can't be read from words by this version; write `\# LENGTH HEX`"),
        ("TYPE65280", "x", r"\# LENGTH HEX"),
        ("TYPE65280", r"\# 2 01", r"`\# 2` is followed by 1 octets"),
        ("TYPE65280", r"\# 1", "LENGTH HEX"),
        ("TYPE65280", r"\# x", "no length"),
        ("A", r"\# 1 01", r"the octets after `\#` are no A data"),
        ("CNAME", r"\# 2 c000", "no CNAME data"),
        ("SOA", r"\# 3 000000", "no SOA data"),
        ("ANY", "x", "type of question"),
        ("OPT", r"\# 0", "type of question"),
    ] {
        let error = read(rr_type, text).unwrap_err().to_string();
        assert!(error.contains(part), "{rr_type} {text}: {error}");
    }
}

#[test]
fn records_are_read_from_a_line() {
    for (text, expected) in [
        ("nas.lan. A 192.168.1.10", "nas.lan.\t3600\tIN\tA\t192.168.1.10"),
        ("NAS.lan 300 IN TXT \"x\"", "nas.lan.\t300\tIN\tTXT\t\"x\""),
        ("nas.lan in 1h30m txt x ; comment", "nas.lan.\t5400\tIN\tTXT\t\"x\""),
        ("*.lan. CLASS1 CNAME nas.lan", "*.lan.\t3600\tIN\tCNAME\tnas.lan."),
        ("  @ 0 MX 10 (mail.lan)", ".\t0\tIN\tMX\t10 mail.lan."),
        ("10.lan. TYPE1 10.0.0.1", "10.lan.\t3600\tIN\tA\t10.0.0.1"),
        (r"x. TYPE65280 \# 1 ff", "x.\t3600\tIN\tTYPE65280\t\\# 1 ff"),
    ] {
        assert_eq!(record(text).map(|record| record.to_string()).as_deref(), Ok(expected), "{text}");
    }
    for (text, part) in [
        ("", "there is no record"),
        ("; comment", "there is no record"),
        ("a..b A 192.0.2.1", "`a..b` is no name"),
        ("nas.lan.", "the type is missing"),
        ("nas.lan. 300 IN", "the type is missing"),
        ("nas.lan. 192.168.1.10", "`192.168.1.10` is no TTL"),
        ("nas.lan. 2147483648 A 192.0.2.1", "is no TTL"),
        ("nas.lan. CH A 192.0.2.1", "class `CH` is not served"),
        ("nas.lan. CLASS3 A 192.0.2.1", "class `CLASS3` is not served"),
        ("nas.lan. AX 192.0.2.1", "`AX` is no record type"),
        ("nas.lan. 1 2 A 192.0.2.1", "`2` is no record type"),
        ("nas.lan. \"A\" 192.0.2.1", "`A` is no record type"),
        ("nas.lan. A nas", "no IPv4 address"),
        ("nas.lan. TXT \"x", "never closed"),
    ] {
        let error = record(text).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn times_have_units() {
    for (text, expected) in [
        ("0", Some(0)),
        ("2147483647", Some(2_147_483_647)),
        ("1w2D3h4m5s", Some(788_645)),
        ("30m", Some(1800)),
        ("2147483648", None),
        ("9999999999999999999999", None),
        ("3551w", None),
        ("1h30", None),
        ("h", None),
        ("", None),
        ("-1", None),
        ("1x", None),
    ] {
        assert_eq!(ttl(text.as_bytes()), expected, "{text}");
    }
}

/// A name whose labels hold any octets.
fn any_name() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 1..8), 0..5).prop_map(|labels| {
        let mut wire = Vec::new();
        for label in labels {
            wire.push(label.len() as u8);
            wire.extend(label);
        }
        wire.push(0);
        // Names are lower case throughout this program.
        Name::from_wire(&wire).unwrap().as_wire().to_vec()
    })
}

/// A type and well-formed data of it.
fn any_data() -> impl Strategy<Value = (RrType, Vec<u8>)> {
    let octets = |count: usize| prop::collection::vec(any::<u8>(), count);
    let string = prop::collection::vec(any::<u8>(), 0..20).prop_map(|text| [&[text.len() as u8], &text[..]].concat());
    let strings = prop::collection::vec(string.clone(), 1..4).prop_map(|all| all.concat());
    let with_name = |rr_type, count| (octets(count), any_name()).prop_map(move |(a, b)| (rr_type, [a, b].concat()));
    let of = |rr_type: RrType| move |data: Vec<u8>| (rr_type, data);
    prop_oneof![
        octets(4).prop_map(of(RrType::A)),
        octets(16).prop_map(of(RrType::AAAA)),
        any_name().prop_map(of(RrType::NS)),
        any_name().prop_map(of(RrType::CNAME)),
        any_name().prop_map(of(RrType::DNAME)),
        any_name().prop_map(of(RrType::PTR)),
        with_name(RrType::MX, 2),
        with_name(RrType::SRV, 6),
        strings.clone().prop_map(of(RrType::TXT)),
        strings.prop_map(of(RrType::SPF)),
        (string.clone(), string).prop_map(|(a, b)| (RrType::HINFO, [a, b].concat())),
        (any_name(), any_name(), octets(20)).prop_map(|(a, b, c)| (RrType::SOA, [a, b, c].concat())),
        prop::collection::vec(any::<u8>(), 0..30).prop_map(of(RrType::HTTPS)),
        prop::collection::vec(any::<u8>(), 0..30).prop_map(of(RrType(65280))),
    ]
}

proptest! {
    #[test]
    fn what_is_shown_reads_back((rr_type, data) in any_data(), owner in any_name(), ttl in 0..=i32::MAX as u32) {
        let owner = Name::from_wire(&owner).unwrap();
        let shown = Record { owner, rr_type, class: Class::IN, ttl, data };
        prop_assert_eq!(record(&shown.to_string()), Ok(shown.clone()), "{}", shown);
    }

    #[test]
    fn any_text_is_a_record_or_an_error(text in "\\PC{0,60}", rr_type in any::<u16>()) {
        let _ = record(&text);
        let _ = record(&format!("x. {text}"));
        let _ = record(&format!("x. {} {text}", RrType(rr_type)));
        for rr_type in 1..66 {
            let _ = record(&format!("x. {} {text}", RrType(rr_type)));
        }
    }
}
