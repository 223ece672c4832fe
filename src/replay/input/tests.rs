//! Every format as a table: what is written, and what is read of it. Larger formats have tests of their own.

use super::*;
use crate::policy::Reached;
use proptest::prelude::*;

/// 2026-11-28 22:00 UTC.
const NOW: i64 = 1_795_903_200;

fn clock() -> Around {
    Around { now: NOW, zone: Zone::named("Europe/Berlin").unwrap(), dns_port: DNS_PORT }
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
            Step::BetweenServers => all.push(format!("{}: between servers", source.place())),
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
    let Asked { time, client, client_text, client_id, tcp, name, rr_type, links, recorded, told, unaskable, .. } =
        asked;
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
    unaskable.iter().for_each(|_| add("unaskable".to_owned()));
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
    // Where a line ends makes no reason of its own.
    for length in [50, 51] {
        let broken = steps(line("").split_at(length).0.as_bytes(), Some(Format::Ours));
        assert_eq!(broken, ["line 1: skipped: the line is no query of our log: EOF while parsing a string"]);
    }
}

/// A response to `ads.example`: an alias `t.example`, with the address 192.0.2.1.
const ADGUARD_ANSWER: &str =
    "AAGBgAABAAIAAAAAA2FkcwdleGFtcGxlAAABAAHADAAFAAEAAAA8AAsBdAdleGFtcGxlAAF0B2V4YW1wbGUAAAEAAQAAADwABMAAAgE=";

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
        (line("").replace("ads.example", ""), base.replace("ads.example", ".") + " passed"),
        // What other servers answered; not what it made up itself.
        (line("").replace("Qz+B", ADGUARD_ANSWER), format!("{base} >t.example =192.0.2.1 passed")),
        (
            line(r#""IsFiltered":true,"Reason":3"#).replace("Qz+B", ADGUARD_ANSWER),
            format!("{base} blocked AdGuard Home/filters "),
        ),
        (
            line(r#""IsFiltered":true,"Reason":3"#)
                .replace(r#""Elapsed""#, &format!(r#""OrigAnswer":"{ADGUARD_ANSWER}","Elapsed""#)),
            format!("{base} >t.example =192.0.2.1 blocked AdGuard Home/filters "),
        ),
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
        (
            lines(&[
                "query[A] use-application-dns.net from 10.0.0.1",
                "special domain use-application-dns.net is NXDOMAIN",
                "query[SVCB] _dns.resolver.arpa from 10.0.0.1",
                "Designated Resolver domain _dns.resolver.arpa is NODATA",
                "query[A] a.example from 10.0.0.1",
                "blocked upstream with NULL address a.example is 0.0.0.0",
                "query[A] b.example from 10.0.0.1",
                "blocked upstream with EDE15 b.example is 0.0.0.0",
            ]),
            vec![
                format!("use-application-dns.net A 10.0.0.1 {T} blocked Pi-hole/special "),
                format!("_dns.resolver.arpa SVCB 10.0.0.1 {T} blocked Pi-hole/special "),
                format!("a.example A 10.0.0.1 {T} blocked Pi-hole/upstream "),
                format!("b.example A 10.0.0.1 {T} blocked Pi-hole/upstream "),
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

/// What is counted by clients and rules is bounded only if their texts are.
#[test]
fn texts_without_an_end_are_cut() {
    let long = "\u{fc}".repeat(100_000);
    for (format, line) in [
        (
            Format::Ours,
            format!(r#"{{"time":"2026-11-28T21:12:44Z","client":"{long}","name":"a","type":"A","owner":"{long}"}}"#),
        ),
        (
            Format::Adguard,
            format!(
                r#"{{"T":"2026-11-28T21:12:44Z","QH":"a","QT":"A","IP":"{long}","CID":"{long}","Result":
                {{"IsFiltered":true,"ServiceName":"{long}","Rule":"{long}"}}}}"#
            )
            .replace('\n', ""),
        ),
        (Format::Pihole, format!("Nov 28 21:12:44 dnsmasq[1]: query[A] a from {long}")),
    ] {
        let Opened { mut source, .. } = open(Cursor::new(line), None, Some(format), &clock()).unwrap();
        let mut asked = Asked::default();
        while source.advance(&mut asked).unwrap() != Step::Asked {}
        let Asked { client_text, client_id, told, .. } = asked;
        assert!(client_text.starts_with('\u{fc}'));
        for text in [client_text, client_id, told.program, told.service, told.rule] {
            assert!(text.len() <= TEXT_BYTES_MAX, "{format:?}: {}", text.len());
        }
    }
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

#[test]
fn times_that_are_left_to_who_knows_more() {
    for (text, expected) in [
        ("2026-11-28T21:12:44.123456Z", Some(1_795_900_364_123_456)),
        ("2026-11-28T21:12:44Z", Some(1_795_900_364_000_000)),
        ("2026-11-28T22:12:44.123456+01:00", Some(1_795_900_364_123_456)),
        ("2028-02-29T00:00:00.000000Z", Some(1_835_395_200_000_000)),
        ("2027-02-29T00:00:00.000000Z", None),
        ("2026-13-28T21:12:44.123456Z", None),
        ("2026-11-28T24:12:44.123456Z", None),
        ("2026-11-28T21:12:4:.123456Z", None),
        ("2026-11-28T21:12:44.12345xZ", None),
        ("", None),
    ] {
        assert_eq!(micros_of(text), expected, "{text}");
    }
}

proptest! {
    /// However a time is read, it is the same.
    #[test]
    fn times_as_our_log_writes_them(micros in 0..253_402_300_799_999_999_i64) {
        let text = crate::query_log::shown_micros(micros);
        prop_assert_eq!(micros_of(&text), Some(micros), "{}", text);
        prop_assert!(utc_micros(text.as_bytes()).is_none_or(|read| read == micros), "{}", text);
        prop_assert!(utc_micros(text.as_bytes()).is_some() || text[8..10] > *"28", "{}", text);
    }

    /// Whatever a file holds, it is read to some end.
    #[test]
    fn no_file_is_too_strange(
        format in prop::sample::select(&Format::ALL[..]),
        start in prop::sample::select(vec![
            pcap::tests::file(),
            pcap::tests::file_of_blocks(),
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
