//! Lists with a url: downloaded over TLS, kept, downloaded again; and whatever a server says instead of a list, the last
//! good one stays in force.
//!
//! Questions have the type ANY here, as in `reload`.

mod scene;
mod useful;
mod useless;

use crate::{
    harness::{Server, eventually, folder, free_address, measured, try_start_fetching},
    internet::{Internet, answer_to, scripted},
    list_server::{ListServer, Manner, Reply, Request},
};
use cleandns::{
    app::AppError,
    dns::{Rcode, RrType},
    lists::FetchLimits,
};
use hickory_resolver::proto::{
    op::ResponseCode,
    rr::{RData, Record, RecordType},
};
use scene::{Scene, gone, grow_old, list, octets, state_file};
use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Arc, Mutex, atomic::Ordering},
    time::{Duration, UNIX_EPOCH},
};
use tempfile::TempDir;

const PATH: &str = "/some/a.list";
/// Where it is.
const HOST: &str = "www.example.com";
/// Octets of a body in these tests.
const BODY_BYTES_MAX: u64 = 20_000;
/// Longer than any download takes that isn't meant to be broken off.
const WITHIN: Duration = Duration::from_secs(5);
