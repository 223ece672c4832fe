//! Each number is what it says, and only grows.

use super::*;
use crate::{
    config,
    dns::Transport,
    query::QueryRecord,
    query_log::{Packing, Shown},
    resolve::Exchange,
};
use std::{net::Ipv4Addr, sync::mpsc};

/// Waits for permission before each batch, and loses a row of it.
struct Slow {
    begun: mpsc::Sender<()>,
    go_on: Receiver<()>,
}

impl Sink for Slow {
    fn write(&mut self, _: Vec<Full<'_>>) -> u64 {
        let _ = self.begun.send(());
        let _ = self.go_on.recv();
        1
    }
}

/// Takes what it is told to take, and passes queries on at the end alone.
/// What a sink may want.
const QUERIES: Counted = Counted { queries: true, exchanges: false };
const EXCHANGES: Counted = Counted { queries: false, exchanges: true };

struct Taking {
    waiting: u64,
    arrived: u64,
}

impl Sink for Taking {
    fn write(&mut self, rows: Vec<Full<'_>>) -> u64 {
        self.waiting += rows.len() as u64;
        0
    }

    fn write_exchanges(&mut self, _: Vec<Tapped<'_>>) -> u64 {
        1
    }

    fn arrived(&mut self) -> Option<u64> {
        Some(std::mem::take(&mut self.arrived))
    }

    fn finish(&mut self) -> u64 {
        self.arrived = self.waiting.saturating_sub(1);
        1
    }
}

fn log() -> Arc<QueryLog> {
    let log = QueryLog::new(Privacy::new(config::Privacy::Full), Arc::default(), None);
    log.wants_exchanges.store(true, Relaxed);
    Arc::new(log)
}

fn push(log: &QueryLog, queries: usize, exchanges: usize) {
    let record = QueryRecord::new(IpAddr::V4(Ipv4Addr::LOCALHOST), Transport::Udp, Instant::now());
    (0..queries).for_each(|_| log.place().push(&record, &Packing::default()));
    let (began, ended) = (Instant::now(), Instant::now());
    let server = "192.0.2.53:53".parse().unwrap();
    let exchange = Exchange { server, tcp: false, began, ended, question: b"asked", response: None };
    (0..exchanges).for_each(|_| log.exchanged(&exchange));
}

fn spawn_sink(sink: impl Sink + 'static) -> (Outlet, JoinHandle<()>) {
    spawn_counted(QUERIES, sink, config::Privacy::Full)
}

fn spawn_counted(counted: Counted, sink: impl Sink + 'static, privacy: config::Privacy) -> (Outlet, JoinHandle<()>) {
    spawn_planned(Plan { name: "test", counted, counts: None, audience: None }, sink, privacy)
}

fn spawn_planned(plan: Plan, sink: impl Sink + 'static, privacy: config::Privacy) -> (Outlet, JoinHandle<()>) {
    ready(plan, Box::new(move || Box::new(sink)), Privacy::new(privacy), Arc::default()).unwrap().go(None)
}

/// A sink's near end without a thread behind it: as many batches wait as there is room for.
fn outlet(counted: Counted, room: usize) -> (Outlet, Receiver<Arc<Batch>>) {
    let (batches, received) = sync_channel(room);
    (Outlet { batches, counts: Arc::new(SinkCounts::of("test", counted)), audience: None }, received)
}

fn kept(written: u64, dropped: u64) -> Option<Kept> {
    Some(Kept { written, dropped })
}

#[test]
fn a_row_counts_when_it_is_written() {
    let (begun, has_begun) = mpsc::channel();
    let (permit, go_on) = mpsc::channel();
    let (outlet, thread) = spawn_sink(Slow { begun, go_on });
    let (log, counts, sinks) = (log(), outlet.counts.clone(), vec![outlet]);
    let now = || counts.now(Dropped::default()).queries;
    push(&log, 3, 0);
    drain(&log, &sinks);
    has_begun.recv().unwrap();
    assert_eq!(now(), kept(0, 0));
    permit.send(()).unwrap();
    push(&log, 2, 0);
    drain(&log, &sinks);
    has_begun.recv().unwrap();
    assert_eq!(now(), kept(2, 1), "and nothing of the second batch");
    drop((permit, sinks));
    thread.join().unwrap();
    assert_eq!(now(), kept(3, 2));
}

#[test]
fn what_a_sink_does_not_take_it_does_not_count() {
    for (queries, exchanges) in [(true, false), (false, true), (true, true)] {
        let counted = Counted { queries, exchanges };
        let (outlet, thread) = spawn_counted(counted, Taking { waiting: 0, arrived: 0 }, config::Privacy::Full);
        let (log, counts, sinks) = (log(), outlet.counts.clone(), vec![outlet]);
        push(&log, 5, 3);
        drain(&log, &sinks);
        drop(sinks);
        thread.join().unwrap();
        let count = counts.now(Dropped { queries: 10, exchanges: 20 });
        assert_eq!(count.queries, queries.then_some(Kept { written: 4, dropped: 11 }));
        assert_eq!(count.exchanges, exchanges.then_some(Kept { written: 2, dropped: 21 }));
    }
}

#[test]
fn what_waits_for_others_counts_when_it_arrives() {
    let mut sink = Taking { waiting: 0, arrived: 0 };
    let (outlet, received) = outlet(QUERIES, 1);
    let (log, counts, sinks) = (log(), outlet.counts.clone(), vec![outlet]);
    push(&log, 5, 0);
    drain(&log, &sinks);
    // The queue is full, so this is lost.
    push(&log, 2, 4);
    drain(&log, &sinks);
    assert_eq!(counts.now(Dropped::default()).queries, kept(0, 2));
    drop(sinks);
    serve(&mut sink, &received, &counts, &Privacy::new(config::Privacy::Full), Arc::default());
    assert_eq!(counts.now(Dropped::default()).queries, kept(4, 3));
}

#[test]
fn exchanges_that_do_not_come_to_a_sink_are_counted() {
    let (outlet, _received) = outlet(EXCHANGES, 1);
    let (log, counts, sinks) = (log(), outlet.counts.clone(), vec![outlet]);
    for _ in 0..2 {
        push(&log, 2, 4);
        drain(&log, &sinks);
    }
    let count = counts.now(Dropped::default());
    assert_eq!((count.queries, count.exchanges), (None, kept(0, 4)));
}

/// Notes the groups of rows.
struct Groups(mpsc::Sender<String>);

impl Sink for Groups {
    fn write(&mut self, rows: Vec<Full<'_>>) -> u64 {
        rows.iter().for_each(|full| drop(self.0.send(full.row.group.to_string())));
        0
    }
}

#[test]
fn where_nothing_is_told_of_clients_their_group_is_not_either() {
    for kept in config::Privacy::ALL {
        let (told, groups) = mpsc::channel();
        let (outlet, thread) = spawn_counted(QUERIES, Groups(told), kept);
        let (log, sinks) = (log(), vec![outlet]);
        push(&log, 1, 0);
        drain(&log, &sinks);
        drop(sinks);
        thread.join().unwrap();
        let expected = if kept == config::Privacy::None { "" } else { "default" };
        assert_eq!(groups.iter().collect::<Vec<_>>(), [expected], "{kept:?}");
    }
}

/// Tells how much it is given.
struct Seen(mpsc::Sender<usize>);

impl Sink for Seen {
    fn write(&mut self, rows: Vec<Full<'_>>) -> u64 {
        let _ = self.0.send(rows.len());
        0
    }
}

#[test]
fn while_nobody_looks_nothing_is_made() {
    let (given, told) = mpsc::channel();
    let audience = Audience::default();
    let plan = Plan { name: "test", counted: QUERIES, counts: None, audience: Some(audience.clone()) };
    let (outlet, thread) = spawn_planned(plan, Seen(given.clone()), config::Privacy::Full);
    let shown = Shown { make: Arc::new(move || Box::new(Seen(given.clone()))), audience: audience.clone() };
    let log = Arc::new(QueryLog::new(Privacy::new(config::Privacy::Full), Arc::default(), Some(shown)));
    let (counts, sinks) = (outlet.counts.clone(), vec![outlet]);
    assert!(!log.is_wanted());
    push(&log, 3, 0);
    drain(&log, &sinks);
    audience.store(1, Relaxed);
    assert!(log.is_wanted());
    push(&log, 2, 0);
    drain(&log, &sinks);
    audience.store(0, Relaxed);
    push(&log, 1, 0);
    drain(&log, &sinks);
    drop(sinks);
    thread.join().unwrap();
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [2]);
    assert_eq!(counts.now(Dropped::default()).queries, Some(Kept { written: 2, dropped: 0 }));
}
