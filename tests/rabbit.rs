//! A private RabbitMQ: an ordinary child process with ports, files and a cookie of its
//! own, on loopback. Does not install RabbitMQ: `tests/setup.sh` does.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::process::{Owned, bound_command, find_program, free_port, poll};

const START_LIMIT: Duration = Duration::from_secs(90);
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// A running node. Stopped when dropped.
#[derive(Debug)]
pub struct Rabbit {
    /// Holds everything that the node writes.
    home: TempDir,
    bin: PathBuf,
    ports: Ports,
    tls: Option<Tls>,
    // In the order in which they are to end.
    server: Option<Owned>,
    _epmd: Option<Owned>,
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    amqp: u16,
    amqps: u16,
    distribution: u16,
    epmd: u16,
}

/// A certificate for `localhost` that only those trust who are told to.
#[derive(Debug, Clone)]
struct Tls {
    certificate: PathBuf,
    key: PathBuf,
}

/// What is in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Ready to be delivered.
    pub ready: u64,
    /// Delivered and unsettled.
    pub unacked: u64,
}

impl Rabbit {
    /// Starts a node and waits until it takes connections.
    ///
    /// # Errors
    /// RabbitMQ is not there, or does not start: the message says why.
    pub fn start() -> io::Result<Rabbit> {
        let bin = find_server()?;
        let home = tempfile::Builder::new().prefix("roh-rabbitmq-").tempdir()?;
        let ports = Ports {
            amqp: free_port(),
            amqps: free_port(),
            distribution: free_port(),
            epmd: free_port(),
        };
        let tls = make_certificate(home.path());
        fs::write(home.path().join("rabbitmq.conf"), configuration(ports, tls.as_ref()))?;
        fs::write(home.path().join("enabled_plugins"), "[].\n")?;
        let epmd = start_epmd(ports.epmd)?;
        let mut rabbit = Rabbit { home, bin, ports, tls, server: None, _epmd: epmd };
        rabbit.start_server()?;
        Ok(rabbit)
    }

    /// The URL of its default vhost, with the password.
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}", self.ports.amqp)
    }

    /// The same over TLS, with the certificate to trust; `None` without the `openssl`
    /// program.
    pub fn tls_url(&self) -> Option<(String, &Path)> {
        let tls = self.tls.as_ref()?;
        Some((format!("amqps://guest:guest@localhost:{}", self.ports.amqps), &tls.certificate))
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.ports.amqp
    }

    /// Stops it in good order. What is durable stays.
    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.signal(Signal::TERM);
            server.wait(STOP_LIMIT);
        }
    }

    /// Starts it again after [`Rabbit::stop`], on the same ports.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_again(&mut self) -> io::Result<()> {
        self.start_server()
    }

    /// Runs `rabbitmqctl`, which takes a second or two.
    ///
    /// # Errors
    /// It failed: the message holds what it printed.
    pub fn ctl(&self, arguments: &[&str]) -> io::Result<String> {
        let mut command = Command::new(self.bin.join("rabbitmqctl"));
        self.environment(&mut command);
        let output = command.arg("--quiet").args(arguments).stdin(Stdio::null()).output()?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(printed);
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        Err(io::Error::other(format!("rabbitmqctl {arguments:?}: {printed}{errors}")))
    }

    /// What is in a queue; `None` if there is no such queue.
    ///
    /// # Errors
    /// The node does not answer.
    pub fn depth(&self, queue: &str) -> io::Result<Option<Depth>> {
        let table = self.ctl(&[
            "list_queues",
            "--no-table-headers",
            "name",
            "messages_ready",
            "messages_unacknowledged",
        ])?;
        Ok(table.lines().find_map(|line| {
            let mut columns = line.split('\t');
            (columns.next()? == queue).then_some(())?;
            let mut number = || columns.next().and_then(|text| text.trim().parse().ok());
            Some(Depth { ready: number()?, unacked: number()? })
        }))
    }

    /// The last that its logs have of errors, of which tests cause many, warnings and notices, which
    /// is what they take trouble with TLS for.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        const MOST: usize = 50;
        let logs = fs::read_dir(self.home.path().join("log")).into_iter().flatten().flatten();
        let mut lines = Vec::new();
        for log in logs.map(|log| log.path()).chain([self.log()]) {
            let text = fs::read(log).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let marks = ["[error]", "[warning]", "[notice]"];
            let bad = |line: &&str| marks.iter().any(|mark| line.contains(mark));
            lines.extend(text.lines().filter(bad).map(str::to_owned));
        }
        // Each begins with its time, and may be in two logs.
        lines.sort();
        lines.dedup();
        lines.split_off(lines.len().saturating_sub(MOST))
    }

    fn start_server(&mut self) -> io::Result<()> {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log())?;
        let mut command = bound_command(self.bin.join("rabbitmq-server"));
        self.environment(&mut command);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let mut server = Owned::spawn(&mut command)?;
        let ready = poll(START_LIMIT, || self.takes_connections() || server.ended().is_some());
        if !ready || server.ended().is_some() {
            let said = fs::read_to_string(self.log()).unwrap_or_default();
            return Err(io::Error::other(format!("RabbitMQ did not start; it said:\n{said}")));
        }
        self.server = Some(server);
        Ok(())
    }

    /// The port opens a little before the node is ready to serve it: ask for a greeting.
    fn takes_connections(&self) -> bool {
        let greet = || -> io::Result<u8> {
            let address = (Ipv4Addr::LOCALHOST, self.ports.amqp).into();
            let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            io::Write::write_all(&mut stream, b"AMQP\x00\x00\x09\x01")?;
            let mut frame_kind = [0];
            io::Read::read_exact(&mut stream, &mut frame_kind)?;
            Ok(frame_kind[0])
        };
        // A method frame: connection.start.
        greet().is_ok_and(|kind| kind == 1)
    }

    /// All that keeps this node apart from any other, and from the system's settings.
    fn environment(&self, command: &mut Command) {
        let (home, ports) = (self.home.path(), self.ports);
        command
            .env("HOME", home)
            .env("RABBITMQ_NODENAME", format!("roh-{}@localhost", ports.amqp))
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", ports.amqp.to_string())
            .env("RABBITMQ_DIST_PORT", ports.distribution.to_string())
            .env("ERL_EPMD_PORT", ports.epmd.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_MNESIA_BASE", home.join("mnesia"))
            .env("RABBITMQ_LOG_BASE", home.join("log"))
            .env("RABBITMQ_PID_FILE", home.join("pid"))
            .env("RABBITMQ_CONFIG_FILE", home.join("rabbitmq.conf"))
            .env("RABBITMQ_CONF_ENV_FILE", home.join("rabbitmq-env.conf"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", home.join("advanced.config"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", home.join("enabled_plugins"))
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "-kernel inet_dist_use_interface {127,0,0,1}",
            )
            // The script then becomes the server instead of waiting for it, so that
            // signals reach the server. Nothing of systemd is used.
            .env("RUNNING_UNDER_SYSTEMD", "true");
    }

    fn log(&self) -> PathBuf {
        self.home.path().join("output.log")
    }
}

impl Drop for Rabbit {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The folder of the server's own scripts: the wrappers that packages put on `PATH`
/// change the user and drop the environment. `tests/setup.sh` looks in the same places.
fn find_server() -> io::Result<PathBuf> {
    let named = std::env::var_os("ROH_RABBITMQ").map(PathBuf::from);
    let versions = fs::read_dir("/usr/lib/rabbitmq/lib").into_iter().flatten().flatten();
    named
        .into_iter()
        .chain([PathBuf::from("/usr/lib/rabbitmq/bin")])
        .chain(versions.map(|version| version.path().join("sbin")))
        .chain(["/opt/homebrew/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .find(|bin| bin.join("rabbitmq-server").is_file())
        .ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                "cannot find RabbitMQ: run tests/setup.sh, or set ROH_RABBITMQ to the folder \
                 that holds rabbitmq-server and rabbitmqctl",
            )
        })
}

fn configuration(ports: Ports, tls: Option<&Tls>) -> String {
    let mut text = format!(
        "listeners.tcp.local = 127.0.0.1:{}\n\
         # A test machine's disk may be nearly full.\n\
         disk_free_limit.absolute = 50MB\n",
        ports.amqp
    );
    if let Some(Tls { certificate, key }) = tls {
        text += &format!(
            "listeners.ssl.local = 127.0.0.1:{}\n\
             ssl_options.certfile = {}\n\
             ssl_options.keyfile = {}\n\
             ssl_options.verify = verify_none\n",
            ports.amqps,
            certificate.display(),
            key.display()
        );
    }
    text
}

/// Erlang's name service for this node alone, in the foreground: started by the node, it
/// would be a daemon that outlives it.
fn start_epmd(port: u16) -> io::Result<Option<Owned>> {
    let Some(epmd) = find_program("epmd") else { return Ok(None) };
    let mut command = bound_command(epmd);
    command.args(["-address", "127.0.0.1", "-port", &port.to_string()]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let epmd = Owned::spawn(&mut command)?;
    let address = (Ipv4Addr::LOCALHOST, port).into();
    poll(Duration::from_secs(10), || {
        TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
    });
    Ok(Some(epmd))
}

fn make_certificate(home: &Path) -> Option<Tls> {
    let openssl = find_program("openssl")?;
    let tls = Tls { certificate: home.join("certificate.pem"), key: home.join("key.pem") };
    let made = Command::new(openssl)
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        // rustls does not take a CA's own certificate for a server's.
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&tls.key)
        .arg("-out")
        .arg(&tls.certificate)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .ok()?;
    made.success().then_some(tls)
}
