//! Which client somebody means: by its address, its hardware address, or what it is called on the page Clients.

use super::{
    super::AdminState,
    called::{addresses_named, may_tell, of},
    clients::addresses_seen,
};
use crate::policy::ClientKey;
use std::net::IpAddr;

/// Addresses that are told where it may be one of several.
const TOLD_MAX: usize = 5;

/// The address that is meant, or why it can't be told.
pub async fn meant(state: &AdminState, typed: &str) -> Result<IpAddr, String> {
    if let Ok(address) = typed.parse::<IpAddr>() {
        return Ok(address.to_canonical());
    }
    if !may_tell(state) {
        let why = "clients are known by their addresses alone, since [query_log] privacy withholds these elsewhere";
        return Err(format!("{why}; write an address, such as 192.168.1.7"));
    }
    let found = match mac_of(typed) {
        Some(mac) => {
            let mut seen = addresses_seen(state).await;
            seen.retain(|address| state.pipeline.hardware_address(*address) == Some(mac));
            seen
        }
        None => addresses_named(state, typed),
    };
    let told = found.into_iter().map(|address| (address, of(state, address).name_told().unwrap_or_default()));
    one_of(typed, told.collect())
}

/// The only one of those found, each with what it is called.
fn one_of(typed: &str, mut found: Vec<(IpAddr, String)>) -> Result<IpAddr, String> {
    found.sort();
    found.dedup_by_key(|(address, _)| *address);
    match found.as_slice() {
        [] => Err(format!(
            "no client is known as `{typed}`, as far as names and hardware addresses are known now (the page Clients has \
             those of late); write an address, such as 192.168.1.7"
        )),
        [(address, _)] => Ok(*address),
        several => {
            let shown = several.iter().take(TOLD_MAX).map(|(address, name)| match name.as_str() {
                "" => address.to_string(),
                name => format!("{address} ({name})"),
            });
            let shown = shown.collect::<Vec<_>>().join(", ");
            let more = match several.len().saturating_sub(TOLD_MAX) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            Err(format!("`{typed}` may be any of {shown}{more}; write the address that you mean"))
        }
    }
}

/// A hardware address as people write it.
pub fn mac_of(text: &str) -> Option<[u8; 6]> {
    match format!("mac:{}", text.strip_prefix("mac:").unwrap_or(text)).parse() {
        Ok(ClientKey::Mac(mac)) => Some(mac),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(all: &[(&str, &str)]) -> Vec<(IpAddr, String)> {
        all.iter().map(|(address, name)| (address.parse().unwrap(), (*name).to_owned())).collect()
    }

    #[test]
    fn one_is_meant_or_it_is_said_who_may_be() {
        let kid = ("192.168.1.7", "kid.lan");
        assert_eq!(one_of("kid", found(&[kid, kid])).unwrap().to_string(), "192.168.1.7");
        let none = one_of("nobody", found(&[])).unwrap_err();
        assert!(none.starts_with("no client is known as `nobody`") && none.ends_with("such as 192.168.1.7"), "{none}");
        assert_eq!(
            one_of("lan", found(&[("fd00::7", ""), ("192.168.1.8", "tv.lan by PTR"), kid])).unwrap_err(),
            "`lan` may be any of 192.168.1.7 (kid.lan), 192.168.1.8 (tv.lan by PTR), fd00::7; write the address that you mean"
        );
        let many: Vec<String> = (1..=9).map(|number| format!("10.0.0.{number}")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|address| (address.as_str(), "")).collect();
        let told = one_of("x", found(&many)).unwrap_err();
        assert!(told.contains("10.0.0.5 and 4 more;") && !told.contains("10.0.0.6"), "{told}");
    }

    #[test]
    fn hardware_addresses_are_read_with_and_without_their_word() {
        let mac = Some([0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff]);
        assert_eq!((mac_of("aa:bb:cc:dd:ee:ff"), mac_of("mac:AA:BB:CC:DD:EE:FF")), (mac, mac));
        assert_eq!((mac_of("kid.lan"), mac_of("aa:bb"), mac_of("")), (None, None, None));
    }
}
