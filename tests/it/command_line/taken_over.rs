//! One process after the other at the same addresses, each as it runs for anybody: within its sandbox.

use super::*;
use crate::harness::{Ask, framed};
use cleandns::dns::RrType;
use std::{
    collections::HashSet,
    io::Write,
    net::TcpStream,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
};

/// Clients that never pause, and their questions under way at any time.
const CLIENTS: usize = 6;
const OPEN: usize = 50;
/// Processes after the first.
const TAKEOVERS: usize = 3;

/// A client of TCP, with the ids of what it asked and has no answer to.
struct Client {
    stream: TcpStream,
    open: HashSet<u16>,
    next: u16,
}

impl Client {
    fn new(at: SocketAddr) -> Self {
        let stream = TcpStream::connect(at).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Self { stream, open: HashSet::new(), next: 0 }
    }

    fn query(&mut self) -> Vec<u8> {
        let mut packet = Ask::new("blocked.example", RrType::A).packet();
        packet[..2].copy_from_slice(&self.next.to_be_bytes());
        assert!(self.open.insert(self.next));
        self.next = self.next.wrapping_add(1);
        framed(&packet)
    }

    fn ask(&mut self) -> std::io::Result<()> {
        let query = self.query();
        self.stream.write_all(&query)
    }

    /// Reads an answer, to a question that had none.
    fn hear(&mut self) -> std::io::Result<()> {
        let mut length = [0; 2];
        self.stream.read_exact(&mut length)?;
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        self.stream.read_exact(&mut answer)?;
        let id = u16::from_be_bytes([answer[0], answer[1]]);
        assert!(self.open.remove(&id), "answered twice, or never asked: {id}");
        Ok(())
    }

    /// Asks as soon as something is answered, until told to stop; then hears the rest. Returns what is lost.
    fn ask_without_a_pause(mut self, stop: &AtomicBool, answered: &AtomicUsize) -> usize {
        let mut go_on = || -> std::io::Result<()> {
            (0..OPEN).try_for_each(|_| self.ask())?;
            while !stop.load(Relaxed) {
                self.hear()?;
                answered.fetch_add(1, Relaxed);
                self.ask()?;
            }
            (0..OPEN).try_for_each(|_| self.hear())
        };
        let ended = go_on();
        if let Err(error) = &ended {
            measured(&format!("a connection ended with {} under way: {error}", self.open.len()));
        }
        self.open.len() + usize::from(ended.is_err() && self.open.is_empty())
    }
}

/// Has clients stop, whatever becomes of the test.
struct Stops<'a>(&'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Neither who pipelines without a pause, nor who says nothing for long, nor who is in the midst of a query notices anything.
#[test]
fn no_client_of_tcp_notices_that_processes_come_and_go() {
    let (place, mut serving) = Place::serve("");
    let (mut idle, mut half) = (Client::new(place.dns), Client::new(place.dns));
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let some_more = || {
        let before = answered.load(Relaxed);
        until("some more answers", || answered.load(Relaxed) > before + 10 * CLIENTS * OPEN);
    };
    let lost: usize = thread::scope(|scope| {
        let stops = Stops(&stop);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| scope.spawn(|| Client::new(place.dns).ask_without_a_pause(&stop, &answered)))
            .collect();
        for _ in 0..TAKEOVERS {
            some_more();
            let next = Serving::start(place.command(&["serve", "--take-over"])).expect("the ports were taken");
            some_more();
            let mut old = std::mem::replace(&mut serving, next);
            let query = half.query();
            half.stream.write_all(&query[..9]).unwrap();
            old.signal("-TERM");
            assert_eq!(old.code(), Some(0));
            half.stream.write_all(&query[9..]).unwrap();
            half.hear().unwrap();
            idle.ask().unwrap();
            idle.hear().unwrap();
            old.stderr.until("TCP connections go to the process that takes over");
        }
        some_more();
        drop(stops);
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    assert_eq!(lost, 0, "of {}", answered.load(Relaxed));
    has(&serving.stderr.text(), &["Landlock", "seccomp", "took TCP connections over from the process before"]);
}
