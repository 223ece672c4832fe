//! The program as its users meet it: real sockets on ephemeral ports, a miniature signed Internet, real files.
//!
//! Nothing here needs a network, a privilege or a fixed port, and nothing waits for a time: tests wait for a condition
//! with a deadline.

mod allocations;
mod architecture;
mod blocking;
mod cache;
mod called;
mod changes;
mod command_line;
mod delegations;
mod documents;
mod exposition;
mod forwarding;
mod fuzz_corpus;
mod golden;
mod harness;
mod hot;
mod http;
mod input;
mod internet;
mod list_server;
mod local;
mod log;
mod manifests;
mod mmdb;
mod monitoring;
#[path = "../bench/names.rs"]
mod names;
mod openapi;
mod pages;
mod policy;
mod proxied;
mod query_log;
mod real_lists;
mod recursion;
mod regression;
mod reload;
mod replay;
mod routes;
mod shipped_lists;
mod start;
mod takeover;
mod twin;
mod url_lists;
mod who;
