//! Jobs for executors and sandboxes that are used without a broker.

use roh::config::Limits;
use roh::sandbox::Job;
use roh::task::TenantName;
use roh_abi::{Load, Script, TaskInfo};

/// A call of `main` in `source`, with `args` as JSON.
pub fn job(source: &str, args: &str, limits: Limits) -> Job {
    let wall_ms = u64::try_from(limits.wall.as_millis()).expect("a limit below an age");
    Job {
        tenant: TenantName::new("default"),
        share: 1,
        load: Load {
            task: TaskInfo { id: "t".into(), attempt: 1, tenant: "default".into(), wall_ms },
            script: Script::Inline { file: "script.py".into(), source: source.into() },
        },
        function: "main".into(),
        args: args.into(),
        kwargs: "{}".into(),
        limits,
    }
}
