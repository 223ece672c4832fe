//! Who takes TCP connections over from whom, at one address. A process that takes over calls the one that serves, and is its
//! heir from then on; when that leaves, it asks the newest of its heirs whether they listen, and connections go there. The
//! heir takes the name in its turn, to be called by the next.
//!
//! ```text
//! new: calls ───────────────────────────────► old: keeps the line
//! old: it is time to leave; gives up the name, "leaving" ───► new: takes the name, "ready"
//! old: answers what came on each connection, hands it over ─► new: reads on, at the very octet
//! ```
//!
//! Where nobody takes over, or whoever would doesn't listen, connections end as they do when any server leaves.

use super::{
    connections::Connections,
    line::{Door, HEIRS_MAX, Heir, Line, Message, Word, name},
    places::CONNECTIONS_MAX,
};
use socket2::SockAddr;
use std::{collections::VecDeque, io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    sync::{oneshot, watch},
    time::{sleep, timeout},
};

/// How often who takes over calls, and how many times: the one before may not have the name yet from the one before that.
const CALL_EVERY: Duration = Duration::from_millis(50);
const CALLS_MAX: usize = 40;
/// How long to wait before the name is tried again, at first and at most: somebody else may have it.
const NAME_AGAIN: Duration = Duration::from_millis(50);
const NAME_AGAIN_MAX: Duration = Duration::from_secs(5);
/// How long nobody is heard after somebody called who has no part in it.
const REFUSED_PAUSE: Duration = Duration::from_millis(50);
/// How long an heir may take to say that it listens. There are some at most, and all of it is a fraction of the time that
/// connections are given to end.
const READY_WITHIN: Duration = Duration::from_millis(250);
/// How long connections are still taken when it is time to leave: they go on to the next.
const INHERIT_WITHIN: Duration = Duration::from_secs(1);

/// One address's part in it.
pub struct Succession {
    address: SocketAddr,
    name: SockAddr,
    /// The one that is taken over from.
    before: Option<Line>,
    takes_over: bool,
}

impl Succession {
    /// Calls whoever serves the address, if it is taken over. Must be called within the runtime.
    pub fn begin(address: SocketAddr, takes_over: bool) -> io::Result<Self> {
        let name = name(address)?;
        let before = if takes_over { Line::call(&name).ok() } else { None };
        Ok(Self { address, name, before, takes_over })
    }

    /// Takes connections from the one before, and tells when it is time to leave who takes them over from here. Ends when
    /// all connections have.
    pub async fn run(self, connections: Connections, told: watch::Sender<Heir>) {
        let Self { address, name, before, takes_over } = self;
        let (has_left, left) = oneshot::channel::<()>();
        let leaving = async {
            let mut heirs = Heirs::default();
            tokio::select! {
                () = connections.leave() => {}
                () = async {
                    // It is dropped, not sent to.
                    drop(left.await);
                    heirs.gather(&name).await;
                } => {}
            }
            let heir = heirs.ask().await;
            if matches!(heir, Heir::Is(_)) {
                tracing::info!(%address, "TCP connections go to the process that takes over");
            }
            told.send_replace(heir);
        };
        let inheriting = async {
            // Once it is dropped the name is free.
            let has_left = has_left;
            if takes_over && let Some(line) = before_us(before, &name, &connections).await {
                inherit(&line, address, has_left, &connections).await;
            }
        };
        tokio::join!(leaving, inheriting);
        connections.end().await;
    }
}

/// The one before, who may not be called so yet.
async fn before_us(called: Option<Line>, name: &SockAddr, connections: &Connections) -> Option<Line> {
    if called.is_some() {
        return called;
    }
    let calling = async {
        for _ in 0..CALLS_MAX {
            match Line::call(name) {
                Ok(line) => return Some(line),
                Err(error) => tracing::debug!(%error, "no process hands TCP connections over yet"),
            }
            sleep(CALL_EVERY).await;
        }
        None
    };
    tokio::select! {
        line = calling => line,
        () = connections.leave() => None,
    }
}

/// Waits until the one before leaves, and takes its connections.
async fn inherit(line: &Line, address: SocketAddr, has_left: oneshot::Sender<()>, connections: &Connections) {
    let leaves = tokio::select! {
        heard = line.hear() => matches!(heard, Ok(Some(Message::Leaving))),
        // The one before stays.
        () = connections.leave() => false,
    };
    if !leaves {
        return;
    }
    drop(has_left);
    if line.say(Word::Ready).await.is_err() {
        return;
    }
    let (mut taken, mut ended) = (0, 0);
    let taking = async {
        // It has no more than that.
        for _ in 0..CONNECTIONS_MAX {
            match line.hear().await {
                Ok(Some(Message::Connection(stream, handed))) => {
                    let count = if connections.take_over(stream, handed) { &mut taken } else { &mut ended };
                    *count += 1;
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => break,
            }
        }
    };
    tokio::select! {
        () = taking => {}
        () = async {
            connections.leave().await;
            sleep(INHERIT_WITHIN).await;
        } => {}
    }
    tracing::info!(%address, connections = taken, without_a_place = ended, "took TCP connections over from the process before");
}

/// Those who take over, the newest last.
#[derive(Default)]
struct Heirs {
    door: Option<Door>,
    lines: VecDeque<Line>,
}

impl Heirs {
    /// Takes the name, and hears whoever calls; never ends.
    async fn gather(&mut self, name: &SockAddr) {
        let mut again = NAME_AGAIN;
        let door = loop {
            match Door::open(name) {
                Ok(door) => break door,
                Err(error) => tracing::debug!(%error, "TCP connections could not be handed over now"),
            }
            sleep(again).await;
            again = (again * 2).min(NAME_AGAIN_MAX);
        };
        let door = self.door.insert(door);
        loop {
            match door.next().await {
                Ok(line) => {
                    if self.lines.len() == HEIRS_MAX {
                        self.lines.pop_front();
                    }
                    self.lines.push_back(line);
                }
                Err(error) => {
                    tracing::debug!(%error, "a process is given no TCP connections");
                    sleep(REFUSED_PAUSE).await;
                }
            }
        }
    }

    /// Finds one who listens, the newest first. Others hear that nobody is there any more.
    async fn ask(mut self) -> Heir {
        if let Some(door) = self.door.take() {
            // Whoever called just before.
            let called = (0..=HEIRS_MAX).filter_map(|_| door.waiting().ok());
            self.lines.extend(called);
        }
        for line in self.lines.into_iter().rev().take(HEIRS_MAX) {
            let asking = async {
                line.say(Word::Leaving).await.ok()?;
                line.hear().await.ok()?
            };
            if let Ok(Some(Message::Ready)) = timeout(READY_WITHIN, asking).await {
                return Heir::Is(Arc::new(line));
            }
        }
        Heir::Nobody
    }
}
