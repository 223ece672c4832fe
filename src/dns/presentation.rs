//! Records from presentation format, as people write them in zone files (RFC 1035 §5.1), to uncompressed wire form.
//!
//! `show` is the way back. Nothing here reads a file; `zonefile` puts records together from lines.

mod service;
mod tokens;

pub use tokens::{Field, Token, Tokens, UnclosedQuote};

use super::{Class, Name, NameError, Record, RrType};
use smallvec::SmallVec;
use std::{net::Ipv4Addr, net::Ipv6Addr, slice, str::FromStr};

/// TTL of a record that says none: an hour, in seconds.
pub const RECORD_TTL_SECONDS: u32 = 3600;
/// Longest TTL; the 32nd bit is not used (RFC 2181 §8).
const TTL_SECONDS_MAX: u64 = i32::MAX as u64;
/// Octets of a character string, whose length is one octet (RFC 1035 §3.3).
const STRING_BYTES_MAX: usize = 255;
/// Octets of a record's data, whose length is two octets (RFC 1035 §3.2.1).
const DATA_BYTES_MAX: usize = 65_535;
/// Characters of somebody's text that an error repeats.
const EXCERPT_CHARS_MAX: usize = 60;

/// Why words are no data of a record, and what to write.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RdataError {
    #[error("{rr_type} data is {form}")]
    Shape { rr_type: RrType, form: &'static str },
    #[error("`{found}` is no {what}; write a whole number from 0 to {max}")]
    Number { what: &'static str, found: String, max: u64 },
    #[error("`{found}` is no {what}; write one such as {example}")]
    Value { what: &'static str, found: String, example: &'static str },
    #[error("`{found}` is no name: {error}")]
    Name { found: String, error: NameError },
    #[error("a text is longer than 255 octets; split it into several, each in quotation marks")]
    StringTooLong,
    #[error("a backslash stands before one character, or before three digits up to 255; write `\\\\` for itself")]
    BadEscape,
    #[error("`{0}` has a quotation mark inside; put the whole word into a pair, or write `\\\"`")]
    QuoteInside(String),
    #[error("`\\# {said}` is followed by {found} octets; write how many there are, then two digits for each")]
    Length { said: usize, found: usize },
    #[error("the octets after `\\#` are no {0} data; write it in the form of its type")]
    Malformed(RrType),
    #[error("{0} data can't be read from words by this version; write `\\# LENGTH HEX` (RFC 3597)")]
    Unsupported(RrType),
    #[error("{0} is a type of question, not of record")]
    NoRecord(RrType),
    #[error("the data is longer than 65535 octets")]
    TooLong,
    #[error("parameter `{key}` {problem}")]
    Parameter { key: String, problem: &'static str },
}

/// Why a text is no record, and what to write.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RecordError {
    #[error("there is no record; write owner, type and data, such as `nas.lan. A 192.168.1.10`")]
    Empty,
    #[error("`{found}` is no name: {error}")]
    Owner { found: String, error: NameError },
    #[error("the type is missing; write owner, type and data, such as `nas.lan. A 192.168.1.10`")]
    NoType,
    #[error("`{0}` is no record type; write one such as A or TXT, or its number such as TYPE65280")]
    UnknownType(String),
    #[error("`{0}` is no TTL; write seconds up to 2147483647, or such as 1h30m")]
    Ttl(String),
    #[error("class `{0}` is not served; write IN, or leave it out")]
    Class(String),
    #[error(transparent)]
    Data(#[from] RdataError),
    #[error(transparent)]
    Quote(#[from] UnclosedQuote),
}

/// Reads the data of a record, in the form of its type or, for any type, as `\# LENGTH HEX` (RFC 3597 §5). Names that
/// don't end in a dot are below `origin`.
pub fn rdata(rr_type: RrType, fields: &[Field<'_>], origin: Option<&Name>) -> Result<Vec<u8>, RdataError> {
    let mut data = Vec::new();
    write_rdata(rr_type, fields, origin, &mut data)?;
    Ok(data)
}

/// Reads one record from a line: owner, TTL and class if they are said, type, data. Names are absolute.
pub fn record(text: &str) -> Result<Record, RecordError> {
    let mut fields: SmallVec<[Field<'_>; 8]> = SmallVec::new();
    for token in Tokens::new(text.as_bytes()) {
        // A record of one line needs no parentheses, and is none the worse for them.
        if let Token::Field(field) = token? {
            fields.push(field);
        }
    }
    let (owner, rest) = fields.split_first().ok_or(RecordError::Empty)?;
    let owner = name(owner.text, None).map_err(|error| RecordError::Owner { found: excerpt(owner.text), error })?;
    let Body { ttl, rr_type, data } = body(rest)?;
    let (ttl, data) = (ttl.unwrap_or(RECORD_TTL_SECONDS), rdata(rr_type, data, None)?);
    Ok(Record { owner, rr_type, class: Class::IN, ttl, data })
}

/// Reads a name as zone files have it: `@` is the origin, and what doesn't end in a dot is below it. Without an origin
/// every name is absolute.
pub fn name(text: &[u8], origin: Option<&Name>) -> Result<Name, NameError> {
    let mut name = Name::ROOT;
    assign_name(text, origin, &mut name)?;
    Ok(name)
}

/// Reads a name like `name`, in place. After an error it is a name all the same, but no particular one.
pub(super) fn assign_name(text: &[u8], origin: Option<&Name>, name: &mut Name) -> Result<(), NameError> {
    if text == b"@" {
        *name = origin.copied().unwrap_or(Name::ROOT);
        return Ok(());
    }
    name.assign(text)?;
    match origin {
        Some(origin) if !origin.is_root() && !ends_in_dot(text) => name.descend(origin),
        _ => Ok(()),
    }
}

/// Reads a time in seconds: a number, or numbers with units such as `1h30m` (weeks, days, hours, minutes, seconds).
pub fn ttl(text: &[u8]) -> Option<u32> {
    let (mut total, mut number, mut has_units) = (0u64, None::<u64>, false);
    for &octet in text {
        let unit = match octet.to_ascii_lowercase() {
            digit @ b'0'..=b'9' => {
                let value = number.unwrap_or(0).checked_mul(10)? + u64::from(digit - b'0');
                number = (value <= TTL_SECONDS_MAX).then_some(value);
                number?;
                continue;
            }
            b'w' => 7 * 86_400,
            b'd' => 86_400,
            b'h' => 3600,
            b'm' => 60,
            b's' => 1,
            _ => return None,
        };
        total += number.take()?.checked_mul(unit)?;
        has_units = true;
    }
    match number {
        Some(number) if !has_units => total = number,
        Some(_) => return None,
        None if !has_units => return None,
        None => {}
    }
    (total <= TTL_SECONDS_MAX).then_some(total as u32)
}

/// What follows the owner of a record.
pub(super) struct Body<'f, 'a> {
    pub ttl: Option<u32>,
    pub rr_type: RrType,
    pub data: &'f [Field<'a>],
}

/// Reads TTL and class in any order, each only if it is said, and the type (RFC 1035 §5.1).
pub(super) fn body<'f, 'a>(fields: &'f [Field<'a>]) -> Result<Body<'f, 'a>, RecordError> {
    let (mut rest, mut said, mut class_said) = (fields, None, false);
    loop {
        let (field, after) = rest.split_first().ok_or(RecordError::NoType)?;
        let word = std::str::from_utf8(field.text).unwrap_or_default();
        if said.is_none() && word.as_bytes().first().is_some_and(u8::is_ascii_digit) {
            said = Some(ttl(field.text).ok_or_else(|| RecordError::Ttl(excerpt(field.text)))?);
        } else if let Some(is_in) = (!class_said).then(|| class_in(word)).flatten() {
            if !is_in {
                return Err(RecordError::Class(excerpt(field.text)));
            }
            class_said = true;
        } else {
            let unknown = || RecordError::UnknownType(excerpt(field.text));
            let rr_type = if field.quoted { None } else { word.parse::<RrType>().ok() };
            return Ok(Body { ttl: said, rr_type: rr_type.ok_or_else(unknown)?, data: after });
        }
        rest = after;
    }
}

/// Whether a word is the class IN; `None` if it is no class.
fn class_in(word: &str) -> Option<bool> {
    if word.eq_ignore_ascii_case("IN") || word.eq_ignore_ascii_case("CLASS1") {
        return Some(true);
    }
    let is_other = ["CH", "HS", "CS", "CHAOS", "HESIOD", "NONE"].iter().any(|other| word.eq_ignore_ascii_case(other));
    let is_numbered = word.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("CLASS"));
    (is_other || is_numbered).then_some(false)
}

/// Appends the data of a record to `data`, as `rdata` reads it. After an error `data` holds anything.
pub(super) fn write_rdata(
    rr_type: RrType,
    fields: &[Field<'_>],
    origin: Option<&Name>,
    data: &mut Vec<u8>,
) -> Result<(), RdataError> {
    if matches!(rr_type, RrType(0) | RrType::OPT | RrType(249..=255)) {
        return Err(RdataError::NoRecord(rr_type));
    }
    let mut words = Words { rr_type, fields: fields.iter(), origin, data };
    if fields.first().is_some_and(|first| !first.quoted && first.text == b"\\#") {
        words.generic()?;
    } else {
        words.of_type()?;
    }
    if words.fields.next().is_some() {
        return Err(words.shape());
    }
    if words.data.len() > DATA_BYTES_MAX { Err(RdataError::TooLong) } else { Ok(()) }
}

/// What the data of a type looks like; `None` for types that can only be written in the generic form.
fn form(rr_type: RrType) -> Option<&'static str> {
    Some(match rr_type {
        RrType::A => "one IPv4 address: `192.0.2.1`",
        RrType::AAAA => "one IPv6 address: `2001:db8::1`",
        RrType::NS | RrType::CNAME | RrType::DNAME | RrType::PTR => "one name: `host.example.com.`",
        RrType::MX => "a preference and a host: `10 mail.example.com.`",
        RrType::TXT | RrType::SPF => "one text or more, in quotation marks: `\"v=spf1 -all\"`",
        RrType::SRV => "priority, weight, port and host: `0 5 5060 sip.example.com.`",
        RrType::SOA => "two names and five numbers: `ns.example.com. admin.example.com. 1 3600 600 86400 300`",
        RrType::CAA => "flags, tag and value: `0 issue \"ca.example.net\"`",
        RrType::HINFO => "two texts, processor and system: `\"PC\" \"Linux\"`",
        RrType::NAPTR => "two numbers, three texts and a name: `10 20 \"s\" \"SIP+D2U\" \"\" _sip._udp.example.com.`",
        RrType::TLSA => "three numbers and hexadecimal digits: `3 1 1 0123abcd`",
        RrType::SSHFP => "two numbers and hexadecimal digits: `4 2 0123abcd`",
        RrType::DS | RrType::CDS => "three numbers and hexadecimal digits: `12345 13 2 0123abcd`",
        RrType::URI => "priority, weight and address: `10 1 \"https://www.example.com/\"`",
        RrType::SVCB | RrType::HTTPS => "priority, target and parameters: `1 . alpn=\"h2,h3\" port=443`",
        _ => return None,
    })
}

/// The words of one record's data, taken one by one and written in wire form.
struct Words<'f, 'a, 'd> {
    rr_type: RrType,
    fields: slice::Iter<'f, Field<'a>>,
    origin: Option<&'f Name>,
    data: &'d mut Vec<u8>,
}

impl<'a> Words<'_, 'a, '_> {
    /// Data in the form of its type.
    fn of_type(&mut self) -> Result<(), RdataError> {
        match self.rr_type {
            RrType::A => self.ipv4(),
            RrType::AAAA => self.ipv6(),
            RrType::NS | RrType::CNAME | RrType::DNAME | RrType::PTR => self.name(),
            RrType::MX => {
                self.u16("preference")?;
                self.name()
            }
            RrType::TXT | RrType::SPF => self.strings(),
            RrType::SRV => {
                ["priority", "weight", "port"].into_iter().try_for_each(|what| self.u16(what))?;
                self.name()
            }
            RrType::SOA => self.soa(),
            RrType::CAA => self.caa(),
            RrType::HINFO => {
                self.string()?;
                self.string()
            }
            RrType::NAPTR => {
                ["order", "preference"].into_iter().try_for_each(|what| self.u16(what))?;
                (0..3).try_for_each(|_| self.string())?;
                self.name()
            }
            RrType::TLSA => {
                ["usage", "selector", "matching type"].into_iter().try_for_each(|what| self.u8(what))?;
                self.hex()
            }
            RrType::SSHFP => {
                ["algorithm", "fingerprint type"].into_iter().try_for_each(|what| self.u8(what))?;
                self.hex()
            }
            RrType::DS | RrType::CDS => {
                self.u16("key tag")?;
                ["algorithm", "digest type"].into_iter().try_for_each(|what| self.u8(what))?;
                self.hex()
            }
            RrType::URI => {
                ["priority", "weight"].into_iter().try_for_each(|what| self.u16(what))?;
                match self.next()? {
                    target if target.text.is_empty() => Err(self.shape()),
                    target => unescape(target, self.data),
                }
            }
            RrType::SVCB | RrType::HTTPS => {
                self.u16("priority")?;
                self.name()?;
                service::write_parameters(&mut self.fields, self.data)
            }
            other => Err(RdataError::Unsupported(other)),
        }
    }

    /// Data in the form that any type may have: `\# LENGTH HEX…` (RFC 3597 §5).
    fn generic(&mut self) -> Result<(), RdataError> {
        self.next()?;
        let said = usize::from(self.number::<u16>("length", u16::MAX.into())?);
        let start = self.data.len();
        if said > 0 || self.fields.len() > 0 {
            self.hex()?;
        }
        let found = self.data.len() - start;
        if found != said {
            return Err(RdataError::Length { said, found });
        }
        if is_well_formed(self.rr_type, &self.data[start..]) {
            Ok(())
        } else {
            Err(RdataError::Malformed(self.rr_type))
        }
    }

    fn next(&mut self) -> Result<Field<'a>, RdataError> {
        self.fields.next().copied().ok_or_else(|| self.shape())
    }

    /// Words are missing, or too many.
    fn shape(&self) -> RdataError {
        RdataError::Shape { rr_type: self.rr_type, form: form(self.rr_type).unwrap_or("`\\# LENGTH HEX`") }
    }

    /// Text that stands for a value.
    fn value<T: FromStr>(&mut self, what: &'static str, example: &'static str) -> Result<T, RdataError> {
        let text = self.next()?.text;
        let value = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
        value.ok_or_else(|| RdataError::Value { what, found: excerpt(text), example })
    }

    fn number<T: FromStr>(&mut self, what: &'static str, max: u64) -> Result<T, RdataError> {
        let text = self.next()?.text;
        number(text).ok_or_else(|| RdataError::Number { what, found: excerpt(text), max })
    }

    fn u8(&mut self, what: &'static str) -> Result<(), RdataError> {
        let number = self.number(what, u8::MAX.into())?;
        self.data.push(number);
        Ok(())
    }

    fn u16(&mut self, what: &'static str) -> Result<(), RdataError> {
        let number: u16 = self.number(what, u16::MAX.into())?;
        self.data.extend_from_slice(&number.to_be_bytes());
        Ok(())
    }

    fn ipv4(&mut self) -> Result<(), RdataError> {
        let address: Ipv4Addr = self.value("IPv4 address", "192.0.2.1")?;
        self.data.extend_from_slice(&address.octets());
        Ok(())
    }

    fn ipv6(&mut self) -> Result<(), RdataError> {
        let address: Ipv6Addr = self.value("IPv6 address", "2001:db8::1")?;
        self.data.extend_from_slice(&address.octets());
        Ok(())
    }

    fn name(&mut self) -> Result<(), RdataError> {
        let text = self.next()?.text;
        // What nearly every record of an RPZ list has; a name would be filled with 255 zeros first.
        if text == b"." {
            self.data.push(0);
            return Ok(());
        }
        let name = name(text, self.origin).map_err(|error| RdataError::Name { found: excerpt(text), error })?;
        self.data.extend_from_slice(name.as_wire());
        Ok(())
    }

    /// A character string: its length, then its octets (RFC 1035 §3.3).
    fn string(&mut self) -> Result<(), RdataError> {
        let field = self.next()?;
        let length_at = self.data.len();
        self.data.push(0);
        unescape(field, self.data)?;
        let length = self.data.len() - length_at - 1;
        if length > STRING_BYTES_MAX {
            return Err(RdataError::StringTooLong);
        }
        self.data[length_at] = length as u8;
        Ok(())
    }

    /// As many character strings as there are, at least one.
    fn strings(&mut self) -> Result<(), RdataError> {
        self.string()?;
        while self.fields.len() > 0 {
            self.string()?;
        }
        Ok(())
    }

    /// Two names, a serial number, and four times, which may have units (RFC 1035 §3.3.13).
    fn soa(&mut self) -> Result<(), RdataError> {
        self.name()?;
        self.name()?;
        let serial: u32 = self.number("serial number", u32::MAX.into())?;
        self.data.extend_from_slice(&serial.to_be_bytes());
        for what in ["refresh time", "retry time", "expiry time", "minimum"] {
            let text = self.next()?.text;
            let seconds = number(text).or_else(|| ttl(text)).ok_or_else(|| RdataError::Value {
                what,
                found: excerpt(text),
                example: "3600 or 1h",
            })?;
            self.data.extend_from_slice(&seconds.to_be_bytes());
        }
        Ok(())
    }

    /// Flags, tag, value; the value has no length and no bound of its own (RFC 8659 §4.1).
    fn caa(&mut self) -> Result<(), RdataError> {
        self.u8("number of flags")?;
        let tag = self.next()?.text;
        if tag.is_empty() || tag.len() > STRING_BYTES_MAX || !tag.iter().all(u8::is_ascii_alphanumeric) {
            return Err(RdataError::Value { what: "tag", found: excerpt(tag), example: "issue" });
        }
        self.data.push(tag.len() as u8);
        self.data.extend_from_slice(tag);
        let value = self.next()?;
        unescape(value, self.data)
    }

    /// Octets in hexadecimal, which may be split into several words anywhere; at least one.
    fn hex(&mut self) -> Result<(), RdataError> {
        let mut high = None;
        let mut last = self.next()?.text;
        loop {
            let wrong = || RdataError::Value {
                what: "row of octets in hexadecimal",
                found: excerpt(last),
                example: "0123abcd, two digits for each octet",
            };
            for &octet in last {
                let digit = char::from(octet).to_digit(16).ok_or_else(wrong)? as u8;
                match high.take() {
                    None => high = Some(digit << 4),
                    Some(high) => self.data.push(high | digit),
                }
            }
            match self.fields.next() {
                Some(field) => last = field.text,
                None if high.is_some() || last.is_empty() => return Err(wrong()),
                None => return Ok(()),
            }
        }
    }
}

/// Whether octets can be the data of the types whose data others rely upon: addresses, and names without pointers.
fn is_well_formed(rr_type: RrType, data: &[u8]) -> bool {
    // Octets before the names, names, octets after them.
    let (before, names, after) = match rr_type {
        RrType::A => (4, 0, 0),
        RrType::AAAA => (16, 0, 0),
        RrType::NS | RrType::CNAME | RrType::DNAME | RrType::PTR => (0, 1, 0),
        RrType::MX => (2, 1, 0),
        RrType::SRV => (6, 1, 0),
        RrType::SOA => (0, 2, 20),
        _ => return true,
    };
    let mut at = before;
    for _ in 0..names {
        match data.get(at..).map(|rest| Name::read(rest, 0)) {
            Some(Ok((name, length))) if name.as_wire().len() == length => at += length,
            _ => return false,
        }
    }
    data.len() == at + after
}

/// A number of decimal digits alone.
fn number<T: FromStr>(text: &[u8]) -> Option<T> {
    // `parse` would take a plus sign, too.
    let digits = text.iter().all(u8::is_ascii_digit).then_some(text)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Appends the octets that a word stands for.
fn unescape(field: Field<'_>, to: &mut Vec<u8>) -> Result<(), RdataError> {
    let mut octets = field.text.iter();
    while let Some(&octet) = octets.next() {
        match octet {
            b'\\' => to.push(escaped(&mut octets)?),
            b'"' if !field.quoted => return Err(RdataError::QuoteInside(excerpt(field.text))),
            _ => to.push(octet),
        }
    }
    Ok(())
}

/// The octet an escape stands for; its backslash is read already.
fn escaped(octets: &mut slice::Iter<'_, u8>) -> Result<u8, RdataError> {
    let first = *octets.next().ok_or(RdataError::BadEscape)?;
    if !first.is_ascii_digit() {
        return Ok(first);
    }
    let mut value = u16::from(first - b'0');
    for _ in 0..2 {
        match octets.next() {
            Some(&digit @ b'0'..=b'9') => value = value * 10 + u16::from(digit - b'0'),
            _ => return Err(RdataError::BadEscape),
        }
    }
    u8::try_from(value).map_err(|_| RdataError::BadEscape)
}

/// True if the last dot ends the name, and is not an escaped one.
fn ends_in_dot(text: &[u8]) -> bool {
    let Some(before) = text.strip_suffix(b".") else { return false };
    before.iter().rev().take_while(|&&octet| octet == b'\\').count() % 2 == 0
}

/// The beginning of somebody's text, safe to show on one line.
pub(super) fn excerpt(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(&text[..text.len().min(4 * EXCERPT_CHARS_MAX)]);
    text.chars().take(EXCERPT_CHARS_MAX).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests;
