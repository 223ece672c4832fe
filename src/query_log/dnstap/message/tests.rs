//! Payloads against octets written by hand, there and back, and broken.

use super::*;

/// Everything said.
fn full(kind: Kind) -> OwnedEvent {
    Event {
        transport: Some(Transport::Tcp),
        query_address: Some("[2001:db8::1]:4711".parse().unwrap()),
        response_address: Some("[2001:db8::53]:53".parse().unwrap()),
        query_time: Some(1_700_000_000_123_456),
        response_time: Some(1_700_000_000_999_999),
        query: Cow::Owned(vec![1; 40]),
        response: Cow::Owned(vec![2; 4000]),
        zone: Cow::Borrowed(b"\x07example\0"),
        policy: Some(PolicyApplied {
            kind: Cow::Borrowed("RPZ"),
            rule: Cow::Borrowed(b"ads.example"),
            action: Some(Action::LocalData),
            matched: Some(Matched::NsIp),
            value: Cow::Borrowed(&[192, 0, 2, 1]),
        }),
        extra: Cow::Borrowed(b"group=guests"),
        ..Event::new(kind)
    }
}

fn encoded(event: &Event<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    encode(event, b"resolver", b"cleandns 1", &mut out);
    out
}

#[test]
fn a_payload_is_what_the_schema_says() {
    let event = Event {
        transport: Some(Transport::Udp),
        query_address: Some("192.0.2.1:53".parse().unwrap()),
        query_time: Some(1_000_002),
        query: Cow::Borrowed(&[0xab, 0xcd]),
        ..Event::new(Kind::ClientQuery)
    };
    let golden = [
        &[0x0a, 1, b'a'][..],      // identity
        &[0x72, 25],               // message, of 25 octets
        &[0x08, 5],                // type
        &[0x10, 1],                // socket_family
        &[0x18, 1],                // socket_protocol
        &[0x22, 4, 192, 0, 2, 1],  // query_address
        &[0x30, 53],               // query_port
        &[0x40, 1],                // query_time_sec
        &[0x4d, 0xd0, 0x07, 0, 0], // query_time_nsec, 2000
        &[0x52, 2, 0xab, 0xcd],    // query_message
        &[0x78, 1],                // type of the payload
    ];
    let mut out = b"before".to_vec();
    encode(&event, b"a", b"", &mut out);
    assert_eq!(out, [&b"before"[..], &golden.concat()].concat());
    assert_eq!(decode(&out[6..]), Ok(event));
}

#[test]
fn what_is_written_is_read() {
    for kind in Kind::ALL {
        assert_eq!(decode(&encoded(&full(kind))), Ok(full(kind)), "{}", kind.word());
        assert_eq!(decode(&encoded(&Event::new(kind))), Ok(Event::new(kind)), "{}", kind.word());
    }
    for action in Action::ALL {
        for matched in Matched::ALL {
            let policy = PolicyApplied { action: Some(action), matched: Some(matched), ..PolicyApplied::default() };
            let event = Event { policy: Some(policy), ..Event::new(Kind::ClientResponse) };
            assert_eq!(decode(&encoded(&event)), Ok(event));
        }
    }
    let at = |time| Event { response_time: Some(time), ..Event::new(Kind::ResolverResponse) };
    for time in [0, 1, 999_999, 1_000_000, i64::MAX] {
        assert_eq!(decode(&encoded(&at(time))), Ok(at(time)), "{time}");
    }
    assert_eq!(decode(&encoded(&at(-1))).unwrap().response_time, None, "before 1970");
}

#[test]
fn writing_allocates_nothing() {
    let (event, mut out) = (full(Kind::ClientResponse), Vec::with_capacity(8192));
    let counted = allocation_counter::measure(|| encode(&event, b"resolver", b"cleandns 1", &mut out));
    assert_eq!(counted.count_total, 0);
    assert!(out.len() > 4000);
}

#[test]
fn addresses_of_two_families_are_written_in_one() {
    let event = Event {
        query_address: Some("192.0.2.1:0".parse().unwrap()),
        response_address: Some("[::1]:53".parse().unwrap()),
        ..Event::new(Kind::ClientQuery)
    };
    let read = decode(&encoded(&event)).unwrap();
    assert_eq!(read.query_address, Some("[::ffff:192.0.2.1]:0".parse().unwrap()));
    assert_eq!(read.response_address, event.response_address);
}

#[test]
fn encrypted_transports_are_what_they_run_over() {
    let tcp = Some(Transport::Tcp);
    let udp = Some(Transport::Udp);
    for (protocol, expected) in [(0, None), (1, udp), (2, tcp), (3, tcp), (4, tcp), (5, udp), (6, tcp), (7, None)] {
        let payload = [0x72, 4, 0x08, 5, 0x18, protocol, 0x78, 1];
        assert_eq!(decode(&payload).unwrap().transport, expected, "{protocol}");
    }
}

#[test]
fn broken_payloads_are_errors() {
    let payload = |message: &[u8]| [&[0x78, 1, 0x72, message.len() as u8][..], message].concat();
    let table: [(&[u8], &str); 11] = [
        (b"", "it holds no message (its type is 0)"),
        (&[0x78, 2, 0x72, 2, 0x08, 5], "it holds no message (its type is 2)"),
        (&[0x72, 2, 0x08, 5], "it holds no message (its type is 0)"),
        (&[0x78, 1], "it holds no message (its type is 1)"),
        (&payload(b""), "messages of type 0 are not read; 3 to 6 are, those of a resolver and its clients"),
        (&payload(&[8, 14]), "messages of type 14 are not read; 3 to 6 are, those of a resolver and its clients"),
        (&payload(&[8, 5, 0x22, 3, 1, 2, 3]), "an address of 3 octets"),
        (&payload(&[8, 5, 0x22, 4, 1, 2, 3, 4, 0x30, 0x80, 0x80, 4]), "port 65536, but ports end at 65535"),
        (
            &payload(&[8, 5, 0x40, 7, 0x4d, 0, 0xca, 0x9a, 0x3b]),
            "a time that is no time: 7 s and 1000000000 ns since 1970",
        ),
        (
            &payload(&[8, 5, 0x40, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]),
            "a time that is no time: 18446744073709551615 s and 0 ns since 1970",
        ),
        (b"GET / HTTP/1.1", "it is no dnstap payload: "),
    ];
    for (octets, why) in table {
        let error = decode(octets).unwrap_err().to_string();
        assert!(error.starts_with(why), "{octets:x?}: {error}");
    }
}

/// Whatever is cut off or changed, there is a result.
#[test]
fn damage_is_no_panic() {
    let whole = encoded(&full(Kind::ClientResponse));
    for end in 0..whole.len() {
        assert!(decode(&whole[..end]).is_err(), "{end}");
    }
    let mut changed = whole;
    for at in 0..changed.len().min(200) {
        for bit in 0..8 {
            changed[at] ^= 1 << bit;
            let _ = decode(&changed);
            changed[at] ^= 1 << bit;
        }
    }
}

#[test]
fn what_is_told_beside_a_message_is_read_again() {
    for (is_network, group, text) in [
        (false, "", ""),
        (false, "kids", "group=kids"),
        (true, "", "privacy=prefix"),
        (true, "a;b = c", "privacy=prefix;group=a;b = c"),
    ] {
        let extra = Extra { is_network, group };
        assert_eq!(extra.text(), text);
        assert_eq!(Extra::read(text.as_bytes()), extra);
    }
    for text in [&b"\xff"[..], b"whatever others write", b"groups"] {
        assert_eq!(Extra::read(text), Extra::default());
    }
}
