//! Errors as pages, for browsers. Programs get the text.

use super::{
    super::problem::{Kind, Refusal, is_of_api},
    assets,
};
use askama::Template;
use axum::{
    body::to_bytes,
    extract::Request,
    http::{StatusCode, header},
    middleware::Next,
    response::{Html, IntoResponse, Response},
};

/// Octets of what is said of an error.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// It says nothing of this server: it is shown to those who may not see it, too.
#[derive(Template)]
#[template(path = "error.html", config = "src/admin/pages/askama.toml")]
struct ErrorPage<'a> {
    title: &'a str,
    text: &'a str,
    style: &'a str,
    icon: &'a str,
}

/// For whatever has no route.
pub async fn no_such_page() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "nothing is at this address\n")
}

/// Makes errors pages where a browser asks.
pub async fn as_pages(request: Request, next: Next) -> Response {
    let accepted = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let is_browser = accepted.is_some_and(|accepted| accepted.contains("text/html"));
    let is_page = is_browser && !is_of_api(request.uri().path());
    let response = next.run(request).await;
    let status = response.status();
    let kind_of = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    // A page that tells of an error itself is left alone.
    let is_text = kind_of.is_none_or(|kind| kind.starts_with("text/plain"));
    if !is_page || !is_text || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let text = to_bytes(body, TEXT_BYTES_MAX).await.unwrap_or_default();
    let title = head.extensions.get::<Refusal>().map_or(Kind::of(status), |refusal| refusal.kind).title();
    let text = String::from_utf8_lossy(&text);
    let page = ErrorPage { title, text: text.trim(), style: &assets::STYLE.address, icon: &assets::ICON.address };
    let Ok(html) = page.render() else { return status.into_response() };
    for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH] {
        head.headers.remove(name);
    }
    (status, head.headers, Html(html)).into_response()
}
