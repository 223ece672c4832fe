//! Where dnstap goes, as the owner writes it in one option.

use std::{fmt, path::PathBuf, str::FromStr};

/// A place for dnstap. Its text is what the owner wrote.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum DnstapTarget {
    /// `/var/log/cleandns.dnstap`
    File(PathBuf),
    /// `unix:/run/collector.sock`
    Unix(PathBuf),
    /// `tcp:127.0.0.1:6000`; a host's name, if it is one, is looked up whenever it is connected to.
    Tcp(String),
}

impl DnstapTarget {
    /// The file that it is, if it is one.
    pub fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::File(path) => Some(path),
            Self::Unix(_) | Self::Tcp(_) => None,
        }
    }
}

/// Why a text names no place.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DnstapTargetError {
    #[error("it is empty; write the path of a file, unix:/path/of/socket or tcp:host:port")]
    Empty,
    #[error("`{0}:` is unknown; write the path of a file, unix:/path/of/socket or tcp:host:port")]
    Scheme(String),
    #[error("`{0}` names no file; add its name")]
    NoFile(String),
    #[error("`{0}` names no socket; write such as unix:/run/collector.sock")]
    NoSocket(String),
    #[error("`{0}` has no port; write such as tcp:127.0.0.1:6000 or tcp:[::1]:6000")]
    NoPort(String),
    #[error("`{0}` has no host; write such as tcp:127.0.0.1:6000 or tcp:[::1]:6000")]
    NoHost(String),
    #[error("`{0}` is an IPv6 address without brackets; write such as tcp:[::1]:6000")]
    NoBrackets(String),
}

impl FromStr for DnstapTarget {
    type Err = DnstapTargetError;

    fn from_str(text: &str) -> Result<Self, DnstapTargetError> {
        let path_of = |path: &str| Some(PathBuf::from(path)).filter(|path| path.file_name().is_some());
        match text.split_once(':') {
            _ if text.is_empty() => Err(DnstapTargetError::Empty),
            Some(("unix", path)) if path.ends_with('/') => Err(DnstapTargetError::NoSocket(text.to_owned())),
            Some(("unix", path)) => {
                path_of(path).map(Self::Unix).ok_or_else(|| DnstapTargetError::NoSocket(text.to_owned()))
            }
            Some(("tcp", place)) => check_host_and_port(place).map(|()| Self::Tcp(place.to_owned())),
            // Not a scheme but a folder, if there is a slash before.
            Some((scheme, _)) if !scheme.contains('/') => Err(DnstapTargetError::Scheme(scheme.to_owned())),
            _ if text.ends_with('/') => Err(DnstapTargetError::NoFile(text.to_owned())),
            _ => path_of(text).map(Self::File).ok_or_else(|| DnstapTargetError::NoFile(text.to_owned())),
        }
    }
}

impl fmt::Display for DnstapTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(place) => write!(f, "tcp:{place}"),
        }
    }
}

fn check_host_and_port(place: &str) -> Result<(), DnstapTargetError> {
    let no_port = || DnstapTargetError::NoPort(format!("tcp:{place}"));
    let (host, port) = place.rsplit_once(':').ok_or_else(no_port)?;
    let in_brackets = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match in_brackets {
        // `[::1]` alone ends within the address.
        None if host.starts_with('[') => return Err(no_port()),
        None if host.contains(':') => return Err(DnstapTargetError::NoBrackets(format!("tcp:{place}"))),
        _ => {}
    }
    if in_brackets.unwrap_or(host).is_empty() {
        return Err(DnstapTargetError::NoHost(format!("tcp:{place}")));
    }
    // `u16` would read a sign as well.
    let is_number = port.bytes().all(|octet| octet.is_ascii_digit());
    if is_number && port.parse::<u16>().is_ok_and(|port| port != 0) { Ok(()) } else { Err(no_port()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_shown_as_they_were_written() {
        for (text, expected) in [
            ("/var/log/x.dnstap", DnstapTarget::File("/var/log/x.dnstap".into())),
            ("x.dnstap", DnstapTarget::File("x.dnstap".into())),
            ("./a:b", DnstapTarget::File("./a:b".into())),
            ("unix:/run/x.sock", DnstapTarget::Unix("/run/x.sock".into())),
            ("tcp:127.0.0.1:6000", DnstapTarget::Tcp("127.0.0.1:6000".into())),
            ("tcp:[::1]:6000", DnstapTarget::Tcp("[::1]:6000".into())),
            ("tcp:collector.example:6000", DnstapTarget::Tcp("collector.example:6000".into())),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
            assert_eq!(text.parse::<DnstapTarget>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_place_says_what_to_write() {
        for (text, why) in [
            ("", "it is empty; write the path of a file, unix:/path/of/socket or tcp:host:port"),
            ("udp:1.2.3.4:5", "`udp:` is unknown; write the path of a file, unix:/path/of/socket or tcp:host:port"),
            (
                "127.0.0.1:6000",
                "`127.0.0.1:` is unknown; write the path of a file, unix:/path/of/socket or tcp:host:port",
            ),
            ("/var/log/", "`/var/log/` names no file; add its name"),
            ("/", "`/` names no file; add its name"),
            ("..", "`..` names no file; add its name"),
            ("unix:", "`unix:` names no socket; write such as unix:/run/collector.sock"),
            ("unix:/run/", "`unix:/run/` names no socket; write such as unix:/run/collector.sock"),
            ("tcp:host", "`tcp:host` has no port; write such as tcp:127.0.0.1:6000 or tcp:[::1]:6000"),
            ("tcp:host:0", "`tcp:host:0` has no port; write such as tcp:127.0.0.1:6000 or tcp:[::1]:6000"),
            ("tcp:host:+1", "`tcp:host:+1` has no port; write such as tcp:127.0.0.1:6000 or tcp:[::1]:6000"),
            ("tcp:host:65536", "`tcp:host:65536` has no port; write such as tcp:127.0.0.1:6000 or tcp:[::1]:6000"),
            ("tcp:[::1]", "`tcp:[::1]` has no port; write such as tcp:127.0.0.1:6000 or tcp:[::1]:6000"),
            ("tcp::6000", "`tcp::6000` has no host; write such as tcp:127.0.0.1:6000 or tcp:[::1]:6000"),
            ("tcp:::1:6000", "`tcp:::1:6000` is an IPv6 address without brackets; write such as tcp:[::1]:6000"),
        ] {
            assert_eq!(text.parse::<DnstapTarget>().unwrap_err().to_string(), why, "{text}");
        }
    }
}
