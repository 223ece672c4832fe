//! Recorded queries through two policies, without a server: what one says of them and the other doesn't.
//!
//! ```text
//! file → input (one file a format) → batches of queries → engine: before, after → count → summary
//!        bad lines are data                               policies, or what was recorded
//! ```
//!
//! It opens no file but a database, resolves nothing and prints nothing: readers and policies are handed to it. Rules
//! on a question are asked; rules on an answer only where the file tells what the answer led to (`answers`: also before, or
//! a little later, of the query whose answer this one got from the cache).

mod answers;
mod count;
mod engine;
pub mod input;
mod summary;

pub use engine::{Before, Comparison, Judge};
pub use input::{Around, Asked, DNS_PORT, Format, OpenError, Opened, Place, Source, Step, open};
pub use summary::{
    Because, ByClient, ByName, ByService, Change, Counted, FateCount, NotAsked, Reason, Skipped, Summary,
};
