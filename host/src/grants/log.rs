//! Lines that scripts write to the node's log: few, short, and without secrets.

use std::time::Duration;

use tokio::time::Instant;
use tracing::Level;

use super::secrets::Secrets;
use crate::task::{TaskId, TenantName};

/// Longest message, in bytes.
const MAX_MESSAGE_BYTES: usize = 8 << 10;
/// Longest name of a logger, in bytes.
const MAX_LOGGER_BYTES: usize = 200;
const SECOND: Duration = Duration::from_secs(1);

/// The lines of one task. Says at its end how many were left out.
pub(super) struct Lines {
    task: TaskId,
    tenant: TenantName,
    per_second: u32,
    second: Instant,
    in_second: u32,
    left_out: u64,
}

impl Lines {
    pub(super) fn new(task: TaskId, tenant: TenantName, per_second: u32) -> Lines {
        Lines { task, tenant, per_second, second: Instant::now(), in_second: 0, left_out: 0 }
    }

    /// Logs a line, unless there were too many of late.
    pub(super) fn write(&mut self, level: u8, logger: &str, message: &str, secrets: &Secrets) {
        if self.is_too_many() {
            self.left_out += 1;
            return;
        }
        let (logger, message) = (secrets.redact(logger), secrets.redact(message));
        let (logger, text) = (cut(&logger, MAX_LOGGER_BYTES), cut(&message, MAX_MESSAGE_BYTES));
        // Formatters escape what is in a field: only their own message they take as it is.
        macro_rules! log {
            ($level:ident) => {
                tracing::event!(
                    target: "roh::script",
                    Level::$level,
                    task = ?self.task,
                    tenant = self.tenant.as_str(),
                    logger,
                    text,
                    "script logged"
                )
            };
        }
        match level {
            40.. => log!(ERROR),
            30.. => log!(WARN),
            20.. => log!(INFO),
            _ => log!(DEBUG),
        }
    }

    fn is_too_many(&mut self) -> bool {
        if self.second.elapsed() >= SECOND {
            (self.second, self.in_second) = (Instant::now(), 0);
        }
        self.in_second += 1;
        self.in_second > self.per_second
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if self.left_out > 0 {
            let (task, tenant, lines) = (&self.task, self.tenant.as_str(), self.left_out);
            tracing::warn!(target: "roh::script", ?task, tenant, lines, "script logged too much");
        }
    }
}

fn cut(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("not poisoned").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is logged meanwhile, a line for each event.
    fn logged(write: impl FnOnce(&mut Lines, &Secrets)) -> Vec<String> {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::DEBUG)
            .with_ansi(false)
            .without_time()
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let task = TaskId::parse("id").expect("short");
            let mut lines = Lines::new(task, TenantName::new("acme"), 3);
            let secret = crate::config::Secret::new("hunter2");
            write(&mut lines, &Secrets::new(&[("A".to_owned(), secret)].into()));
        });
        let bytes = written.0.lock().expect("not poisoned").clone();
        String::from_utf8(bytes).expect("text").lines().map(str::to_owned).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_has_its_level_and_the_tasks_fields() {
        let lines = logged(|lines, secrets| lines.write(30, "a.b", "it is hunter2", secrets));
        let expected = " WARN roh::script: script logged task=\"id\" tenant=\"acme\" \
                        logger=\"a.b\" text=\"it is [secret A]\"";
        assert_eq!(lines, [expected]);
        for (level, name) in [(0, "DEBUG"), (10, "DEBUG"), (20, " INFO"), (255, "ERROR")] {
            let lines = logged(|lines, secrets| lines.write(level, "", "", secrets));
            assert!(lines[0].starts_with(name), "{lines:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_is_one_line_and_not_long() {
        let lines = logged(|lines, secrets| {
            lines.write(20, "x\ny", "a\nINFO roh: forged\r\x1b[31m\u{2028}", secrets);
            lines.write(20, "", &"ü".repeat(MAX_MESSAGE_BYTES), secrets);
        });
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(!lines[0].contains(['\x1b', '\r', '\u{2028}']), "{lines:?}");
        assert!(lines[1].len() < MAX_MESSAGE_BYTES + 200);
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_lines_are_counted_and_that_is_said_once() {
        let written = Written::default();
        let secrets = Secrets::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        let task = TaskId::parse("id").expect("short");
        let mut lines = Lines::new(task, TenantName::new("acme"), 3);
        for _ in 0..10 {
            lines.write(20, "", "x", &secrets);
        }
        tokio::time::advance(SECOND).await;
        lines.write(20, "", "x", &secrets);
        drop(lines);
        let bytes = written.0.lock().expect("not poisoned").clone();
        let text = String::from_utf8(bytes).expect("text");
        assert_eq!(text.matches("script logged").count(), 3 + 1 + 1);
        assert!(text.contains("lines"), "{text}");
    }
}
