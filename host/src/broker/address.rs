//! Where the broker is, and how a connection to it is opened.

use std::fmt;
use std::io;
use std::time::Duration;

use lapin::tcp::{AMQPUriTcpExt, OwnedTLSConfig};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{AsyncTcpStream, Connection, ConnectionProperties};

use super::error::{BrokerError, MendedBy};
use super::reactor::{self, TokioStream};
use super::wire::Mended;

/// How long one attempt at a connection may take, name look-up and TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Seconds between heartbeats, unless the URL says otherwise: a peer that vanished
/// without a word is noticed after twice as long.
const HEARTBEAT_SECONDS: u16 = 20;
/// Longest frame, in bytes, unless the URL says otherwise: RabbitMQ's default. lapin has buffers of
/// 32 of them. Told how long they are from the start on, it takes them as zeros that the system has
/// not to provide until they are used; it writes zeros to what it adds once the broker has said so.
const FRAME_BYTES: u32 = 128 << 10;

/// A broker's URL, checked. Shown without its password.
#[derive(Clone)]
pub(super) struct Address {
    uri: AMQPUri,
}

impl Address {
    pub(super) fn parse(url: &str) -> Result<Address, BrokerError> {
        // The text itself may hold a password: it is not part of the error.
        let invalid =
            |reason: String| BrokerError::new("parse", &"broker.url", reason, MendedBy::Person);
        let mut uri: AMQPUri = url.parse().map_err(|reason: String| {
            invalid(format!("{}, expected amqp:// or amqps://", without(&reason, url)))
        })?;
        // The parser takes an IPv6 address for no address at all, hence for localhost.
        if let Some(host) = ipv6_host(url) {
            uri.authority.host = host.to_owned();
        }
        // `amqp://host/` names the vhost "", which nobody has; other clients read "/".
        if uri.vhost.is_empty() {
            uri.vhost = "/".to_owned();
        }
        if uri.vhost.len() > lapin::types::MAX_SHORT_STRING_LENGTH {
            return Err(invalid("the vhost has more than 255 bytes".to_owned()));
        }
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        uri.query.frame_max.get_or_insert(FRAME_BYTES);
        Ok(Address { uri })
    }

    /// Opens a connection that the broker lists as `roh NAME`.
    pub(super) async fn connect(&self, name: &str) -> Result<Connection, BrokerError> {
        let properties = ConnectionProperties::default()
            .with_connection_name(format!("roh {name}").into())
            .with_client_property("product".into(), "ROH".into())
            .with_client_property("version".into(), env!("CARGO_PKG_VERSION").into());
        let opening = Connection::connector(
            self.uri.clone(),
            reactor::runtime(),
            // Bounded here, too: lapin has a thread that waits for this alone.
            async |uri, _| match tokio::time::timeout(CONNECT_TIMEOUT, open_stream(&uri)).await {
                Ok(opened) => {
                    let longest = uri.query.frame_max.unwrap_or(FRAME_BYTES);
                    Ok(AsyncTcpStream::Plain(Mended::new(opened?, longest)))
                }
                Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
            },
            properties,
        );
        match tokio::time::timeout(CONNECT_TIMEOUT, opening).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(BrokerError::from_lapin("connect to", self, &error)),
            Err(_) => {
                let reason = format!("no answer within {CONNECT_TIMEOUT:?}");
                Err(BrokerError::new("connect to", self, reason, MendedBy::Time))
            }
        }
    }
}

/// Looks up the name, connects, and agrees on TLS if the URL says so.
async fn open_stream(uri: &AMQPUri) -> io::Result<TokioStream> {
    let tls = OwnedTLSConfig::default();
    let runtime = async_rs::Runtime::tokio_current();
    AMQPUriTcpExt::connect_with_config_async(uri, tls.as_ref(), &runtime).await
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AMQPUri { scheme, authority, vhost, .. } = &self.uri;
        let (user, host, port) = (&authority.userinfo.username, &authority.host, authority.port);
        let scheme = match scheme {
            AMQPScheme::AMQP => "amqp",
            AMQPScheme::AMQPS => "amqps",
        };
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let vhost = if vhost == "/" { "" } else { vhost.as_str() };
        write!(f, "{scheme}://{user}@{host}:{port}/{vhost}")
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What stands in brackets where a URL's host does.
fn ipv6_host(url: &str) -> Option<&str> {
    let authority = url.split_once("://")?.1.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    host.strip_prefix('[')?.split_once(']').map(|(host, _)| host)
}

fn without(reason: &str, url: &str) -> String {
    reason.replace(url, "…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_addresses_without_their_password() {
        for (url, shown) in [
            ("amqp://guest:secret@rabbit:5673/prod", "amqp://guest@rabbit:5673/prod"),
            ("amqps://u:secret@rabbit", "amqps://u@rabbit:5671/"),
            ("amqp://localhost/%2f", "amqp://guest@localhost:5672/"),
            ("amqp://localhost/", "amqp://guest@localhost:5672/"),
            ("amqp://u:secret@[::1]:5673/v", "amqp://u@[::1]:5673/v"),
        ] {
            let address = Address::parse(url).expect("a URL");
            assert_eq!(address.to_string(), shown);
            assert!(!format!("{address:?}").contains("secret"));
        }
    }

    #[test]
    fn refuses_what_is_no_broker_url_and_keeps_the_password_to_itself() {
        for url in ["http://u:secret@h/", "amqp:secret", "secret", "amqp://u:secret@h:port/"] {
            let error = Address::parse(url).expect_err("no URL");
            assert_eq!(error.mended_by(), MendedBy::Person);
            let text = error.to_string();
            assert!(text.starts_with("cannot parse broker.url: "), "{text}");
            assert!(!text.contains("secret"), "{text}");
        }
    }
}
