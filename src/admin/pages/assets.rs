//! What pages are made of besides themselves. The address has a hash of the content in it, so it may be kept for good.

use crate::lists::version_of;
use axum::{
    Router,
    http::{HeaderMap, Uri, header},
    response::{IntoResponse, Response},
    routing::get,
};
use flate2::{Compression, write::GzEncoder};
use std::{io::Write, sync::LazyLock};

/// A file inside the binary.
pub struct Asset {
    path: &'static str,
    kind: &'static str,
    text: &'static str,
    /// The same compressed, once: there is nothing secret in it, so its length tells nothing. Pages and JSON aren't
    /// compressed: tokens stand in them beside what others typed, and their length would give the tokens away (BREACH).
    small: Vec<u8>,
    /// Its path with its hash.
    pub address: String,
}

pub static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("/style.css", "text/css; charset=utf-8", include_str!("style.css")));
pub static ICON: LazyLock<Asset> = LazyLock::new(|| Asset::new("/icon.svg", "image/svg+xml", include_str!("icon.svg")));

pub static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("/app.js", "text/javascript; charset=utf-8", include_str!("app.js")));

impl Asset {
    fn new(path: &'static str, kind: &'static str, text: &'static str) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        // Nothing goes wrong in memory; if it did, it would be given as it is.
        let small = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()).unwrap_or_default();
        Self { path, kind, text, small, address: format!("{path}?v={:016x}", version_of(text.as_bytes())) }
    }

    /// Whoever asks by another hash, from a page of another version, gets it too, and doesn't keep it.
    fn answer(&'static self, uri: &Uri, headers: &HeaderMap) -> Response {
        let is_exact = uri.path_and_query().is_some_and(|own| own.as_str() == self.address);
        let kept = if is_exact { "public, max-age=31536000, immutable" } else { "no-store" };
        let told = [
            (header::CONTENT_TYPE, self.kind),
            (header::CACHE_CONTROL, kept),
            (header::VARY, header::ACCEPT_ENCODING.as_str()),
        ];
        match takes_gzip(headers) && !self.small.is_empty() {
            true => (told, [(header::CONTENT_ENCODING, "gzip")], self.small.as_slice()).into_response(),
            false => (told, self.text).into_response(),
        }
    }
}

/// Whether gzip is taken, and not refused by a weight of 0 (RFC 9110 §12.5.3).
fn takes_gzip(headers: &HeaderMap) -> bool {
    let all = headers.get_all(header::ACCEPT_ENCODING).into_iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix("q=").map(str::trim);
        name.trim().eq_ignore_ascii_case("gzip") && weight.and_then(|weight| weight.parse().ok()) != Some(0.0)
    })
}

/// Their routes.
pub fn assets<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let route =
        |asset: &'static LazyLock<Asset>| get(async move |uri: Uri, headers: HeaderMap| asset.answer(&uri, &headers));
    let all = [&STYLE, &ICON, &SCRIPT];
    all.into_iter().fold(Router::new(), |routes, asset| routes.route(asset.path, route(asset)))
}
