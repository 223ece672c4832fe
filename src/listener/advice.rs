//! What to do about an address that can't be had: words, from what is known of who has it.

use crate::query::HEALTH_NAME;
use std::{io, net::SocketAddr};

/// The kernel's names of processes end after so many octets.
const COMM_BYTES_MAX: usize = 15;

/// Who has a port.
#[derive(Clone, PartialEq, Debug)]
pub struct Holder {
    /// The address it has, which may be a wider one than was asked for.
    pub address: SocketAddr,
    /// Its id and name, if this process may look.
    pub process: Option<(u32, String)>,
    /// Who it runs as, if that user has a name.
    pub user: Option<String>,
}

/// Programs that often have port 53.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Known {
    Cleandns,
    /// The service manager itself, for a unit that sockets are passed to.
    Systemd,
    /// systemd-resolved's stub listener.
    Resolved,
    Dnsmasq,
    /// Another resolver or name server: its name, and its unit where that is another word.
    Resolver(&'static str, &'static str),
}

/// Processes and the users they run as, by the words that these begin with.
const KNOWN: [(&str, Known); 15] = [
    ("cleandns", Known::Cleandns),
    ("systemd-resolve", Known::Resolved),
    ("dnsmasq", Known::Dnsmasq),
    ("named", Known::Resolver("BIND (named)", "named")),
    ("bind", Known::Resolver("BIND (named)", "named")),
    ("unbound", Known::Resolver("Unbound", "unbound")),
    ("pdns_recursor", Known::Resolver("PowerDNS Recursor", "pdns-recursor")),
    ("pdns_server", Known::Resolver("PowerDNS", "pdns")),
    ("dnsdist", Known::Resolver("dnsdist", "dnsdist")),
    ("kresd", Known::Resolver("Knot Resolver", "kresd@1")),
    ("knotd", Known::Resolver("Knot DNS", "knot")),
    ("pihole-FTL", Known::Resolver("Pi-hole", "pihole-FTL")),
    ("AdGuardHome", Known::Resolver("AdGuard Home", "AdGuardHome")),
    ("coredns", Known::Resolver("CoreDNS", "coredns")),
    ("dnscrypt-proxy", Known::Resolver("dnscrypt-proxy", "dnscrypt-proxy")),
];

impl Holder {
    /// Which of the usual programs it is, if any.
    pub fn known(&self) -> Option<Known> {
        let by = |name: &str| KNOWN.into_iter().find(|(word, _)| name.starts_with(word)).map(|(_, known)| known);
        let stub = ["127.0.0.53", "127.0.0.54"].iter().any(|stub| self.address.ip().to_string() == *stub);
        match (&self.process, &self.user) {
            (Some((_, name)), _) if name == "systemd" => Some(Known::Systemd),
            (Some((_, name)), _) => by(name),
            (None, _) if stub && self.address.port() == 53 => Some(Known::Resolved),
            (None, Some(user)) => by(user),
            (None, None) => None,
        }
    }

    /// `dnsmasq (PID 7)`, or what else is known.
    fn called(&self) -> String {
        match (self.known(), &self.process, &self.user) {
            (Some(Known::Resolved), Some((id, _)), _) => format!("systemd-resolved (PID {id})"),
            (_, Some((id, name)), _) => format!("{} (PID {id})", name.get(..COMM_BYTES_MAX).unwrap_or(name)),
            (Some(Known::Resolved), None, _) => "systemd-resolved".to_owned(),
            (_, None, Some(user)) => format!("a process of the user {user}"),
            (_, None, None) => "a process of another user".to_owned(),
        }
    }
}

/// Who has the port, and what to do about it; `option` is where another one could be written.
pub fn in_use(option: &str, asked: SocketAddr, holder: Option<&Holder>) -> String {
    let port = asked.port();
    let Some(holder) = holder else {
        return format!(
            "another program has port {port}; find it with `ss -lpn sport = :{port}` and stop it, or choose another port in \
             {option}"
        );
    };
    let at = if holder.address == asked { String::new() } else { format!(", at {}", holder.address) };
    let what_to_do = match holder.known() {
        Some(Known::Cleandns) => format!(
            "stop it first, or take over from it with `cleandns serve --take-over`, or choose another port in {option}"
        ),
        Some(Known::Resolved) => format!(
            "it is systemd's stub resolver; write \"[Resolve]\" and \"DNSStubListener=no\" on two lines into \
             /etc/systemd/resolved.conf.d/cleandns.conf, then run `ln -sf /run/systemd/resolve/resolv.conf \
             /etc/resolv.conf` and `systemctl restart systemd-resolved`; or leave it alone and write this machine's own \
             address in {option}, such as \"192.168.1.2:{port}\""
        ),
        Some(Known::Dnsmasq) => format!(
            "if it only gives addresses to machines (DHCP), write port=0 into its configuration and restart it; if nobody \
             needs it, run `systemctl disable --now dnsmasq`; that of libvirt, LXC or NetworkManager is on an address of \
             its own: then write this machine's own address in {option}, such as \"192.168.1.2:{port}\""
        ),
        Some(Known::Resolver(name, unit)) => format!(
            "{name} answers there; to replace it, run `systemctl disable --now {unit}`, or choose another address or port \
             in {option}"
        ),
        Some(Known::Systemd) => {
            return format!(
                "{} has port {port} for a socket unit, which `systemctl list-sockets` shows; if that is cleandns.socket all \
                 is well: `systemctl start cleandns.service` starts the server with it; else stop that unit, or choose \
                 another port in {option}",
                holder.called()
            );
        }
        None if holder.process.is_some() => format!("stop it, or choose another port in {option}"),
        None => format!("find it with `sudo ss -lpn sport = :{port}` and stop it, or choose another port in {option}"),
    };
    format!("another program has port {port}: {}{at}; {what_to_do}", holder.called())
}

/// Why an address isn't shared by who has it, though it is to be taken over by a process of the user `own`.
pub fn not_shared(option: &str, asked: SocketAddr, holder: Option<&Holder>, own: &str) -> String {
    let port = asked.port();
    let whose = match holder {
        Some(holder) => format!("{} has it", holder.called()),
        None => format!("`sudo ss -lpn sport = :{port}` shows who has it"),
    };
    let user = holder.and_then(|holder| holder.user.as_deref());
    if user.is_some_and(|user| own.split(' ').next() == Some(user)) {
        return format!(
            "port {port} can't be taken over: {whose}, and shares it with nobody, as a cleandns would; find it with `sudo ss \
             -lpn sport = :{port}` and stop it, or choose another port in {option}; --take-over is for a cleandns that has \
             it, and for no other"
        );
    }
    let user = user.map(|user| format!(" ({user})")).unwrap_or_default();
    format!(
        "port {port} can't be taken over: {whose}, and shares it only with processes of the same user{user}, where this one \
         runs as {own}; start it as that user, or stop the other one first, or choose another port in {option}"
    )
}

/// Who has an address that was to be taken over, and serves `elsewhere` and at no address of DNS that is taken over.
pub fn of_another_server(option: &str, asked: SocketAddr, holder: &Holder, elsewhere: &[SocketAddr]) -> String {
    let elsewhere: Vec<String> = elsewhere.iter().map(ToString::to_string).collect();
    format!(
        "port {} can't be taken over: {} has it, which listens on {} and on no address of listen.do53, and so is another \
         server than the one that is to leave; write another address in {option}, or stop that server first",
        asked.port(),
        holder.called(),
        elsewhere.join(", ")
    )
}

/// Who answers at an address that was to be taken over, and isn't cleandns, and what to do about it.
pub fn answered_by_another(option: &str, at: SocketAddr, says: &str) -> String {
    let port = at.port();
    format!(
        "another server answers at {at}, and it is no cleandns: asked for {HEALTH_NAME} it says {says}; clients would be \
         answered by the one or by the other; stop it (`sudo ss -lpun sport = :{port}` finds it, on the machine itself if \
         this is a container), or choose another address or port in {option}; --take-over is for a cleandns that has it, \
         and for no other"
    )
}

/// Why a low port is refused, and what gives the right to it. `first_free` is the first port that needs none.
pub fn not_permitted(option: &str, first_free: u16) -> String {
    format!(
        "ports below {first_free} need a privilege: run `setcap cap_net_bind_service=+ep` on the program; or start it by \
         its systemd unit, which has it (config/cleandns.service); or start it as root with [process] user set; or run \
         `sysctl -w net.ipv4.ip_unprivileged_port_start=53`, which lets every program have them; or choose a port from \
         {first_free} on in {option}"
    )
}

/// That an address of IPv6 is not listened on, on a machine that has none.
pub fn left_out(option: &str, asked: SocketAddr) -> String {
    format!(
        "{option}: {asked} is left out: this machine has no IPv6 (`sysctl net.ipv6.conf.lo.disable_ipv6` shows whether it is \
         switched off); the other addresses are listened on"
    )
}

/// What the system says of an address, in words that say what to do.
pub fn on(option: &str, asked: SocketAddr, error: &io::Error, holder: Option<&Holder>, first_free: u16) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => in_use(option, asked, holder),
        io::ErrorKind::PermissionDenied => {
            let taken = holder.map(|holder| format!("; besides, {}", in_use(option, asked, Some(holder))));
            not_permitted(option, first_free) + &taken.unwrap_or_default()
        }
        io::ErrorKind::AddrNotAvailable => {
            format!("this machine has no such address; see `ip address`, and correct {option}")
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(asked: &str, address: &str, process: Option<&str>, user: Option<&str>) -> String {
        let process = process.map(|name| (7, name.to_owned()));
        let holder = Holder { address: address.parse().unwrap(), process, user: user.map(str::to_owned) };
        in_use("listen.do53", asked.parse().unwrap(), Some(&holder))
    }

    #[test]
    fn who_takes_over_is_the_same_user() {
        let holder = |process: Option<(u32, String)>| Holder {
            address: "127.0.0.1:53".parse().unwrap(),
            process,
            user: Some("cleandns".to_owned()),
        };
        for (holder, part) in [
            (
                Some(holder(Some((7, "cleandns".to_owned())))),
                "cleandns (PID 7) has it, and shares it only with processes of \
                the same user (cleandns), where this one runs as root (0)",
            ),
            (Some(holder(None)), "a process of the user cleandns has it"),
            (None, "`sudo ss -lpn sport = :53` shows who has it, and shares"),
        ] {
            let told = not_shared("listen.do53", "127.0.0.1:53".parse().unwrap(), holder.as_ref(), "root (0)");
            assert!(told.starts_with("port 53 can't be taken over: ") && told.contains(part), "{told}");
        }
        // Of the very same user it is somebody who shares with nobody.
        let same = holder(Some((7, "python3".to_owned())));
        let told = not_shared("admin.listen", "127.0.0.1:53".parse().unwrap(), Some(&same), "cleandns (999)");
        assert!(told.contains("python3 (PID 7) has it, and shares it with nobody"), "{told}");
        assert!(!told.contains("runs as") && told.contains("admin.listen"), "{told}");
    }

    #[test]
    fn who_has_the_port_and_what_to_do() {
        for (told, parts) in [
            (
                told("0.0.0.0:53", "127.0.0.53:53", Some("systemd-resolve"), Some("systemd-resolve")),
                &["another program has port 53: systemd-resolved (PID 7), at 127.0.0.53:53; ", "DNSStubListener=no"][..],
            ),
            (
                told("0.0.0.0:53", "127.0.0.1:53", Some("systemd"), Some("root")),
                &["systemd (PID 7) has port 53 for a socket unit", "`systemctl list-sockets`", "cleandns.socket"][..],
            ),
            // Who may not look at processes knows it by its address, or by its user.
            (
                told("0.0.0.0:53", "127.0.0.53:53", None, None),
                &["systemd-resolved, at", "/run/systemd/resolve/resolv.conf"],
            ),
            (
                told("0.0.0.0:53", "0.0.0.0:53", None, Some("dnsmasq")),
                &["53: a process of the user dnsmasq; ", "port=0"],
            ),
            (told("127.0.0.1:53", "127.0.0.1:53", Some("dnsmasq"), None), &["53: dnsmasq (PID 7); ", "port=0"]),
            (
                told("127.0.0.1:53", "0.0.0.0:53", Some("named"), None),
                &["named (PID 7), at 0.0.0.0:53; BIND", "--now named"],
            ),
            (told("127.0.0.1:53", "[::]:53", None, Some("unbound")), &["--now unbound"]),
            (told("127.0.0.1:53", "127.0.0.1:53", Some("cleandns"), None), &["cleandns (PID 7)", "serve --take-over"]),
            (told("127.0.0.1:53", "127.0.0.1:53", Some("python3"), None), &["python3 (PID 7); stop it, or"]),
            (
                told("127.0.0.1:53", "127.0.0.1:53", None, Some("joe")),
                &["user joe; find it with `sudo ss -lpn sport = :53`"],
            ),
            (
                in_use("admin.listen", "127.0.0.1:8053".parse().unwrap(), None),
                &["has port 8053; ", "`ss -lpn", "admin.listen"],
            ),
        ] {
            for part in parts {
                assert!(told.contains(part), "no `{part}` in {told}");
            }
        }
    }

    /// Who may not have low ports learns at once that there is more to do.
    #[test]
    fn rights_and_a_port_that_is_taken_are_told_together() {
        let asked = "0.0.0.0:53".parse().unwrap();
        let holder = Holder { address: "127.0.0.53:53".parse().unwrap(), process: None, user: None };
        let told = |holder| on("listen.do53", asked, &io::ErrorKind::PermissionDenied.into(), holder, 1024);
        let both = told(Some(&holder));
        for part in ["below 1024 need a privilege", "; besides, another program has port 53: systemd-resolved, at"] {
            assert!(both.contains(part), "no `{part}` in {both}");
        }
        assert!(!told(None).contains("another program"));
    }

    #[test]
    fn another_address_of_that_name_is_no_stub() {
        assert!(!told("127.0.0.53:5300", "127.0.0.53:5300", None, None).contains("systemd"));
    }
}
