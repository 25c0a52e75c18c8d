//! `roh check`: tells whether a node would work here, and what it would do.

use std::path::PathBuf;

use super::findings::{Findings, Severity};
use super::{CommandError, Exit};
use crate::config::Config;

/// What to check.
#[derive(Debug)]
pub struct Options {
    /// The configuration's file.
    pub config: PathBuf,
}

/// Checks the configuration, and what it asks for.
///
/// # Errors
/// The configuration is wrong.
pub fn run(options: Options) -> Result<Exit, CommandError> {
    let config = Config::load(&options.config)?;
    let mut findings = Findings::default();
    for text in plan(&config) {
        findings.add(Severity::Ok, &text)?;
    }
    Err(CommandError::NotBuilt("check"))
}

/// What a node would do, a line for each thing.
fn plan(config: &Config) -> Vec<String> {
    let manager = &config.manager;
    let mut lines = vec![format!(
        "node {}: runs {} tasks at once, and lets {} wait",
        config.node, manager.watermark, manager.waiting_limit
    )];
    for source in &config.sources {
        lines.push(format!(
            "source: exchange {:?}, queue {:?}, for tenant {:?}",
            source.exchange,
            source.queue,
            source.tenant.as_str()
        ));
    }
    for (name, tenant) in &config.tenants {
        let scripts = match &tenant.scripts {
            Some(folder) => format!("scripts in {}", folder.display()),
            None => "inline scripts only".into(),
        };
        lines.push(format!("tenant {:?}: share {}, {scripts}", name.as_str(), tenant.share));
    }
    let token = if config.management.token.is_some() { "with" } else { "without" };
    lines.push(format!("management: listens on {}, {token} a token", config.management.listen));
    lines
}
