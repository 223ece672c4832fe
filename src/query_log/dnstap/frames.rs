//! Frame Streams, the form in which dnstap payloads follow each other in files and over sockets
//! (<https://farsightsec.github.io/fstrm/>).
//!
//! A frame is its length, 32 bits in network order, and as many octets. Length 0 announces a control frame, whose own
//! length follows. A stream is START, data, STOP. Over a socket its reader has a say: the writer is READY, waits for
//! ACCEPT, begins, and after STOP waits for FINISH.
//!
//! How long to wait is set on the socket by its owner. Whatever is read is checked against bounds before there is
//! memory for it.

use std::io::{self, Read, Write};

/// What the frames hold (dnstap.info).
pub const CONTENT_TYPE: &[u8] = b"protobuf:dnstap.Dnstap";
/// Octets of a control frame at most (fstrm).
pub const CONTROL_BYTES_MAX: usize = 512;
/// Octets of a data frame at most, as other readers have it. A payload has two messages of 64 KiB at most.
pub const DATA_BYTES_MAX: usize = 1 << 20;

/// The only field that control frames have.
const CONTENT_TYPE_FIELD: u32 = 1;

/// A control frame's type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Control {
    /// The reader takes what is offered.
    Accept = 1,
    /// Data follows.
    Start = 2,
    /// No more data.
    Stop = 3,
    /// The writer offers a stream.
    Ready = 4,
    /// The reader has read it all.
    Finish = 5,
}

impl Control {
    pub const ALL: [Self; 5] = [Self::Accept, Self::Start, Self::Stop, Self::Ready, Self::Finish];

    /// Its name in the protocol.
    pub fn word(self) -> &'static str {
        match self {
            Self::Accept => "ACCEPT",
            Self::Start => "START",
            Self::Stop => "STOP",
            Self::Ready => "READY",
            Self::Finish => "FINISH",
        }
    }

    /// Appends it as a frame to `out`.
    pub fn put(self, out: &mut Vec<u8>) {
        let is_typed = !matches!(self, Self::Stop | Self::Finish);
        let length = if is_typed { 12 + CONTENT_TYPE.len() } else { 4 };
        let mut put = |number: u32| out.extend_from_slice(&number.to_be_bytes());
        put(0);
        put(length as u32);
        put(self as u32);
        if is_typed {
            put(CONTENT_TYPE_FIELD);
            put(CONTENT_TYPE.len() as u32);
            out.extend_from_slice(CONTENT_TYPE);
        }
    }

    /// The frame by itself.
    pub fn frame(self) -> Vec<u8> {
        let mut frame = Vec::new();
        self.put(&mut frame);
        frame
    }
}

/// Appends a data frame of what `write` appends. False, and nothing is appended, if that is nothing or too much.
#[must_use]
pub fn put_data(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> bool {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    let length = out.len().saturating_sub(start + 4);
    let is_frame = (1..=DATA_BYTES_MAX).contains(&length);
    match out.get_mut(start..).and_then(<[u8]>::first_chunk_mut::<4>) {
        Some(place) if is_frame => *place = (length as u32).to_be_bytes(),
        _ => out.truncate(start),
    }
    is_frame
}

/// Begins a stream over a socket: READY, ACCEPT, START.
pub fn open_stream(peer: &mut (impl Read + Write)) -> Result<(), StreamError> {
    peer.write_all(&Control::Ready.frame())?;
    expect(peer, Control::Accept)?;
    Ok(peer.write_all(&Control::Start.frame())?)
}

/// Ends a stream over a socket: STOP, FINISH. Then all that was sent has been read.
pub fn close_stream(peer: &mut (impl Read + Write)) -> Result<(), StreamError> {
    peer.write_all(&Control::Stop.frame())?;
    expect(peer, Control::Finish)
}

/// Why a stream can't be read, or can't begin or end.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    #[error("{0}")]
    Io(io::Error),
    #[error("the other side doesn't answer in time")]
    Silent,
    #[error("the other side closed the connection instead of {}", .0.word())]
    Closed(Control),
    #[error("the other side sent something else than {}", .0.word())]
    NotSent(Control),
    #[error("it doesn't begin with START, so it is no dnstap file")]
    NoStart,
    #[error("it ends within the frame")]
    Truncated,
    #[error("a control frame of {0} octets, but they end at {CONTROL_BYTES_MAX}")]
    ControlTooLong(u32),
    #[error("a data frame of {0} octets, but they end at {DATA_BYTES_MAX}")]
    DataTooLong(u32),
    #[error("a control frame that makes no sense")]
    Malformed,
    #[error("it holds `{0}`, not dnstap")]
    ContentType(String),
    #[error("{} in the middle of the stream", .0.word())]
    Misplaced(Control),
    #[error("it ends without STOP: its writer is still at work, or was stopped by force")]
    NoStop,
    #[error("something follows after STOP, where the stream ends")]
    AfterStop,
}

impl From<io::Error> for StreamError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::Silent,
            _ => Self::Io(error),
        }
    }
}

/// Where a stream can't be read, and why.
#[derive(Debug, thiserror::Error)]
#[error("frame {frame}, at octet {offset}: {error}")]
pub struct FrameError {
    /// From 1, which is START.
    pub frame: u64,
    /// Of the frame's first octet, from 0.
    pub offset: u64,
    pub error: StreamError,
}

/// The data frames of a file, one by one; after an error there are no more. Reads in small pieces, so that a file wants
/// a `BufReader`.
pub struct Frames<R> {
    input: R,
    /// The frame that is read next, and where it begins.
    frame: u64,
    offset: u64,
    is_over: bool,
}

impl<R: Read> Frames<R> {
    pub fn new(input: R) -> Self {
        Self { input, frame: 1, offset: 0, is_over: false }
    }

    /// The number of the frame that was read last; 1 is START.
    pub fn frame(&self) -> u64 {
        self.frame.saturating_sub(1)
    }

    /// Puts the next frame's data in place of what `data` holds; `None` at the end.
    pub fn read_into(&mut self, data: &mut Vec<u8>) -> Option<Result<(), FrameError>> {
        if self.is_over {
            return None;
        }
        let read = self.advance(data);
        self.is_over = !matches!(read, Ok(true));
        match read {
            Ok(true) => Some(Ok(())),
            Ok(false) => None,
            Err(error) => Some(Err(FrameError { frame: self.frame, offset: self.offset, error })),
        }
    }

    /// True if there was data before the end.
    fn advance(&mut self, data: &mut Vec<u8>) -> Result<bool, StreamError> {
        if self.frame == 1 {
            match read_frame(&mut self.input, data) {
                Ok(Frame::Control(Some(Control::Start))) => self.pass(CONTROL_HEAD_BYTES, data),
                // Whatever file it is, its first octets were no length.
                Ok(_) | Err(StreamError::DataTooLong(_)) => return Err(StreamError::NoStart),
                Err(error) => return Err(error),
            }
        }
        loop {
            match read_frame(&mut self.input, data)? {
                Frame::Data => {
                    self.pass(DATA_HEAD_BYTES, data);
                    return Ok(true);
                }
                // Of a later version, to be ignored.
                Frame::Control(None) => self.pass(CONTROL_HEAD_BYTES, data),
                Frame::Control(Some(Control::Stop)) => break,
                Frame::Control(Some(control)) => return Err(StreamError::Misplaced(control)),
                Frame::End => return Err(StreamError::NoStop),
            }
        }
        self.pass(CONTROL_HEAD_BYTES, data);
        if fill(&mut self.input, &mut [0])? == 0 { Ok(false) } else { Err(StreamError::AfterStop) }
    }

    /// Goes on to the next frame.
    fn pass(&mut self, head_bytes: usize, payload: &[u8]) {
        self.frame += 1;
        self.offset += (head_bytes + payload.len()) as u64;
    }
}

impl<R: Read> Iterator for Frames<R> {
    type Item = Result<Vec<u8>, FrameError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut data = Vec::new();
        Some(self.read_into(&mut data)?.map(|()| data))
    }
}

/// Octets before a data frame's, and before a control frame's.
const DATA_HEAD_BYTES: usize = 4;
const CONTROL_HEAD_BYTES: usize = 8;

/// What was read.
enum Frame {
    Data,
    /// `None` if its type is unknown.
    Control(Option<Control>),
    /// Nothing: the input ends before it.
    End,
}

/// Reads a frame, and puts its octets in place of what `payload` holds.
fn read_frame(input: &mut impl Read, payload: &mut Vec<u8>) -> Result<Frame, StreamError> {
    payload.clear();
    let Some(length) = read_number(input)? else {
        return Ok(Frame::End);
    };
    if length != 0 {
        if length as usize > DATA_BYTES_MAX {
            return Err(StreamError::DataTooLong(length));
        }
        read_payload(input, length, payload)?;
        return Ok(Frame::Data);
    }
    let length = read_number(input)?.ok_or(StreamError::Truncated)?;
    if length as usize > CONTROL_BYTES_MAX {
        return Err(StreamError::ControlTooLong(length));
    }
    read_payload(input, length, payload)?;
    Ok(Frame::Control(read_control(payload)?))
}

/// A control frame's type, if it is known. Content types are of no interest unless ours is not among them; where there
/// are none, any will do.
fn read_control(payload: &[u8]) -> Result<Option<Control>, StreamError> {
    let (number, mut fields) = split_number(payload)?;
    let Some(control) = Control::ALL.into_iter().find(|control| *control as u32 == number) else {
        return Ok(None);
    };
    let (mut is_ours, mut other) = (false, None);
    while !fields.is_empty() {
        let (field, rest) = split_number(fields)?;
        let (length, rest) = split_number(rest)?;
        let (value, rest) = rest.split_at_checked(length as usize).ok_or(StreamError::Malformed)?;
        match field {
            CONTENT_TYPE_FIELD if value == CONTENT_TYPE => is_ours = true,
            CONTENT_TYPE_FIELD => other = Some(value),
            _ => return Err(StreamError::Malformed),
        }
        fields = rest;
    }
    match other {
        Some(other) if !is_ours => Err(StreamError::ContentType(other.escape_ascii().to_string())),
        _ => Ok(Some(control)),
    }
}

/// Waits for a control frame.
fn expect(peer: &mut impl Read, control: Control) -> Result<(), StreamError> {
    match read_frame(peer, &mut Vec::new())? {
        Frame::Control(Some(sent)) if sent == control => Ok(()),
        Frame::End => Err(StreamError::Closed(control)),
        _ => Err(StreamError::NotSent(control)),
    }
}

fn split_number(octets: &[u8]) -> Result<(u32, &[u8]), StreamError> {
    let (number, rest) = octets.split_first_chunk().ok_or(StreamError::Malformed)?;
    Ok((u32::from_be_bytes(*number), rest))
}

/// `None` if the input ends before it.
fn read_number(input: &mut impl Read) -> Result<Option<u32>, StreamError> {
    let mut number = [0; 4];
    match fill(input, &mut number)? {
        4 => Ok(Some(u32::from_be_bytes(number))),
        0 => Ok(None),
        _ => Err(StreamError::Truncated),
    }
}

fn read_payload(input: &mut impl Read, length: u32, payload: &mut Vec<u8>) -> Result<(), StreamError> {
    payload.resize(length as usize, 0);
    if fill(input, payload)? == payload.len() { Ok(()) } else { Err(StreamError::Truncated) }
}

/// Reads until `place` is full or the input ends; returns how many octets there are.
fn fill(input: &mut impl Read, place: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < place.len() {
        match input.read(&mut place[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests;
