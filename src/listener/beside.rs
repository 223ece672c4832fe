//! Who answers at an address that another process may have, and that is about to be shared with it: the kernel would give
//! each of them a part of the questions. That is meant with a cleandns that is about to leave, and with nobody else.
//!
//! In a container that process is out of sight, so it is asked: for a name to which every cleandns answers the address
//! that it was asked at. A resolver that only passes questions on doesn't, not even to a cleandns.

use super::{
    endpoint::reachable,
    holder,
    proxied::{FOR_ITSELF, Proxies},
};
use crate::{
    dns::{
        Class, ExtendedError, HEADER_BYTES, MessageWriter, Name, Rcode, RrType, Section, extended_error, read_records,
    },
    query::{HEALTH_NAME, NOT_ALLOWED},
};
use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    thread,
    time::{Duration, Instant},
};

/// Ports that each address is asked from: the kernel chooses by them among the sockets there, and one may be somebody
/// else's already.
const ASKED_FROM: usize = 4;
/// How long answers are waited for. Who is silent for longer serves nobody.
const WITHIN: Duration = Duration::from_secs(1);
/// Octets read of an answer.
const ANSWER_BYTES_MAX: usize = 4096;

/// Who answers.
#[derive(PartialEq, Eq, Debug)]
enum Answers {
    Cleandns,
    /// What somebody else says.
    Another(String),
    /// Nobody is there, or whoever is has nothing to say any more: such a one may be taken over from.
    Nobody,
}

/// Somebody else who answers.
#[derive(Debug)]
pub struct Stranger {
    /// The address that is about to be shared.
    pub address: SocketAddr,
    /// Where it was asked.
    pub at: SocketAddr,
    pub says: String,
}

/// Finds somebody else who answers where these addresses are. Blocks for a second or two at most, where somebody is silent.
pub fn stranger(addresses: &[SocketAddr], proxies: Option<&Proxies>) -> Option<Stranger> {
    let all = addresses.iter().filter(|address| address.port() != 0);
    let asked: Vec<(SocketAddr, SocketAddr)> = all.flat_map(|&own| places(own).map(move |at| (own, at))).collect();
    let found = thread::scope(|scope| {
        let asking: Vec<_> = asked.iter().map(|&(_, at)| scope.spawn(move || who(at, proxies, WITHIN))).collect();
        asking.into_iter().map(|one| one.join().unwrap_or(Answers::Nobody)).collect::<Vec<_>>()
    });
    asked.into_iter().zip(found).find_map(|((address, at), answers)| match answers {
        Answers::Another(says) => Some(Stranger { address, at, says }),
        Answers::Cleandns | Answers::Nobody => None,
    })
}

/// Where it is asked who has an address: there, and where sockets are that would share it.
fn places(own: SocketAddr) -> impl Iterator<Item = SocketAddr> {
    let narrower = move |found: SocketAddr| if found.ip().is_unspecified() { own } else { found };
    let found = holder::udp_sockets_at(own).into_iter().map(narrower);
    let all: BTreeSet<SocketAddr> = found.chain([own]).map(reachable).collect();
    all.into_iter()
}

fn who(address: SocketAddr, proxies: Option<&Proxies>, within: Duration) -> Answers {
    let own = asking_from(address).and_then(|socket| socket.local_addr());
    let is_proxy = own.is_ok_and(|own| proxies.is_some_and(|proxies| proxies.has(own.ip())));
    // Who hears proxies alone hears this machine only as one of them; another, or another configuration, not even then.
    let headers: &[&[u8]] = if is_proxy { &[FOR_ITSELF, &[]] } else { &[&[]] };
    let answers = headers.iter().map(|header| ask(address, header, within));
    answers.into_iter().find(|answers| *answers != Answers::Nobody).unwrap_or(Answers::Nobody)
}

fn asking_from(address: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(address)?;
    Ok(socket)
}

/// Asks from several ports at once.
fn ask(address: SocketAddr, header: &[u8], within: Duration) -> Answers {
    let until = Instant::now() + within;
    let query = query(address);
    let send = |socket: UdpSocket| socket.send(&[header, &query].concat()).map(|_| socket);
    let asking: Vec<UdpSocket> = (0..ASKED_FROM).filter_map(|_| asking_from(address).and_then(send).ok()).collect();
    let mut found = Answers::Nobody;
    for socket in &asking {
        match hear(socket, address, until) {
            Answers::Another(says) => return Answers::Another(says),
            Answers::Cleandns => found = Answers::Cleandns,
            Answers::Nobody => {}
        }
    }
    found
}

/// The question, for the type that an answer with this address has.
fn query(address: SocketAddr) -> Vec<u8> {
    // Each socket is connected, and asks once.
    const ID: u16 = 0xc1ea;
    let rr_type = if address.ip().to_canonical().is_ipv4() { RrType::A } else { RrType::AAAA };
    let mut packet = Vec::new();
    let mut writer = MessageWriter::new(&mut packet, 512, ID, [0x01, 0]);
    writer.question(&HEALTH_NAME.parse().unwrap_or(Name::ROOT), rr_type, Class::IN);
    let _ = writer.edns(1232, false, Rcode::NOERROR, None);
    writer.finish();
    packet
}

/// The first answer. It is of whoever has the address: the socket is connected.
fn hear(socket: &UdpSocket, address: SocketAddr, until: Instant) -> Answers {
    let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    let mut octets = [0; ANSWER_BYTES_MAX];
    let received = socket.set_read_timeout(Some(left)).and_then(|()| socket.recv(&mut octets));
    received.map_or(Answers::Nobody, |length| judge(&octets[..length], address.ip().to_canonical()))
}

/// Who answers so, asked at `address`.
fn judge(answer: &[u8], address: IpAddr) -> Answers {
    let another = |says: &str| Answers::Another(says.to_owned());
    if answer.len() < HEADER_BYTES || answer[2] & 0x80 == 0 {
        return another("what is no answer");
    }
    let rcode = Rcode(u16::from(answer[3] & 0x0f));
    let records = read_records(answer).unwrap_or_default();
    let tells = |(section, record): &(Section, crate::dns::Record)| {
        *section == Section::Answer && record.address() == Some(address)
    };
    // Who isn't let in is told so by a cleandns in these words.
    let refuses = || {
        let error = extended_error(answer).filter(|error| error.code == ExtendedError::PROHIBITED);
        error.is_some_and(|error| error.text.ends_with(NOT_ALLOWED))
    };
    match rcode {
        Rcode::NOERROR if records.iter().any(tells) => Answers::Cleandns,
        Rcode::REFUSED if refuses() => Answers::Cleandns,
        Rcode::NOERROR => another("something else"),
        rcode => another(&rcode.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Record;
    use std::sync::mpsc::channel;

    fn answer(rcode: Rcode, address: Option<&str>, ede: Option<(u16, &str)>) -> Vec<u8> {
        let name: Name = HEALTH_NAME.parse().unwrap();
        let mut packet = Vec::new();
        let mut writer = MessageWriter::new(&mut packet, 512, 1, [0x81, 0x80 | rcode.0 as u8]);
        writer.question(&name, RrType::A, Class::IN);
        if let Some(IpAddr::V4(address)) = address.map(|address| address.parse().unwrap()) {
            let data = address.octets().to_vec();
            let record = Record { owner: name, rr_type: RrType::A, class: Class::IN, ttl: 0, data };
            writer.record(Section::Answer, &record).unwrap();
        }
        writer.edns(1232, false, rcode, ede).unwrap();
        writer.finish();
        packet
    }

    #[test]
    fn a_cleandns_is_known_by_its_answer() {
        let at: IpAddr = "192.0.2.53".parse().unwrap();
        let no_client = "192.0.2.53 is not in [access] allow";
        for (octets, is_cleandns) in [
            (answer(Rcode::NOERROR, Some("192.0.2.53"), None), true),
            (answer(Rcode::REFUSED, None, Some((18, no_client))), true),
            // Passed on to a cleandns elsewhere; or made up; or what others say of such a name.
            (answer(Rcode::NOERROR, Some("192.0.2.54"), None), false),
            (answer(Rcode::NOERROR, None, None), false),
            (answer(Rcode::NXDOMAIN, None, None), false),
            (answer(Rcode::REFUSED, None, None), false),
            (answer(Rcode::REFUSED, None, Some((18, "no"))), false),
            (answer(Rcode::SERVFAIL, None, Some((15, no_client))), false),
            (query("192.0.2.53:53".parse().unwrap()), false),
            (b"hello".to_vec(), false),
        ] {
            assert_eq!(judge(&octets, at) == Answers::Cleandns, is_cleandns, "{octets:02x?}");
        }
    }

    #[test]
    fn who_is_silent_is_nobody() {
        let short = Duration::from_millis(50);
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap();
        assert_eq!(who(address, None, short), Answers::Nobody);
        drop(silent);
        // Here the kernel says so.
        assert_eq!(who(address, None, Duration::from_secs(30)), Answers::Nobody);
    }

    /// One of several sockets at an address is enough.
    #[test]
    fn a_stranger_is_heard_behind_a_header_too() {
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = other.local_addr().unwrap();
        let (asked, all) = channel();
        thread::spawn(move || {
            let mut octets = [0; 512];
            while let Ok((length, client)) = other.recv_from(&mut octets) {
                let is_header = octets[..length].starts_with(FOR_ITSELF);
                let _ = asked.send(is_header);
                if !is_header {
                    let _ = other.send_to(&answer(Rcode::NXDOMAIN, None, None), client);
                }
            }
        });
        let proxies = Proxies::new(vec!["127.0.0.0/8".parse().unwrap()]);
        let short = Duration::from_millis(200);
        assert_eq!(who(address, proxies.as_ref(), short), Answers::Another("NXDOMAIN".to_owned()));
        assert!(all.try_iter().any(|is_header| is_header));
        let found = stranger(&[address], None).unwrap();
        assert_eq!((found.address, found.at, found.says.as_str()), (address, address, "NXDOMAIN"));
    }
}
