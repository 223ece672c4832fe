//! How long hickory keeps responses: a little less than they live.
//!
//! It reckons TTLs by an instant that it is given with each question, and lets its memory go by the system's clock. Given
//! an instant that lies back, always by as much, it forgets every response by that much before its end, and each TTL that it
//! tells is right all the same. So an answer that is asked for again shortly before its end comes from a name server, and
//! isn't the rest of the one before. The bounds that hickory offers for this (`TtlConfig`) would do too much: they cut the
//! TTLs that it tells, of what is behind an alias and of name servers' addresses.

use hickory_resolver::{TtlConfig, config::ResolverOpts};
use std::time::{Duration, Instant};

/// So many seconds before its end a response is forgotten.
pub const ENDS_EARLY_SECONDS: u32 = 3;
/// The longest that a denial is kept, which is as long as the cache in front keeps it (RFC 2308 §5).
const DENIAL_LIFE_MAX: Duration = Duration::from_secs(3 * 3600);

/// The time now, as hickory's caches are told it.
pub fn now() -> Instant {
    let now = Instant::now();
    now.checked_sub(Duration::from_secs(u64::from(ENDS_EARLY_SECONDS))).unwrap_or(now)
}

/// How long they keep anything at most.
pub fn bounds() -> TtlConfig {
    let mut options = ResolverOpts::default();
    options.negative_max_ttl = Some(DENIAL_LIFE_MAX);
    TtlConfig::from_opts(&options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::{
        ResponseCache,
        proto::{
            op::{Message, Query},
            rr::{Name, RData, Record, RecordType, rdata::A},
        },
    };

    /// It is forgotten before its end, and until then its TTL is what was published less what has passed.
    #[test]
    fn responses_end_early_and_tell_true_ttls() {
        let cache = ResponseCache::new(16, bounds());
        for (ttl, is_kept) in [(2, false), (3, false), (300, true)] {
            let name = Name::from_ascii(format!("n{ttl}.example.")).unwrap();
            let query = Query::query(name.clone(), RecordType::A);
            let mut message = Message::query();
            message.answers = vec![Record::from_rdata(name, ttl, RData::A(A::new(192, 0, 2, 1)))];
            cache.insert(query.clone(), Ok(message), now());
            let kept = cache.get(&query, now());
            assert_eq!(kept.is_some(), is_kept, "{ttl}");
            let told = kept.map(|message| message.unwrap().answers[0].ttl);
            assert!(told.is_none_or(|told| (ttl - 2..=ttl).contains(&told)), "{told:?} of {ttl}");
        }
    }
}
