//! DNSSEC validation of whole answers, by NLnet Labs' `domain`. The only file that names its validator.

use super::{
    Security,
    anchors::TrustAnchorText,
    link::{Link, LinkResult, to_wire},
};
use crate::dns::{ExtendedError, Name, Record, RrType};
use arc_swap::ArcSwap;
use bytes::Bytes;
use domain::{
    base::{Message, name::ToName},
    dnssec::validator::context::{Config, ValidationContext, ValidationState},
    net::client::request::{ComposeRequest, Error, GetResponse, RequestMessage, SendRequest},
};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::task::JoinHandle;

/// Octets that a cached node (a zone's or name's key state) takes: a guess on the safe side.
const NODE_BYTES: u64 = 4096;
/// Nodes and signatures remembered at least.
const NODES_MIN: u64 = 1_000;
/// Records in the largest DS or DNSKEY RRset that is looked at: more would only be there to make us work (KeyTrap,
/// CVE-2023-50387). The root has a handful even while it rolls its key.
const KEY_RECORDS_MAX: usize = 48;

/// How long keys that don't fit are taken as such: a little less than a failure is told, so that who asks again after one
/// has them fetched again.
const BOGUS_KEYS_LIFE: Duration = Duration::from_secs(4);

/// The validator's own words where it got no answer.
const NOT_FETCHED: &str = "request for DS or DNSKEY failed";
/// The same for a trust anchor, or an answer without keys.
const NO_ROOT_KEYS: &str = "No DNSKEY RRset for trust anchor";

/// Fetches DS and DNSKEY RRsets for the validator.
pub type FetchKeys = Arc<dyn Fn(Name, RrType) -> Pin<Box<dyn Future<Output = LinkResult> + Send>> + Send + Sync>;

/// Validates against one set of trust anchors, remembering what it learnt of keys and signatures.
pub struct Validator {
    context: ArcSwap<ValidationContext<Upstream>>,
    anchors: TrustAnchorText,
    /// Remembered at most.
    nodes: u64,
    upstream: Upstream,
}

/// Nobody gave the keys that an answer is to be judged by, so nothing is known of it.
pub struct KeysNotHad(pub ExtendedError);

impl Validator {
    pub fn new(anchors: &TrustAnchorText, cache_bytes: u64, fetch: FetchKeys) -> Self {
        let nodes = (cache_bytes / 16 / NODE_BYTES).clamp(NODES_MIN, 1_000_000);
        let upstream = Upstream { fetch, root_is_silent: Arc::default() };
        let context = ArcSwap::from_pointee(cold(anchors, nodes, &upstream));
        Self { context, anchors: anchors.clone(), nodes, upstream }
    }

    /// Forgets all keys and signatures. The validator's memory can't be emptied, nor looked through by name, so another takes
    /// its place.
    pub fn forget(&self) {
        self.context.store(Arc::new(cold(&self.anchors, self.nodes, &self.upstream)));
    }

    /// Judges an answer. `now` is in seconds since 1970 (UTC) and only explains what is bogus: the validator reads
    /// the system clock itself.
    pub async fn judge(
        &self,
        name: &Name,
        rr_type: RrType,
        link: &Link,
        now: u64,
    ) -> Result<(Security, Option<ExtendedError>), KeysNotHad> {
        let wire = to_wire(name, rr_type, link.rcode, &link.answer, &link.authority);
        let Ok(mut message) = Message::from_octets(wire) else {
            return Ok((Security::Bogus, Some(ExtendedError::new(ExtendedError::DNSSEC_BOGUS, "unreadable answer"))));
        };
        let context = self.context.load_full();
        Ok(match context.validate_msg::<_, Vec<u8>>(&mut message).await {
            Ok((ValidationState::Secure, _)) => (Security::Secure, None),
            Ok((ValidationState::Insecure | ValidationState::Indeterminate, _)) => (Security::Insecure, None),
            Ok((ValidationState::Bogus, said)) => {
                let said = said.and_then(|ede| {
                    ede.text().map(|text| match text {
                        Ok(text) => text.to_string(),
                        Err(octets) => String::from_utf8_lossy(octets).into_owned(),
                    })
                });
                let is_silence = |said: &str| match said {
                    NOT_FETCHED => true,
                    NO_ROOT_KEYS => self.upstream.root_is_silent.load(Relaxed),
                    _ => false,
                };
                if said.as_deref().is_some_and(is_silence) {
                    let text = format!("nobody gave the keys for {name}");
                    return Err(KeysNotHad(ExtendedError::new(ExtendedError::NO_REACHABLE_AUTHORITY, text)));
                }
                (Security::Bogus, Some(self.explain(link, said.unwrap_or_default(), now).await))
            }
            Err(error) => {
                tracing::debug!(%name, %rr_type, %error, "validation could not be carried out");
                let text = format!("the keys for {name} could not be fetched");
                (Security::Bogus, Some(ExtendedError::new(ExtendedError::DNSKEY_MISSING, text)))
            }
        })
    }

    /// Which Extended DNS Error (RFC 8914 §4.7-4.13) a bogus answer deserves. The validator gives one code for all, so
    /// the message is looked at again.
    async fn explain(&self, link: &Link, said: String, now: u64) -> ExtendedError {
        let records = || link.answer.iter().chain(&link.authority);
        if let Some(error) = outside_window(records(), now) {
            return error;
        }
        let Some(signer) = records().find_map(signer_name) else {
            return if !link.answer.is_empty() {
                let code = if said.contains("No DNSKEY") {
                    ExtendedError::DNSKEY_MISSING
                } else {
                    ExtendedError::RRSIGS_MISSING
                };
                ExtendedError::new(code, "the parent zone says it is signed, and the answer has no signature")
            } else {
                ExtendedError::new(ExtendedError::NSEC_MISSING, "the zone is signed, and the denial has no proof")
            };
        };
        let proves = |record: &Record| matches!(record.rr_type, RrType::NSEC | RrType::NSEC3);
        if link.answer.is_empty() && !link.authority.iter().any(proves) {
            return ExtendedError::new(ExtendedError::NSEC_MISSING, format!("{signer} denies without proof"));
        }
        // Already fetched for the validation, hence in the cache below.
        match (self.upstream.fetch)(signer, RrType::DNSKEY).await {
            Ok(keys) if keys.answer.iter().any(|record| record.rr_type == RrType::DNSKEY) => {
                if let Some(error) = outside_window(keys.answer.iter(), now) {
                    return error;
                }
            }
            _ => return ExtendedError::new(ExtendedError::DNSKEY_MISSING, format!("{signer} has no DNSKEY records")),
        }
        if said.contains("No signature") {
            let text = format!("no key of {signer} fits its DS records");
            return ExtendedError::new(ExtendedError::DNSKEY_MISSING, text);
        }
        ExtendedError::new(ExtendedError::DNSSEC_BOGUS, format!("{}: {said}", signer))
    }
}

/// A validator that knows nothing yet.
fn cold(anchors: &TrustAnchorText, nodes: u64, upstream: &Upstream) -> ValidationContext<Upstream> {
    let mut config = Config::new();
    config.set_max_bogus_validity(BOGUS_KEYS_LIFE);
    config.set_max_node_cache(nodes);
    config.set_max_isig_cache(nodes * 2);
    config.set_max_usig_cache(nodes * 4);
    config.set_max_nsec3_cache(nodes);
    ValidationContext::with_config(anchors.parsed(), upstream.clone(), config)
}

/// Signature expired, or not yet valid, if one of the records is a signature that is so (RFC 4034 §3.1.5).
fn outside_window<'a>(records: impl Iterator<Item = &'a Record>, now: u64) -> Option<ExtendedError> {
    for record in records.filter(|record| record.rr_type == RrType::RRSIG) {
        let field = |at: usize| Some(u32::from_be_bytes(record.data.get(at..at + 4)?.try_into().ok()?));
        let (Some(expiration), Some(inception)) = (field(8), field(12)) else {
            continue;
        };
        // Serial number arithmetic (RFC 1982): these fields wrap in 2106.
        let after = |time: u32| (now as u32).wrapping_sub(time) as i32 > 0;
        if after(expiration) {
            let text = format!("a signature on {} has expired", record.owner);
            return Some(ExtendedError::new(ExtendedError::SIGNATURE_EXPIRED, text));
        }
        if !after(inception) && inception != now as u32 {
            let text = format!("a signature on {} is not yet valid", record.owner);
            return Some(ExtendedError::new(ExtendedError::SIGNATURE_NOT_YET_VALID, text));
        }
    }
    None
}

/// The zone that a signature says it is made by (RFC 4034 §3.1.7).
fn signer_name(record: &Record) -> Option<Name> {
    (record.rr_type == RrType::RRSIG)
        .then(|| Name::read(record.data.get(18..)?, 0).ok().map(|(name, _)| name))
        .flatten()
}

/// The validator's way to ask for keys.
#[derive(Clone)]
struct Upstream {
    fetch: FetchKeys,
    /// Whether nobody answered when the root's keys were asked for last.
    root_is_silent: Arc<AtomicBool>,
}

impl SendRequest<RequestMessage<Vec<u8>>> for Upstream {
    fn send_request(&self, request: RequestMessage<Vec<u8>>) -> Box<dyn GetResponse + Send + Sync> {
        let asked = request.to_message().ok().and_then(|message| {
            let question = message.sole_question().ok()?;
            let name = Name::from_wire(question.qname().to_bytes().as_slice()).ok()?;
            Some((name, RrType(question.qtype().to_int())))
        });
        let Self { fetch, root_is_silent } = self.clone();
        Box::new(Fetching(tokio::spawn(async move {
            let (name, rr_type) = asked?;
            let link = fetch(name, rr_type).await;
            if name == Name::ROOT {
                root_is_silent.store(link.is_err(), Relaxed);
            }
            let mut link = link.ok()?;
            // An answer with none, which is no proof.
            if link.answer.len() > KEY_RECORDS_MAX {
                (link.answer, link.authority) = (Vec::new(), Vec::new());
            }
            Some(Bytes::from(to_wire(&name, rr_type, link.rcode, &link.answer, &link.authority)))
        })))
    }
}

/// A fetch under way. The validator asks for a future that is Sync, which only a task's handle is.
struct Fetching(JoinHandle<Option<Bytes>>);

impl fmt::Debug for Fetching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fetching")
    }
}

impl GetResponse for Fetching {
    fn get_response(&mut self) -> Pin<Box<dyn Future<Output = Result<Message<Bytes>, Error>> + Send + Sync + '_>> {
        let task = &mut self.0;
        Box::pin(async move {
            let wire = task.await.ok().flatten().ok_or(Error::ConnectionClosed)?;
            Message::from_octets(wire).map_err(|_| Error::ShortMessage)
        })
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        self.0.abort();
    }
}
