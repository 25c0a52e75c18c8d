//! Lets `tests/fuzz` reach what is private here. In no other build.

use axum::Router;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::server;

/// What comes back over one connection on which `sent` was sent.
pub async fn exchange(sent: &[u8], router: Router) -> Vec<u8> {
    let (mut ours, theirs) = duplex(64 << 10);
    let mut got = Vec::new();
    let talk = async {
        // The server may have had enough, and hung up.
        let _ = ours.write_all(sent).await;
        let _ = ours.shutdown().await;
        let _ = ours.read_to_end(&mut got).await;
    };
    tokio::join!(server::exchange(theirs, router), talk);
    got
}
