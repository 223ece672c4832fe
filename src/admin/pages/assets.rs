//! What pages are made of besides themselves. The address has a hash of the content in it, so it may be kept for good.

use crate::lists::version_of;
use axum::{
    Router,
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::get,
};
use std::sync::LazyLock;

/// A file inside the binary.
pub struct Asset {
    path: &'static str,
    kind: &'static str,
    text: &'static str,
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
        Self { path, kind, text, address: format!("{path}?v={:016x}", version_of(text.as_bytes())) }
    }

    /// Whoever asks by another hash, from a page of another version, gets it too, and doesn't keep it.
    fn answer(&self, uri: &Uri) -> Response {
        let is_exact = uri.path_and_query().is_some_and(|own| own.as_str() == self.address);
        let kept = if is_exact { "public, max-age=31536000, immutable" } else { "no-store" };
        let headers = [(header::CONTENT_TYPE, self.kind), (header::CACHE_CONTROL, kept)];
        (StatusCode::OK, headers, self.text).into_response()
    }
}

/// Their routes.
pub fn assets<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let route = |asset: &'static LazyLock<Asset>| get(async move |uri: Uri| asset.answer(&uri));
    let all = [&STYLE, &ICON, &SCRIPT];
    all.into_iter().fold(Router::new(), |routes, asset| routes.route(asset.path, route(asset)))
}
