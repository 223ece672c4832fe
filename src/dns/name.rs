//! Domain names as lower-case, uncompressed wire octets, held inline: building one never allocates.

use std::{
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

/// Octets of the longest name, its final zero included (RFC 1035 §2.3.4).
pub const NAME_BYTES_MAX: usize = 255;
/// Labels of the longest name, the root's not counted: 127 of one octet each.
pub const LABELS_MAX: usize = 127;
/// Octets of the longest label (RFC 1035 §2.3.4).
const LABEL_BYTES_MAX: usize = 63;
/// A length octet with these bits set is a compression pointer (RFC 1035 §4.1.4).
const POINTER_BITS: u8 = 0xc0;

/// A fully qualified domain name, lower-cased (RFC 4343), so that equal names are equal octets.
#[derive(Clone, Copy)]
pub struct Name {
    len: u8,
    octets: [u8; NAME_BYTES_MAX],
}

/// Why some text or octets are no domain name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("the name is empty")]
    Empty,
    #[error("the name has an empty label (two dots in a row, or a leading dot)")]
    EmptyLabel,
    #[error("a label is longer than 63 octets")]
    LabelTooLong,
    #[error("the name is longer than 255 octets")]
    NameTooLong,
    #[error("the name has a character outside printable ASCII; write internationalised names as A-labels (xn--…)")]
    NotAscii,
    #[error("the name has a backslash escape that is neither \\DDD nor a backslash and one character")]
    BadEscape,
    #[error("the name's octets end too early")]
    Truncated,
    #[error("the name has a label type other than plain or pointer")]
    BadLabelType,
    #[error("a compression pointer does not point backwards")]
    BadPointer,
}

/// Copies labels in lower case. Their length octets are below 64, where no letter stands, so all are lowered alike.
#[inline]
fn copy_lowered(octets: &[u8], to: &mut [u8]) {
    /// Octets taken at once. The last so many may overlap those before, which changes nothing.
    const BLOCK: usize = 16;
    const HALF: usize = BLOCK / 2;
    if let (Some(last), true) = (octets.last_chunk::<BLOCK>(), to.len() == octets.len()) {
        for (block, to) in octets.as_chunks::<BLOCK>().0.iter().zip(to.as_chunks_mut::<BLOCK>().0) {
            *to = block.map(|octet| octet.to_ascii_lowercase());
        }
        if let Some(to) = to.last_chunk_mut() {
            *to = last.map(|octet| octet.to_ascii_lowercase());
        }
    } else if let (Some(first), Some(last)) = (octets.first_chunk::<HALF>(), octets.last_chunk::<HALF>()) {
        for (half, at) in [(first, 0), (last, octets.len() - HALF)] {
            to[at..at + HALF].copy_from_slice(&half.map(|octet| octet.to_ascii_lowercase()));
        }
    } else {
        octets.iter().zip(to).for_each(|(octet, to)| *to = octet.to_ascii_lowercase());
    }
}

impl Name {
    /// The root, `.`.
    pub const ROOT: Self = Self { len: 1, octets: [0; NAME_BYTES_MAX] };

    /// Reads a name from `message` at `start`, following compression pointers, and returns it with the offset
    /// after its last octet in place. Each pointer must point before the labels read so far, so loops can't occur.
    pub fn read(message: &[u8], start: usize) -> Result<(Self, usize), NameError> {
        let mut name = Self::ROOT;
        let end = name.read_into(message, start)?;
        Ok((name, end))
    }

    /// The same into this name, which is the root if it fails. Returns the offset after the name's last octet in place.
    pub fn read_into(&mut self, message: &[u8], start: usize) -> Result<usize, NameError> {
        self.read_labels(message, start).inspect_err(|_| (self.len, self.octets[0]) = (1, 0))
    }

    fn read_labels(&mut self, message: &[u8], start: usize) -> Result<usize, NameError> {
        // Most names are uncompressed: then their octets stand in a row.
        let (mut at, mut end, mut floor, mut len) = (start, None, start, 0usize);
        loop {
            let run = at;
            let length = loop {
                let length = usize::from(*message.get(at).ok_or(NameError::Truncated)?);
                if length == 0 || length as u8 & POINTER_BITS != 0 {
                    break length;
                }
                at += 1 + length;
                // The final zero must fit too, so a label may end at 254 at most.
                if len + at - run >= NAME_BYTES_MAX {
                    return Err(if at > message.len() { NameError::Truncated } else { NameError::NameTooLong });
                }
            };
            let octets = &message[run..at];
            copy_lowered(octets, &mut self.octets[len..len + octets.len()]);
            len += octets.len();
            match length as u8 & POINTER_BITS {
                0 => {
                    self.octets[len] = 0;
                    self.len = len as u8 + 1;
                    return Ok(end.unwrap_or(at + 1));
                }
                POINTER_BITS => {
                    let low = usize::from(*message.get(at + 1).ok_or(NameError::Truncated)?);
                    let target = (length & 0x3f) << 8 | low;
                    end.get_or_insert(at + 2);
                    if target >= floor {
                        return Err(NameError::BadPointer);
                    }
                    (at, floor) = (target, target);
                }
                _ => return Err(NameError::BadLabelType),
            }
        }
    }

    /// Takes a whole uncompressed wire name, nothing after it.
    pub fn from_wire(octets: &[u8]) -> Result<Self, NameError> {
        match Self::read(octets, 0)? {
            (name, end) if end == octets.len() => Ok(name),
            _ => Err(NameError::Truncated),
        }
    }

    /// The name's lower-case wire octets, final zero included.
    pub fn as_wire(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }

    /// The octets from `start` in `as_wire` on, and what follows in memory: whoever reads a label needs its length octet
    /// first, and then may read as many octets as suit the processor.
    #[inline]
    pub fn octets_at(&self, start: u8) -> &[u8] {
        &self.octets[usize::from(start)..]
    }

    /// True for `.` alone.
    pub fn is_root(&self) -> bool {
        self.len == 1
    }

    /// The labels from the left, without the root's.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.as_wire();
        std::iter::from_fn(move || {
            let (&length, tail) = rest.split_first()?;
            if length == 0 {
                return None;
            }
            let (label, tail) = tail.split_at(usize::from(length));
            rest = tail;
            Some(label)
        })
    }

    /// Writes where each label's length octet stands in `as_wire`, from the left, and returns their number.
    #[inline]
    pub fn label_offsets(&self, offsets: &mut [u8; LABELS_MAX]) -> usize {
        let (mut count, mut at) = (0, 0u8);
        while self.octets[usize::from(at)] != 0 {
            offsets[count] = at;
            count += 1;
            at += 1 + self.octets[usize::from(at)];
        }
        count
    }

    /// Where in `as_wire` the name without its `count` leftmost labels begins; the root's zero if it has no more.
    pub fn start_of(&self, count: usize) -> usize {
        let mut at = 0u8;
        for _ in 0..count {
            match self.octets[usize::from(at)] {
                0 => break,
                length => at += 1 + length,
            }
        }
        usize::from(at)
    }

    /// The name without its `count` leftmost labels; the root if it has no more.
    pub fn ancestor(&self, count: usize) -> Self {
        let mut name = Self::ROOT;
        let tail = &self.as_wire()[self.start_of(count)..];
        name.octets[..tail.len()].copy_from_slice(tail);
        name.len = tail.len() as u8;
        name
    }

    /// How many labels the name has, the root's not counted.
    pub fn label_count(&self) -> usize {
        let (mut count, mut at) = (0, 0u8);
        while self.octets[usize::from(at)] != 0 {
            at += 1 + self.octets[usize::from(at)];
            count += 1;
        }
        count
    }

    /// True if this is `other` or a name below it.
    pub fn is_at_or_below(&self, other: &Self) -> bool {
        let (own, tail) = (self.as_wire(), other.as_wire());
        if !own.ends_with(tail) {
            return false;
        }
        // The tail must begin at a label, not inside one.
        let (start, mut at) = (own.len() - tail.len(), 0);
        while at < start {
            at += 1 + usize::from(own[at]);
        }
        at == start
    }

    /// The labels that this name has more than `origin`, as a name: the root if it is `origin` itself, `None` if it is
    /// neither that nor below it.
    pub fn relative_to(&self, origin: &Self) -> Option<Self> {
        if !self.is_at_or_below(origin) {
            return None;
        }
        let mut name = *self;
        let end = usize::from(self.len - origin.len);
        name.octets[end] = 0;
        name.len = end as u8 + 1;
        Some(name)
    }
}

impl FromStr for Name {
    type Err = NameError;

    /// Reads presentation format (RFC 1035 §5.1), with or without the final dot; `\.` and `\DDD` are understood.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let mut name = Self::ROOT;
        name.assign(text.as_bytes())?;
        Ok(name)
    }
}

impl Name {
    /// Becomes the name that a text is, in place, because copies of names cost readers of millions of lines more than
    /// the reading. After an error it is the root.
    pub fn assign(&mut self, text: &[u8]) -> Result<(), NameError> {
        (self.len, self.octets[0]) = (1, 0);
        match text {
            b"" => return Err(NameError::Empty),
            b"." => return Ok(()),
            _ => {}
        }
        let is_plain = |octet: &u8| matches!(octet, b'!'..=b'~') & (*octet != b'\\');
        let plain = text.len() < NAME_BYTES_MAX - 1 && text.iter().fold(true, |all, octet| all & is_plain(octet));
        let assigned = if plain { self.assign_plain(text) } else { self.assign_labels(text) };
        if assigned.is_err() {
            self.octets[0] = 0;
        }
        assigned
    }

    /// Reads a text without escapes that is short enough: its octets stand in the name as they are, but for the dots.
    fn assign_plain(&mut self, text: &[u8]) -> Result<(), NameError> {
        let text = text.strip_suffix(b".").unwrap_or(text);
        let end = text.len() + 1;
        let to = &mut self.octets[1..end];
        to.copy_from_slice(text);
        to.make_ascii_lowercase();
        let mut label_at = 0;
        for at in 1..end {
            if self.octets[at] == b'.' {
                self.end_label(label_at, at)?;
                label_at = at;
            }
        }
        self.end_label(label_at, end)?;
        self.octets[end] = 0;
        self.len = end as u8 + 1;
        Ok(())
    }

    fn assign_labels(&mut self, text: &[u8]) -> Result<(), NameError> {
        let (mut label_at, mut at) = (0usize, 1usize);
        let mut octets = text.iter();
        while let Some(&octet) = octets.next() {
            let octet = match octet {
                b'.' => {
                    self.end_label(label_at, at)?;
                    (label_at, at) = (at, at + 1);
                    continue;
                }
                b'\\' => unescape(&mut octets)?,
                b'!'..=b'~' => octet,
                _ => return Err(NameError::NotAscii),
            };
            if at >= NAME_BYTES_MAX - 1 {
                return Err(NameError::NameTooLong);
            }
            self.octets[at] = octet.to_ascii_lowercase();
            at += 1;
        }
        if at > label_at + 1 {
            self.end_label(label_at, at)?;
            label_at = at;
        }
        self.octets[label_at] = 0;
        self.len = label_at as u8 + 1;
        Ok(())
    }

    /// Becomes the name below `origin` that has the labels of this one. After an error it is as it was.
    pub(super) fn descend(&mut self, origin: &Self) -> Result<(), NameError> {
        let (own, tail) = (usize::from(self.len) - 1, origin.as_wire());
        let to = self.octets.get_mut(own..own + tail.len()).ok_or(NameError::NameTooLong)?;
        to.copy_from_slice(tail);
        self.len = (own + tail.len()) as u8;
        Ok(())
    }

    /// Writes the length of the label whose octets stand between `label_at + 1` and `at`.
    fn end_label(&mut self, label_at: usize, at: usize) -> Result<(), NameError> {
        match at - label_at - 1 {
            0 => Err(NameError::EmptyLabel),
            length if length > LABEL_BYTES_MAX => Err(NameError::LabelTooLong),
            _ if at >= NAME_BYTES_MAX => Err(NameError::NameTooLong),
            length => {
                self.octets[label_at] = length as u8;
                Ok(())
            }
        }
    }
}

/// The octet an escape stands for; its backslash is read already.
fn unescape(octets: &mut std::slice::Iter<'_, u8>) -> Result<u8, NameError> {
    let first = *octets.next().ok_or(NameError::BadEscape)?;
    if !first.is_ascii_digit() {
        return if first.is_ascii_graphic() { Ok(first) } else { Err(NameError::BadEscape) };
    }
    let mut value = u16::from(first - b'0');
    for _ in 0..2 {
        match octets.next() {
            Some(&digit @ b'0'..=b'9') => value = value * 10 + u16::from(digit - b'0'),
            _ => return Err(NameError::BadEscape),
        }
    }
    u8::try_from(value).map_err(|_| NameError::BadEscape)
}

impl fmt::Display for Name {
    /// Presentation format without the final dot (the root is `.`), everything unusual escaped: safe in a log line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str(".");
        }
        for (index, label) in self.labels().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            for &octet in label {
                match octet {
                    b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'*' | b'/' | b'=' | b'+' | b':' => {
                        fmt::Write::write_char(f, char::from(octet))?
                    }
                    b'!'..=b'~' => write!(f, "\\{}", char::from(octet))?,
                    _ => write!(f, "\\{octet:03}")?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.as_wire() == other.as_wire()
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_wire().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn text_round_trips() {
        for (text, shown) in [
            (".", "."),
            ("com", "com"),
            ("WWW.TikTok.com.", "www.tiktok.com"),
            ("_dmarc.x-.example", "_dmarc.x-.example"),
            (r"a\.b.example", r"a\.b.example"),
            (r"\000\255.example", r"\000\255.example"),
        ] {
            assert_eq!(name(text).to_string(), shown, "{text}");
            assert_eq!(Name::from_wire(name(text).as_wire()).unwrap(), name(text), "{text}");
        }
    }

    #[test]
    fn names_of_any_length_are_read_in_lower_case() {
        for length in 2..NAME_BYTES_MAX {
            // Labels of up to 63 octets, with every letter and the octets around letters.
            let mut wire: Vec<u8> = vec![0; length];
            let mut at = 0;
            while at < length {
                let label = (length - at - 1).min(LABEL_BYTES_MAX);
                // One octet more can't be a label of its own.
                let label = if length - at - 1 == label + 1 { label - 1 } else { label };
                wire[at] = label as u8;
                (1..=label).for_each(|place| wire[at + place] = b'@' + ((at + place + length) % 60) as u8);
                at += 1 + label;
            }
            wire.push(0);
            let read = Name::from_wire(&wire).unwrap();
            assert_eq!(read.as_wire(), wire.to_ascii_lowercase(), "{length} octets");
        }
    }

    #[test]
    fn bad_text_is_named() {
        let long_label = "a".repeat(64);
        let long_name = vec!["a"; 128].join(".");
        for (text, error) in [
            ("", NameError::Empty),
            ("..", NameError::EmptyLabel),
            (".com", NameError::EmptyLabel),
            ("a..b", NameError::EmptyLabel),
            ("a b", NameError::NotAscii),
            ("müller.de", NameError::NotAscii),
            (r"a\25", NameError::BadEscape),
            (r"a\256", NameError::BadEscape),
            (r"a\", NameError::BadEscape),
            (&long_label, NameError::LabelTooLong),
            (&long_name, NameError::NameTooLong),
        ] {
            assert_eq!(text.parse::<Name>(), Err(error), "{text}");
        }
        // The longest names that are legal: 127 labels of one octet, and 63+63+63+61.
        assert_eq!(name(&vec!["a"; 127].join(".")).as_wire().len(), 255);
        let four = [63, 63, 63, 61].map(|n| "b".repeat(n)).join(".");
        assert_eq!(name(&four).as_wire().len(), 255);
        assert_eq!(format!("{four}b").parse::<Name>(), Err(NameError::NameTooLong));
    }

    proptest::proptest! {
        /// Texts without escapes are read in a faster way, to the same names and errors.
        #[test]
        fn plain_texts_are_read_as_others(text in "([a-cA-C-]{0,3}[.]?){0,8}([a-b.]{0,70}[.]){0,4}[a-b]{0,3}") {
            let (mut fast, mut slow) = (Name::ROOT, Name::ROOT);
            if !matches!(text.as_str(), "" | ".") {
                let results = (fast.assign(text.as_bytes()), slow.assign_labels(text.as_bytes()));
                proptest::prop_assert_eq!(results.0, results.1);
                if results.1.is_ok() {
                    proptest::prop_assert_eq!(fast, slow);
                }
            }
        }
    }

    #[test]
    fn suffixes_are_found_at_label_borders_only() {
        for (own, other, expected) in [
            ("tiktok.com", "tiktok.com", true),
            ("www.tiktok.com", "tiktok.com", true),
            ("nottiktok.com", "tiktok.com", false),
            ("com", "tiktok.com", false),
            ("anything.example", ".", true),
            (r"x\003com", "com", false),
        ] {
            assert_eq!(name(own).is_at_or_below(&name(other)), expected, "{own} {other}");
        }
        for (own, origin, expected) in [
            ("a.b.c", "c", Some("a.b")),
            ("a.b.c", ".", Some("a.b.c")),
            ("a.b.c", "a.b.c", Some(".")),
            (".", ".", Some(".")),
            ("ab.c", "b.c", None),
            ("c", "b.c", None),
        ] {
            assert_eq!(name(own).relative_to(&name(origin)), expected.map(name), "{own} {origin}");
        }
        assert_eq!(name("a.b.c").ancestor(1), name("b.c"));
        assert_eq!(name("a.b.c").ancestor(9), Name::ROOT);
        assert_eq!(name("a.b.c").label_count(), 3);
    }

    #[test]
    fn compressed_names_are_read_and_loops_refused() {
        let message = b"\x03com\x00\x03WWW\xc0\x00\xc0\x05\xc0\x0d";
        assert_eq!(Name::read(message, 5).unwrap(), (name("www.com"), 11));
        assert_eq!(Name::read(message, 11).unwrap(), (name("www.com"), 13));
        assert_eq!(Name::read(message, 13), Err(NameError::BadPointer));
        assert_eq!(Name::read(b"\x01a\xc0\x00", 0), Err(NameError::BadPointer));
        assert_eq!(Name::read(b"\x40a", 0), Err(NameError::BadLabelType));
        assert_eq!(Name::read(b"\x05ab", 0), Err(NameError::Truncated));
        assert_eq!(Name::read(&[1, b'a'].repeat(200), 0), Err(NameError::NameTooLong));
    }
}
