//! Lets requests in, or not: the bearer token, and what browsers send that were led
//! here by another site. It knows nothing of what is asked for.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::wire::error;

/// The token that callers must bear, if any. Hashes compare in constant time, and don't
/// tell the token's length.
#[derive(Clone)]
pub(super) struct Token(Option<Arc<blake3::Hash>>);

/// Which hosts a request may be for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Hosts {
    /// Any: the token tells friend from foe.
    Any,
    /// This machine. A site that has its own name point here (DNS rebinding) sends that
    /// name.
    Loopback,
}

impl Token {
    pub(super) fn new(token: Option<&str>) -> Token {
        Token(token.map(|token| Arc::new(blake3::hash(token.as_bytes()))))
    }

    fn lets_in(&self, headers: &HeaderMap) -> bool {
        let Some(expected) = &self.0 else { return true };
        let Some(header) = headers.get(header::AUTHORIZATION) else { return false };
        let header = header.as_bytes();
        let (scheme, token) = header.split_at(header.len().min("Bearer ".len()));
        scheme.eq_ignore_ascii_case(b"Bearer ") && blake3::hash(token.trim_ascii()) == **expected
    }
}

pub(super) async fn check_token(
    State(token): State<Token>,
    request: Request,
    next: Next,
) -> Response {
    if token.lets_in(request.headers()) {
        return next.run(request).await;
    }
    let mut response = error(StatusCode::UNAUTHORIZED, "a bearer token is needed");
    let challenge = HeaderValue::from_static("Bearer realm=\"roh\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    response
}

impl Hosts {
    pub(super) fn new(token: Option<&str>) -> Hosts {
        if token.is_some() { Hosts::Any } else { Hosts::Loopback }
    }
}

pub(super) async fn check_origin(
    State(hosts): State<Hosts>,
    request: Request,
    next: Next,
) -> Response {
    match foreign(hosts, &request) {
        None => next.run(request).await,
        Some(reason) => error(StatusCode::FORBIDDEN, reason),
    }
}

/// Why a request is not to be trusted, if it is not.
fn foreign(hosts: Hosts, request: &Request) -> Option<&'static str> {
    let headers = request.headers();
    let mut named = headers.get_all(header::HOST).iter();
    let host = named.next().and_then(|host| host.to_str().ok()).unwrap_or_default();
    if named.next().is_some() {
        return Some("more than one host is named");
    }
    // A proxy's form of request names the host once more.
    let in_uri = request.uri().authority().map(Authority::as_str);
    if matches!(hosts, Hosts::Loopback) && !in_uri.into_iter().chain([host]).all(is_loopback) {
        return Some("only this machine's own names are served without a token");
    }
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let own = |origin: &HeaderValue| {
        let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        authority.is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
    };
    if !origins.all(own) {
        return Some("requests of other sites are refused");
    }
    None
}

fn is_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host();
    let ip = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    // Who names a user means something else than a host.
    !host.contains('@')
        && (name.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.is_loopback()))
}
