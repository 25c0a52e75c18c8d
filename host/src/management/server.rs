//! Listens, and gives every connection one request and little time. What is answered
//! is the router's.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

/// Connections at once. More wait in the system's backlog.
const MAX_CONNECTIONS: usize = 64;

/// A connection's whole life: slow senders and slow readers don't hold their place.
const EXCHANGE: Duration = Duration::from_secs(10);

/// What connections get to finish when the node leaves.
const GRACE: Duration = Duration::from_secs(1);

/// A request's line and headers together, in bytes. hyper wants 8 KiB at least.
const MAX_HEAD: usize = 16 << 10;

/// What to wait for after the system gave no connection: it has no file to spare, say.
const RETRY: Duration = Duration::from_millis(100);

/// The address can't be listened on.
#[derive(Debug, thiserror::Error)]
#[error("failed to listen on {address}, which is \"listen\" in [management]")]
pub struct BindError {
    address: SocketAddr,
    source: std::io::Error,
}

/// Listens on the address that the configuration names.
///
/// # Errors
/// Another process does so already, or the address is not this machine's.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|source| BindError { address, source })
}

/// Serves the API until `shutdown` is done.
pub async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()>) {
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        // Each branch is cancel-safe: accept and join_next lose nothing, and shutdown
        // is polled again.
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => {
                match accepted {
                    Ok((stream, _)) => { connections.spawn(exchange(stream, router.clone())); }
                    Err(error) => {
                        warn!(%error, "failed to accept a management connection");
                        sleep(RETRY).await;
                    }
                }
            }
        }
    }
    drop(listener);
    // What is not over by then ends with the set.
    let _ = timeout(GRACE, async { while connections.join_next().await.is_some() {} }).await;
}

/// One request and its answer.
pub(super) async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
) {
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(EXCHANGE, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "management connection broke"),
        Err(_) => debug!("management connection took too long"),
    }
}
