//! The shared vocabulary: names, questions, records, and their wire form.
//!
//! Plain values only. Nothing here does I/O, keeps state or decides anything.

mod message;
mod name;
pub mod presentation;
mod query;
mod show;
pub mod types;
pub mod zonefile;

pub use message::{
    Edns, ExtendedError, Full, HEADER_BYTES, MessageWriter, ReadError, Record, Section, extended_error, read_records,
};
pub use name::{LABELS_MAX, NAME_BYTES_MAX, Name, NameError};
pub use query::{Query, Question, Reject, Transport, is_query, parse_query};
pub use types::{Class, Opcode, Rcode, RrType};
