//! Queries as dnstap: what clients asked and got, and what this server asked others.

use super::{Action, Event, Extra, Kind, Matched, Output, POLICY_KIND, PolicyApplied, Rotation, bare, encode};
use crate::{
    config::{DEFAULT_GROUP, Dnstap, Privacy},
    dns::{Name, Rcode},
    policy::{Outcome, Trigger},
    query_log::{
        drain::{Full, Sink},
        row::{Fate, Said},
        unpack::Tapped,
    },
};
use std::{borrow::Cow, net::SocketAddr, time::Instant};

const VERSION: &str = concat!("cleandns ", env!("CARGO_PKG_VERSION"));

/// Writes dnstap.
pub(in crate::query_log) struct DnstapSink {
    /// `None` after the end.
    output: Option<Output>,
    instance: String,
    /// Packets are written as they were, with all that they tell of a client. Those to other servers never do: they are
    /// this server's own, and nothing of a client's query but its question goes into them.
    is_full: bool,
    /// The address that is told of a client is its network's.
    is_network: bool,
    /// The file was removed or moved away.
    has_lost_file: bool,
}

impl DnstapSink {
    pub fn new(dnstap: &Dnstap, instance: &str, privacy: Privacy) -> Self {
        let rotation = Rotation { rotate_bytes: Some(dnstap.bytes), keep_files: Some(dnstap.files - 1) };
        Self {
            output: Some(Output::new(dnstap.to.clone(), rotation)),
            instance: instance.to_owned(),
            is_full: privacy == Privacy::Full,
            is_network: privacy == Privacy::Prefix,
            has_lost_file: false,
        }
    }

    /// Writes events, and says how many of them were lost.
    fn put<'e>(&mut self, events: impl Iterator<Item = Event<'e>>) -> u64 {
        let Self { output: Some(output), instance, .. } = self else { return 0 };
        let now = Instant::now();
        let mut lost = 0;
        for event in events {
            lost += output.put(now, |out| encode(&event, instance.as_bytes(), VERSION.as_bytes(), out));
        }
        lost + output.flush(now)
    }
}

impl Sink for DnstapSink {
    fn write(&mut self, rows: Vec<Full<'_>>) -> u64 {
        // One event of two is enough to lose its row.
        let (is_full, is_network) = (self.is_full, self.is_network);
        let events = |full| client_events(full, is_full, extra(full, is_full, is_network));
        let lost = self.put(rows.iter().flat_map(events));
        lost.min(rows.len() as u64)
    }

    fn write_exchanges(&mut self, exchanges: Vec<Tapped<'_>>) -> u64 {
        let lost = self.put(exchanges.iter().flat_map(resolver_events));
        lost.min(exchanges.len() as u64)
    }

    fn tick(&mut self) {
        self.has_lost_file |= self.output.as_mut().is_some_and(Output::let_go_if_gone);
        // With nothing to write this only connects, if that is due.
        self.put(std::iter::empty());
    }

    fn has_lost_file(&mut self) -> bool {
        std::mem::take(&mut self.has_lost_file)
    }

    fn finish(&mut self) -> u64 {
        self.output.take().map_or(0, |output| output.stop(Instant::now()))
    }
}

/// What an address doesn't tell of a client: the group, where the address isn't whole, or where it isn't the default.
fn extra(full: &Full<'_>, is_full: bool, is_network: bool) -> Vec<u8> {
    let group = &*full.row.group;
    let says_nothing = is_full && group == DEFAULT_GROUP;
    if says_nothing { Vec::new() } else { Extra { is_network, group }.text().into_bytes() }
}

/// The query of a client, and its response if it got one. Unless all may be told, a packet that can't be freed of what
/// tells of the client is left out.
fn client_events<'p>(full: &'p Full<'_>, is_full: bool, extra: Vec<u8>) -> impl Iterator<Item = Event<'p>> {
    let Full { row, client, packets, .. } = full;
    // Which port it came from nobody keeps.
    let client = client.map(|client| SocketAddr::new(client, 0));
    type Strip = fn(&[u8]) -> Option<Cow<'_, [u8]>>;
    let told = |packet: &'p [u8], strip: Strip| {
        if is_full { packet.into() } else { strip(packet).unwrap_or_default() }
    };
    // The reason that a client was given names the line of the rule.
    let is_withheld = row.verdicts.said.iter().any(|said| said.line == 0);
    let bare_response: Strip = if is_withheld { bare::response_without_reason } else { bare::response };
    let begun = row.time - i64::from(row.micros);
    let query = Event {
        transport: Some(row.transport),
        query_address: client,
        query_time: Some(begun),
        query: packets.map_or_else(Default::default, |packets| told(packets.query, bare::query)),
        extra: extra.into(),
        ..Event::new(Kind::ClientQuery)
    };
    let response = (!row.dropped).then(|| Event {
        response_time: Some(row.time),
        query: Default::default(),
        response: packets.map_or_else(Default::default, |packets| told(packets.response, bare_response)),
        policy: applied(full),
        kind: Kind::ClientResponse,
        ..query.clone()
    });
    let query = Event { policy: if row.dropped { applied(full) } else { None }, ..query };
    [Some(query), response].into_iter().flatten()
}

/// What this server asked another, and what that answered.
fn resolver_events<'p>(exchange: &'p Tapped<'_>) -> impl Iterator<Item = Event<'p>> {
    let query = Event {
        transport: Some(exchange.transport),
        response_address: Some(exchange.server),
        query_time: Some(exchange.began),
        query: exchange.question.into(),
        ..Event::new(Kind::ResolverQuery)
    };
    let response = exchange.response.map(|response| Event {
        response_time: Some(exchange.ended),
        query: Default::default(),
        response: response.into(),
        kind: Kind::ResolverResponse,
        ..query.clone()
    });
    [Some(query), response].into_iter().flatten()
}

/// What was said of a query, by the rule that decided. What blocked has the action that was taken, an exception has
/// PASS, and a program in shadow has none.
fn applied<'p>(full: &'p Full<'_>) -> Option<PolicyApplied<'p>> {
    let row = &full.row;
    let policy = PolicyApplied { kind: POLICY_KIND.into(), ..PolicyApplied::default() };
    if let (Fate::Excepted, Some(owner)) = (row.verdicts.fate(), &row.verdicts.owner) {
        let rule = format!("exception {}", owner.place).into_bytes().into();
        return Some(PolicyApplied { rule, action: Some(Action::Pass), ..policy });
    }
    let said = &row.verdicts.said[row.verdicts.decisive()?];
    let Said { program, service, list, line, rule, .. } = said;
    let action = match (said.outcome, row.rcode) {
        (Outcome::WouldBlock, _) => None,
        (Outcome::Except, _) => Some(Action::Pass),
        _ if row.dropped => Some(Action::Drop),
        (_, Rcode::NXDOMAIN) => Some(Action::NxDomain),
        (_, Rcode::NOERROR) => Some(Action::NoData),
        _ => Some(Action::LocalData),
    };
    let matched = match said.trigger {
        Trigger::Client => Matched::ClientIp,
        Trigger::Qname | Trigger::Cname | Trigger::Dname | Trigger::SvcbTarget => Matched::Qname,
        Trigger::Address | Trigger::Hint => Matched::ResponseIp,
        Trigger::NsName => Matched::NsName,
        Trigger::NsAddress => Matched::NsIp,
    };
    Some(PolicyApplied {
        rule: format!("{program}/{service} {list}:{line} {rule}").trim_end().as_bytes().to_vec().into(),
        action,
        matched: Some(matched),
        value: match said.trigger {
            Trigger::Qname => row.name.parse().map_or_else(|_| Vec::new(), |name: Name| name.as_wire().to_vec()).into(),
            _ => full.matched.as_slice().into(),
        },
        ..policy
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dns::Transport,
        query_log::{
            dnstap::{Frames, decode},
            row::{Row, Verdicts},
            unpack::Packets,
        },
    };
    use std::{fs::File, sync::Arc};

    fn row(dropped: bool) -> Row {
        let said = Said {
            program: "clean-store".into(),
            service: "tiktok".into(),
            list: "tiktok.list".into(),
            version: "0".repeat(16).into(),
            line: 7,
            rule: "tiktok.com".into(),
            trigger: Trigger::Qname,
            outcome: Outcome::Block,
            acted: true,
        };
        Row {
            time: 1_700_000_000_000_123,
            client: "192.0.2.7".into(),
            transport: Transport::Tcp,
            name: "www.tiktok.com".into(),
            rcode: Rcode::NXDOMAIN,
            ede: Some(15),
            micros: 23,
            dropped,
            verdicts: Arc::new(Verdicts { said: vec![said], ..Verdicts::default() }),
            ..Row::default()
        }
    }

    /// What is in the file after the sink wrote to it: kind, transport, packets, policy.
    fn written(write: impl FnOnce(&mut DnstapSink)) -> Vec<String> {
        written_under(Privacy::Full, write)
    }

    fn written_under(privacy: Privacy, write: impl FnOnce(&mut DnstapSink)) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.dnstap");
        let to = crate::config::DnstapTarget::File(path.clone());
        let dnstap = Dnstap { to, bytes: 1 << 20, files: 2, client: true, resolver: true };
        let mut sink = DnstapSink::new(&dnstap, "here", privacy);
        write(&mut sink);
        assert_eq!(sink.finish(), 0);
        let show = |frame: Vec<u8>| {
            let event = decode(&frame).unwrap();
            let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
            let policy = event.policy.map(|policy| format!(" {} {:?}", text(&policy.rule), policy.action.unwrap()));
            format!(
                "{} {:?} {} {} {:?}+{:?} [{}] [{}]{}",
                event.kind.word(),
                event.transport.unwrap(),
                event.query_address.map_or_else(String::new, |address| address.ip().to_string()),
                event.response_address.map_or_else(String::new, |address| address.to_string()),
                event.query_time.unwrap() - 1_700_000_000_000_000,
                event.response_time.map(|time| time - 1_700_000_000_000_000),
                text(&event.query),
                text(&event.response),
                policy.unwrap_or_default(),
            )
        };
        Frames::new(File::open(path).unwrap()).map(|frame| show(frame.unwrap())).collect()
    }

    #[test]
    fn a_query_is_two_events_and_one_if_it_was_dropped() {
        let client = Some("192.0.2.7".parse().unwrap());
        let packets = Some(Packets { query: b"asked", response: b"said" });
        let full = |dropped| Full { client, packets, ..Full::bare(row(dropped)) };
        let expected = [
            "CLIENT_QUERY Tcp 192.0.2.7  100+None [asked] []",
            "CLIENT_RESPONSE Tcp 192.0.2.7  100+Some(123) [] [said] clean-store/tiktok tiktok.list:7 tiktok.com NxDomain",
            "CLIENT_QUERY Tcp 192.0.2.7  100+None [asked] [] clean-store/tiktok tiktok.list:7 tiktok.com Drop",
        ];
        assert_eq!(written(|sink| assert_eq!(sink.write(vec![full(false), full(true)]), 0)), expected);
    }

    #[test]
    fn a_file_that_is_gone_is_ended_and_another_begins() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("x.dnstap"), folder.path().join("moved"));
        let to = crate::config::DnstapTarget::File(path.clone());
        let dnstap = Dnstap { to, bytes: 1 << 20, files: 2, client: true, resolver: false };
        let mut sink = DnstapSink::new(&dnstap, "here", Privacy::Full);
        let write = |sink: &mut DnstapSink| {
            assert_eq!(sink.write(vec![Full::bare(row(true))]), 0);
            sink.tick();
            sink.has_lost_file()
        };
        assert!(!write(&mut sink));
        std::fs::rename(&path, &moved).unwrap();
        assert!(write(&mut sink), "that one is in the file that was moved");
        assert!(!write(&mut sink));
        assert_eq!(sink.finish(), 0);
        let frames = |path| Frames::new(File::open(path).unwrap()).filter(Result::is_ok).count();
        assert_eq!((frames(&moved), frames(&path)), (2, 1));
    }

    #[test]
    fn packets_tell_of_a_client_only_where_all_may_be_told() {
        use bare::tests::{option, with_options};
        let error = option(15, b"\0\x0fwhy");
        let query = with_options(false, &option(65001, b"MAC 1"));
        let response = with_options(true, &[error, option(8, b"ECS 2")].concat());
        for (privacy, expected) in [
            (Privacy::Full, [true; 3]),
            (Privacy::Prefix, [false, false, true]),
            (Privacy::Hashed, [false, false, true]),
            (Privacy::None, [false, false, true]),
        ] {
            let packets = Some(Packets { query: &query, response: &response });
            let full = Full { packets, ..Full::bare(row(false)) };
            let text = written_under(privacy, |sink| assert_eq!(sink.write(vec![full]), 0)).concat();
            assert_eq!(["MAC 1", "ECS 2", "why"].map(|part| text.contains(part)), expected, "{privacy:?}: {text}");
            assert_eq!(text.matches("\u{1}a\u{7}example").count(), 2, "{text}");
        }
        // What can't be read tells that a query came, and nothing more.
        let unread = Some(Packets { query: b"MAC 1", response: b"ECS 2" });
        let full = Full { packets: unread, ..Full::bare(row(false)) };
        let text = written_under(Privacy::Hashed, |sink| assert_eq!(sink.write(vec![full]), 0)).concat();
        assert!(text.contains("CLIENT_QUERY") && !text.contains("MAC") && !text.contains("ECS"), "{text}");
    }

    #[test]
    fn what_did_not_block_is_told_too() {
        let of = |owner: Option<&str>, trigger, outcome| {
            let mut row = row(false);
            let mut verdicts = (*row.verdicts).clone();
            let said = &mut verdicts.said[0];
            (said.trigger, said.outcome, said.acted) = (trigger, outcome, outcome == Outcome::Block);
            if outcome != Outcome::Block {
                row.rcode = Rcode::NOERROR;
            }
            verdicts.owner = owner.map(Into::into);
            row.verdicts = Arc::new(verdicts);
            let alias: Name = "a.tiktok.com".parse().unwrap();
            let matched = if trigger == Trigger::Cname { alias.as_wire().to_vec() } else { Vec::new() };
            let full = Full { matched, ..Full::bare(row) };
            let policy = applied(&full).unwrap();
            let value = Name::from_wire(&policy.value).map_or_else(|_| String::new(), |name| name.to_string());
            format!("{} {:?} {:?} {value}", String::from_utf8_lossy(&policy.rule), policy.action, policy.matched)
        };
        let rule = "clean-store/tiktok tiktok.list:7 tiktok.com";
        for (owner, trigger, outcome, expected) in [
            (None, Trigger::Qname, Outcome::Block, format!("{rule} Some(NxDomain) Some(Qname) www.tiktok.com")),
            (None, Trigger::Cname, Outcome::Block, format!("{rule} Some(NxDomain) Some(Qname) a.tiktok.com")),
            (None, Trigger::Qname, Outcome::WouldBlock, format!("{rule} None Some(Qname) www.tiktok.com")),
            (None, Trigger::Qname, Outcome::Except, format!("{rule} Some(Pass) Some(Qname) www.tiktok.com")),
            (None, Trigger::NsName, Outcome::Block, format!("{rule} Some(NxDomain) Some(NsName) ")),
            (Some("c.toml:3"), Trigger::Qname, Outcome::Except, "exception c.toml:3 Some(Pass) None ".to_owned()),
        ] {
            assert_eq!(of(owner, trigger, outcome), expected);
        }
    }

    #[test]
    fn a_question_to_another_server_is_told_with_what_came_of_it() {
        let exchange = |response| Tapped {
            server: "[2001:db8::1]:53".parse().unwrap(),
            transport: Transport::Udp,
            began: 1_700_000_000_000_001,
            ended: 1_700_000_000_000_002,
            question: b"asked",
            response,
        };
        let expected = [
            "RESOLVER_QUERY Udp  [2001:db8::1]:53 1+None [asked] []",
            "RESOLVER_RESPONSE Udp  [2001:db8::1]:53 1+Some(2) [] [said]",
            "RESOLVER_QUERY Udp  [2001:db8::1]:53 1+None [asked] []",
        ];
        let exchanges = vec![exchange(Some(&b"said"[..])), exchange(None)];
        assert_eq!(written(|sink| assert_eq!(sink.write_exchanges(exchanges), 0)), expected);
    }
}
