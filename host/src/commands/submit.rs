//! `roh submit`: publishes one task, and waits for its reply if told to.

use std::path::PathBuf;

use serde_json::value::RawValue;

use super::run::read_script;
use super::{CommandError, Exit, print};
use crate::broker::client::{self, Submission, Submitted, Wait};
use crate::config::Config;
use crate::outcome::Status;
use crate::task::TaskId;

/// What to publish, and where.
#[derive(Debug)]
pub struct Options {
    /// The configuration's file.
    pub config: PathBuf,
    /// What to call.
    pub code: Code,
    /// Positional arguments: a JSON array.
    pub args: String,
    /// Keyword arguments: a JSON object.
    pub kwargs: String,
    /// Whether to wait for the reply.
    pub wait: Wait,
}

/// What a submitted task calls.
#[derive(Debug, PartialEq, Eq)]
pub enum Code {
    /// `module.function` in the tenant's scripts.
    Task(String),
    /// A function of a script that goes with the message.
    Script {
        /// The script.
        file: PathBuf,
        /// The function.
        function: String,
    },
}

/// Publishes a task to the first source. Prints its id, or its reply.
///
/// # Errors
/// The configuration is wrong, or the broker is out of reach.
pub fn run(options: Options) -> Result<Exit, CommandError> {
    let config = Config::load(&options.config)?;
    let source = config.sources.first().expect("a configuration has one at least");
    let limits = config.tenants.get(&source.tenant).map(|tenant| tenant.limits).unwrap_or_default();
    let id = TaskId::generate();
    let submission =
        Submission { id: id.clone(), body: body(&options, limits.message)?, wait: options.wait };
    // Ctrl-C ends the process, and with it the connection and the queue for the reply.
    let submitted =
        super::runtime()?.block_on(client::submit(&config.broker.url, source, &submission))?;
    match submitted {
        Submitted::Queued | Submitted::NoReply => {
            print(&format!("{id}\n"))?;
            Ok(Exit::Succeeded)
        }
        Submitted::Replied(reply) => {
            let reply = String::from_utf8_lossy(&reply);
            print(&format!("{reply}\n"))?;
            Ok(if succeeded(&reply) { Exit::Succeeded } else { Exit::Unsuccessful })
        }
    }
}

/// A task message as the contract has it.
#[derive(serde::Serialize)]
struct Message<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    script: Option<String>,
    task: &'a str,
    args: &'a RawValue,
    kwargs: &'a RawValue,
}

fn body(options: &Options, limit: u64) -> Result<String, CommandError> {
    let raw = |json: &str| {
        RawValue::from_string(json.to_owned()).expect("the command line takes only JSON")
    };
    let (script, task) = match &options.code {
        Code::Task(task) => (None, task),
        Code::Script { file, function } => (Some(read_script(file, limit)?), function),
    };
    let (args, kwargs) = (raw(&options.args), raw(&options.kwargs));
    let message = Message { script, task, args: &args, kwargs: &kwargs };
    Ok(serde_json::to_string(&message).expect("strings and valid JSON"))
}

fn succeeded(reply: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Reply<'a> {
        status: &'a str,
    }
    serde_json::from_str::<Reply>(reply)
        .is_ok_and(|reply| reply.status == Status::Succeeded.as_str())
}
