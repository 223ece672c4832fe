//! Packets without what tells of the client: what it, or a forwarder on the way, put into EDNS options.
//!
//! Such are the client's network (ECS, 8), cookies (10), hardware addresses (65001) and ids that vendors give to devices
//! (20292, 65073, 65074); since anybody may invent more, all go but those that this server writes itself. Anything may be
//! in these packets: what can't be read to its end is nothing.

use crate::dns::{HEADER_BYTES, Name, RrType};
use std::borrow::Cow;

/// The option that this server writes into its responses: an Extended DNS Error (RFC 8914).
const EXTENDED_ERROR: u16 = 15;
/// Octets of the code in it, before its text.
const ERROR_CODE_BYTES: usize = 2;
/// Octets of a record between its owner and its data, and where in them the length of the data stands.
const FIXED_BYTES: usize = 10;
const LENGTH_AT: usize = 8;

/// A query with its header, its question and the fixed part of its OPT record. Other records go too: a signature (TSIG,
/// SIG(0)) bears the name of its key.
pub(super) fn query(packet: &[u8]) -> Option<Cow<'_, [u8]>> {
    let Parts { question_end, opt, .. } = read(packet)?;
    if question_end == packet.len() {
        return Some(packet.into());
    }
    let mut bare = packet.get(..question_end)?.to_vec();
    bare.get_mut(6..HEADER_BYTES)?.copy_from_slice(&[0, 0, 0, 0, 0, u8::from(opt.is_some())]);
    if let Some(opt) = opt {
        bare.extend_from_slice(packet.get(opt.start..opt.data - 2)?);
        bare.extend_from_slice(&[0, 0]);
    }
    Some(bare.into())
}

/// A response of this server with all its records, and of its options the Extended DNS Error alone.
pub(super) fn response(packet: &[u8]) -> Option<Cow<'_, [u8]>> {
    response_with(packet, usize::MAX)
}

/// The same, of the Extended DNS Error the code alone.
pub(super) fn response_without_reason(packet: &[u8]) -> Option<Cow<'_, [u8]>> {
    response_with(packet, ERROR_CODE_BYTES)
}

/// `error_bytes`: so much of an Extended DNS Error.
fn response_with(packet: &[u8], error_bytes: usize) -> Option<Cow<'_, [u8]>> {
    let Parts { opt, end, .. } = read(packet)?;
    let whole = packet.get(..end)?;
    let Some(opt) = opt else { return Some(whole.into()) };
    let options = packet.get(opt.data..opt.end)?;
    let kept = own_options(options, error_bytes)?;
    if kept.len() == options.len() {
        return Some(whole.into());
    }
    // What comes after it may point at names by their place. This server writes nothing there.
    if opt.end != end {
        return None;
    }
    let mut bare = packet.get(..opt.data - 2)?.to_vec();
    bare.extend_from_slice(&u16::try_from(kept.len()).ok()?.to_be_bytes());
    bare.extend_from_slice(&kept);
    Some(bare.into())
}

/// Where things are in a packet.
struct Parts {
    question_end: usize,
    /// Of the OPT record.
    opt: Option<Opt>,
    /// Where the last record ends; octets after it are nobody's.
    end: usize,
}

/// Where an OPT record begins, where its data does, and where it ends.
struct Opt {
    start: usize,
    data: usize,
    end: usize,
}

fn read(packet: &[u8]) -> Option<Parts> {
    let mut at = HEADER_BYTES;
    for _ in 0..number(packet, 4)? {
        at = Name::read(packet, at).ok()?.1 + 4;
    }
    let (question_end, mut opt) = (at, None);
    let records = [6, 8, 10].into_iter().map(|at| number(packet, at).map(u32::from)).sum::<Option<u32>>()?;
    for _ in 0..records {
        let start = at;
        let (owner, fixed) = Name::read(packet, at).ok()?;
        let data = fixed + FIXED_BYTES;
        at = data + usize::from(number(packet, fixed + LENGTH_AT)?);
        if number(packet, fixed)? == RrType::OPT.0 {
            // Another name than the root's, or a second one, is somebody's way to say more.
            if opt.is_some() || !owner.is_root() {
                return None;
            }
            opt = Some(Opt { start, data, end: at });
        }
    }
    (at <= packet.len()).then_some(Parts { question_end, opt, end: at })
}

/// Those options that this server writes, with so many octets of them; `None` if they aren't whole.
fn own_options(mut options: &[u8], error_bytes: usize) -> Option<Vec<u8>> {
    let mut kept = Vec::new();
    while !options.is_empty() {
        let length = usize::from(number(options, 2)?);
        let (option, rest) = options.split_at_checked(4 + length)?;
        if number(option, 0)? == EXTENDED_ERROR {
            let data = &option[4..][..length.min(error_bytes)];
            kept.extend_from_slice(&EXTENDED_ERROR.to_be_bytes());
            kept.extend_from_slice(&(data.len() as u16).to_be_bytes());
            kept.extend_from_slice(data);
        }
        options = rest;
    }
    Some(kept)
}

/// Two octets, the higher first.
fn number(octets: &[u8], at: usize) -> Option<u16> {
    octets.get(at..)?.first_chunk().map(|octets| u16::from_be_bytes(*octets))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What tells of the client in these tests.
    pub(in crate::query_log::dnstap) const CLIENT: &[u8] = b"\xaa\xbb\xcc\xdd\xee\xff";

    pub(in crate::query_log::dnstap) fn option(code: u16, data: &[u8]) -> Vec<u8> {
        [&code.to_be_bytes()[..], &(data.len() as u16).to_be_bytes(), data].concat()
    }

    fn opt(options: &[u8]) -> Vec<u8> {
        [&b"\0\0\x29\x04\xd0\0\0\x80\0"[..], &(options.len() as u16).to_be_bytes(), options].concat()
    }

    /// A packet with a question for `a.example`, an answer if it is a response, and these additional records.
    pub(in crate::query_log::dnstap) fn packet(is_response: bool, additional: &[&[u8]]) -> Vec<u8> {
        let (flags, answer): (u8, &[u8]) =
            if is_response { (0x81, b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01") } else { (0x01, b"") };
        let counts = [0, 1, 0, u8::from(is_response), 0, 0, 0, additional.len() as u8];
        let head = [&[0, 7, flags, 0][..], &counts, b"\x01a\x07example\0\0\x01\0\x01", answer].concat();
        [head, additional.concat()].concat()
    }

    pub(in crate::query_log::dnstap) fn with_options(is_response: bool, options: &[u8]) -> Vec<u8> {
        packet(is_response, &[&opt(options)])
    }

    fn tells(octets: &[u8]) -> bool {
        octets.windows(CLIENT.len()).any(|window| window == CLIENT)
    }

    const SIGNATURE: &[u8] = b"\x06\xaa\xbb\xcc\xdd\xee\xff\0\0\xfa\0\xff\0\0\0\0\0\x01x";

    #[test]
    fn queries_keep_header_question_and_flags_alone() {
        let bare = with_options(false, &[]);
        for code in [3, 8, 10, 12, 15, 20292, 65001, 65073, 65074] {
            let own = with_options(false, &[option(code, CLIENT), option(9, b"")].concat());
            assert_eq!(query(&own).unwrap(), bare, "{code}");
        }
        let none = packet(false, &[]);
        for (what, own, expected) in [
            ("nothing", none.clone(), Some(&none)),
            ("no option", bare.clone(), Some(&bare)),
            ("a signature", packet(false, &[&opt(CLIENT), SIGNATURE]), Some(&bare)),
            ("a signature alone", packet(false, &[SIGNATURE]), Some(&none)),
            ("octets after the end", [&none[..], CLIENT].concat(), Some(&none)),
            ("two OPT records", packet(false, &[&opt(b""), &opt(CLIENT)]), None),
            ("an OPT record with a name", packet(false, &[&[b"\x06", CLIENT, &opt(b"")].concat()]), None),
            ("a record that is missing", packet(false, &[b""]), None),
            ("no header", CLIENT.to_vec(), None),
        ] {
            assert_eq!(query(&own).as_deref(), expected.map(Vec::as_slice), "{what}");
        }
    }

    #[test]
    fn responses_keep_their_records_and_the_error() {
        let error = option(EXTENDED_ERROR, b"\0\x0fblocked");
        let told = with_options(true, &error);
        let others = [option(8, CLIENT), error.clone(), option(10, CLIENT)].concat();
        for (what, own, expected) in [
            ("no OPT record", packet(true, &[]), Some(packet(true, &[]))),
            ("the error alone", told.clone(), Some(told.clone())),
            ("and others", with_options(true, &others), Some(told.clone())),
            ("others before a record", packet(true, &[&opt(&others), SIGNATURE]), None),
            ("an option cut off", with_options(true, &option(8, CLIENT)[..6]), None),
            ("octets after the end", [&told[..], CLIENT].concat(), Some(told.clone())),
        ] {
            assert_eq!(response(&own).as_deref(), expected.as_deref(), "{what}");
        }
    }

    #[test]
    fn hostile_packets_are_nothing_or_tell_nothing() {
        let whole = packet(false, &[&opt(&option(8, CLIENT)), SIGNATURE]);
        for cut in 0..=whole.len() {
            let _ = (query(&whole[..cut]), response(&whole[..cut]));
            for octet in [0, 1, 0x0c, 0x29, 0x7f, 0xc0, 0xff] {
                let mut bent = whole.clone();
                if let Some(place) = bent.get_mut(cut) {
                    *place = octet;
                }
                let _ = response(&bent);
                // A question of it is the client's own word, and told everywhere.
                let asked = read(&bent).map(|parts| tells(&bent[..parts.question_end]));
                if let (Some(bare), Some(false)) = (query(&bent), asked) {
                    assert!(!tells(&bare), "{cut} {octet}: {bare:?}");
                }
            }
        }
    }
}
