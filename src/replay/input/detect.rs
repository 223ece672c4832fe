//! Which format a file is in, by its first octets: a magic number, or the first line that some format knows.

use super::{
    Format,
    dnsperf::{is_comment, type_of},
    pihole,
};
use crate::dns::Name;

/// Lines that are looked at: logs may begin with some of other programs.
const LINES_MAX: usize = 200;
/// What begins a Frame Streams file: an escape, and after the frame's length the START control frame (2).
const FRAME_STREAMS_ESCAPE: [u8; 4] = [0; 4];
const FRAME_STREAMS_START: [u8; 4] = [0, 0, 0, 2];

/// What a file begins with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Detected {
    Format(Format),
    /// What it is compressed with, and the program that unpacks it.
    Compressed(&'static str, &'static str),
    Nothing,
}

/// Tells the format from a file's beginning.
pub(super) fn detect(head: &[u8]) -> Detected {
    by_magic(head).unwrap_or_else(|| by_lines(head))
}

fn by_magic(head: &[u8]) -> Option<Detected> {
    let magic = head.first_chunk::<4>()?;
    Some(match magic {
        // Microseconds and nanoseconds, in both orders of octets; one variant; and pcapng's section header.
        [0xa1, 0xb2, 0xc3, 0xd4] | [0xd4, 0xc3, 0xb2, 0xa1] => Detected::Format(Format::Pcap),
        [0xa1, 0xb2, 0x3c, 0x4d] | [0x4d, 0x3c, 0xb2, 0xa1] => Detected::Format(Format::Pcap),
        [0x34, 0xcd, 0xb2, 0xa1] | [0x0a, 0x0d, 0x0d, 0x0a] => Detected::Format(Format::Pcap),
        [0x1f, 0x8b, ..] => Detected::Compressed("gzip", "zcat"),
        [0x28, 0xb5, 0x2f, 0xfd] => Detected::Compressed("zstd", "zstdcat"),
        [0xfd, b'7', b'z', b'X'] => Detected::Compressed("xz", "xzcat"),
        // The digit is a size; a list of queries may begin with such a name.
        [b'B', b'Z', b'h', b'1'..=b'9'] => Detected::Compressed("bzip2", "bzcat"),
        _ if head.starts_with(b"SQLite format 3\0") => Detected::Format(Format::Sqlite),
        _ if *magic == FRAME_STREAMS_ESCAPE && head.get(8..12) == Some(&FRAME_STREAMS_START) => {
            Detected::Format(Format::Dnstap)
        }
        _ => return None,
    })
}

fn by_lines(head: &[u8]) -> Detected {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let lines = text.split(|&octet| octet == b'\n').map(<[u8]>::trim_ascii);
    let lines = lines.filter(|line| !line.is_empty() && !is_comment(line)).take(LINES_MAX);
    let found = lines.map(format_of_line).find_map(|format| format);
    found.map_or(Detected::Nothing, Detected::Format)
}

/// The format that has such lines.
fn format_of_line(line: &[u8]) -> Option<Format> {
    if line.starts_with(b"{") {
        let has = |field: &[u8]| memchr::memmem::find(line, field).is_some();
        return match () {
            () if has(b"\"QH\"") && has(b"\"T\"") => Some(Format::Adguard),
            () if has(b"\"time\"") => Some(Format::Ours),
            () => None,
        };
    }
    if pihole::message(line).is_some() {
        return Some(Format::Pihole);
    }
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let (name, rr_type) = (words.next()?, words.next()?);
    let is_query = { Name::ROOT }.assign(name).is_ok() && type_of(rr_type).is_some();
    is_query.then_some(Format::Dnsperf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_by_their_first_octets() {
        use Detected::{Compressed, Nothing};
        let format = Detected::Format;
        for (head, expected) in [
            (&b"\xa1\xb2\xc3\xd4"[..], format(Format::Pcap)),
            (b"\xd4\xc3\xb2\xa1\x02\0", format(Format::Pcap)),
            (b"\x4d\x3c\xb2\xa1", format(Format::Pcap)),
            (b"\xa1\xb2\x3c\x4d", format(Format::Pcap)),
            (b"\x0a\x0d\x0d\x0a", format(Format::Pcap)),
            (b"SQLite format 3\0\x10", format(Format::Sqlite)),
            (b"\0\0\0\0\0\0\0\x22\0\0\0\x02", format(Format::Dnstap)),
            (b"\0\0\0\0\0\0\0\x22\0\0\0\x07", Nothing),
            (b"\x1f\x8b\x08\0", Compressed("gzip", "zcat")),
            (b"\x28\xb5\x2f\xfd", Compressed("zstd", "zstdcat")),
            (b"BZh9\x31", Compressed("bzip2", "bzcat")),
            (b"BZh.example A", format(Format::Dnsperf)),
            (b"; a comment\n\n# and one\nexample.com A\n", format(Format::Dnsperf)),
            (b"\xef\xbb\xbfexample.com TYPE65", format(Format::Dnsperf)),
            (br#"{"time":"2026-11-28T21:12:44.1Z","name":"a"}"#, format(Format::Ours)),
            (br#"{"T":"2026-11-28T21:12:44Z","QH":"a","QT":"A"}"#, format(Format::Adguard)),
            (b"Nov 28 21:12:44 dnsmasq[1]: started, version 2.90\n", format(Format::Pihole)),
            (b"garbage here\nNov  8 21:12:44 host dnsmasq[1]: query[A] a from 10.0.0.1\n", format(Format::Pihole)),
            (b"{}", Nothing),
            (b"example.com\n", Nothing),
            (b"hello world\n", Nothing),
            (b"\xff\xfe\0", Nothing),
            (b"a", Nothing),
        ] {
            assert_eq!(detect(head), expected, "{}", String::from_utf8_lossy(head));
        }
    }
}
