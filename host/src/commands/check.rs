//! `roh check`: tells whether a node would work here, and what it would do.

use std::path::PathBuf;

use super::findings::{Findings, Severity};
use super::{CommandError, Exit, recipe, serve};
use crate::broker::client::{self, Finding, State};
use crate::config::Config;
use crate::management;
use crate::sandbox::image::Image;
use crate::telemetry::chain;

/// What to check.
#[derive(Debug)]
pub struct Options {
    /// The configuration's file.
    pub config: PathBuf,
}

/// Checks the configuration, this machine and the broker, and changes nothing.
///
/// # Errors
/// The configuration is wrong.
pub fn run(options: Options) -> Result<Exit, CommandError> {
    let config = Config::load(&options.config)?;
    let mut findings = Findings::default();
    for text in plan(&config) {
        findings.add(Severity::Ok, &text)?;
    }
    let runtime = super::runtime()?;
    let (severity, text) = runtime.block_on(sandbox(&config));
    findings.add(severity, &text)?;
    let (severity, text) = runtime.block_on(port(&config));
    findings.add(severity, &text)?;
    match runtime.block_on(client::check(&config)) {
        Ok(found) => {
            findings.add(Severity::Ok, "broker: connected")?;
            for Finding { what, state } in found {
                let severity = match state {
                    State::Differs(_) => Severity::Error,
                    _ => Severity::Ok,
                };
                findings.add(severity, &format!("{what} {state}"))?;
            }
        }
        Err(error) => findings.add(Severity::Error, &format!("broker: {error}"))?,
    }
    Ok(findings.exit())
}

/// Whether there is an image and room for its instances, or what it takes to make one.
async fn sandbox(config: &Config) -> (Severity, String) {
    let recipe = recipe::recipe();
    match Image::open(&recipe) {
        Ok(Some(image)) => {
            let path = image.path.display().to_string();
            match serve::executors(config, image).await {
                Ok(executors) => {
                    let walls = executors.walls().map(|walls| walls.to_string());
                    let walls = walls.unwrap_or_else(|| "none".to_owned());
                    (Severity::Ok, format!("image: {path}\nexecutors: {walls}"))
                }
                Err(error) => (Severity::Error, chain(&error)),
            }
        }
        Ok(None) => {
            let text = "image: not built yet; the first start takes half a minute more\n\
                        `roh image build` does it now";
            (Severity::Warning, text.to_owned())
        }
        Err(error) => (Severity::Error, format!("image: {}", chain(&error))),
    }
}

async fn port(config: &Config) -> (Severity, String) {
    let address = config.management.listen;
    match management::bind(address).await {
        Ok(_) => (Severity::Ok, format!("management: {address} is free")),
        Err(error) => {
            let text = format!("management: {}\nperhaps a node runs already", chain(&error));
            (Severity::Warning, text)
        }
    }
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
