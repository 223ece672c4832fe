//! HTTPS: certificate and key from files, which are read again when they change. A bad pair never replaces a good one.

use crate::{config::AdminTls, watch::Stamp};
use arc_swap::ArcSwap;
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, ServerConfig,
        crypto::ring::default_provider,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

/// Octets of each of the two files.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why a certificate and its key can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{}: can't be read: {error}", .path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{}: is larger than {} octets", .0.display(), FILE_BYTES_MAX)]
    TooLarge(PathBuf),
    #[error("{}: {what}", .path.display())]
    Unfit { path: PathBuf, what: String },
    #[error("{} and {} don't go together: {error}", .cert.display(), .key.display())]
    Apart { cert: PathBuf, key: PathBuf, error: rustls::Error },
}

/// What connections are answered with.
pub struct Tls {
    files: AdminTls,
    current: ArcSwap<ServerConfig>,
    state: Mutex<State>,
}

struct State {
    /// What told the two files read last from others.
    stamps: [Option<Stamp>; 2],
    trouble: Option<String>,
}

impl Tls {
    pub fn read(files: &AdminTls) -> Result<Self, TlsError> {
        let stamps = stamps(files);
        let current = ArcSwap::from_pointee(read(files)?);
        Ok(Self { files: files.clone(), current, state: Mutex::new(State { stamps, trouble: None }) })
    }

    /// Answers with what is in force now.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }

    /// Why what is in the files isn't in force.
    pub fn trouble(&self) -> Option<String> {
        self.lock().trouble.clone()
    }

    /// Reads the files again if they have changed. It waits for the disk.
    pub fn look(&self) {
        let stamps = stamps(&self.files);
        let mut state = self.lock();
        if state.stamps == stamps {
            return;
        }
        state.stamps = stamps;
        match read(&self.files) {
            Ok(config) => {
                self.current.store(Arc::new(config));
                state.trouble = None;
                tracing::info!(cert = %self.files.cert.display(), "the certificate was read again");
            }
            // Between two files that are written one after the other, too: the second is seen the next time.
            Err(error) => {
                tracing::error!(%error, "the certificate as it was before stays in use");
                state.trouble = Some(error.to_string());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn stamps(files: &AdminTls) -> [Option<Stamp>; 2] {
    [&files.cert, &files.key].map(|path| Stamp::of(path).ok())
}

fn read(files: &AdminTls) -> Result<ServerConfig, TlsError> {
    let AdminTls { cert, key } = files;
    let unfit =
        |path: &Path, what: &dyn std::fmt::Display| TlsError::Unfit { path: path.into(), what: what.to_string() };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&octets(cert)?).collect();
    let chain = chain.map_err(|error| unfit(cert, &error))?;
    if chain.is_empty() {
        return Err(unfit(cert, &"holds no certificate (PEM: -----BEGIN CERTIFICATE-----)"));
    }
    let secret = PrivateKeyDer::from_pem_slice(&octets(key)?).map_err(|error| unfit(key, &error))?;
    let apart = |error| TlsError::Apart { cert: cert.clone(), key: key.clone(), error };
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(apart)?;
    let mut config = builder.with_no_client_auth().with_single_cert(chain, secret).map_err(apart)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn octets(path: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |error| TlsError::Unreadable { path: path.to_owned(), error };
    match fs::metadata(path).map_err(unreadable)?.len() {
        0..=FILE_BYTES_MAX => fs::read(path).map_err(unreadable),
        _ => Err(TlsError::TooLarge(path.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a certificate of its own and its key.
    fn write(files: &AdminTls) -> String {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(&files.cert, made.cert.pem()).unwrap();
        fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        made.cert.pem()
    }

    #[test]
    fn a_bad_pair_replaces_no_good_one() {
        let folder = tempfile::tempdir().unwrap();
        let files = AdminTls { cert: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
        assert!(matches!(Tls::read(&files), Err(TlsError::Unreadable { .. })));
        let cert = write(&files);
        let tls = Tls::read(&files).unwrap();
        let first = tls.current.load_full();
        tls.look();
        assert!(Arc::ptr_eq(&first, &tls.current.load_full()));
        // Another's certificate: its key isn't there yet.
        write(&AdminTls { cert: files.cert.clone(), key: folder.path().join("other.pem") });
        tls.look();
        assert!(Arc::ptr_eq(&first, &tls.current.load_full()));
        assert!(tls.trouble().is_some_and(|why| why.contains("don't go together")));
        fs::rename(folder.path().join("other.pem"), &files.key).unwrap();
        tls.look();
        assert!(!Arc::ptr_eq(&first, &tls.current.load_full()) && tls.trouble().is_none());
        for (path, text, expected) in [
            (&files.cert, "", "holds no certificate"),
            (&files.key, "no key", "key.pem: "),
            (&files.key, cert.as_str(), "key.pem: "),
        ] {
            write(&files);
            fs::write(path, text).unwrap();
            let error = Tls::read(&files).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(expected), "{error}");
        }
    }
}
