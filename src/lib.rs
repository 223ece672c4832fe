//! A recursive, validating DNS resolver that applies program blocklists: map of the code.
//!
//! ```text
//!         ┌────────────── app: builds everything from Config, binds, spawns, drains ──────────────┐
//!  stub → listener → query → policy.on_question → cache → resolve → policy.on_answer → response → listener → stub
//!          sockets    ▲      Verdict (pure)              recursor/  Verdict (pure)    │
//!     neighbours: MAC ┤          ▲ swap          forwarder,                      │ one QueryRecord, after the answer
//!     pause: until    ┘          │               name servers                    │
//!  blocklists/ → lists ───── Policy                    query_log ← telemetry: counters · log line ←┘
//!               gate: what is too broad                                   ▲ reads
//!                                                    cli → HTTP → admin: health, metrics, explain, lists, pause, bypass
//! ```
//!
//! # Code map, in the order of the flow
//!
//! - [`listener`] UDP workers and TCP connections: bytes in, bytes out, every bound of the network side; whom a load
//!   balancer asks for (`proxied`); who has an address that can't be had, and who answers at one that is taken over
//!   (`beside`); who takes TCP connections over (`succession`).
//! - [`dns`] the shared vocabulary: names, questions, records, wire form and zone files. Plain values.
//! - [`query`] the flow: `now` at once and by the batch, in one `turn`, `later` for what must be resolved, `explain` for
//!   people. In its order: `access`; `own`, which is `local` (the owner's names, with `hosts`) and `special` (names that never leave
//!   this machine, with `check`, by which devices find out whether they ask here); the policy; `finder`, by which what is
//!   `sought` is found among what is kept, or resolved once for all who want it (`flights`); `links`, what an answer
//!   leads to; `aliased`, what is known at once of where aliases lead; `record`, what is known at the end. `reverse` asks
//!   what clients are called, for who looks at them.
//! - [`cache`] answers kept in wire form, bounded by octets; facts of DNS, and no verdict.
//! - [`prefetch`] asks for memory before it is needed, and [`background`] has threads make way for those that answer, and
//!   long work done `aside`, where processors are idle; with the allocator's settings in `main`, the only lines that aren't
//!   safe Rust.
//! - [`neighbours`] which MAC address stands behind a client's address; asks the kernel, never waits.
//! - [`pause`] everything in shadow until a time, for all, a group or a client; kept over restarts.
//! - [`warm`] kept answers over a restart, for who wants it.
//! - [`uptime`] the clock that ages are told by, which goes on while the machine sleeps.
//! - [`policy`] decides, purely. `rule` is what a line means, `parse` reads lines (one file a format), `gate` judges how
//!   much they cover, `show` writes them, `export` in forms that others read; `set` packs a list, `index` with `table`,
//!   `pattern`, `places` and `geo` finds what matches; `build` works out modes by group (`mode`, `groups`, `schedule`,
//!   `zone`); `decide` and `tally` are the order of precedence, written once; `verdict` is what comes out.
//! - [`resolve`] finds answers and validates them, and tells the name servers behind them; the only place that names
//!   hickory_resolver and domain.
//! - [`response`] writes messages, those to blocked questions in `policy`; never decides.
//! - [`lists`] the I/O around policy: `catalog` is what lists there are and their last good states, `read` gets them from
//!   files, `fetch` from elsewhere, `store` keeps copies and the last texts by version, `databases` reads those of
//!   networks and countries, `spec` turns the configuration into a policy's, `publish` swaps policies, `diff` compares
//!   lists.
//! - [`query_log`] what is kept of queries, and where it goes: `rings` and `pack` take it from whoever answers, `drain`
//!   hands it to the `sinks` (`sqlite`, `json_lines`, `dnstap`, `clickhouse`), `privacy` says how much of a client is
//!   told, `row` is what all of them see, `search` which of them somebody looks for.
//! - [`telemetry`] counters, by list and by client, and the log line of a query; never blocks.
//! - [`replay`] recorded queries through two policies, without a server: what one says of them and the other doesn't.
//! - [`report`] what was and would have been blocked, for whom, and what else that hits: rows in, pages and tables out.
//! - [`confine`] what the process gives up before it serves: root's rights, files and system calls it has no need of.
//! - [`systemd`] what a service manager passes and is told: sockets, readiness, signs of life.
//! - [`health`] what is wrong right now, in words, and what to do about it.
//! - [`admin`] HTTP; the only place that names the web framework. `guard` is who is heard, in what bounds, `forwarded`
//!   whom a proxy asks for; `view` what stands now, as data, from which `api` makes JSON, with a document of what it is,
//!   and `pages` makes pages; `live` the last hours: counted in memory, recorded, or just happening; `problem` what
//!   errors of the API look like.
//! - [`accounts`] users and groups by name, also where the C library is inside the program.
//! - [`whole`] files that are whole or not there, however a process ends.
//! - [`watch`] when something happened to a file, and when its writer is done.
//! - [`settings`] what of the configuration is in force while the program runs: `changing` puts another one in its place,
//!   whole or not at all, `files` keeps watch on the files, `overlay` is the file of what pages and API changed.
//! - [`config`] what the owner wrote, checked whole: `file` reads and merges files and the environment, `overlay` lies
//!   upon it, `following` is what a running program takes of a new one, `schema` is for editors, `rights` says whose a
//!   file is, `foreign` reads those that another user may have put there, `token` those of tokens; [`embedded`] the
//!   copies inside the binary, and lists that a command makes for itself.
//! - [`app`] puts it together; `running` ends it, `whereabouts` writes down where a server is found, `hold` keeps a state
//!   folder for one. [`cli`] is what a person types: `args` what may be typed, `to_ask` where the running server is asked.
//!
//! For users: `README.md` with the chapters it lists, `blocklists/README.md` (formats), `config/POLICY.md` (what beats
//! what), `config/MONITORING.md` (metrics, dashboard, alerts). What they can notice of a change belongs there too.
//!
//! # What always holds
//!
//! 1. Deciding is pure: `policy` has no I/O, clock, lock or await; a policy is immutable and swapped whole, and a
//!    query is decided by one policy, at one time, from its question to its answer.
//! 2. Every verdict but "pass" carries program, service, list, line, trigger and chain; nothing recomputes it.
//! 3. The index finds exactly what a naive scan of the same rules finds. A match is compared, never guessed.
//! 4. A list or rule in shadow changes no octet of any answer, not even by an exception; off means it doesn't exist.
//! 5. Nothing is read as more than it says: a line that can't be honoured is skipped and told, with its number.
//! 6. A blocked question is not resolved. A policy answer never sets AD, and no client gets round it by CD, DO or type.
//! 7. Sockets open after the first policy is in force. A list that became useless never replaces a good one.
//! 8. Nothing on the answer path waits for a log, a disk, a metric or another client.
//! 9. Every queue, connection count, line, body and wait has a bound with a name and a reason.
//!
//! `tests/it/architecture.rs` checks the arrows between the modules.

pub mod accounts;
pub mod admin;
pub mod app;
pub mod background;
pub mod cache;
pub mod cli;
pub mod config;
pub mod confine;
pub mod dns;
pub mod embedded;
pub mod health;
pub mod listener;
pub mod lists;
pub mod neighbours;
pub mod pause;
pub mod policy;
pub mod prefetch;
pub mod query;
pub mod query_log;
pub mod replay;
pub mod report;
pub mod resolve;
pub mod response;
pub mod settings;
pub mod systemd;
pub mod telemetry;
pub mod uptime;
pub mod warm;
pub mod watch;
pub mod whole;
