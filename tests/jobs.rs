//! Jobs for executors and sandboxes that are used without a broker.

use roh::config::Limits;
use roh::sandbox::{Job, task_info};
use roh::task::{TaskId, TenantName};
use roh_abi::{Load, Script};

/// A call of `main` in `source`, with `args` as JSON.
pub fn job(source: &str, args: &str, limits: Limits) -> Job {
    let tenant = TenantName::new("default");
    let id = TaskId::parse("t").expect("short");
    Job {
        tenant: tenant.clone(),
        share: 1,
        load: Load {
            task: task_info(&id, 1, &tenant, &limits),
            script: Script::Inline { file: "script.py".into(), source: source.into() },
        },
        function: "main".into(),
        args: args.into(),
        kwargs: "{}".into(),
        limits,
    }
}
