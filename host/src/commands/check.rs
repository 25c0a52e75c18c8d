//! `roh check`: tells whether a node would work here, and what it would do.

use std::path::PathBuf;

use super::findings::{Findings, Severity};
use super::{CommandError, Exit, recipe, serve};
use crate::broker::client::{self, Finding, State};
use crate::config::{Config, Wall};
use crate::executor::lockdown::Walls;
use crate::executor::{self, Executors};
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
    for (severity, text) in runtime.block_on(sandbox(&config)) {
        findings.add(severity, &text)?;
    }
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

/// Whether there is an image and room for its instances, and which walls stand around them;
/// or what it takes to make one.
async fn sandbox(config: &Config) -> Vec<(Severity, String)> {
    let recipe = recipe::recipe();
    // It starts with any walls, or nothing could be said of the others.
    let mut config = config.clone();
    let required = std::mem::take(&mut config.sandbox.require);
    match Image::open(&recipe) {
        Ok(Some(image)) => {
            let mut found = vec![(Severity::Ok, format!("image: {}", image.path.display()))];
            match serve::executors(&config, image).await {
                Ok(executors) => match executors.walls() {
                    Some(walls) => {
                        found.push((Severity::Ok, how_many(&executors)));
                        found.extend(around(&walls, &required));
                    }
                    None => found.push((Severity::Error, "executors: all have died".into())),
                },
                Err(error) => found.push((Severity::Error, chain(&error))),
            }
            found
        }
        Ok(None) => {
            let text = "image: not built yet; the first start takes half a minute more\n\
                        `roh image build` does it now; then this tells of the executors' walls";
            vec![(Severity::Warning, text.to_owned())]
        }
        Err(error) => vec![(Severity::Error, format!("image: {}", chain(&error)))],
    }
}

/// How many executors there are, and what the system has to do with it.
fn how_many(executors: &Executors) -> String {
    let (alive, most) = (executors.alive(), executor::most_instances());
    format!("executors: {alive}, as one can hold {most} instances here (by vm.max_map_count)")
}

/// Which walls stand around executors, and what would help those that don't.
fn around(walls: &Walls, required: &[Wall]) -> Vec<(Severity, String)> {
    let standing: Vec<_> = walls.standing().map(Wall::name).collect();
    let mut found = Vec::new();
    if !standing.is_empty() {
        found.push((Severity::Ok, format!("executors: behind {}", standing.join(", "))));
    }
    for (wall, why) in walls.missing() {
        let (severity, need) = match required.contains(&wall) {
            true => (Severity::Error, ", which [sandbox] requires"),
            false => (Severity::Warning, ""),
        };
        let text = format!("executors: without {wall}{need}: {why}\n{}", advice(wall));
        found.push((severity, text));
    }
    found
}

/// What to do about a wall that does not stand.
fn advice(wall: Wall) -> &'static str {
    match wall {
        Wall::Seccomp => {
            "take a kernel with CONFIG_SECCOMP_FILTER; in a unit or a container, allow the \
             system call seccomp"
        }
        Wall::Landlock => {
            "take Linux 5.13 or later with CONFIG_SECURITY_LANDLOCK, and landlock in its list \
             lsm=; in a unit or a container, allow the landlock_ system calls"
        }
        Wall::Namespaces => {
            "allow user namespaces: sysctl user.max_user_namespaces, on Ubuntu \
             kernel.apparmor_restrict_unprivileged_userns=0;\n\
             in a unit or a container, allow unshare, mount, umount2 and pivot_root, and in a \
             unit leave RestrictNamespaces= out"
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::lockdown::Applied;

    #[test]
    fn each_missing_wall_is_a_finding_with_advice() {
        let all = Walls { seccomp: Applied::Yes, landlock: Applied::Yes, namespaces: Applied::Yes };
        let ok = |text: &str| (Severity::Ok, text.to_owned());
        assert_eq!(
            around(&all, &Wall::ALL),
            [ok("executors: behind seccomp, landlock, namespaces")]
        );
        let none = || Applied::No("for lack of it".into());
        let found = around(&Walls { landlock: none(), ..all }, &[Wall::Seccomp]);
        let [standing, (severity, text)] = &found[..] else { panic!("{found:?}") };
        assert_eq!(*standing, ok("executors: behind seccomp, namespaces"));
        assert_eq!(*severity, Severity::Warning);
        let (first, advice) = text.split_once('\n').expect("two lines");
        assert_eq!(first, "executors: without landlock: for lack of it");
        assert!(advice.contains("Linux 5.13"), "{advice}");
        let no_walls = Walls { seccomp: none(), landlock: none(), namespaces: none() };
        let found = around(&no_walls, &[Wall::Landlock]);
        let severities: Vec<_> = found.iter().map(|(severity, _)| *severity).collect();
        assert_eq!(severities, [Severity::Warning, Severity::Error, Severity::Warning]);
        assert!(found[1].1.contains("without landlock, which [sandbox] requires"), "{found:?}");
    }
}
