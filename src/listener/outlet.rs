//! The way out of a TCP connection: responses that wait until the client reads them, bounded by number and by octets.
//!
//! A client that asks for large answers and doesn't read them would have them pile up here, thousands of times its
//! question's octets. So its next question waits as soon as one answer or some octets of several do.

use crate::query::MISSES_MAX;
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};

/// Responses of one connection that are looked for at once; a further question is answered at once, if only with an error.
/// An eighth of all that may be: other resolvers pipeline hundreds of questions on one connection.
const LOOKED_FOR_MAX: usize = MISSES_MAX / 8;
/// Responses of one connection that wait to be written; reading stops until one is.
const UNREAD_MAX: usize = 64;
/// Responses of one connection that are in work or unread at once: what is answered at once never waits for what is looked
/// for.
const PLACES: usize = LOOKED_FOR_MAX + UNREAD_MAX;
/// Octets of one connection's responses that wait to be written; each response counts as no more than that, so the
/// largest finds room when no other waits, and as no less than its part of it.
const UNREAD_BYTES_MAX: usize = 32 << 10;
const UNREAD_BYTES_MIN: usize = UNREAD_BYTES_MAX / UNREAD_MAX;
/// Octets of responses, over all connections, that were looked for and found no room when they were ready. What is beyond
/// is lost, and counted, for a client that reads no answers.
const OVERDUE_BYTES_MAX: usize = 16 << 20;
/// The same of one connection, so that one client alone leaves room for others.
const OVERDUE_BYTES_OWN_MAX: usize = OVERDUE_BYTES_MAX / 4;
/// Octets that are gathered for one call, at most one response more. A call costs as much as many responses.
const GATHERED_BYTES_MAX: usize = 4 << 10;
/// How long a client may take to read what is written in one call.
const WRITE_WITHIN: Duration = Duration::from_secs(5);

/// The room for what came too late for the room of its connection; shared by all connections.
#[derive(Clone)]
pub struct Overdue(Arc<Semaphore>);

impl Default for Overdue {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(OVERDUE_BYTES_MAX)))
    }
}

/// A place for one response.
pub type Place = mpsc::OwnedPermit<Unread>;

/// A response that waits for its client, and the room it takes.
pub struct Unread {
    response: Vec<u8>,
    room: OwnedSemaphorePermit,
}

/// One connection's way out.
#[derive(Clone)]
pub struct Outlet {
    places: mpsc::Sender<Unread>,
    room: Arc<Semaphore>,
    looking: Arc<Semaphore>,
    overdue: Overdue,
    overdue_own: Arc<Semaphore>,
}

/// A response for which there was no room when it was ready.
pub struct Delayed {
    place: Place,
    response: Vec<u8>,
}

/// The way out, and its end, from which responses are written.
pub fn outlet(overdue: Overdue) -> (Outlet, mpsc::Receiver<Unread>) {
    let (places, ready) = mpsc::channel(PLACES);
    let bounds = [UNREAD_BYTES_MAX, LOOKED_FOR_MAX, OVERDUE_BYTES_OWN_MAX];
    let [room, looking, overdue_own] = bounds.map(|most| Arc::new(Semaphore::new(most)));
    (Outlet { places, room, looking, overdue, overdue_own }, ready)
}

impl Outlet {
    /// Waits for a place for a response; `None` once nobody writes any more.
    pub async fn place(&self) -> Option<Place> {
        self.places.clone().reserve_owned().await.ok()
    }

    /// Whether as many responses are looked for as may be.
    pub fn is_full(&self) -> bool {
        self.looking.available_permits() == 0
    }

    /// Whether something is looked for.
    pub fn is_looking(&self) -> bool {
        self.looking.available_permits() < LOOKED_FOR_MAX
    }

    /// Whether nothing is looked for, and all that was found is written.
    pub fn is_idle(&self) -> bool {
        !self.is_looking() && self.room.available_permits() == UNREAD_BYTES_MAX
    }

    /// Waits until one more response may be looked for.
    pub async fn look(&self) -> Option<OwnedSemaphorePermit> {
        self.looking.clone().acquire_owned().await.ok()
    }

    /// Hands a response over to be written, unless there is no room now.
    pub fn send(&self, place: Place, response: Vec<u8>) -> Result<(), Delayed> {
        match self.room.clone().try_acquire_many_owned(room_for(&response)) {
            Ok(room) => {
                place.send(Unread { response, room });
                Ok(())
            }
            Err(_) => Err(Delayed { place, response }),
        }
    }

    /// The same once there is room: for whoever reads no further question until then.
    pub async fn send_delayed(&self, Delayed { place, response }: Delayed) {
        if let Ok(room) = self.room.clone().acquire_many_owned(room_for(&response)).await {
            place.send(Unread { response, room });
        }
    }

    /// The same for a response that was looked for, of which many may be ready at once; false if it is lost.
    pub async fn send_overdue(&self, delayed: Delayed) -> bool {
        let take = |of: &Arc<Semaphore>| of.clone().try_acquire_many_owned(delayed.response.len() as u32);
        match (take(&self.overdue_own), take(&self.overdue.0)) {
            (Ok(_own), Ok(_held)) => {
                // Longer than that no client takes for what is before it.
                let sending = timeout(WRITE_WITHIN * PLACES as u32, self.send_delayed(delayed));
                sending.await.is_ok()
            }
            _ => false,
        }
    }
}

fn room_for(response: &[u8]) -> u32 {
    response.len().clamp(UNREAD_BYTES_MIN, UNREAD_BYTES_MAX) as u32
}

/// Writes responses in the order in which they become ready, those that are ready together by one call. Gives the stream back
/// when all is written and nobody can send any more; it ends when the client doesn't read.
pub async fn write<S: AsyncWrite + Unpin>(mut stream: S, mut ready: mpsc::Receiver<Unread>) -> Option<S> {
    let mut framed = Vec::new();
    while let Some(Unread { response, mut room }) = ready.recv().await {
        frame(&response, &mut framed);
        drop(response);
        while framed.len() < GATHERED_BYTES_MAX
            && let Ok(next) = ready.try_recv()
        {
            frame(&next.response, &mut framed);
            room.merge(next.room);
        }
        let Ok(Ok(())) = timeout(WRITE_WITHIN, stream.write_all(&framed)).await else {
            return None;
        };
        framed.clear();
        framed.shrink_to(GATHERED_BYTES_MAX);
    }
    Some(stream)
}

fn frame(response: &[u8], framed: &mut Vec<u8>) {
    framed.extend_from_slice(&(response.len() as u16).to_be_bytes());
    framed.extend_from_slice(response);
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    /// Sends as many responses of so many octets as there is room for; returns their number.
    async fn fill(outlet: &Outlet, bytes: usize) -> (usize, Option<Delayed>) {
        let mut sent = 0;
        while let Ok(Some(place)) = timeout(Duration::ZERO, outlet.place()).await {
            match outlet.send(place, vec![7; bytes]) {
                Ok(()) => sent += 1,
                Err(delayed) => return (sent, Some(delayed)),
            }
        }
        (sent, None)
    }

    #[tokio::test]
    async fn unread_responses_are_bounded_by_number_and_octets() {
        for (bytes, expected) in [(60, UNREAD_MAX), (8 << 10, 4), (40_000, 1), (65_535, 1)] {
            let (outlet, _ready) = outlet(Overdue::default());
            let (sent, delayed) = fill(&outlet, bytes).await;
            assert_eq!((sent, delayed.is_some()), (expected, true), "{bytes}");
        }
    }

    /// Whatever is looked for, as much as ever may wait to be written.
    #[tokio::test]
    async fn what_is_looked_for_takes_no_place_of_what_is_answered_at_once() {
        let (outlet, _ready) = outlet(Overdue::default());
        let mut looked_for = Vec::new();
        while !outlet.is_full() {
            looked_for.push((outlet.look().await.unwrap(), outlet.place().await.unwrap()));
        }
        assert_eq!(looked_for.len(), LOOKED_FOR_MAX);
        assert_eq!(fill(&outlet, 60).await.0, UNREAD_MAX);
    }

    #[tokio::test]
    async fn what_waited_is_written_once_the_client_reads() {
        let (outlet, ready) = outlet(Overdue::default());
        let (sent, Some(delayed)) = fill(&outlet, 20_000).await else { panic!("there is room for all") };
        assert_eq!(sent, 1);
        let (mut client, server) = tokio::io::duplex(64);
        let writing = tokio::spawn(write(server, ready));
        let own = outlet.clone();
        let overdue = tokio::spawn(async move { own.send_overdue(delayed).await });
        let mut read = vec![0; 2 * 20_002];
        client.read_exact(&mut read).await.unwrap();
        assert_eq!(read[..3], [78, 32, 7]);
        assert_eq!(read[20_002..20_005], [78, 32, 7]);
        assert!(overdue.await.unwrap());
        drop(outlet);
        assert!(writing.await.unwrap().is_some());
    }

    #[tokio::test]
    async fn what_is_overdue_is_bounded_over_all() {
        let all = Overdue::default();
        let (mut kept, mut waiting) = (Vec::new(), Vec::new());
        let lost = loop {
            let (outlet, ready) = outlet(all.clone());
            let (_, Some(delayed)) = fill(&outlet, 65_535).await else { panic!("there is room for all") };
            let mut sending = Box::pin(async move { outlet.send_overdue(delayed).await });
            match timeout(Duration::ZERO, &mut sending).await {
                Ok(sent) => break !sent,
                Err(_) => waiting.push(sending),
            }
            kept.push(ready);
        };
        assert!(lost);
        assert_eq!(waiting.len(), OVERDUE_BYTES_MAX / 65_535);
    }
}
