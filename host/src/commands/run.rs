//! `roh run`: one task from a file, without a broker.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use roh_abi::Script;
use tokio_util::sync::CancellationToken;

use super::{CommandError, Exit, Format, print, recipe};
use crate::config::{Limits, host_name};
use crate::executor::{Executors, Plan};
use crate::grants::Grants;
use crate::outcome::{Outcome, Reply, Report};
use crate::sandbox::Job;
use crate::task::{TaskId, TenantName};

/// What to run, and how.
#[derive(Debug)]
pub struct Options {
    /// The script.
    pub file: PathBuf,
    /// The function to call.
    pub function: String,
    /// Positional arguments: a JSON array.
    pub args: String,
    /// Keyword arguments: a JSON object.
    pub kwargs: String,
    /// A result for people, or a whole reply.
    pub format: Format,
    /// What the task may use.
    pub limits: Limits,
}

/// Runs one task. Modules beside the script can be imported.
///
/// # Errors
/// The script can't be read, or there is no image.
pub fn run(options: Options) -> Result<Exit, CommandError> {
    let source = read_script(&options.file, options.limits.message)?;
    let image = recipe::image()?;
    let tenant = TenantName::new("default");
    let folder = match options.file.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let id = TaskId::generate();
    let grants = Grants::of_scripts(&tenant, &folder);
    let session = Arc::new(grants.session(&tenant, &id, 0, &options.limits));
    let file = options.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let job = Job {
        tenant,
        share: 1,
        id: id.as_str().to_owned(),
        attempt: 1,
        script: Script::Inline { file, source },
        image: None,
        function: options.function,
        args: options.args,
        kwargs: options.kwargs,
        limits: options.limits,
    };
    let runtime = super::runtime()?;
    let report = runtime.block_on(async {
        let executors = Executors::start(Plan::alone(image, 1, options.limits)).await?;
        let stop = CancellationToken::new();
        let stop_on_interrupt = stop.clone();
        // Ends with the runtime.
        tokio::spawn(async move {
            // Without a handler, Ctrl-C ends the process, which is as good.
            if tokio::signal::ctrl_c().await.is_ok() {
                stop_on_interrupt.cancel();
            }
        });
        Ok::<_, CommandError>(executors.run(job, session, stop).await)
    })?;
    match options.format {
        Format::Json => {
            print(&format!("{}\n", Reply::new(&id, &report, &host_name()).to_json()))?;
        }
        Format::Text => show(&report)?,
    }
    Ok(match report.outcome {
        Outcome::Succeeded(_) => Exit::Succeeded,
        _ => Exit::Unsuccessful,
    })
}

/// Reads a script of at most `limit` bytes.
pub(super) fn read_script(path: &Path, limit: u64) -> Result<String, CommandError> {
    let error = |why: String| CommandError::Script { path: path.to_owned(), why };
    let bytes = std::fs::read(path).map_err(|source| error(source.to_string()))?;
    if bytes.len() as u64 > limit {
        let limit = bytesize::ByteSize(limit).display().iec();
        return Err(error(format!("it has {} bytes, more than {limit}", bytes.len())));
    }
    String::from_utf8(bytes).map_err(|_| error("it is not UTF-8".into()))
}

/// What the task printed where it printed it, then its result or its error.
fn show(report: &Report) -> Result<(), CommandError> {
    let mut errors = report.stderr.clone();
    let mut output = report.stdout.clone();
    match &report.outcome {
        Outcome::Succeeded(value) => {
            output.push_str(value.get());
            output.push('\n');
        }
        outcome => {
            let error = outcome.error().expect("it did not succeed");
            match error.traceback.as_str() {
                "" => errors.push_str(&format!("{}: {}\n", outcome.status(), error.message)),
                traceback => errors.push_str(traceback),
            }
        }
    }
    // If nobody can read it, the exit code still tells.
    let _ = std::io::stderr().write_all(errors.as_bytes());
    print(&output)
}
