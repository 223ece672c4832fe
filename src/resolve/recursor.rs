//! Recursion from the root by hickory's `Recursor`, which here fetches and caches but neither validates nor filters.

use super::{
    anchors::Hints,
    kept,
    link::{LinkResult, failure_code, from_hickory_message, negative_from_hickory, to_hickory, to_hickory_type},
    observed::Observed,
    remembered::Remembered,
};
use crate::dns::{ExtendedError, Name, Rcode, RrType};
use arc_swap::ArcSwap;
use hickory_resolver::{
    net::NetError,
    proto::op::Query,
    recursor::{DnssecPolicy, Recursor as HickoryRecursor, RecursorError, RecursorOptions},
};
use ipnet::IpNet;
use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard},
};

/// Octets that a cached response of hickory's takes, signatures included: a guess on the safe side, since its cache
/// counts responses only.
const CACHED_RESPONSE_BYTES: u64 = 4096;
/// Octets that what is remembered of one zone's name servers takes, likewise.
const CACHED_ZONE_BYTES: u64 = 16 * 1024;
/// Zones remembered at least; fewer would make every question start at the root.
const CACHED_ZONES_MIN: u64 = 512;

/// Names remembered at most of which answers broke DNSSEC, and as many zones whose keys may be why.
const SUSPECTS_MAX: usize = 4096;
/// The part of the memory that answers about these have.
const SUSPECTS_PART: u64 = 16;

/// Resolves from the root.
pub struct Recursor {
    recursor: ArcSwap<HickoryRecursor<Observed>>,
    hints: Vec<IpAddr>,
    options: RecursorOptions,
    wire: Observed,
    suspects: Mutex<Suspects>,
}

/// Names whose answers broke DNSSEC. hickory's memory can't be told to forget one, so another recursor is asked for these,
/// which knows nothing of them: a small one, that is replaced once it has been asked for a name that is suspected again.
struct Suspects {
    /// With the number of the recursor that was asked for it last.
    names: Remembered<u64>,
    /// Zones at and above these: of them DS and DNSKEY records are suspected.
    zones: Remembered<()>,
    second: Option<Arc<HickoryRecursor<Observed>>>,
    /// Of the second recursor; none has the number 0.
    number: u64,
}

impl Recursor {
    /// `cache_bytes` is shared out between responses (three quarters) and zones.
    pub fn new(hints: &Hints, do_not_query: &[IpNet], cache_bytes: u64, wire: Observed) -> Result<Self, RecursorError> {
        // A hint is the owner's word, so it holds inside the networks that are otherwise never asked. hickory refuses
        // exceptions where there is nothing to except from.
        let hinted = if do_not_query.is_empty() { &[][..] } else { hints.0.as_slice() };
        let options = RecursorOptions {
            response_cache_size: (cache_bytes / 4 * 3 / CACHED_RESPONSE_BYTES).max(1),
            ns_cache_size: (cache_bytes / 4 / CACHED_ZONE_BYTES).max(CACHED_ZONES_MIN) as usize,
            deny_server: do_not_query.to_vec(),
            allow_server: hinted.iter().copied().map(IpNet::from).collect(),
            cache_policy: kept::bounds(),
            ..RecursorOptions::default()
        };
        let recursor = ArcSwap::from_pointee(cold(&hints.0, &options, &wire)?);
        Ok(Self { recursor, hints: hints.0.clone(), options, wire, suspects: Mutex::new(Suspects::none()) })
    }

    /// Forgets everything: hickory's caches can't be emptied, so another takes its place.
    pub fn forget(&self) {
        *self.suspects() = Suspects::none();
        match cold(&self.hints, &self.options, &self.wire) {
            Ok(recursor) => self.recursor.store(Arc::new(recursor)),
            // It was made of the same before.
            Err(error) => tracing::error!(%error, "what recursion keeps could not be forgotten"),
        }
    }

    /// Forgets what is kept of a name: an answer with it broke DNSSEC.
    pub fn suspect(&self, name: &Name) {
        let mut suspects = self.suspects();
        let number = suspects.number;
        let asked = std::mem::take(suspects.names.get_or_default(name.as_wire()));
        // The one there is knows nothing of it yet.
        if number > 0 && asked < number {
            return;
        }
        let options = RecursorOptions {
            response_cache_size: (self.options.response_cache_size / SUSPECTS_PART).max(1),
            ns_cache_size: CACHED_ZONES_MIN as usize,
            ..self.options.clone()
        };
        match cold(&self.hints, &options, &self.wire) {
            Ok(recursor) => {
                suspects.second = Some(Arc::new(recursor));
                suspects.number += 1;
            }
            // It was made of the same before.
            Err(error) => tracing::error!(%error, "what recursion keeps of a name could not be forgotten"),
        }
    }

    /// Forgets what is kept of the keys of a zone.
    pub fn suspect_keys(&self, zone: &Name) {
        self.suspects().zones.insert(zone.as_wire(), ());
    }

    /// Who is to be asked.
    fn recursor_for(&self, name: &Name, rr_type: RrType) -> Arc<HickoryRecursor<Observed>> {
        let mut suspects = self.suspects();
        if let Some(second) = suspects.second.clone() {
            let number = suspects.number;
            if let Some(asked) = suspects.names.get(name.as_wire()) {
                *asked = number;
                return second;
            }
            if matches!(rr_type, RrType::DS | RrType::DNSKEY) && suspects.zones.get(name.as_wire()).is_some() {
                return second;
            }
        }
        drop(suspects);
        self.recursor.load_full()
    }

    fn suspects(&self) -> MutexGuard<'_, Suspects> {
        self.suspects.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Asks for one name and type.
    pub async fn ask(&self, name: &Name, rr_type: RrType) -> LinkResult {
        let query = Query::query(to_hickory(name), to_hickory_type(rr_type));
        match self.recursor_for(name, rr_type).resolve(query, kept::now(), true).await {
            Ok(message) => from_hickory_message(message),
            Err(RecursorError::Negative(none)) => {
                let rcode = if none.is_nx_domain() { Rcode::NXDOMAIN } else { Rcode::NOERROR };
                negative_from_hickory(rcode, none.soa.map(|soa| soa.into_record_of_rdata()), none.authorities)
            }
            Err(error) => Err(failure(name, &error)),
        }
    }
}

impl Suspects {
    fn none() -> Self {
        Self { names: Remembered::new(SUSPECTS_MAX), zones: Remembered::new(SUSPECTS_MAX), second: None, number: 0 }
    }
}

fn cold(
    hints: &[IpAddr],
    options: &RecursorOptions,
    wire: &Observed,
) -> Result<HickoryRecursor<Observed>, RecursorError> {
    HickoryRecursor::new(hints, DnssecPolicy::ValidationDisabled, None, options.clone(), wire.clone())
}

/// What went wrong, as an Extended DNS Error. hickory gives most of it as text alone.
fn failure(name: &Name, error: &RecursorError) -> ExtendedError {
    let code = match error {
        RecursorError::Io(error) => failure_code(error),
        RecursorError::Net(NetError::Io(error)) => failure_code(error),
        _ => ExtendedError::NO_REACHABLE_AUTHORITY,
    };
    tracing::debug!(%name, %error, "recursion failed");
    ExtendedError::new(code, format!("no name server gave an answer for {name}"))
}
