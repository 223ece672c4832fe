//! What is kept of queries: rows, and where they go.

pub mod dnstap;
pub mod row;

pub use row::{Fate, Row, Said, Verdicts};
