//! What lapin is run on: tokio, with streams that were mended on their way.

use std::future::{Future, ready};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use async_rs::traits::Reactor;
use async_rs::util::RuntimeParts;
use async_rs::{Runtime, Tokio};
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::Stream;
use lapin::AsyncTcpStream;

use super::wire::Mended;

/// Plain or TLS, as tokio has it.
pub(super) type TokioStream = AsyncTcpStream<<Tokio as Reactor>::TcpStream>;

/// Tokio's reactor, but for the type of its streams.
#[derive(Debug, Clone)]
pub(super) struct MendedReactor(Tokio);

/// The runtime for [`lapin::Connection::connector`].
pub(super) fn runtime() -> Runtime<RuntimeParts<Tokio, MendedReactor>> {
    Runtime::new(RuntimeParts::new(Tokio::current(), MendedReactor(Tokio::current())))
}

impl Reactor for MendedReactor {
    type TcpStream = Mended<TokioStream>;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: io::Read + io::Write + AsFd + AsRawFd + Send + 'static>(
        &self,
        socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        self.0.register(socket)
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.0.sleep(duration)
    }

    fn interval(&self, period: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(period)
    }

    /// Connecting is the caller's part: only he knows whether there is TLS above it.
    fn tcp_connect_addr(
        &self,
        _: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        ready(Err(io::ErrorKind::Unsupported.into()))
    }
}
