//! Every format as a table: what is written, and what is read of it. Files of packets are put together by hand.

use super::*;
use crate::policy::Reached;
use etherparse::PacketBuilder;
use proptest::prelude::*;

/// 2026-11-28 22:00 UTC.
const NOW: i64 = 1_795_903_200;

fn clock() -> WallClock {
    WallClock { now: NOW, zone: Zone::named("Europe/Berlin").unwrap() }
}

/// All steps of a file that matter, as text.
pub(super) fn steps(text: &[u8], format: Option<Format>) -> Vec<String> {
    match open(Cursor::new(text.to_vec()), None, format, &clock()) {
        Ok(opened) => steps_of(opened),
        Err(error) => vec![format!("cannot: {error}")],
    }
}

/// The same of a database.
pub(super) fn steps_at(path: &Path) -> Vec<String> {
    match open(std::fs::File::open(path).unwrap(), Some(path), None, &clock()) {
        Ok(opened) => steps_of(opened),
        Err(error) => vec![format!("cannot: {error}")],
    }
}

fn steps_of(Opened { mut source, .. }: Opened) -> Vec<String> {
    let (mut asked, mut all) = (Asked::default(), Vec::new());
    loop {
        match source.advance(&mut asked).unwrap() {
            Step::Asked => all.push(shown(&asked)),
            Step::Ignored => {}
            Step::Skipped(reason) => all.push(format!("{}: skipped: {reason}", source.place())),
            Step::Broken(reason) => {
                all.push(format!("{}: broken: {reason}", source.place()));
                assert_eq!(source.advance(&mut asked).unwrap(), Step::End, "nothing comes after the end");
                return all;
            }
            Step::End => return all,
        }
    }
}

fn shown(asked: &Asked) -> String {
    let Asked { time, client, client_text, client_id, tcp, name, rr_type, links, recorded, told, unaskable } = asked;
    let mut text = format!("{name} {rr_type}");
    let mut add = |part: String| text.push_str(&format!(" {part}"));
    client.iter().for_each(|client| add(client.to_string()));
    [client_text, client_id].into_iter().filter(|text| !text.is_empty()).for_each(|text| add(text.clone()));
    time.iter().for_each(|time| add(jiff::Timestamp::from_microsecond(*time).unwrap().to_string()));
    tcp.then(|| add("tcp".to_owned()));
    for link in links {
        let of_address = matches!(link.what, Reached::Address(_));
        add(format!("{}{}", if of_address { "=" } else { ">" }, link.what));
    }
    recorded.iter().for_each(|fate| add(fate.word().to_owned()));
    if *told != Told::default() {
        add(format!("{}/{} {}", told.program, told.service, told.rule));
    }
    unaskable.then(|| add("unaskable".to_owned()));
    text
}

/// One line is read so.
fn each(format: Format, table: &[(&str, &str)]) {
    for (line, expected) in table {
        assert_eq!(steps(line.as_bytes(), Some(format)).join("\n"), *expected, "{line}");
    }
}

#[test]
fn dnsperf() {
    each(
        Format::Dnsperf,
        &[
            ("example.com A", "example.com A"),
            ("  Example.COM.\tTYPE65  +opt ", "example.com HTTPS"),
            ("a.example AAAA\r\n\n; comment\n# comment\n. NS\n", "a.example AAAA\n. NS"),
            ("x", "line 1: skipped: the line is no name and type, such as `example.com A`"),
            ("\n\nexample.com X", "line 3: skipped: the second word is no record type"),
            ("a..b A", "line 1: skipped: the name has an empty label (two dots in a row, or a leading dot)"),
            (
                "\u{fc}.de A\nb.de A",
                "line 1: skipped: the name has a character outside printable ASCII; write \
              internationalised names as A-labels (xn--…)\nb.de A",
            ),
        ],
    );
}

#[test]
fn ours() {
    let line = |extra: &str| {
        format!(
            r#"{{"time":"2026-11-28T21:12:44.123456Z","client":"192.168.1.7","group":"default","transport":"udp",
            "name":"www.tiktok.com","type":"A","rcode":"NXDOMAIN","micros":38,"a field of tomorrow":[1]{extra}}}"#
        )
        .replace('\n', "")
    };
    let said = |program: &str, trigger: &str, outcome: &str| {
        format!(
            r#"{{"program":"{program}","service":"s","list":"s.list","version":"0","line":7,"rule":"tiktok.com",
            "trigger":"{trigger}","outcome":"{outcome}","acted":true}}"#
        )
    };
    let verdicts = |all: &[String]| line(&format!(r#","verdicts":[{}]"#, all.join(",")).replace('\n', ""));
    let base = "www.tiktok.com A 192.168.1.7 2026-11-28T21:12:44.123456Z";
    for (text, expected) in [
        (line(""), format!("{base} passed")),
        (line(r#","owner":"cleandns.toml:12""#), format!("{base} excepted / exception cleandns.toml:12")),
        (verdicts(&[said("p", "qname", "block")]), format!("{base} blocked p/s s.list:7")),
        // The strongest counts, whoever said it first.
        (
            verdicts(&[said("p", "qname", "except"), said("q", "qname", "would-block"), said("r", "client", "except")]),
            format!("{base} would-block q/s s.list:7"),
        ),
        // What the line doesn't tell can't be asked again.
        (verdicts(&[said("p", "cname", "block")]), format!("{base} passed unaskable")),
        (
            verdicts(&[said("p", "ns-name", "block"), said("q", "qname", "except")]),
            format!("{base} excepted q/s s.list:7 unaskable"),
        ),
        (
            line(
                &format!(
                    r#","aliases":["b.example","c.example"],"addresses":["192.0.2.1"],"verdicts":[{}]"#,
                    said("p", "cname", "block")
                )
                .replace('\n', ""),
            ),
            format!("{base} >b.example >c.example =192.0.2.1 blocked p/s s.list:7"),
        ),
        // Refused by the access list, or not to be read: no policy was asked.
        (line(r#","ede":18"#), String::new()),
        (r#"{"time":"2026-11-28T21:12:44Z","group":"default","rcode":"FORMERR","micros":1}"#.to_owned(), String::new()),
        (verdicts(&[said("p", "rumour", "block")]), "line 1: skipped: trigger: `rumour` is no trigger".to_owned()),
        (verdicts(&[said("p", "qname", "perhaps")]), "line 1: skipped: outcome: `perhaps` is no outcome".to_owned()),
        (
            line("").replace("2026-", "soon"),
            "line 1: skipped: time: `soon11-28T21:12:44.123456Z` is no time".to_owned(),
        ),
        (
            line("").replace("\"A\"", "\"AQ\""),
            "line 1: skipped: type: `AQ` is not a known mnemonic (numbers are written like TYPE65)".to_owned(),
        ),
        // Privacy: a network, a pseudonym, nothing.
        (line("").replace("1.7", "1.0/24"), base.replace("1.7", "1.0/24") + " passed"),
        (line("").replace("192.168.1.7", ""), base.replace(" 192.168.1.7", "") + " passed"),
        (line("").replace("192.168.1.7", "::ffff:192.168.1.7").replace("udp", "tcp"), format!("{base} tcp passed")),
    ] {
        assert_eq!(steps(text.as_bytes(), None).join("\n"), expected, "{text}");
    }
    let broken = steps(line("").split_at(60).0.as_bytes(), Some(Format::Ours));
    assert!(broken[0].starts_with("line 1: skipped: the line is no query of our log: EOF"), "{broken:?}");
}

#[test]
fn adguard() {
    let line = |result: &str| {
        format!(
            r#"{{"T":"2023-04-05T18:55:56.519796+03:00","QH":"ads.example","QT":"HTTPS","QC":"IN","CP":"","Upstream":"u","Answer":"Qz+B","IP":"192.168.1.2","Result":{{{result}}},"Elapsed":837429}}"#
        )
    };
    let base = "ads.example HTTPS 192.168.1.2 2023-04-05T15:55:56.519796Z";
    for (text, expected) in [
        (line(""), format!("{base} passed")),
        (
            line(r#""IsFiltered":true,"Reason":3,"Rules":[{"FilterListID":42,"Text":"||ads.example^"}]"#),
            format!("{base} blocked AdGuard Home/filters ||ads.example^"),
        ),
        (
            line(r#""IsFiltered":true,"Reason":3,"Rule":"||ads.","FilterID":1"#),
            format!("{base} blocked AdGuard Home/filters ||ads."),
        ),
        (
            line(r#""IsFiltered":true,"Reason":8,"ServiceName":"tiktok","Rules":[]"#),
            format!("{base} blocked AdGuard Home/tiktok "),
        ),
        (
            line(r#""Reason":1,"Rules":[{"Text":"@@||ads.example^"}]"#),
            format!("{base} excepted AdGuard Home/allowlists @@||ads.example^"),
        ),
        (line(r#""Reason":9,"CanonName":"x""#), format!("{base} passed")),
        (
            line("").replace(r#""CP":"""#, r#""CP":"dot","CID":"Laptop""#),
            base.replace(" 2023", " laptop 2023") + " tcp passed",
        ),
        (line("").replace("IN", "CH"), "line 1: skipped: QC: the class CH is not IN".to_owned()),
        (
            line("").replace("2023-", "12/"),
            "line 1: skipped: T: `12/04-05T18:55:56.519796+03:00` is no time".to_owned(),
        ),
        (
            line("").replace("ads.", "ads.."),
            "line 1: skipped: QH: the name has an empty label (two dots in a row, or a leading dot)".to_owned(),
        ),
    ] {
        assert_eq!(steps(text.as_bytes(), None).join("\n"), expected, "{text}");
    }
    let broken = line("").replace(r#""QH":"ads.example""#, r#""QH":6"#);
    assert!(
        steps(broken.as_bytes(), None)[0].starts_with("line 1: skipped: the line is no query of AdGuard Home's log")
    );
}

#[test]
fn pihole() {
    const A: &str = "Nov 28 21:12:44 dnsmasq[123]: ";
    const T: &str = "2026-11-28T20:12:44Z";
    let lines = |messages: &[&str]| messages.iter().map(|message| format!("{A}{message}\n")).collect::<String>();
    for (text, expected) in [
        (lines(&["query[A] example.com from 192.168.1.2"]), vec![format!("example.com A 192.168.1.2 {T} passed")]),
        (
            lines(&[
                "query[A] a.example from 10.0.0.1",
                "query[type=65] A.example from fd00::1",
                "gravity blocked a.example is 0.0.0.0",
                "query[AAAA] b.example from 10.0.0.1",
                "forwarded b.example to 9.9.9.9",
                "reply b.example is 192.0.2.1",
            ]),
            vec![
                format!("a.example A 10.0.0.1 {T} passed"),
                format!("a.example HTTPS fd00::1 {T} blocked Pi-hole/gravity "),
                format!("b.example AAAA 10.0.0.1 {T} passed"),
            ],
        ),
        // By an alias: the chain's first name was asked.
        (
            lines(&[
                "query[A] a.example from 10.0.0.1",
                "reply a.example is <CNAME>",
                "reply b.example is <CNAME>",
                "reply c.example is blocked during CNAME inspection",
                "query[A] d.example from 10.0.0.1",
                "cached d.example is <CNAME>",
                "regex denied (CNAME) e.example is 0.0.0.0",
            ]),
            vec![
                format!("a.example A 10.0.0.1 {T} blocked Pi-hole/an alias "),
                format!("d.example A 10.0.0.1 {T} blocked Pi-hole/regex "),
            ],
        ),
        // With extra logging, numbers tell which query is meant.
        (
            lines(&[
                "1 10.0.0.1/4000 query[A] a.example from 10.0.0.1",
                "UDP 2 10.0.0.2/4000 query[A] a.example from 10.0.0.2",
                "1 10.0.0.1/4000 exactly blacklisted a.example is 0.0.0.0",
            ]),
            vec![
                format!("a.example A 10.0.0.1 {T} blocked Pi-hole/exact "),
                format!("a.example A 10.0.0.2 {T} passed"),
            ],
        ),
        (
            lines(&["query[A] x.example from 10.0.0.1", "config x.example is 0.0.0.0", "config pi.hole is 10.0.0.9"]),
            vec![format!("x.example A 10.0.0.1 {T} blocked Pi-hole/configuration ")],
        ),
        ("Nov 28 21:12:44 router dnsmasq-dhcp[1]: DHCPACK(br0) 10.0.0.1\n".to_owned(), vec![]),
        // The tag is the last word before the message, whatever the host is called.
        (
            "Nov 28 21:12:44 my-dnsmasq.lan dnsmasq[123]: query[A] a.example from 10.0.0.1\n\
             Nov 28 21:12:44 dnsmasq dnsmasq: query[A] b.example from 10.0.0.1\n\
             Nov 28 21:12:44 dnsmasq kernel: query[A] c.example from 10.0.0.1\n\
             Nov 28 21:12:44 host dnsmasqx[1]: query[A] d.example from 10.0.0.1\n"
                .to_owned(),
            vec![
                "line 3: skipped: the line is none of dnsmasq's log".to_owned(),
                "line 4: skipped: the line is none of dnsmasq's log".to_owned(),
                format!("a.example A 10.0.0.1 {T} passed"),
                format!("b.example A 10.0.0.1 {T} passed"),
            ],
        ),
        (
            "2026-11-28T21:12:44+01:00 router dnsmasq[1]: query[A] a.example from 10.0.0.1".to_owned(),
            vec![format!("a.example A 10.0.0.1 {T} passed")],
        ),
        // What lies ahead was last year; a leap day in a leap year. Berlin's clocks are one hour ahead in winter.
        (
            "Dec  1 00:00:00 dnsmasq[1]: query[A] a.example from 10.0.0.1\n\
             Feb 29 00:00:00 dnsmasq[1]: query[A] a.example from 10.0.0.1"
                .to_owned(),
            vec![
                "a.example A 10.0.0.1 2025-11-30T23:00:00Z passed".to_owned(),
                "a.example A 10.0.0.1 2024-02-28T23:00:00Z passed".to_owned(),
            ],
        ),
        (
            format!(
                "nonsense\n{A}query[A] a..b from 10.0.0.1\n{A}query[A a from 10.0.0.1\n{A}query[AQ] a from b\n\
                 Brumaire 3 1:2 dnsmasq[1]: query[A] a from b\n{A}query[A] ok from tv\n"
            ),
            vec![
                "line 1: skipped: the line is none of dnsmasq's log".to_owned(),
                "line 2: skipped: `a..b`: the name has an empty label (two dots in a row, or a leading dot)".to_owned(),
                "line 3: skipped: the query has no type, name or client".to_owned(),
                "line 4: skipped: the type in brackets is no record type".to_owned(),
                "line 5: skipped: the line begins with no time, such as `Nov 28 21:12:44`".to_owned(),
                format!("ok A tv {T} passed"),
            ],
        ),
    ] {
        assert_eq!(steps(text.as_bytes(), Some(Format::Pihole)), expected, "{text}");
    }
    // Queries are given in their order, however many there are, and each knows its fate if it is told in time.
    let many: String = (0..1000)
        .map(|at| format!("{A}query[A] n{at}.example from 10.0.0.1\n{A}gravity blocked n{at}.example is 0.0.0.0\n"))
        .collect();
    let read = steps(many.as_bytes(), None);
    assert!(read.len() == 1000 && read.iter().all(|query| query.contains("blocked")), "{}", read.len());
    assert!(read[999].starts_with("n999.example"));
    // A line that is a query is none without one.
    let Opened { mut source, .. } = open(Cursor::new(many), None, None, &clock()).unwrap();
    let (mut asked, mut ignored) = (Asked::default(), 0);
    loop {
        match source.advance(&mut asked).unwrap() {
            Step::End => break,
            step => ignored += usize::from(step == Step::Ignored),
        }
    }
    assert_eq!(ignored, 1000);
}

/// A query for `name`, A.
fn query(name: &str) -> Vec<u8> {
    let name: Name = name.parse().unwrap();
    [&[0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], name.as_wire(), &[0, 1, 0, 1]].concat()
}

fn udp(message: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    let builder = PacketBuilder::ethernet2([1; 6], [2; 6]).ipv4([10, 0, 0, 1], [10, 0, 0, 53], 64);
    builder.udp(4000, 53).write(&mut packet, message).unwrap();
    packet
}

fn tcp(stream: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    let builder = PacketBuilder::ethernet2([1; 6], [2; 6]).ipv6([0xfd; 16], [1; 16], 64);
    builder.tcp(4000, 53, 1, 1000).write(&mut packet, stream).unwrap();
    packet
}

/// Messages as they stand in a stream.
fn stream(messages: &[Vec<u8>]) -> Vec<u8> {
    messages.iter().flat_map(|message| [&(message.len() as u16).to_be_bytes()[..], message].concat()).collect()
}

/// A number in one of two orders.
fn u32_in(big_endian: bool, number: u32) -> [u8; 4] {
    if big_endian { number.to_be_bytes() } else { number.to_le_bytes() }
}

fn u16_in(big_endian: bool, number: u16) -> [u8; 2] {
    if big_endian { number.to_be_bytes() } else { number.to_le_bytes() }
}

/// A capture of Ethernet, each packet at a second and a fraction.
fn pcap(big_endian: bool, nanoseconds: bool, packets: &[Vec<u8>]) -> Vec<u8> {
    let number = |number| u32_in(big_endian, number);
    let magic = if nanoseconds { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
    let versions = [u16_in(big_endian, 2), u16_in(big_endian, 4)].concat();
    let mut file = [&number(magic)[..], &versions, &number(0), &number(0), &number(65535), &number(1)].concat();
    for packet in packets {
        let (fraction, length) = (if nanoseconds { 250_000_999 } else { 250_000 }, packet.len() as u32);
        [1_700_000_000, fraction, length, length].map(number).iter().for_each(|part| file.extend(part));
        file.extend(packet);
    }
    file
}

/// A block of pcapng.
fn block(big_endian: bool, kind: u32, content: &[u8]) -> Vec<u8> {
    let padding = vec![0; content.len().next_multiple_of(4) - content.len()];
    let length = u32_in(big_endian, (content.len() + padding.len() + 12) as u32);
    [&u32_in(big_endian, kind)[..], &length, content, &padding, &length].concat()
}

fn section(big_endian: bool) -> Vec<u8> {
    let versions = [u16_in(big_endian, 1), u16_in(big_endian, 0)].concat();
    block(big_endian, 0x0a0d_0d0a, &[&u32_in(big_endian, 0x1a2b_3c4d)[..], &versions, &[0xff; 8]].concat())
}

/// An interface of Ethernet; `resolution` as the option has it.
fn interface(big_endian: bool, resolution: Option<u8>) -> Vec<u8> {
    let mut content = [&u16_in(big_endian, 1)[..], &[0; 6]].concat();
    if let Some(resolution) = resolution {
        content.extend([&u16_in(big_endian, 9)[..], &u16_in(big_endian, 1), &[resolution, 0, 0, 0], &[0; 4]].concat());
    }
    block(big_endian, 1, &content)
}

fn enhanced(big_endian: bool, interface: u32, ticks: u64, packet: &[u8]) -> Vec<u8> {
    let length = packet.len() as u32;
    let head = [interface, (ticks >> 32) as u32, ticks as u32, length, length].map(|part| u32_in(big_endian, part));
    block(big_endian, 6, &[&head.concat(), packet].concat())
}

#[test]
fn packets_of_pcap() {
    let response = {
        let mut message = query("a.example");
        message[2] |= 0x80;
        message
    };
    let packets = [udp(&query("a.example")), udp(&response), tcp(&stream(&[query("b.example"), query("c.example")]))];
    for (big_endian, nanoseconds) in [(false, false), (true, false), (false, true), (true, true)] {
        let time = "2023-11-14T22:13:20.25Z";
        let client = "fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd";
        let expected = [
            format!("a.example A 10.0.0.1 {time}"),
            format!("b.example A {client} {time} tcp"),
            format!("c.example A {client} {time} tcp"),
        ];
        assert_eq!(steps(&pcap(big_endian, nanoseconds, &packets), None), expected, "{big_endian} {nanoseconds}");
    }
}

#[test]
fn packets_that_have_no_query_in_whole() {
    let whole = stream(&[query("a.example"), query("b.example")]);
    let class_any = {
        let mut message = query("a.example");
        *message.last_mut().unwrap() = 255;
        message
    };
    let packets = [
        tcp(&whole[..whole.len() - 3]),
        tcp(&[]),
        tcp(&[0]),
        udp(&class_any),
        udp(&[0; 5]),
        udp(&query("c.example"))[..50].to_vec(),
        vec![1, 2, 3],
    ];
    let read = steps(&pcap(false, false, &packets), None);
    let expected = [
        "a.example A fdfd",
        "packet 1: skipped: a query over TCP lies across segments",
        "packet 3: skipped: a query over TCP lies across segments",
        "packet 4: skipped: the query is answered with an error code alone",
        "packet 6: skipped: the capture holds only the packet's beginning",
        "packet 7: skipped: the packet is shorter than an Ethernet header",
    ];
    assert_eq!(read.len(), expected.len(), "{read:#?}");
    for (read, expected) in read.iter().zip(expected) {
        assert!(read.starts_with(expected), "{read}");
    }
}

#[test]
fn packets_of_pcapng() {
    let packet = udp(&query("a.example"));
    let ticks = 1_700_000_000u64;
    for big_endian in [false, true] {
        let file = [
            section(big_endian),
            interface(big_endian, None),
            interface(big_endian, Some(9)),
            // 2^10 units in a second.
            interface(big_endian, Some(0x8a)),
            enhanced(big_endian, 0, ticks * 1_000_000 + 500_000, &packet),
            enhanced(big_endian, 1, ticks * 1_000_000_000 + 500_000_000, &packet),
            enhanced(big_endian, 2, ticks * 1024 + 512, &packet),
            enhanced(big_endian, 3, 0, &packet),
            // A kind of block that nobody knows, and a packet without a time.
            block(big_endian, 0x7777, b"abc"),
            block(big_endian, 3, &[&u32_in(big_endian, packet.len() as u32)[..], &packet].concat()),
            // Another section has interfaces of its own, and its own order of octets.
            section(!big_endian),
            enhanced(!big_endian, 0, 0, &packet),
        ]
        .concat();
        let with_time = "a.example A 10.0.0.1 2023-11-14T22:13:20.5Z";
        let unknown = |number: u64| {
            format!("packet {number}: skipped: the packet names an interface that the file doesn't describe")
        };
        let (fourth, sixth) = (unknown(4), unknown(6));
        let expected = [with_time, with_time, with_time, &fourth, "a.example A 10.0.0.1", &sixth];
        assert_eq!(steps(&file, None), expected, "{big_endian}");
    }
}

#[test]
fn captures_that_end_too_early() {
    let file = pcap(false, false, &[udp(&query("a.example")), udp(&query("b.example"))]);
    let read = steps(&file[..file.len() - 4], None);
    assert_eq!(read[1], "packet 1: broken: the file ends within a packet; the capture was cut off");
    // A length that no packet has.
    let mut absurd = file.clone();
    absurd[32..36].copy_from_slice(&[0xff; 4]);
    let read = steps(&absurd, None);
    assert!(read.len() == 1 && read[0].starts_with("packet 0: broken: "), "{read:?}");
    let read = steps(&file[..20], None);
    assert_eq!(read, ["cannot: is no file of captured packets: its header is cut off"]);
    // A large packet of something else is no trouble.
    let file = pcap(false, false, &[vec![0; 3 << 20], udp(&query("a.example"))]);
    assert_eq!(steps(&file, None).len(), 1);
}

#[test]
fn files_that_cannot_be_read() {
    for (text, format, expected) in [
        (&b""[..], None, "is empty"),
        (b"hello", None, "name it with --format"),
        (b"\x1f\x8b\x08\0", None, "`zcat FILE | cleandns replay -`"),
        (b"\x1f\x8b\x08\0", Some(Format::Ours), "`zcat FILE | cleandns replay -`"),
        (b"SQLite format 3\0", None, "a database can't be read from standard input"),
        (b"\0\0\0\0\0\0\0\x22\0\0\0\x02", None, "is no stream of dnstap that can be read: frame 1"),
        (b"hello", Some(Format::Dnstap), "doesn't begin with START"),
        (b"hello", Some(Format::Pcap), "neither that of pcap nor of pcapng"),
    ] {
        let read = steps(text, format);
        assert!(read[0].contains(expected), "{read:?}");
    }
}

proptest! {
    /// Whatever a file holds, it is read to some end.
    #[test]
    fn no_file_is_too_strange(
        format in prop::sample::select(&Format::ALL[..]),
        start in prop::sample::select(vec![
            pcap(false, false, &[udp(&query("a.example")), tcp(&stream(&[query("b.example")]))]),
            [section(true), interface(true, Some(9)), enhanced(true, 0, 1, &udp(&query("a.example")))].concat(),
            br#"{"time":"2026-11-28T21:12:44Z","client":"x","name":"a","type":"A","verdicts":[]}"#.to_vec(),
            br#"{"T":"2026-11-28T21:12:44Z","QH":"a","QT":"A","Result":{}}"#.to_vec(),
            b"Nov 28 21:12:44 dnsmasq[1]: 1 a/2 query[A] a from b\n".to_vec(),
            b"a A\n".to_vec(),
            tap::tests::file(),
        ]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut text = start;
        for (at, octet) in changes {
            let at = at.index(text.len());
            text[at] = octet;
        }
        text.truncate(cut.index(text.len() + 1).max(1));
        let _ = steps(&text, Some(format));
        let _ = steps(&text, None);
    }
}
