//! dnstap (<https://dnstap.info>): queries and responses as they were on the wire, in a form that other programs read.
//!
//! ```text
//!  Event → message: protobuf → frames: Frame Streams → sender: batches → file    (one whole stream a file, rotated)
//!                                                                      → socket  (Unix or TCP, connected again)
//!  file → frames → message → Event
//! ```
//!
//! Nothing here reads a clock or starts a thread; a file or a collector that can't be written costs frames, which are
//! counted, and never more time than its bounds say.

mod bare;
mod connect;
pub mod file;
pub mod frames;
pub mod message;
pub mod sender;
mod sink;

pub use file::Rotation;
pub use frames::{FrameError, Frames, StreamError};
pub use message::{
    Action, DecodeError, Event, Extra, Kind, Matched, OwnedEvent, PolicyApplied, decode, encode, version,
};
pub use sender::Output;
pub(super) use sink::DnstapSink;

/// What a program's rule is called in dnstap, whose own word is for RPZ alone. Versions begin with it too.
pub const POLICY_KIND: &str = "cleandns";
