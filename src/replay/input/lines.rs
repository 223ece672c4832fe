//! A file's lines, of bounded length, mostly where they lie in the read buffer.

use super::Step;
use std::io::{self, BufRead};

/// Octets of the longest line. A query with all its verdicts and aliases has some kilobytes.
const LINE_BYTES_MAX: usize = 1 << 20;
/// Why a longer one is skipped.
const TOO_LONG: &str = "the line is longer than a mebioctet";

/// Lines without their ends.
pub struct Lines<R> {
    input: R,
    /// Octets of the read buffer that the line before took.
    taken: usize,
    /// A line that lay across the buffer's end.
    line: Vec<u8>,
    number: u64,
    /// The last line ended with the file.
    is_cut: bool,
}

/// A line that has something in it, or what comes of there being none.
pub type Line<'a> = Result<&'a [u8], Step>;

impl<R: BufRead> Lines<R> {
    pub fn new(input: R) -> Self {
        Self { input, taken: 0, line: Vec::new(), number: 0, is_cut: false }
    }

    /// The number of the last line, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// True if the last line has no end: if it can't be read, the file was cut off there.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Goes on by a line. `Step::Ignored` is an empty one, `Step::Skipped` one that is too long. An error is one of
    /// reading the file itself.
    pub fn next_line(&mut self) -> io::Result<Line<'_>> {
        self.input.consume(std::mem::take(&mut self.taken));
        if let Some(end) = memchr::memchr(b'\n', self.input.fill_buf()?) {
            self.number += 1;
            self.taken = end + 1;
            return Ok(told(&self.input.fill_buf()?[..end], self.number));
        }
        self.gather()
    }

    /// The same for a line that ends in a later buffer, or with the file.
    fn gather(&mut self) -> io::Result<Line<'_>> {
        self.line.clear();
        let mut length = 0usize;
        loop {
            let octets = self.input.fill_buf()?;
            if octets.is_empty() {
                break;
            }
            let end = memchr::memchr(b'\n', octets);
            let part = &octets[..end.unwrap_or(octets.len())];
            // Of a line that is too long only its end is of interest.
            self.line.extend_from_slice(&part[..part.len().min(LINE_BYTES_MAX - self.line.len())]);
            length = length.saturating_add(part.len());
            let taken = part.len() + usize::from(end.is_some());
            self.input.consume(taken);
            if end.is_some() {
                self.number += 1;
                return Ok(self.gathered(length));
            }
        }
        if length == 0 {
            return Ok(Err(Step::End));
        }
        (self.number, self.is_cut) = (self.number + 1, true);
        Ok(self.gathered(length))
    }

    fn gathered(&self, length: usize) -> Line<'_> {
        match length > LINE_BYTES_MAX {
            true => Err(Step::Skipped(TOO_LONG.into())),
            false => told(&self.line, self.number),
        }
    }
}

/// Without blanks around it; the first line also without a byte order mark.
fn told(line: &[u8], number: u64) -> Line<'_> {
    let line = if number == 1 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line };
    Some(line.trim_ascii()).filter(|line| !line.is_empty()).ok_or(Step::Ignored)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    fn lines(text: &[u8], buffer: usize) -> Vec<String> {
        let mut lines = Lines::new(BufReader::with_capacity(buffer, text));
        let mut all = Vec::new();
        loop {
            match lines.next_line().unwrap() {
                Ok(line) => all.push(String::from_utf8_lossy(line).into_owned()),
                Err(Step::End) => return all,
                Err(Step::Ignored) => all.push(String::new()),
                Err(_) => all.push(format!("too long {}", lines.number())),
            }
        }
    }

    #[test]
    fn lines_wherever_the_buffer_ends() {
        for buffer in 1..20 {
            let text = b"\xef\xbb\xbfone\r\n\n  two three \nfour";
            assert_eq!(lines(text, buffer), ["one", "", "two three", "four"], "{buffer}");
            assert_eq!(lines(b"\n\n", buffer), ["", ""], "{buffer}");
            assert_eq!(lines(b"", buffer), [""; 0], "{buffer}");
        }
    }

    #[test]
    fn a_line_without_an_end_takes_no_more_than_its_bound() {
        let mut text = vec![b'x'; LINE_BYTES_MAX + 1];
        text.extend(b"\nshort\n");
        assert_eq!(lines(&text, 4096), ["too long 1", "short"]);
        assert_eq!(lines(&text[1..], 4096)[1], "short");
    }
}
