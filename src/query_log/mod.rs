//! What is kept of queries: rows, and where they go.

pub mod row;

pub use row::{Fate, Row, Said, Verdicts};
