//! A recursive, validating DNS resolver that applies program blocklists: map of the code.
//!
//! ```text
//!         ┌────────────── app: builds everything from Config, binds, spawns, drains ──────────────┐
//!  stub → listener → query → policy.on_question → resolve → policy.on_answer → response → listener → stub
//!          sockets           Verdict (pure)      recursor/   Verdict (pure)      │
//!                                ▲ swap          forwarder                       │ one QueryRecord, after the answer
//!  blocklists/ → lists ───── Policy                                telemetry: counters · log line ←┘
//!                                                                         ▲ reads
//!                                                    cli → HTTP → admin: health, metrics, explain, lists
//! ```
//!
//! # Code map, in the order of the flow
//!
//! - [`listener`] UDP workers and TCP connections: bytes in, bytes out, every bound of the network side.
//! - [`dns`] the shared vocabulary: names, questions, records, wire form and zone files. Plain values.
//! - [`query`] the flow: `answer_now` at once, `answer` for what must be resolved; access; the owner's own
//!   names; special-use names.
//! - [`policy`] decides, purely: rules, parsers, the compiled index, and the order of precedence, written once.
//! - [`resolve`] finds answers and validates them; the only place that names hickory_resolver and domain.
//! - [`response`] writes messages; never decides.
//! - [`lists`] the I/O around policy: files, downloads, watching, last good states, publishing.
//! - [`neighbours`] which MAC address stands behind a client's address; asks the kernel, never waits.
//! - [`telemetry`] counters and the log line of a query; never blocks.
//! - [`pause`] everything in shadow until a time; kept over restarts.
//! - [`health`] what is wrong right now, in words.
//! - [`admin`] HTTP; the only place that names the web framework.
//! - [`config`] what the owner wrote, checked whole; [`embedded`] the copies inside the binary.
//! - [`app`] puts it together; [`cli`] is what a person types.
//!
//! # What always holds
//!
//! 1. Deciding is pure: `policy` has no I/O, clock, lock or await; a policy is immutable and swapped whole, and a
//!    query is decided by one policy from its question to its answer.
//! 2. Every verdict but "pass" carries program, service, list, line, trigger and chain; nothing recomputes it.
//! 3. Sockets open after the first policy is in force. A list that became useless never replaces a good one.
//! 4. Nothing on the answer path waits for a log, a disk, a metric or another client.
//! 5. Every queue, connection count, line, body and wait has a bound with a name and a reason.
//!
//! `tests/it/architecture.rs` checks the arrows between the modules.

pub mod admin;
pub mod app;
pub mod cli;
pub mod config;
pub mod dns;
pub mod embedded;
pub mod health;
pub mod listener;
pub mod lists;
pub mod neighbours;
pub mod pause;
pub mod policy;
pub mod query;
pub mod resolve;
pub mod response;
pub mod telemetry;
