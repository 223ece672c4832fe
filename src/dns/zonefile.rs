//! Master files (RFC 1035 §5.1), read line by line: `$TTL`, `$ORIGIN`, owners left out, records over several lines.
//!
//! It reads RPZ lists of millions of lines, so a line allocates nothing, and one bad record never harms the next: it
//! is reported, and reading goes on at the next line. Includes are refused: a list has no business with other files.

use super::{
    Name, RrType,
    presentation::{Body, Field, RecordError, Token, Tokens, assign_name, body, excerpt, name, ttl, write_rdata},
};
use smallvec::SmallVec;

/// Octets of a record's text, comments included: what the longest data takes as words, and then some. Beyond it an
/// opening parenthesis is taken for a mistake.
pub const RECORD_BYTES_MAX: usize = 64 << 10;
/// Lines of a record. The longest data in lines of 80 characters has about as many; what is longer is a mistake.
pub const RECORD_LINES_MAX: usize = 1000;

/// A record of a zone file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ZoneRecord<'a> {
    /// The line it begins in.
    pub line: u32,
    pub owner: Name,
    /// As the record says, else as `$TTL` says, else as the last record said, in seconds.
    pub ttl: Option<u32>,
    pub rr_type: RrType,
    /// Uncompressed wire form.
    pub data: &'a [u8],
}

/// What is found in a zone file.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are records, none is kept, and a box is an allocation a line"
)]
pub enum ZoneEntry<'a> {
    Record(ZoneRecord<'a>),
    /// What began in this line can't be read.
    Problem {
        line: u32,
        reason: &'static str,
        /// What exactly, and what to write; may be empty.
        detail: String,
    },
}

/// Reads a zone file that is given to it line by line.
pub struct ZoneReader {
    origin: Origin,
    /// What `$TTL` said.
    default_ttl: Option<u32>,
    /// What the last record that had a TTL said (RFC 1035 §5.1).
    last_ttl: Option<u32>,
    /// The owner of records that begin with white space.
    owner: Name,
    /// Why there is no such owner.
    no_owner: Option<&'static str>,
    open: Option<OpenRecord>,
    /// Data of the record at hand, kept for its memory.
    data: Vec<u8>,
}

/// What relative names are relative to.
enum Origin {
    /// Nothing was said: names are absolute.
    Unsaid,
    /// The file says none. Its SOA record's owner is the zone's name, which is the origin where a server reads it.
    Zone(Name),
    /// `$ORIGIN`
    Said(Name),
    /// An `$ORIGIN` that can't be read: any guess would make up names.
    Unreadable,
}

/// A record whose parentheses are still open.
struct OpenRecord {
    text: Vec<u8>,
    /// Number of each line, and where it begins in `text`.
    lines: Vec<(u32, usize)>,
    depth: u32,
}

/// What is wrong with a line or record.
struct Fault {
    reason: &'static str,
    detail: String,
}

type Fields<'a> = SmallVec<[Field<'a>; 12]>;
type Sink<'s> = &'s mut dyn FnMut(ZoneEntry<'_>);

const NO_OWNER: &str = "the line begins with white space, and no record stands before it to take the owner from";
const OWNER_UNREADABLE: &str = "the owner is left out, and the one above it can't be read";

impl Default for ZoneReader {
    fn default() -> Self {
        Self::new()
    }
}

impl ZoneReader {
    pub fn new() -> Self {
        Self {
            origin: Origin::Unsaid,
            default_ttl: None,
            last_ttl: None,
            owner: Name::ROOT,
            no_owner: Some(NO_OWNER),
            open: None,
            data: Vec::new(),
        }
    }

    /// Reads a line, with or without its end, but with the white space it begins with. `number` is its place in the
    /// file, counted from one.
    pub fn line(&mut self, line: &[u8], number: u32, sink: Sink<'_>) {
        if self.open.is_some() {
            return self.next_line(line, number, sink);
        }
        let line = if number == 1 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line };
        match self.first_line(line, number, sink) {
            Err(fault) => sink(fault.at(number)),
            Ok(0) => {}
            Ok(depth) => self.open = Some(OpenRecord { text: line.to_vec(), lines: vec![(number, 0)], depth }),
        }
    }

    /// To be called after the last line.
    pub fn finish(&mut self, sink: Sink<'_>) {
        if let Some(open) = self.open.take() {
            self.give_up(&open, never_closed(), sink);
        }
    }

    /// What relative names are relative to by now: the last `$ORIGIN`, or else the owner of the SOA record.
    pub fn origin(&self) -> Option<Name> {
        self.origin.known().copied()
    }

    /// Reads a line that begins something. Returns how many parentheses are open at its end.
    fn first_line(&mut self, line: &[u8], number: u32, sink: Sink<'_>) -> Result<u32, Fault> {
        match line.first() {
            None | Some(b';') => return Ok(0),
            _ if line.len() > RECORD_BYTES_MAX => {
                return Err(Fault::new("the line is too long", format!("{} octets", line.len())));
            }
            Some(b'$') => return self.directive(line).map(|()| 0),
            _ => {}
        }
        let (fields, depth) = fields(line, 0).inspect_err(|_| self.forget_owner(line))?;
        if depth > 0 {
            // If it is never closed, its owner is that of the lines below all the same. What is wrong with it is said
            // when the whole is read.
            let _ = self.take_owner(line, &fields);
        } else if !fields.is_empty() {
            self.record(line, &fields, number, sink)?;
        }
        Ok(depth)
    }

    /// Reads one more line of an open record.
    fn next_line(&mut self, line: &[u8], number: u32, sink: Sink<'_>) {
        let Some(mut open) = self.open.take() else { return };
        let is_bounded = open.text.len() + line.len() < RECORD_BYTES_MAX && open.lines.len() < RECORD_LINES_MAX;
        if !is_bounded {
            self.give_up(&open, never_closed(), sink);
            return self.line(line, number, sink);
        }
        open.text.push(b'\n');
        open.lines.push((number, open.text.len()));
        open.text.extend_from_slice(line);
        match fields(line, open.depth) {
            Err(fault) => self.give_up(&open, fault, sink),
            Ok((_, 0)) => self.close(&open, sink),
            Ok((_, depth)) => {
                open.depth = depth;
                self.open = Some(open);
            }
        }
    }

    /// Reads a record whose last parenthesis was closed.
    fn close(&mut self, open: &OpenRecord, sink: Sink<'_>) {
        let read = fields(&open.text, 0).and_then(|(fields, _)| match fields.is_empty() {
            true => Ok(()),
            false => self.record(&open.text, &fields, open.lines[0].0, sink),
        });
        if let Err(fault) = read {
            self.give_up(open, fault, sink);
        }
    }

    /// Reports a record of several lines as unreadable. Its parenthesis may be a slip, and the lines below it good
    /// records, so each is tried by itself; those that are none are the broken record's own, and have been reported.
    fn give_up(&mut self, open: &OpenRecord, fault: Fault, sink: Sink<'_>) {
        sink(fault.at(open.lines[0].0));
        for (index, &(number, start)) in open.lines.iter().enumerate().skip(1) {
            let end = open.lines.get(index + 1).map_or(open.text.len(), |&(_, next)| next - 1);
            let owner = (self.owner, self.no_owner);
            // An opening parenthesis isn't followed here, so that no line is read more than twice.
            if !matches!(self.first_line(&open.text[start..end], number, sink), Ok(0)) {
                (self.owner, self.no_owner) = owner;
            }
        }
    }

    /// Reads `$TTL` and `$ORIGIN`, and refuses all others.
    fn directive(&mut self, line: &[u8]) -> Result<(), Fault> {
        let (fields, _) = fields(line, 0)?;
        let is = |word: &str| fields[0].text.eq_ignore_ascii_case(word.as_bytes());
        match fields.as_slice() {
            [_, value] if is("$TTL") => match ttl(value.text) {
                Some(seconds) => {
                    self.default_ttl = Some(seconds);
                    Ok(())
                }
                None => Err(RecordError::Ttl(excerpt(value.text)).into()),
            },
            _ if is("$TTL") => Err(Fault::new("a $TTL needs one time", "such as $TTL 1h30m".to_owned())),
            [_, value] if is("$ORIGIN") => match self.origin_below(value.text) {
                Ok(origin) => {
                    self.origin = Origin::Said(origin);
                    Ok(())
                }
                Err(fault) => {
                    self.origin = Origin::Unreadable;
                    Err(fault)
                }
            },
            _ if is("$ORIGIN") => {
                self.origin = Origin::Unreadable;
                Err(Fault::new("an $ORIGIN needs one name", "such as $ORIGIN example.com.".to_owned()))
            }
            _ if is("$INCLUDE") => Err(Fault::new("includes are refused", String::new())),
            _ if is("$GENERATE") => Err(Fault::new("$GENERATE is not read; write the records", String::new())),
            _ => Err(Fault::new("there is no such directive", excerpt(fields[0].text))),
        }
    }

    /// Reads a whole record.
    fn record(&mut self, text: &[u8], fields: &[Field<'_>], line: u32, sink: Sink<'_>) -> Result<(), Fault> {
        let rest = self.take_owner(text, fields)?;
        let Body { ttl, rr_type, data: words } = body(rest)?;
        match self.read_data(rr_type, words) {
            // Every name of a signed zone has some, and nothing here asks for them.
            Err(_) if rr_type.is_of_signed_zones() => return Ok(()),
            read => read?,
        }
        if rr_type == RrType::SOA && matches!(self.origin, Origin::Unsaid) {
            self.origin = Origin::Zone(self.owner);
        }
        if ttl.is_some() {
            self.last_ttl = ttl;
        }
        let ttl = ttl.or(self.default_ttl).or(self.last_ttl);
        sink(ZoneEntry::Record(ZoneRecord { line, owner: self.owner, ttl, rr_type, data: &self.data }));
        Ok(())
    }

    /// Takes the owner of the record whose words these are, and returns the words after it.
    fn take_owner<'f, 'a>(&mut self, text: &[u8], fields: &'f [Field<'a>]) -> Result<&'f [Field<'a>], Fault> {
        if begins_blank(text) {
            return self.no_owner.map_or(Ok(fields), |reason| Err(Fault::new(reason, String::new())));
        }
        // Until it is read, it is unknown.
        self.forget_owner(text);
        let (first, rest) = fields.split_first().ok_or(RecordError::Empty)?;
        self.refuse_relative(first.text)?;
        assign_name(first.text, self.origin.known(), &mut self.owner)
            .map_err(|error| RecordError::Owner { found: excerpt(first.text), error })?;
        self.no_owner = None;
        Ok(rest)
    }

    /// Notes that the owner a line begins with, if it does, can't be known: no record below may take an older one.
    fn forget_owner(&mut self, text: &[u8]) {
        if !begins_blank(text) {
            self.no_owner = Some(OWNER_UNREADABLE);
        }
    }

    /// Reads the name of an `$ORIGIN`, which is itself below the one before.
    fn origin_below(&self, text: &[u8]) -> Result<Name, Fault> {
        self.refuse_relative(text)?;
        name(text, self.origin.known()).map_err(|error| RecordError::Owner { found: excerpt(text), error }.into())
    }

    /// Refuses a name below an unknown origin.
    fn refuse_relative(&self, text: &[u8]) -> Result<(), Fault> {
        let is_relative = || name(text, None).ok() != name(text, Some(&somewhere())).ok();
        if matches!(self.origin, Origin::Unreadable) && is_relative() { Err(origin_unreadable()) } else { Ok(()) }
    }

    /// Reads the words of data into `self.data`.
    fn read_data(&mut self, rr_type: RrType, words: &[Field<'_>]) -> Result<(), Fault> {
        self.data.clear();
        write_rdata(rr_type, words, self.origin.known(), &mut self.data).map_err(RecordError::Data)?;
        if matches!(self.origin, Origin::Unreadable) {
            // What is the same under two origins has no name that is relative to either.
            let mut elsewhere = Vec::new();
            write_rdata(rr_type, words, Some(&somewhere()), &mut elsewhere).map_err(RecordError::Data)?;
            if self.data != elsewhere {
                return Err(origin_unreadable());
            }
        }
        Ok(())
    }
}

impl Origin {
    fn known(&self) -> Option<&Name> {
        match self {
            Self::Said(name) | Self::Zone(name) => Some(name),
            Self::Unsaid | Self::Unreadable => None,
        }
    }
}

impl Fault {
    fn new(reason: &'static str, detail: String) -> Self {
        Self { reason, detail }
    }

    fn at(self, line: u32) -> ZoneEntry<'static> {
        ZoneEntry::Problem { line, reason: self.reason, detail: self.detail }
    }
}

impl From<RecordError> for Fault {
    fn from(error: RecordError) -> Self {
        let reason = match error {
            RecordError::Empty => "there is no record",
            RecordError::Owner { .. } => "not a name",
            RecordError::NoType => "the type is missing",
            RecordError::UnknownType(_) => "the type is unknown",
            RecordError::Ttl(_) => "the TTL can't be read",
            RecordError::Class(_) => "classes other than IN are not read",
            RecordError::Data(_) => "the data can't be read",
            RecordError::Quote(_) => "a quotation mark is never closed",
        };
        Self::new(reason, error.to_string())
    }
}

fn never_closed() -> Fault {
    let detail = format!("within {RECORD_LINES_MAX} lines or {RECORD_BYTES_MAX} octets");
    Fault::new("an opening parenthesis is never closed", detail)
}

/// An origin other than none.
fn somewhere() -> Name {
    "x".parse().expect("a letter is a name")
}

fn origin_unreadable() -> Fault {
    Fault::new("a name is relative to an $ORIGIN that can't be read", String::new())
}

/// True if a record's owner is left out.
fn begins_blank(text: &[u8]) -> bool {
    text.first().is_some_and(|octet| matches!(octet, b' ' | b'\t' | b'\r' | b'\n'))
}

/// The words of a text, and how many parentheses are open at its end if `depth` are open before it.
fn fields(text: &[u8], mut depth: u32) -> Result<(Fields<'_>, u32), Fault> {
    let mut fields = Fields::new();
    for token in Tokens::new(text) {
        match token.map_err(RecordError::Quote)? {
            Token::Field(field) => fields.push(field),
            Token::Open => depth += 1,
            Token::Close if depth == 0 => {
                return Err(Fault::new("a closing parenthesis has no opening one", String::new()));
            }
            Token::Close => depth -= 1,
        }
    }
    Ok((fields, depth))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{Class, Record};
    use proptest::prelude::*;

    /// Every entry: `line: record` as shown, or `line! reason`.
    fn read_lines<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
        let (mut reader, mut all) = (ZoneReader::new(), Vec::new());
        let mut sink = |entry: ZoneEntry<'_>| match entry {
            ZoneEntry::Record(ZoneRecord { line, owner, ttl, rr_type, data }) => {
                let (shown_ttl, data) = (ttl.map_or("-".to_owned(), |ttl| ttl.to_string()), data.to_vec());
                let record = Record { owner, rr_type, class: Class::IN, ttl: 7, data };
                let shown = record.to_string().replace("\t7\tIN\t", &format!(" {shown_ttl} ")).replace('\t', " ");
                all.push(format!("{line}: {shown}"));
            }
            ZoneEntry::Problem { line, reason, .. } => all.push(format!("{line}! {reason}")),
        };
        lines.zip(1..).for_each(|(line, number)| reader.line(line, number, &mut sink));
        reader.finish(&mut sink);
        all
    }

    fn read(text: &str) -> Vec<String> {
        read_lines(text.split('\n').map(str::as_bytes))
    }

    #[test]
    fn zones_are_read() {
        for (text, expected) in [
            ("", &[][..]),
            ("\n \n\t; comment\n;\n\r\n", &[]),
            ("\u{feff}a. A 192.0.2.1\r\n", &["1: a. - A 192.0.2.1"]),
            (
                "evil.example CNAME .\n*.evil.example CNAME .",
                &["1: evil.example. - CNAME .", "2: *.evil.example. - CNAME ."],
            ),
            (
                "$TTL 1h30m\n$ORIGIN X.\na A 192.0.2.1\n  300 IN AAAA ::1\n@ IN 5m TXT y\nb.y. NS @",
                &["3: a.x. 5400 A 192.0.2.1", "4: a.x. 300 AAAA ::1", "5: x. 300 TXT \"y\"", "6: b.y. 5400 NS x."],
            ),
            ("a. 60 A 192.0.2.1\nb. A 192.0.2.2", &["1: a. 60 A 192.0.2.1", "2: b. 60 A 192.0.2.2"]),
            ("$origin x.\n$ORIGIN y\na NS @", &["3: a.y.x. - NS y.x."]),
            (
                "@ SOA l. r.l. ( 1 ; serial\n\t2\n 3 4\n 5 )\n\n  NS l.\nc CNAME .",
                &["1: . - SOA l. r.l. 1 2 3 4 5", "6: . - NS l.", "7: c. - CNAME ."],
            ),
            // The zone's name is the origin if nothing else is.
            (
                "a CNAME b\nrpz.x. SOA . . 1 2 3 4 5\na CNAME b\nb.rpz.x. CNAME c.",
                &[
                    "1: a. - CNAME b.",
                    "2: rpz.x. - SOA . . 1 2 3 4 5",
                    "3: a.rpz.x. - CNAME b.rpz.x.",
                    "4: b.rpz.x. - CNAME c.",
                ],
            ),
            (
                "$ORIGIN y.\nrpz.x. SOA . . 1 2 3 4 5\na CNAME b",
                &["2: rpz.x. - SOA . . 1 2 3 4 5", "3: a.y. - CNAME b.y."],
            ),
            (
                "a. TXT ( \"b ; ( c\" ; d )\n e\n) ; f\nb. A 192.0.2.1",
                &["1: a. - TXT \"b ; ( c\" \"e\"", "4: b. - A 192.0.2.1"],
            ),
            (r"a\.b. TYPE65280 \# 2 ( 01 02 )", &[r"1: a\.b. - TYPE65280 \# 2 0102"]),
            ("24.0.0.2.192.rpz-ip CNAME rpz-passthru.", &["1: 24.0.0.2.192.rpz-ip. - CNAME rpz-passthru."]),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        let mut reader = ZoneReader::new();
        assert_eq!(reader.origin(), None);
        reader.line(b"rpz.x. SOA . . 1 2 3 4 5", 1, &mut |_| {});
        assert_eq!(reader.origin(), Some("rpz.x".parse().unwrap()));
        reader.line(b"$ORIGIN y.", 2, &mut |_| {});
        assert_eq!(reader.origin(), Some("y".parse().unwrap()));
    }

    #[test]
    fn what_is_wrong_is_said_and_harms_nothing_else() {
        let long = format!("a. TXT {}", "\"b\" ".repeat(20_000));
        for (text, expected) in [
            ("$INCLUDE x\na. NS b.", &["1! includes are refused", "2: a. - NS b."][..]),
            ("$GENERATE 1-3 a$ A 192.0.2.$", &["1! $GENERATE is not read; write the records"]),
            ("$foo", &["1! there is no such directive"]),
            ("$", &["1! there is no such directive"]),
            (
                "$TTL\n$TTL x\n$TTL 1 2",
                &["1! a $TTL needs one time", "2! the TTL can't be read", "3! a $TTL needs one time"],
            ),
            (
                " A 192.0.2.1",
                &["1! the line begins with white space, and no record stands before it to take the owner \
                               from"],
            ),
            // An owner that can't be read is not replaced by an older one.
            (
                "a. NS b.\nmüller. NS b.\n NS c.\nd. NS e.\n NS f.",
                &[
                    "1: a. - NS b.",
                    "2! not a name",
                    "3! the owner is left out, and the one above it can't be read",
                    "4: d. - NS e.",
                    "5: d. - NS f.",
                ],
            ),
            ("a. FOO b\n NS c.", &["1! the type is unknown", "2: a. - NS c."]),
            ("a. CH TXT x\nb.", &["1! classes other than IN are not read", "2! the type is missing"]),
            (
                "a. A x\na. ANY x\na..b A 192.0.2.1",
                &["1! the data can't be read", "2! the data can't be read", "3! not a name"],
            ),
            ("a. TXT \"x\nb. NS c.", &["1! a quotation mark is never closed", "2: b. - NS c."]),
            ("a. NS b. )\nb. NS c.", &["1! a closing parenthesis has no opening one", "2: b. - NS c."]),
            // A slip opens a parenthesis: the lines below are not its victims.
            (
                "a( CNAME .\nb. CNAME .\n CNAME c.",
                &["1! an opening parenthesis is never closed", "2: b. - CNAME .", "3: b. - CNAME c."],
            ),
            (
                "a.( CNAME .\nb. CNAME .\nc) CNAME .\nd. CNAME .",
                &["1! the data can't be read", "2: b. - CNAME .", "4: d. - CNAME ."],
            ),
            (
                "a. TXT (\nb. NS c.\n\"d\nd. NS e.",
                &["1! a quotation mark is never closed", "2: b. - NS c.", "4: d. - NS e."],
            ),
            // A broken record of several lines is one problem, and keeps its owner.
            ("z. SOA a..b m. ( 7 ; serial\n 1\n2\n 3 4)\n NS b.", &["1! the data can't be read", "5: z. - NS b."]),
            (
                "a..b ( NS\n c. )\n NS d.",
                &["1! not a name", "3! the owner is left out, and the one above it can't be read"],
            ),
            ("(\n)\nb. NS c.", &["3: b. - NS c."]),
            // No name is made up below an origin that nobody knows.
            (
                "$ORIGIN x.\n$ORIGIN a..b\na NS b.\nb. NS c\nc. NS d.\n$ORIGIN y.\na NS b",
                &[
                    "2! not a name",
                    "3! a name is relative to an $ORIGIN that can't be read",
                    "4! a name is relative to an $ORIGIN that can't be read",
                    "5: c. - NS d.",
                    "7: a.y. - NS b.y.",
                ],
            ),
            (&long, &["1! the line is too long"]),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn an_open_record_is_bounded() {
        let good: Vec<String> = (0..RECORD_LINES_MAX * 3).map(|i| format!("n{i}. CNAME .")).collect();
        for opening in ["x. TXT (", "x. TXT ( ;"] {
            let text = format!("{opening}\n{}", good.join("\n"));
            let found = read(&text);
            assert_eq!(found.len(), good.len() + 1);
            assert_eq!(found[0], "1! an opening parenthesis is never closed");
            assert_eq!(found.last().unwrap(), &format!("{}: n{}. - CNAME .", good.len() + 1, good.len() - 1));
        }
        // A parenthesis on every line costs no more than two readings of each.
        let text = "a. TXT ( b\n".repeat(20_000);
        assert_eq!(read(&text).len(), 20);
    }

    proptest! {
        /// Whatever stands between them, good lines are found, each in its place.
        #[test]
        fn good_lines_survive_anything(
            junk in prop::collection::vec(prop::collection::vec(prop_oneof![
                Just(b'('), Just(b')'), Just(b'"'), Just(b';'), Just(b'\\'), Just(b' '), Just(b'$'), any::<u8>(),
            ], 0..20), 0..40),
        ) {
            let mut lines: Vec<Vec<u8>> = Vec::new();
            let mut expected = Vec::new();
            for (index, mut junk) in junk.into_iter().enumerate() {
                junk.retain(|&octet| octet != b'\n');
                // A parenthesis alone before a record would be one with it.
                lines.push([b"~".to_vec(), junk].concat());
                lines.push(format!("n{index}. A 192.0.2.1").into_bytes());
                expected.push(format!("{}: n{index}. - A 192.0.2.1", lines.len()));
            }
            let found = read_lines(lines.iter().map(Vec::as_slice));
            let good: Vec<_> = found.iter().filter(|entry| entry.contains(": n")).cloned().collect();
            prop_assert_eq!(good, expected);
            let numbers: Vec<u32> = (found.iter())
                .map(|entry| entry.split_once([':', '!']).unwrap().0.parse().unwrap())
                .collect();
            prop_assert!(numbers.is_sorted());
        }

        #[test]
        fn random_octets_do_no_harm(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20)) {
            let found = read_lines(lines.iter().map(Vec::as_slice));
            for entry in found {
                let number: usize = entry.split_once([':', '!']).unwrap().0.parse().unwrap();
                prop_assert!((1..=lines.len()).contains(&number));
            }
        }
    }
}
