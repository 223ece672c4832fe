//! A zone's key pairs and the signatures made with them (RFC 4034), written on top of hickory's
//! types and ring's ECDSA. Knows nothing of zones, sockets or time: a validity window is given.

use hickory_resolver::proto::{
    dnssec::{
        Algorithm, DigestType, PublicKeyBuf, SigningKey, TBS,
        crypto::EcdsaSigningKey,
        rdata::{DNSKEY, DNSSECRData, DS, RRSIG, sig::SigInput},
    },
    rr::{DNSClass, Name, RData, Record, RecordType, SerialNumber},
    serialize::binary::{BinEncodable, BinEncoder, NameEncoding},
};

/// 2020-01-01 to 2040-01-01, in seconds since 1970.
pub const VALID: Window = Window { inception: 1_577_836_800, expiration: 2_208_988_800 };
/// The year 2015: over.
pub const EXPIRED: Window = Window { inception: 1_420_070_400, expiration: 1_451_606_400 };
/// The year 2039: not begun.
pub const NOT_YET_VALID: Window = Window { inception: 2_177_452_800, expiration: 2_208_988_800 };

/// DNSKEY flags: zone key.
const ZSK_FLAGS: u16 = 0x0100;
/// DNSKEY flags: zone key and secure entry point.
const KSK_FLAGS: u16 = 0x0101;

/// When signatures hold, both ends in seconds since 1970.
#[derive(Clone, Copy)]
pub struct Window {
    inception: u32,
    expiration: u32,
}

/// The keys of one zone.
pub struct Keys {
    zone: Name,
    algorithm: Algorithm,
    window: Window,
    /// Signs the DNSKEY RRset, and all the rest where there is no second key.
    entry: Key,
    /// Signs the rest.
    zone_key: Option<Key>,
}

/// One key pair.
struct Key {
    secret: EcdsaSigningKey,
    public: DNSKEY,
}

impl Keys {
    /// New random keys: one for everything, or two (`split`) as the root has them.
    ///
    /// With an `algorithm` other than 13 keys and signatures are ECDSA P-256 ones under a false
    /// number: what a zone looks like to a validator that doesn't know its algorithm.
    pub fn generate(zone: &Name, split: bool, algorithm: Algorithm, window: Window) -> Self {
        Self {
            zone: zone.clone(),
            algorithm,
            window,
            entry: Key::generate(KSK_FLAGS, algorithm),
            zone_key: split.then(|| Key::generate(ZSK_FLAGS, algorithm)),
        }
    }

    /// The DNSKEY RRset's data, secure entry point first.
    pub fn dnskeys(&self) -> Vec<DNSKEY> {
        let keys = std::iter::once(&self.entry).chain(&self.zone_key);
        keys.map(|key| key.public.clone()).collect()
    }

    /// The DS record (SHA-256) that the parent publishes for the secure entry point.
    pub fn ds(&self) -> DS {
        let digest = self.entry.public.to_digest(&self.zone, DigestType::SHA256).expect("a digest");
        DS::new(self.entry.tag(), self.algorithm, DigestType::SHA256, digest.as_ref().to_vec())
    }

    /// The RRSIG record over one RRset (same owner, type, class and TTL throughout).
    pub fn sign(&self, records: &[Record]) -> Record {
        let first = &records[0];
        let type_covered = first.record_type();
        let key = match &self.zone_key {
            Some(key) if type_covered != RecordType::DNSKEY => key,
            _ => &self.entry,
        };
        let input = SigInput {
            type_covered,
            algorithm: self.algorithm,
            num_labels: first.name.num_labels(),
            original_ttl: first.ttl,
            sig_expiration: SerialNumber::new(self.window.expiration),
            sig_inception: SerialNumber::new(self.window.inception),
            key_tag: key.tag(),
            signer_name: self.zone.clone(),
        };
        let signature = key.secret.sign(&to_be_signed(&input, records)).expect("a signature");
        let rrsig = DNSSECRData::RRSIG(RRSIG::from_sig(input, signature));
        Record::from_rdata(first.name.clone(), first.ttl, RData::DNSSEC(rrsig))
    }
}

impl Key {
    /// A new random key pair.
    fn generate(flags: u16, algorithm: Algorithm) -> Self {
        let pkcs8 = EcdsaSigningKey::generate_pkcs8(Algorithm::ECDSAP256SHA256).expect("a key");
        let secret = EcdsaSigningKey::from_pkcs8(&pkcs8, Algorithm::ECDSAP256SHA256).expect("a key");
        let bytes = secret.to_public_key().expect("a public key").into_inner();
        let public = DNSKEY::with_flags(flags, PublicKeyBuf::new(bytes, algorithm));
        Self { secret, public }
    }

    /// The key tag (RFC 4034 appendix B).
    fn tag(&self) -> u16 {
        self.public.calculate_key_tag().expect("a key tag")
    }
}

/// The bytes a signature is over (RFC 4034 section 3.1.8.1), records sorted by their RDATA.
///
/// Not hickory's own `TBS::from_input`: what tests hickory's reading shouldn't be its writing.
fn to_be_signed(input: &SigInput, records: &[Record]) -> TBS {
    let mut signed = canonical(input);
    let owner = canonical(&records[0].name);
    let mut rdata: Vec<Vec<u8>> = records.iter().map(|record| canonical(&record.data)).collect();
    rdata.sort();
    for bytes in rdata {
        signed.extend_from_slice(&owner);
        signed.extend_from_slice(&u16::from(input.type_covered).to_be_bytes());
        signed.extend_from_slice(&u16::from(DNSClass::IN).to_be_bytes());
        signed.extend_from_slice(&input.original_ttl.to_be_bytes());
        let length = u16::try_from(bytes.len()).expect("RDATA of at most 65535 bytes");
        signed.extend_from_slice(&length.to_be_bytes());
        signed.extend_from_slice(&bytes);
    }
    TBS::from(signed.as_slice())
}

/// A value in DNSSEC's canonical form: names uncompressed and in lower case (RFC 4034 section 6.2).
pub fn canonical(value: &impl BinEncodable) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = BinEncoder::new(&mut bytes);
    encoder.set_canonical_form(true);
    encoder.set_name_encoding(NameEncoding::UncompressedLowercase);
    value.emit(&mut encoder).expect("data of this module fit");
    bytes
}
