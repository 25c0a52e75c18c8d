//! HTTP requests of scripts: each is checked against the tenant's grants, goes to an
//! address that was checked, and takes no more than it may. The same holds for each
//! redirect.
//!
//! Nothing is shared between two requests: no connection, no cookie, no proxy of the
//! node's environment.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Response, StatusCode, Url};
use roh_abi::{HttpRequest, HttpResponse, Refusal, RefusalKind};
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::address::{is_public, leads_to};
use super::{Threads, not_granted, quoted, refusal};
use crate::config::{Grants, Hosts, HttpGrant};
use crate::task::TenantName;

#[cfg(test)]
mod tests;

/// Requests of one tenant at once; others wait.
const CONCURRENT: usize = 16;
const MAX_REDIRECTS: usize = 5;
/// How long it may take until there is a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const MAX_URL_BYTES: usize = 8 << 10;
/// Headers of a request.
const MAX_HEADERS: usize = 64;
/// Names and values of a request's headers together.
const MAX_HEADER_BYTES: usize = 16 << 10;
/// Addresses of a name that are tried.
const MAX_ADDRESSES: usize = 16;

/// Headers that say how a message is sent, which is not the script's to say.
const OURS: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Looks up the addresses of a host's name, with a port. It blocks.
pub(super) type Lookup = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// The node's way to others, for all tenants.
pub(super) struct Network {
    tls: ClientConfig,
    lookup: Box<Lookup>,
    /// The node's own server, which no script can reach.
    management: SocketAddr,
}

impl Network {
    /// Trusts the certificates that the machine trusts.
    pub(super) fn new(management: SocketAddr) -> Result<Network, rustls::Error> {
        let mut trusted = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        trusted.add_parsable_certificates(found.certs);
        if trusted.is_empty() {
            let why = found.errors.first().map(ToString::to_string);
            tracing::warn!(why, "machine trusts no certificates, https:// fails for scripts");
        }
        let lookup = |host: &str, port: u16| Ok((host, port).to_socket_addrs()?.collect());
        Network::with(trusted, Box::new(lookup), management)
    }

    fn with(
        trusted: RootCertStore,
        lookup: Box<Lookup>,
        management: SocketAddr,
    ) -> Result<Network, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(trusted)
            .with_no_client_auth();
        Ok(Network { tls, lookup, management })
    }
}

/// What one tenant may request.
pub(super) struct Http {
    tenant: TenantName,
    grants: Vec<HttpGrant>,
    rate: Rate,
    running: Semaphore,
    /// For look-ups of hosts' names.
    lookups: Threads,
    network: Arc<Network>,
}

/// One request on its way: the script's, or one that a redirect asks for.
struct Hop {
    method: Method,
    url: Url,
    host: Host,
    port: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

enum Host {
    Name(String),
    Address(IpAddr),
}

impl Http {
    /// `None` if nothing is granted.
    pub(super) fn new(tenant: &TenantName, grants: &Grants, network: Arc<Network>) -> Option<Http> {
        (!grants.http.is_empty()).then(|| Http {
            tenant: tenant.clone(),
            grants: grants.http.clone(),
            rate: Rate::new(grants.http_rate),
            running: Semaphore::new(CONCURRENT),
            lookups: Threads::default(),
            network,
        })
    }

    /// Makes a request. The response has at most `room` bytes.
    pub(super) async fn request(
        &self,
        request: HttpRequest,
        room: u64,
    ) -> Result<HttpResponse, Refusal> {
        let asked = request.timeout_ms.map(|ms| Duration::from_millis(ms.into()));
        let hop = Hop::new(request)?;
        let limit = self.grant(&hop)?.timeout;
        let limit = limit.min(asked.unwrap_or(limit));
        match timeout(limit, self.follow(hop, room)).await {
            Ok(response) => response,
            Err(_) => {
                let message = format!("no response within {}", humantime::format_duration(limit));
                Err(refusal(RefusalKind::TimedOut, message))
            }
        }
    }

    async fn follow(&self, mut hop: Hop, room: u64) -> Result<HttpResponse, Refusal> {
        let _running = self.running.acquire().await.expect("never closed");
        for _ in 0..=MAX_REDIRECTS {
            let grant = self.grant(&hop)?;
            if hop.body.len() as u64 > grant.request {
                return Err(too_large("request", grant.request));
            }
            self.rate.take()?;
            let addresses = self.addresses(&hop).await?;
            let response = self.send(&hop, addresses).await?;
            match hop.redirected(&response)? {
                Some(next) => hop = next,
                None => return read(response, grant.response, room).await,
            }
        }
        Err(refusal(RefusalKind::Failed, format!("more than {MAX_REDIRECTS} redirects")))
    }

    /// The first grant that allows it.
    fn grant(&self, hop: &Hop) -> Result<&HttpGrant, Refusal> {
        self.grants.iter().find(|grant| hop.to(&grant.hosts) && hop.fits(grant)).ok_or_else(|| {
            let (method, origin) = (&hop.method, hop.origin());
            let add = format!("add {method} {origin} to [[tenant.grants.http]]");
            not_granted(&self.tenant, "http", &add)
        })
    }

    /// Where to connect to: what was checked, and nothing else.
    async fn addresses(&self, hop: &Hop) -> Result<Vec<SocketAddr>, Refusal> {
        let (found, listed) = match &hop.host {
            Host::Address(address) => (vec![SocketAddr::new(*address, hop.port)], true),
            Host::Name(name) => (self.look_up(name, hop.port).await, false),
        };
        if found.is_empty() {
            let message = format!("there is no host {}", quoted(hop.host_str()));
            return Err(refusal(RefusalKind::Failed, message));
        }
        let allowed = |address: &SocketAddr| {
            (listed || is_public(address.ip()) || self.lists(hop, address.ip()))
                && !leads_to(*address, self.network.management)
        };
        let addresses: Vec<_> = found.into_iter().filter(allowed).take(MAX_ADDRESSES).collect();
        if addresses.is_empty() {
            let (host, port) = (quoted(hop.host_str()), hop.port);
            let add = format!(
                "the address of {host} is not public, and needs a grant of its own for port {port} \
                 (the node's own is never granted)"
            );
            return Err(not_granted(&self.tenant, "http", &add));
        }
        Ok(addresses)
    }

    /// The addresses of a host, none if that can't be told.
    async fn look_up(&self, name: &str, port: u16) -> Vec<SocketAddr> {
        let (network, name) = (self.network.clone(), name.to_owned());
        let found = self.lookups.run(move || (network.lookup)(&name, port)).await;
        found.ok().and_then(Result::ok).unwrap_or_default()
    }

    /// Whether a grant that fits lists the address itself.
    fn lists(&self, hop: &Hop, address: IpAddr) -> bool {
        self.grants.iter().any(|grant| {
            hop.fits(grant) && matches!(&grant.hosts, Hosts::At(range) if range.contain(address))
        })
    }

    async fn send(&self, hop: &Hop, addresses: Vec<SocketAddr>) -> Result<Response, Refusal> {
        let client = Client::builder()
            .tls_backend_preconfigured(self.network.tls.clone())
            .dns_resolver(Pinned(addresses))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .http1_only()
            .pool_max_idle_per_host(0)
            .connect_timeout(CONNECT_LIMIT)
            .user_agent(concat!("roh/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| hop.failed(&error))?;
        client
            .request(hop.method.clone(), hop.url.clone())
            .headers(hop.headers.clone())
            .body(hop.body.clone())
            .send()
            .await
            .map_err(|error| hop.failed(&error))
    }
}

impl Hop {
    fn new(request: HttpRequest) -> Result<Hop, Refusal> {
        let method = Method::from_bytes(request.method.as_bytes())
            .map_err(|_| invalid(format!("{} is not a method", quoted(&request.method))))?;
        if request.url.len() > MAX_URL_BYTES {
            return Err(invalid(format!("the URL has more than {MAX_URL_BYTES} bytes")));
        }
        let url = Url::parse(&request.url)
            .map_err(|error| invalid(format!("{} is not a URL: {error}", quoted(&request.url))))?;
        Hop::to_url(method, url, headers(&request.headers)?, request.body)
    }

    fn to_url(method: Method, url: Url, headers: HeaderMap, body: Vec<u8>) -> Result<Hop, Refusal> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(invalid("the URL is neither http:// nor https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("the URL holds a user: put it into a header"));
        }
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(invalid("the URL has no host"));
        };
        // The parser has made any spelling of an address the usual one.
        let host = match host.trim_matches(['[', ']']).parse() {
            Ok(address) => Host::Address(address),
            Err(_) => Host::Name(host.to_owned()),
        };
        Ok(Hop { method, host, port, url, headers, body })
    }

    fn host_str(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    fn origin(&self) -> String {
        format!("{}://{}:{}", self.url.scheme(), self.host_str(), self.port)
    }

    fn to(&self, hosts: &Hosts) -> bool {
        match (hosts, &self.host) {
            (Hosts::Named(granted), Host::Name(name)) => granted == name,
            (Hosts::Below(domain), Host::Name(name)) => name
                .strip_suffix(domain.as_str())
                .and_then(|rest| rest.strip_suffix('.'))
                .is_some_and(|rest| !rest.is_empty()),
            (Hosts::At(range), Host::Address(address)) => range.contain(*address),
            _ => false,
        }
    }

    /// Whether all but the host is granted.
    fn fits(&self, grant: &HttpGrant) -> bool {
        grant.methods.contains(&self.method.as_str())
            && grant.ports.contains(&self.port)
            && (grant.plain || self.url.scheme() == "https")
    }

    /// What the response asks for instead.
    fn redirected(&self, response: &Response) -> Result<Option<Hop>, Refusal> {
        let (status, headers) = (response.status(), response.headers());
        let get = match status {
            StatusCode::SEE_OTHER => self.method != Method::HEAD,
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => self.method == Method::POST,
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => false,
            _ => return Ok(None),
        };
        let Some(location) = headers.get(header::LOCATION) else { return Ok(None) };
        let url = std::str::from_utf8(location.as_bytes())
            .ok()
            .filter(|location| location.len() <= MAX_URL_BYTES)
            .and_then(|location| self.url.join(location).ok())
            .ok_or_else(|| {
                refusal(RefusalKind::Failed, "a redirect to something that is no URL")
            })?;
        let mut headers = self.headers.clone();
        let (mut method, mut body) = (self.method.clone(), Vec::new());
        if get {
            method = Method::GET;
            headers.remove(header::CONTENT_TYPE);
            headers.remove(header::CONTENT_ENCODING);
        } else {
            body = self.body.clone();
        }
        let next = Hop::to_url(method, url, headers, body)?;
        Ok(Some(if next.origin() == self.origin() { next } else { next.without_credentials() }))
    }

    /// They were meant for another.
    fn without_credentials(mut self) -> Hop {
        self.headers.remove(header::AUTHORIZATION);
        self.headers.remove(header::COOKIE);
        self
    }

    fn failed(&self, error: &reqwest::Error) -> Refusal {
        let host = quoted(self.host_str());
        if error.is_timeout() {
            let message = format!("no connection to {host} within {CONNECT_LIMIT:?}");
            return refusal(RefusalKind::TimedOut, message);
        }
        refusal(RefusalKind::Failed, format!("the request to {host} failed: {}", cause(error)))
    }
}

/// The headers of a request, if they are the script's to set.
fn headers(list: &[(String, String)]) -> Result<HeaderMap, Refusal> {
    let bytes: usize = list.iter().map(|(name, value)| name.len() + value.len()).sum();
    if list.len() > MAX_HEADERS || bytes > MAX_HEADER_BYTES {
        let message =
            format!("more than {MAX_HEADERS} headers or {MAX_HEADER_BYTES} bytes of them");
        return Err(invalid(message));
    }
    let mut headers = HeaderMap::new();
    for (name, value) in list {
        let header = HeaderName::from_bytes(name.as_bytes());
        let header = header.map_err(|_| invalid(format!("{} is not a header", quoted(name))))?;
        let value = HeaderValue::from_bytes(value.as_bytes())
            .map_err(|_| invalid(format!("the value of header {} can't be one", quoted(name))))?;
        if OURS.contains(&header.as_str()) {
            return Err(invalid(format!("header {} is the node's to set", quoted(name))));
        }
        headers.append(header, value);
    }
    Ok(headers)
}

/// Reads a response of at most `limit` bytes, if there is `room` for it.
async fn read(mut response: Response, limit: u64, room: u64) -> Result<HttpResponse, Refusal> {
    let most = limit.min(room);
    let too_large = || match limit <= room {
        true => too_large("response", limit),
        false => refusal(RefusalKind::Limit, super::TOO_MANY_BYTES),
    };
    let (status, url) = (response.status().as_u16(), response.url().to_string());
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers: Vec<_> = response
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), text(value)))
        .collect();
    let head: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    let room = usize::try_from(most).unwrap_or(usize::MAX).checked_sub(head);
    let room = room.ok_or_else(too_large)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| {
        refusal(RefusalKind::Failed, format!("the response broke off: {}", cause(&error)))
    })? {
        if body.len() + chunk.len() > room {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(HttpResponse { status, url, headers, body })
}

fn too_large(what: &str, limit: u64) -> Refusal {
    let limit = bytesize::ByteSize(limit).display().iec();
    refusal(RefusalKind::Limit, format!("the {what} is larger than the limit of {limit}"))
}

fn invalid(message: impl Into<String>) -> Refusal {
    refusal(RefusalKind::Invalid, message)
}

/// The innermost of an error's causes: the others say that there was an error.
fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let text = cause.to_string();
    text[..text.floor_char_boundary(300)].to_owned()
}

/// Every name has these addresses.
struct Pinned(Vec<SocketAddr>);

impl Resolve for Pinned {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses: Addrs = Box::new(self.0.clone().into_iter());
        Box::pin(std::future::ready(Ok(addresses)))
    }
}

/// A token bucket.
struct Rate {
    per_second: u32,
    /// Tokens, and when they were counted.
    tokens: Mutex<(f64, Instant)>,
}

impl Rate {
    fn new(per_second: u32) -> Rate {
        Rate { per_second, tokens: Mutex::new((2.0 * f64::from(per_second), Instant::now())) }
    }

    fn take(&self) -> Result<(), Refusal> {
        let rate = f64::from(self.per_second);
        // A pair of numbers is whole whatever panicked.
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, at) = *tokens;
        let left = (left + at.elapsed().as_secs_f64() * rate).min(2.0 * rate);
        if left < 1.0 {
            let message = format!("more than {} HTTP requests per second", self.per_second);
            return Err(refusal(RefusalKind::Limit, message));
        }
        *tokens = (left - 1.0, Instant::now());
        Ok(())
    }
}
