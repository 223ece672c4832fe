//! Who stands behind a proxy: where a request comes from, if a proxy that is trusted passes it on and says so.

use super::serve::{IsProxy, Peer};
use axum::{
    extract::{Request, State},
    http::HeaderMap,
    middleware::Next,
    response::Response,
};
use std::net::{IpAddr, SocketAddr};

/// Where each proxy adds whom it was asked by. The standard's own header (RFC 7239) isn't looked at: a proxy that writes the
/// one passes the other on as clients send it, so only one of them can be believed, and this is the one that they all write.
const HEADER: &str = "x-forwarded-for";

/// Has a request come from whom its proxies say that it does.
pub async fn behind_proxies(State(is_proxy): State<IsProxy>, mut request: Request, next: Next) -> Response {
    if let Some(Peer(peer)) = request.extensions().get::<Peer>().copied() {
        let client = client(request.headers(), peer, &*is_proxy);
        request.extensions_mut().insert(Peer(client));
    }
    next.run(request).await
}

/// The address that the last trusted proxy was asked by. What stands before that in the header is whatever somebody sent.
/// If it can't be read, it is `peer`, the nearest proxy.
fn client(headers: &HeaderMap, peer: IpAddr, is_proxy: &dyn Fn(IpAddr) -> bool) -> IpAddr {
    let mut nearest = peer;
    // Several lines are one list (RFC 9110 §5.3).
    let lines = headers.get_all(HEADER).into_iter().rev();
    let mut hops = lines.flat_map(|line| line.as_bytes().rsplit(|octet| *octet == b','));
    while is_proxy(nearest) {
        match hops.next().map(address) {
            None => break,
            Some(None) => return peer,
            Some(Some(before)) => nearest = before,
        }
    }
    nearest
}

/// An address, with or without a port.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?.trim();
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    let address: Option<IpAddr> = text.parse().ok().or_else(with_port).or_else(bracketed);
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn the_last_address_that_is_no_proxys_counts() {
        let is_proxy =
            |address: IpAddr| ["10.0.0.7", "10.0.0.8", "fd00::7"].iter().any(|own| own.parse() == Ok(address));
        for (peer, lines, expected) in [
            ("10.0.0.7", &["203.0.113.5"][..], "203.0.113.5"),
            ("10.0.0.7", &["1.1.1.1, 203.0.113.5"], "203.0.113.5"),
            ("10.0.0.7", &["1.1.1.1", "203.0.113.5"], "203.0.113.5"),
            ("10.0.0.7", &["203.0.113.5, 10.0.0.8"], "203.0.113.5"),
            ("10.0.0.7", &["203.0.113.5", "10.0.0.8 ,\tfd00::7"], "203.0.113.5"),
            ("fd00::7", &["2001:db8::5"], "2001:db8::5"),
            ("10.0.0.7", &["203.0.113.5:4711"], "203.0.113.5"),
            ("10.0.0.7", &["[2001:db8::5]:4711"], "2001:db8::5"),
            ("10.0.0.7", &["[2001:db8::5]"], "2001:db8::5"),
            ("10.0.0.7", &["::ffff:203.0.113.5"], "203.0.113.5"),
            // Whoever isn't trusted says what he likes.
            ("192.0.2.9", &["203.0.113.5"], "192.0.2.9"),
            ("10.0.0.7", &["10.0.0.8, 192.0.2.9"], "192.0.2.9"),
            // Nothing is said, or nothing of use.
            ("10.0.0.7", &[], "10.0.0.7"),
            ("10.0.0.7", &[""], "10.0.0.7"),
            ("10.0.0.7", &["10.0.0.8"], "10.0.0.8"),
            ("10.0.0.7", &["203.0.113.5,"], "10.0.0.7"),
            ("10.0.0.7", &["203.0.113.5, unknown"], "10.0.0.7"),
            ("10.0.0.7", &["203.0.113.5 203.0.113.6"], "10.0.0.7"),
            ("10.0.0.7", &["fe80::1%eth0"], "10.0.0.7"),
            ("10.0.0.7", &["for=203.0.113.5"], "10.0.0.7"),
            ("10.0.0.7", &["203.0.113.5, 10.0.0.300"], "10.0.0.7"),
            ("10.0.0.7", &["203.0.113.5, x, 10.0.0.8"], "10.0.0.7"),
            // What somebody sent before is nothing to us.
            ("10.0.0.7", &["<script>, ,, 203.0.113.5"], "203.0.113.5"),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(HEADER, line.parse().unwrap());
            }
            assert_eq!(client(&headers, peer.parse().unwrap(), &is_proxy).to_string(), expected, "{peer} {lines:?}");
        }
        let mut headers = HeaderMap::new();
        headers.append(HEADER, HeaderValue::from_bytes(b"\xff\xfe, 203.0.113.5").unwrap());
        assert_eq!(client(&headers, "10.0.0.7".parse().unwrap(), &is_proxy).to_string(), "203.0.113.5");
    }
}
