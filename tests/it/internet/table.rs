//! The world as a table: every zone with its name servers, what is right or wrong with it, and its
//! records in zone-file text. SOA, NS, addresses of name servers, DS and all that signing makes are
//! added by `world`.
//!
//! Addresses of servers look public and are none of the documentation ranges, which hickory's
//! recursor refuses to ask; those are used for hosts. None is ever really sent to.

use std::{fmt::Write, net::Ipv4Addr};

/// One zone.
pub struct Spec {
    /// Its name.
    pub apex: &'static str,
    /// How it is signed, or what is wrong with it.
    pub kind: Kind,
    /// Its name servers.
    pub hosts: Vec<(String, Ipv4Addr)>,
    /// Its records, relative to the apex.
    pub text: String,
}

/// How a zone is signed, or what is wrong with it. Signed ones have a DS in their parent.
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    /// No DS, no signatures.
    Unsigned,
    /// Signed, NSEC.
    Nsec,
    /// Signed, NSEC3.
    Nsec3,
    /// Signed, NSEC3 with opt-out.
    Nsec3OptOut,
    /// All signatures are over.
    Expired,
    /// All signatures lie in the future.
    NotYetValid,
    /// The DS has the digest of no key.
    WrongDs,
    /// The signature over the A RRset of `www` has a flipped bit.
    FlippedBit,
    /// DS but no signatures and no keys.
    Stripped,
    /// Signed, but without NSEC records.
    NoProofs,
    /// Signed with an algorithm nobody knows.
    UnknownAlgorithm,
    /// Delegated to a server that doesn't have it.
    Lame,
    /// Delegated to a server that never answers.
    Dead,
    /// Delegated to a closed port.
    Closed,
}

/// The name whose answers take [`SLOW_SECONDS`].
pub const SLOW: &str = "slow.example.com";
/// Longer than any resolver should wait.
pub const SLOW_SECONDS: u64 = 10;

/// The A records of `many.example.com`: over 512 bytes, below 1232.
const MANY: u8 = 60;
/// TXT records of a `big` name, of [`BIG_BYTES`] each: over 4 KiB together.
const BIG: u8 = 20;
/// Bytes in one of them.
const BIG_BYTES: usize = 220;

/// The table.
pub fn zones() -> Vec<Spec> {
    let root = [("a.root-servers.net.", [198, 41, 0, 4]), ("b.root-servers.net.", [170, 247, 170, 2])];
    let gtld = [("a.gtld-servers.net.", [192, 5, 6, 30]), ("b.gtld-servers.net.", [192, 33, 14, 30])];
    vec![
        spec(".", Kind::Nsec, &root, ""),
        spec("root-servers.net.", Kind::Unsigned, &root, ""),
        spec("com.", Kind::Nsec3OptOut, &gtld, ""),
        spec("net.", Kind::Nsec3, &gtld, ""),
        spec("gtld-servers.net.", Kind::Unsigned, &gtld, ""),
        spec("org.", Kind::Nsec, &[("a.nic.org.", [199, 19, 56, 1])], ""),
        spec("test.", Kind::Nsec, &[("a.nic.test.", [199, 19, 57, 1])], ""),
        hosted("example.com.", Kind::Unsigned, 1, &format!("{EXAMPLE}{}{}", many(), big())),
        hosted("signed.org.", Kind::Nsec, 2, &format!("{SIGNED}{}", big())),
        hosted("child.signed.org.", Kind::Nsec, 3, WWW),
        hosted("unsigned-child.signed.org.", Kind::Unsigned, 4, WWW),
        hosted("target.org.", Kind::Nsec, 5, &format!("{WWW}only-a A 203.0.113.32\n")),
        hosted("signed3.com.", Kind::Nsec3, 6, SIGNED3),
        hosted("child.signed3.com.", Kind::Nsec, 7, WWW),
        hosted("unsigned-child.signed3.com.", Kind::Unsigned, 8, WWW),
        hosted("secure.test.", Kind::Nsec, 9, WWW),
        hosted("plain.test.", Kind::Unsigned, 10, &format!("{WWW}to-brief CNAME brief.example.com.\n")),
        hosted("bogus-expired.org.", Kind::Expired, 20, WWW),
        hosted("bogus-future.org.", Kind::NotYetValid, 20, WWW),
        hosted("bogus-ds.org.", Kind::WrongDs, 20, WWW),
        hosted("bogus-sig.org.", Kind::FlippedBit, 20, WWW),
        hosted("bogus-nosig.org.", Kind::Stripped, 20, WWW),
        hosted("bogus-nonsec.org.", Kind::NoProofs, 20, WWW),
        hosted("insecure-alg.org.", Kind::UnknownAlgorithm, 21, WWW),
        hosted("dns-host.org.", Kind::Unsigned, 30, WWW),
        // out-of-bailiwick name servers: no glue in com, their addresses have to be resolved
        elsewhere("tiktok.com.", 31, TIKTOK),
        elsewhere("tiktokv.com.", 32, TIKTOK),
        hosted("wechat.com.", Kind::Unsigned, 33, TIKTOK),
        hosted("qq.com.", Kind::Unsigned, 34, QQ),
        hosted("lame.net.", Kind::Lame, 40, ""),
        hosted("dead.net.", Kind::Dead, 41, ""),
        hosted("closed.net.", Kind::Closed, 42, ""),
        // a child on its parent's server, which answers for it without ever referring
        spec("inner.example.com.", Kind::Unsigned, &[("ns1.example.com.", [185, 49, 140, 1])], WWW),
        // for tests to put a server of their own there
        hosted("hostile.net.", Kind::Dead, 43, ""),
    ]
}

/// A zone on the given name servers.
fn spec(apex: &'static str, kind: Kind, hosts: &[(&str, [u8; 4])], text: &str) -> Spec {
    let hosts = hosts.iter().map(|(host, address)| ((*host).to_owned(), (*address).into()));
    Spec { apex, kind, hosts: hosts.collect(), text: text.to_owned() }
}

/// A zone on a name server of its own name, `ns1.<zone>`, number `last` of the hoster's addresses.
fn hosted(apex: &'static str, kind: Kind, last: u8, text: &str) -> Spec {
    spec(apex, kind, &[(&format!("ns1.{apex}"), [185, 49, 140, last])], text)
}

/// An unsigned zone on a name server in another domain.
fn elsewhere(apex: &'static str, last: u8, text: &str) -> Spec {
    let host = format!("ns{last}.dns-host.org.");
    spec(apex, Kind::Unsigned, &[(&host, [185, 49, 140, last])], text)
}

/// The A records of `many`.
fn many() -> String {
    let mut text = String::new();
    for last in 1..=MANY {
        writeln!(text, "many A 198.51.100.{last}").expect("strings grow");
    }
    text
}

/// The TXT records of `big`.
fn big() -> String {
    let mut text = String::new();
    for number in 0..BIG {
        writeln!(text, "big TXT \"{number:0>width$}\"", width = BIG_BYTES).expect("strings grow");
    }
    text
}

/// A small zone.
const WWW: &str = "
@ A 203.0.113.30
www A 203.0.113.31
www AAAA 2001:db8::31
www TXT \"hello\"
";

/// `example.com`: aliases of all kinds without signatures.
const EXAMPLE: &str = "
@ A 203.0.113.10
@ AAAA 2001:db8::10
@ MX 10 mail
@ TXT \"v=spf1 -all\"
@ HTTPS 1 . alpn=h2
mail A 203.0.113.12
www A 203.0.113.11
a A 203.0.113.13
alias CNAME www
alias2 CNAME alias.signed.org.
chain1 CNAME chain2
chain2 CNAME chain3
chain3 CNAME a
loop1 CNAME loop2
loop2 CNAME loop1
dangling CNAME nx
nodata-alias CNAME www
*.wild A 203.0.113.14
to-blocked CNAME www.tiktok.com.
to-blocked2 CNAME edge
edge CNAME api.tiktokv.com.
dn DNAME tiktok.com.
svcb-blocked HTTPS 1 www.tiktok.com.
hints HTTPS 1 . ipv4hint=203.0.113.77 ipv6hint=2001:db8::77
hints A 203.0.113.78
hints TXT \"hints\"
private A 10.1.2.3
slow A 203.0.113.15
brief 10 A 203.0.113.16
";

/// `signed.org`: the same with signatures and NSEC.
const SIGNED: &str = "
@ A 203.0.113.20
@ AAAA 2001:db8::20
@ TXT \"signed\"
www A 203.0.113.21
www AAAA 2001:db8::21
www TXT \"www\"
only-a A 203.0.113.22
alias CNAME www
alias-nodata CNAME only-a
alias-nx CNAME nx
alias-out CNAME www.target.org.
alias-out-nodata CNAME only-a.target.org.
alias-out-nx CNAME nx.target.org.
*.wild A 203.0.113.23
*.wild-alias CNAME www
dn DNAME target.org.
to-insecure CNAME www.example.com.
to-blocked CNAME www.tiktok.com.
to-bogus CNAME www.bogus-sig.org.
x.ent A 203.0.113.24
";

/// `signed3.com`: with NSEC3.
const SIGNED3: &str = "
@ A 203.0.113.25
@ TXT \"signed3\"
www A 203.0.113.26
www AAAA 2001:db8::26
only-a A 203.0.113.27
alias CNAME www
alias-nodata CNAME only-a
alias-nx CNAME nx
*.wild A 203.0.113.28
dn DNAME target.org.
x.ent A 203.0.113.29
";

/// The services that get blocked: asking their servers is what must not happen.
const TIKTOK: &str = "
@ A 203.0.113.40
www A 203.0.113.41
api A 203.0.113.42
";

/// `qq.com`: below a blocked `weixin.qq.com` there is an exception.
const QQ: &str = "
@ A 203.0.113.43
www A 203.0.113.44
weixin A 203.0.113.45
www.weixin A 203.0.113.46
api.weixin A 203.0.113.46
open.weixin A 203.0.113.47
";
