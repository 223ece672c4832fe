//! Asking given servers instead of recursing, by hickory's name server pools.

use super::{
    kept,
    link::{
        LinkResult, failure_code, from_hickory_message, from_hickory_rcode, negative_from_hickory, to_hickory,
        to_hickory_type,
    },
    observed::Observed,
};
use crate::{
    config::{Forward, ForwardProtocol},
    dns::{ExtendedError, Name, RrType},
};
use arc_swap::ArcSwap;
use hickory_resolver::{
    NameServerPool, PoolContext, ResponseCache, TlsConfig,
    config::{ConnectionConfig, NameServerConfig, ResolverOpts},
    net::{DnsError, DnsHandle, NetError, xfer::FirstAnswer},
    proto::op::{DnsRequest, DnsRequestOptions, Edns, Message, Query},
};
use std::{sync::Arc, time::Duration};

/// How long all servers of a zone together are waited for; `Wire` gives each of them less.
const SERVER_TIMEOUT: Duration = Duration::from_secs(4);
/// So many servers are asked at a time, so that a dead one costs nothing.
const ASKED_AT_A_TIME: usize = 2;
/// Largest UDP answer asked for (DNS flag day 2020).
const UDP_PAYLOAD_BYTES: u16 = 1232;
/// Octets that a cached response of hickory's takes, as in `recursor`.
const CACHED_RESPONSE_BYTES: u64 = 4096;

/// The servers of one forwarded zone.
pub struct Forwarder {
    pub zone: Name,
    pub validate: bool,
    pool: NameServerPool<Observed>,
    cache: ArcSwap<ResponseCache>,
    entries: u64,
}

impl Forwarder {
    /// `wire`: makes connections, with more patience if it is told that nobody else is left to be asked.
    pub fn new(forward: &Forward, cache_bytes: u64, wire: impl FnOnce(bool) -> Observed) -> Result<Self, NetError> {
        let servers = forward.servers.iter().map(|server| {
            let connection = |mut connection: ConnectionConfig| {
                connection.port = server.address.port();
                connection
            };
            let mut config = match server.protocol {
                ForwardProtocol::Udp => NameServerConfig::udp_and_tcp(server.address.ip()),
                ForwardProtocol::Tcp => NameServerConfig::tcp(server.address.ip()),
            };
            config.connections = config.connections.into_iter().map(connection).collect();
            config
        });
        let mut options = ResolverOpts::default();
        options.timeout = SERVER_TIMEOUT;
        options.num_concurrent_reqs = ASKED_AT_A_TIME;
        let wire = wire(forward.servers.len() <= ASKED_AT_A_TIME);
        let context = Arc::new(PoolContext::new(options, TlsConfig::new()?));
        let entries = (cache_bytes / CACHED_RESPONSE_BYTES).max(1);
        Ok(Self {
            zone: forward.zone,
            validate: forward.validate,
            pool: NameServerPool::from_config(servers, context, wire),
            cache: ArcSwap::from_pointee(ResponseCache::new(entries, kept::bounds())),
            entries,
        })
    }

    /// Forgets all answers.
    pub fn forget(&self) {
        self.cache.store(Arc::new(ResponseCache::new(self.entries, kept::bounds())));
    }

    /// Forgets the answer for one name and type, so that the servers are asked for it next.
    pub fn forget_one(&self, name: &Name, rr_type: RrType) {
        let query = Query::query(to_hickory(name), to_hickory_type(rr_type));
        let cache = self.cache.load();
        // Nothing can be taken out, but be replaced by what is over.
        if cache.get(&query, kept::now()).is_some() {
            cache.insert(query, Ok(Message::query()), kept::now());
        }
    }

    /// Asks for one name and type. The answer holds the whole alias chain that the server gave.
    pub async fn ask(&self, name: &Name, rr_type: RrType) -> LinkResult {
        let query = Query::query(to_hickory(name), to_hickory_type(rr_type));
        let now = kept::now();
        let cache = self.cache.load_full();
        let result = match cache.get(&query, now) {
            Some(cached) => cached,
            None => {
                let result = self.send(query.clone()).await;
                // Failures other than "there is none" are not the answer's own and may be over by the next question.
                if matches!(result, Ok(_) | Err(NetError::Dns(DnsError::NoRecordsFound(_)))) {
                    cache.insert(query, result.clone(), now);
                }
                result
            }
        };
        match result {
            Ok(message) => from_hickory_message(message),
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) => {
                let rcode = from_hickory_rcode(none.response_code)?;
                negative_from_hickory(rcode, none.soa.map(|soa| soa.into_record_of_rdata()), none.authorities)
            }
            Err(error) => Err(self.failure(&error)),
        }
    }

    async fn send(&self, query: Query) -> Result<Message, NetError> {
        let mut message = Message::query();
        message.add_query(query);
        message.metadata.recursion_desired = true;
        // Where validation is ours, a forwarder that validates too would hide from us what is bogus, and why.
        message.metadata.checking_disabled = self.validate;
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_PAYLOAD_BYTES).set_dnssec_ok(true);
        message.edns = Some(edns);
        let request = DnsRequest::new(message, DnsRequestOptions::default());
        Ok(self.pool.send(request).first_answer().await?.into_message())
    }

    fn failure(&self, error: &NetError) -> ExtendedError {
        tracing::debug!(zone = %self.zone, %error, "forwarding failed");
        let (code, what) = match error {
            NetError::Dns(DnsError::ResponseCode(code)) => {
                (ExtendedError::NO_REACHABLE_AUTHORITY, format!("answered {code}"))
            }
            // All of them were tried in vain; what each of them said is in the debug log alone.
            NetError::NoConnections => {
                (ExtendedError::NO_REACHABLE_AUTHORITY, "failed, refused or could not be reached".to_owned())
            }
            NetError::Io(error) => (failure_code(error), format!("gave no answer: {error}")),
            _ => (ExtendedError::NO_REACHABLE_AUTHORITY, "gave no answer".to_owned()),
        };
        ExtendedError::new(code, format!("the forwarders for {} {what}", self.zone))
    }
}
