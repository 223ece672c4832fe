//! Hosts files as a source of local data: `address name name…` to address records. Pure: the file is read elsewhere.

use crate::dns::{Class, Name, Record, RrType};
use std::net::IpAddr;

/// TTL of addresses from a hosts file, in seconds: short, because machines move, and asking here costs nothing.
const HOSTS_TTL_SECONDS: u32 = 300;
/// How many lines are reported with what is wrong with them; the rest is counted.
const PROBLEMS_KEPT: usize = 20;

/// A hosts file as read.
#[derive(Debug, Default, PartialEq)]
pub struct HostsFile {
    pub records: Vec<Record>,
    /// The first lines that can't be used, with the reason.
    pub problems: Vec<(u32, String)>,
    /// How many there are in all.
    pub problem_count: usize,
}

/// Names that stand in every hosts file for the machine itself. They are answered by convention, or by nobody.
const OWN_NAMES: [&str; 8] = [
    "localhost",
    "localhost.localdomain",
    "localhost4",
    "localhost4.localdomain4",
    "localhost6",
    "localhost6.localdomain6",
    "local",
    "broadcasthost",
];

/// Reads a hosts file. A line that can't be used is noted, and harms no other.
pub fn read_hosts(text: &[u8]) -> HostsFile {
    let mut file = HostsFile::default();
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    for (line, number) in text.split(|&octet| octet == b'\n').zip(1u32..) {
        if let Err(reason) = read_line(line, &mut file.records) {
            file.problem_count += 1;
            if file.problems.len() < PROBLEMS_KEPT {
                file.problems.push((number, reason));
            }
        }
    }
    file
}

/// Reads a line, and appends a record for each of its names. One bad name loses none of the others.
fn read_line(line: &[u8], records: &mut Vec<Record>) -> Result<(), String> {
    let line = line.split(|&octet| octet == b'#').next().unwrap_or_default();
    let line = std::str::from_utf8(line).map_err(|_| "it is not UTF-8 text".to_owned())?;
    let mut words = line.split_ascii_whitespace();
    let Some(first) = words.next() else { return Ok(()) };
    let (own, names): (Vec<&str>, Vec<&str>) = words.partition(|name| is_own_name(name));
    if names.is_empty() && !own.is_empty() {
        return Ok(());
    }
    let address = read_address(first)?;
    if names.is_empty() {
        return Err(format!("`{first}` has no name"));
    }
    if address.is_unspecified() {
        return Err(format!("{address} is nobody's address; to block names, put this file into a program's lists"));
    }
    let (rr_type, data) = match address {
        IpAddr::V4(address) => (RrType::A, address.octets().to_vec()),
        IpAddr::V6(address) => (RrType::AAAA, address.octets().to_vec()),
    };
    let mut result = Ok(());
    for text in names {
        match text.parse::<Name>() {
            Ok(owner) if !owner.is_root() && !text.contains('*') => {
                let data = data.clone();
                records.push(Record { owner, rr_type, class: Class::IN, ttl: HOSTS_TTL_SECONDS, data });
            }
            Ok(_) => result = Err(format!("`{text}` is not one machine's name; write it into [local] records")),
            Err(error) => result = Err(format!("`{}`: {error}", text.chars().take(60).collect::<String>())),
        }
    }
    result
}

fn read_address(text: &str) -> Result<IpAddr, String> {
    let shown = || text.chars().take(60).collect::<String>();
    let (address, has_zone) = text.split_once('%').map_or((text, false), |(address, _)| (address, true));
    match address.parse() {
        Ok(_) if has_zone => Err(format!("`{}` means something on this machine alone", shown())),
        Ok(address) => Ok(address),
        Err(_) => Err(format!("`{}` is no address; a line is an address, then its names", shown())),
    }
}

fn is_own_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    // `ip6-localnet`, `ip6-allnodes` and their like, in Debian's header.
    let is_debians = name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("ip6-"));
    is_debians || OWN_NAMES.iter().any(|own| own.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<String>, Vec<String>) {
        let file = read_hosts(text.as_bytes());
        let records = file.records.iter().map(|record| record.to_string().replace('\t', " ")).collect();
        (records, file.problems.iter().map(|(line, reason)| format!("{line}: {reason}")).collect())
    }

    #[test]
    fn lines_become_address_records() {
        let headers = "127.0.0.1\tlocalhost localhost.localdomain\n255.255.255.255 broadcasthost\n::1 localhost \
                       ip6-localhost ip6-loopback\nfe80::1%lo0 localhost\nff02::1 ip6-allnodes\n";
        for (text, records, problems) in [
            ("", &[][..], &[][..]),
            ("# comment\n\n \t\r\n", &[], &[]),
            (
                "\u{feff}192.168.1.10 nas.lan NAS # the box\r\nfd00::1\tRouter.lan.",
                &["nas.lan. 300 IN A 192.168.1.10", "nas. 300 IN A 192.168.1.10", "router.lan. 300 IN AAAA fd00::1"],
                &[],
            ),
            ("127.0.1.1 laptop localhost", &["laptop. 300 IN A 127.0.1.1"], &[]),
            (
                "0.0.0.0 ads.example\n:: ads.example\n10.0.0.1 a..b good.lan *.lan\nnas 10.0.0.1\n10.0.0.1\n\
                 10.0.0.1 #x\nfe80::1%eth0 a.lan",
                &["good.lan. 300 IN A 10.0.0.1"],
                &[
                    "1: 0.0.0.0 is nobody's address; to block names, put this file into a program's lists",
                    "2: :: is nobody's address; to block names, put this file into a program's lists",
                    "3: `*.lan` is not one machine's name; write it into [local] records",
                    "4: `nas` is no address; a line is an address, then its names",
                    "5: `10.0.0.1` has no name",
                    "6: `10.0.0.1` has no name",
                    "7: `fe80::1%eth0` means something on this machine alone",
                ],
            ),
        ] {
            let (found, wrong) = read(text);
            assert_eq!(
                (found.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), wrong),
                (records, problems.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
            );
        }
        assert_eq!(read(headers), (vec![], vec![]));
    }

    #[test]
    fn problems_are_counted_and_few_are_kept() {
        let file = read_hosts(&b"x\n\xff\n".repeat(100));
        assert_eq!((file.problem_count, file.problems.len()), (200, PROBLEMS_KEPT));
        assert_eq!(file.problems[1], (2, "it is not UTF-8 text".to_owned()));
    }
}
