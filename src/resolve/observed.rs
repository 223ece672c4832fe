//! Listens to what passes between this server and others: for what it says of zones' name servers, and for whoever
//! wants to see the messages.

use super::{
    cuts::{Family, Said, ZoneCuts},
    heard,
    link::from_hickory_name,
    wire::Wire,
};
use crate::dns::Name;
use hickory_resolver::{
    ConnectionProvider, PoolContext,
    config::{ConnectionConfig, ProtocolConfig},
    net::{
        DnsHandle, NetError,
        xfer::{DnsExchange, DnsResponseStream, FirstAnswer},
    },
    proto::{
        op::{DnsRequest, Message, Query, ResponseCode},
        rr::{RData, Record, RecordType},
    },
};
use std::{
    future::Future,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    time::Instant,
};

/// What is known of zones, shared by those who hear of it and those who ask. Locked for moments only, never over an
/// await.
#[derive(Clone)]
pub struct SharedCuts(Arc<Mutex<ZoneCuts>>);

impl SharedCuts {
    pub fn new(cuts: ZoneCuts) -> Self {
        Self(Arc::new(Mutex::new(cuts)))
    }

    pub fn lock(&self) -> MutexGuard<'_, ZoneCuts> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// One question to a server, and what came of it.
pub struct Exchange<'a> {
    pub server: SocketAddr,
    pub tcp: bool,
    pub question: &'a [u8],
    /// `None`: there was no answer, or none that could be read.
    pub response: Option<&'a [u8]>,
    pub began: Instant,
    pub ended: Instant,
}

/// Whoever wants to see all messages. Called on the way of answers, so it must not wait.
pub type Watch = Arc<dyn Fn(&Exchange<'_>) + Send + Sync>;

/// Connects to servers as `Wire` does, and listens.
#[derive(Clone)]
pub struct Observed {
    wire: Wire,
    /// `None`: what is said of zones is of no use, because the servers are not those of zones.
    cuts: Option<SharedCuts>,
    watch: Option<Watch>,
}

/// A connection that is listened to.
#[derive(Clone)]
pub struct ObservedConnection {
    exchange: DnsExchange<Wire>,
    server: SocketAddr,
    tcp: bool,
    observed: Observed,
}

impl Observed {
    pub fn new(wire: Wire, cuts: Option<SharedCuts>, watch: Option<Watch>) -> Self {
        Self { wire, cuts, watch }
    }
}

impl ConnectionProvider for Observed {
    type Conn = ObservedConnection;
    type FutureConn = Pin<Box<dyn Future<Output = Result<ObservedConnection, NetError>> + Send>>;
    type RuntimeProvider = Wire;

    fn new_connection(
        &self,
        server: IpAddr,
        config: &ConnectionConfig,
        context: &PoolContext,
    ) -> Result<Self::FutureConn, NetError> {
        let connecting = self.wire.new_connection(server, config, context)?;
        let tcp = !matches!(config.protocol, ProtocolConfig::Udp);
        let (server, observed) = (SocketAddr::new(server, config.port), self.clone());
        Ok(Box::pin(async move { Ok(ObservedConnection { exchange: connecting.await?, server, tcp, observed }) }))
    }

    fn runtime_provider(&self) -> &Wire {
        &self.wire
    }
}

impl DnsHandle for ObservedConnection {
    type Response = DnsResponseStream;
    type Runtime = Wire;

    fn send(&self, request: DnsRequest) -> DnsResponseStream {
        let question = request.queries.first().filter(|query| is_of_interest(query.query_type())).cloned();
        let Observed { cuts, watch, .. } = self.observed.clone();
        // As it goes out but for its id, which is drawn later.
        let watching = watch.and_then(|watch| Some((watch, request.to_vec().ok()?, Instant::now())));
        let answer = self.exchange.send(request).first_answer();
        let (server, tcp) = (self.server, self.tcp);
        DnsResponseStream::from(Box::pin(async move {
            let answer = answer.await;
            let ended = Instant::now();
            if let Some((watch, question, began)) = watching {
                let response = answer.as_ref().ok().map(|response| response.as_buffer());
                watch(&Exchange { server, tcp, question: &question, response, began, ended });
            }
            let mut response = answer?;
            if let (Some(question), Some(cuts)) = (question, cuts) {
                note(&cuts, &question, &response, server.ip(), ended);
            }
            heard::note(&mut response, server);
            Ok(response)
        }))
    }
}

fn is_of_interest(rr_type: RecordType) -> bool {
    matches!(rr_type, RecordType::NS | RecordType::A | RecordType::AAAA)
}

/// Notes what a response says of the name that was asked for, and of no other.
fn note(cuts: &SharedCuts, question: &Query, response: &Message, server: IpAddr, now: Instant) {
    let is_the_answer = response
        .queries
        .first()
        .is_some_and(|asked| asked.name() == question.name() && asked.query_type() == question.query_type());
    let meta = &response.metadata;
    if !is_the_answer || meta.truncation || meta.response_code != ResponseCode::NoError {
        return;
    }
    let Some(name) = from_hickory_name(question.name()) else {
        return;
    };
    let family = match question.query_type() {
        RecordType::NS => return cuts.lock().note_servers(&name_servers(name, response, server), now),
        RecordType::A => Family::V4,
        _ => Family::V6,
    };
    let own = response.answers.iter().filter(|record| record.name == *question.name());
    let (mut addresses, mut ttl) = (Vec::new(), u32::MAX);
    for record in own {
        if let Some(address) = record.data.ip_addr() {
            addresses.push(address);
            ttl = ttl.min(record.ttl);
        }
    }
    // Without an answer it is a referral or an alias, unless the server knows that there is none.
    if !addresses.is_empty() || (meta.authoritative && response.answers.is_empty()) {
        cuts.lock().note_addresses(&name, family, addresses, ttl, now);
    }
}

/// What a response says of the name servers of `zone`, which it was asked for.
fn name_servers(zone: Name, response: &Message, by: IpAddr) -> Said {
    let mut said = Said { zone, servers: Vec::new(), glue: Vec::new(), ttl: u32::MAX, by: Some(by) };
    for record in response.answers.iter().chain(&response.authorities) {
        if let RData::NS(server) = &record.data
            && is_at(record, &zone)
            && let Some(server) = from_hickory_name(&server.0)
        {
            said.ttl = said.ttl.min(record.ttl);
            said.servers.push(server);
        }
    }
    for record in &response.additionals {
        if let (Some(address), Some(host)) = (record.data.ip_addr(), from_hickory_name(&record.name))
            && said.servers.contains(&host)
        {
            said.glue.push((host, address));
        }
    }
    said
}

fn is_at(record: &Record, name: &Name) -> bool {
    from_hickory_name(&record.name).is_some_and(|owner| owner == *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::cuts::Cut;
    use hickory_resolver::proto::{
        op::{MessageType, OpCode},
        rr::{
            Name as HickoryName,
            rdata::{A, CNAME, NS},
        },
    };

    const SERVER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 53));

    fn hickory(name: &str) -> HickoryName {
        HickoryName::from_ascii(format!("{name}.")).unwrap()
    }

    fn record(owner: &str, rr_type: &str, data: &str) -> Record {
        let data = match rr_type {
            "NS" => RData::NS(NS(hickory(data))),
            "CNAME" => RData::CNAME(CNAME(hickory(data))),
            _ => RData::A(A(data.parse().unwrap())),
        };
        Record::from_rdata(hickory(owner), 300, data)
    }

    /// A response to `name` and `rr_type`; records are `SECTION OWNER TYPE DATA`.
    fn response(name: &str, rr_type: RecordType, records: &[&str]) -> (Query, Message) {
        let question = Query::query(hickory(name), rr_type);
        let mut message = Message::new(1, MessageType::Response, OpCode::Query);
        message.add_query(question.clone());
        for line in records {
            let [section, owner, rr_type, data] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            let record = record(owner, rr_type, data);
            match section {
                "answer" => message.answers.push(record),
                "authority" => message.authorities.push(record),
                _ => message.additionals.push(record),
            }
        }
        (question, message)
    }

    /// What is known after a response: `zone server=address …`.
    fn known(cuts: &SharedCuts, zone: &str) -> String {
        let Some(delegation) = cuts.lock().delegation(&zone.parse().unwrap()) else {
            return String::new();
        };
        let servers: Vec<String> =
            delegation.servers.iter().map(|server| format!("{}={:?}", server.name, server.addresses)).collect();
        servers.join(" ")
    }

    #[test]
    fn only_the_name_asked_for_is_spoken_of() {
        let volunteers = [
            "authority evil.com NS ns.evil.com",
            "authority victim.com NS ns.evil.com",
            "authority com NS ns.evil.com",
            "additional ns.evil.com A 192.0.2.1",
            "additional ns.victim.com A 192.0.2.1",
        ];
        for (name, rr_type, expected) in [
            ("evil.com", RecordType::NS, "ns.evil.com=[192.0.2.1]"),
            ("EVIL.com", RecordType::NS, "ns.evil.com=[192.0.2.1]"),
            ("www.evil.com", RecordType::NS, ""),
            ("evil.com", RecordType::A, ""),
            ("evil.com", RecordType::TXT, ""),
        ] {
            let cuts = SharedCuts::new(ZoneCuts::new(&[], 0));
            let (question, message) = response(name, rr_type, &volunteers);
            note(&cuts, &question, &message, SERVER, Instant::now());
            assert_eq!(known(&cuts, "evil.com"), expected, "{name} {rr_type}");
            for stranger in ["victim.com", "com", "."] {
                assert_eq!(known(&cuts, stranger), "", "{name} {rr_type}");
            }
        }
    }

    #[test]
    fn other_responses_say_nothing() {
        let says = ["answer evil.com NS ns.evil.com"];
        for (change, expected) in [
            ((|_| ()) as fn(&mut Message), Cut::Zone),
            (|message| message.metadata.truncation = true, Cut::Unknown),
            (|message| message.metadata.response_code = ResponseCode::NXDomain, Cut::Unknown),
            (|message| message.queries.clear(), Cut::Unknown),
            (|message| message.queries[0] = Query::query(hickory("other.com"), RecordType::NS), Cut::Unknown),
            (|message| message.queries[0] = Query::query(hickory("evil.com"), RecordType::A), Cut::Unknown),
        ] {
            let cuts = SharedCuts::new(ZoneCuts::new(&[], 0));
            let (question, mut message) = response("evil.com", RecordType::NS, &says);
            change(&mut message);
            note(&cuts, &question, &message, SERVER, Instant::now());
            assert_eq!(cuts.lock().cut(&"evil.com".parse().unwrap(), Instant::now()), expected);
        }
    }

    #[test]
    fn addresses_come_from_answers_for_the_server_itself() {
        let (question, referral) = response("shop.com", RecordType::NS, &["authority shop.com NS ns.host.net"]);
        for (name, records, authoritative, expected) in [
            ("ns.host.net", &["answer ns.host.net A 192.0.2.1"][..], false, "ns.host.net=[192.0.2.1]"),
            ("ns.host.net", &["additional ns.host.net A 192.0.2.1"], false, "ns.host.net=[]"),
            ("www.host.net", &["answer ns.host.net A 192.0.2.1"], true, "ns.host.net=[]"),
            ("ns.host.net", &["answer ns.host.net CNAME x.net", "answer x.net A 192.0.2.1"], true, "ns.host.net=[]"),
            ("ns.host.net", &[], true, "ns.host.net=[]"),
        ] {
            let cuts = SharedCuts::new(ZoneCuts::new(&[], 0));
            note(&cuts, &question, &referral, SERVER, Instant::now());
            let (question, mut message) = response(name, RecordType::A, records);
            message.metadata.authoritative = authoritative;
            note(&cuts, &question, &message, SERVER, Instant::now());
            assert_eq!(known(&cuts, "shop.com"), expected, "{name} {records:?}");
            let wanting = cuts.lock().without_addresses(&"shop.com".parse().unwrap(), Instant::now());
            let is_settled = name == "ns.host.net" && (records.is_empty() || expected.contains("192"));
            assert_eq!(wanting.len(), if is_settled { 1 } else { 2 }, "{name} {records:?}");
        }
    }
}
