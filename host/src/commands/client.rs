//! Asks a node's management over HTTP, for `roh status` and `roh stop`. It shows
//! nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use ureq::http::StatusCode;

use crate::config::{Config, ConfigError};
use crate::task::TaskId;

/// A node answers in milliseconds, or not at all.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Tens of thousands of tasks fit in.
const MAX_ANSWER: u64 = 64 << 20;

/// Where a node's management is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Where that configuration says.
    OfConfig(PathBuf),
    /// There.
    Url {
        /// `http://host:port`.
        url: String,
        /// Holds the bearer token.
        token_file: Option<PathBuf>,
    },
}

/// Why a node did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ClientError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("failed to read the token from {}", path.display())]
    Token { path: PathBuf, source: std::io::Error },
    #[error("failed to reach the node at {url}: is it running?")]
    Unreachable { url: String, source: Box<ureq::Error> },
    #[error("failed to get in at {url}: it wants another token (--token-file or ROH_TOKEN_FILE)")]
    Unauthorized { url: String },
    #[error("failed to ask the node at {url}: {status}: {reason}")]
    Refused { url: String, status: StatusCode, reason: String },
    #[error("failed to understand the node at {url}: is it one of ROH's?")]
    Incomprehensible { url: String, source: serde_json::Error },
}

/// A client of one node.
pub struct Client {
    agent: ureq::Agent,
    url: String,
    token: Option<String>,
}

/// Whether a node knew the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// So many were stopped.
    Count(u64),
    /// The node holds none of that id.
    NotFound,
}

#[derive(Deserialize)]
struct StopAnswer {
    stopped: u64,
}

#[derive(Deserialize)]
struct ErrorAnswer {
    error: String,
}

impl Client {
    /// A client of the node at that address. Nothing is sent yet.
    ///
    /// # Errors
    /// The configuration or the token can't be read.
    pub fn new(address: Address) -> Result<Client, ClientError> {
        let (url, token) = match address {
            Address::OfConfig(path) => {
                let management = Config::load(&path)?.management;
                (url_of(management.listen), management.token)
            }
            Address::Url { url, token_file } => {
                let token = token_file.map(read_token).transpose()?;
                let url = if url.contains("://") { url } else { format!("http://{url}") };
                (url.trim_end_matches('/').to_owned(), token)
            }
        };
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            // The token is for the node alone.
            .proxy(None)
            .max_redirects(0)
            .build()
            .new_agent();
        Ok(Client { agent, url, token })
    }

    /// The answer of `GET /api/management`, as it is.
    ///
    /// # Errors
    /// The node can't be reached, or refuses.
    pub fn management(&self) -> Result<String, ClientError> {
        let request = self.agent.get(self.path("/api/management"));
        self.answer(self.authorize(request).call())
    }

    /// Stops the task of that id.
    ///
    /// # Errors
    /// The node can't be reached, or refuses.
    pub fn stop(&self, id: &TaskId) -> Result<Stopped, ClientError> {
        let id = utf8_percent_encode(id.as_str(), NON_ALPHANUMERIC);
        match self.post(&format!("/api/tasks/{id}/stop")) {
            Err(ClientError::Refused { status: StatusCode::NOT_FOUND, .. }) => {
                Ok(Stopped::NotFound)
            }
            answer => answer.map(Stopped::Count),
        }
    }

    /// Stops all tasks, and says how many.
    ///
    /// # Errors
    /// The node can't be reached, or refuses.
    pub fn stop_all(&self) -> Result<u64, ClientError> {
        self.post("/api/stop")
    }

    /// Reads an answer of this node.
    pub(super) fn parse<T: for<'a> Deserialize<'a>>(&self, text: &str) -> Result<T, ClientError> {
        serde_json::from_str(text)
            .map_err(|source| ClientError::Incomprehensible { url: self.url.clone(), source })
    }

    fn post(&self, path: &str) -> Result<u64, ClientError> {
        let request = self.agent.post(self.path(path));
        let text = self.answer(self.authorize(request).send_empty())?;
        Ok(self.parse::<StopAnswer>(&text)?.stopped)
    }

    fn path(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    fn authorize<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    /// The answer's text, if it is a good one.
    fn answer(
        &self,
        response: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<String, ClientError> {
        let url = || self.url.clone();
        let unreachable =
            |source| ClientError::Unreachable { url: url(), source: Box::new(source) };
        let mut response = response.map_err(unreachable)?;
        let status = response.status();
        let body = response.body_mut().with_config().limit(MAX_ANSWER);
        let text = body.read_to_string().map_err(unreachable)?;
        match status {
            status if status.is_success() => Ok(text),
            StatusCode::UNAUTHORIZED => Err(ClientError::Unauthorized { url: url() }),
            status => {
                let reason = self.parse::<ErrorAnswer>(&text)?.error;
                Err(ClientError::Refused { url: url(), status, reason })
            }
        }
    }
}

fn read_token(path: PathBuf) -> Result<String, ClientError> {
    match std::fs::read_to_string(&path) {
        Ok(token) => Ok(token.trim().to_owned()),
        Err(source) => Err(ClientError::Token { path, source }),
    }
}

/// Who listens on all addresses also does on loopback.
fn url_of(listen: SocketAddr) -> String {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, listen.port()))
}
