//! Tells systemd how the node is, if systemd asks for it (`Type=notify`). It heeds no
//! other part of the protocol.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixDatagram;

/// What systemd is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The node takes tasks.
    Ready,
    /// The node drains.
    Stopping,
}

/// systemd asked to be told, and could not be.
#[derive(Debug, thiserror::Error)]
#[error("failed to notify systemd at {socket:?}")]
pub struct NotifyError {
    socket: OsString,
    source: io::Error,
}

/// Tells systemd, if it asks for it; else it does nothing.
///
/// # Errors
/// The socket that systemd named does not take it.
pub fn notify(notice: Notice) -> Result<(), NotifyError> {
    match std::env::var_os("NOTIFY_SOCKET").filter(|socket| !socket.is_empty()) {
        Some(socket) => send(&socket, notice).map_err(|source| NotifyError { socket, source }),
        None => Ok(()),
    }
}

fn send(socket: &OsStr, notice: Notice) -> io::Result<()> {
    let text = match notice {
        Notice::Ready => "READY=1",
        Notice::Stopping => "STOPPING=1",
    };
    let sender = UnixDatagram::unbound()?;
    match socket.as_bytes().strip_prefix(b"@") {
        #[cfg(target_os = "linux")]
        Some(name) => {
            use std::os::linux::net::SocketAddrExt;
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            sender.send_to_addr(text.as_bytes(), &address)?;
        }
        _ => {
            sender.send_to(text.as_bytes(), socket)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reaches_a_socket_in_the_file_system() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("notify");
        let systemd = UnixDatagram::bind(&path).expect("binds");
        send(path.as_os_str(), Notice::Ready).expect("takes it");
        assert_eq!(received(&systemd), "READY=1");
        send(folder.path().join("none").as_os_str(), Notice::Ready).expect_err("nobody there");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn reaches_an_abstract_socket() {
        use std::os::linux::net::SocketAddrExt;
        let name = format!("roh-test-{}", std::process::id());
        let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).expect("valid");
        let systemd = UnixDatagram::bind_addr(&address).expect("binds");
        send(OsStr::new(&format!("@{name}")), Notice::Stopping).expect("takes it");
        assert_eq!(received(&systemd), "STOPPING=1");
    }

    fn received(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 64];
        let length = socket.recv(&mut buffer).expect("was sent");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }
}
