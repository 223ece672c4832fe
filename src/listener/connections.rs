//! What the TCP connections of a listener have in common: their places, the room for their responses, the time to leave, and
//! who takes them over then.

use super::{
    Service,
    line::{Heir, Line},
    outlet::Overdue,
    places::Places,
};
use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, time::sleep};

/// How often it is looked whether all have gone.
pub const LEAVING: Duration = Duration::from_millis(10);

/// All that the connections of a listener have in common. Cheap to clone.
#[derive(Clone)]
pub struct Connections {
    /// Those of all listeners have their places in common, and the room for what their clients don't read.
    pub places: Places,
    pub overdue: Overdue,
    pub service: Service,
    /// Who takes them over when it is time to leave.
    pub heir: watch::Receiver<Heir>,
}

impl Connections {
    /// Waits until it is time to leave.
    pub async fn leave(&self) {
        // Without a sign as well, if nobody is left to give one.
        let _ = self.service.stopping.clone().wait_for(|&stopping| stopping).await;
    }

    /// Waits until there are none.
    pub async fn end(&self) {
        while !self.places.is_empty() {
            sleep(LEAVING).await;
        }
    }

    /// Who takes connections over, once that is known; nobody for as long as it isn't time to leave.
    pub async fn heir(&self) -> Option<Arc<Line>> {
        let mut heir = self.heir.clone();
        let known = heir.wait_for(|heir| !matches!(heir, Heir::Unknown)).await.ok()?;
        if let Heir::Is(line) = &*known { Some(line.clone()) } else { None }
    }
}
