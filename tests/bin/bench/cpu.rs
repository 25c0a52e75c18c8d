//! Python that computes: the same programs in an executor and in CPython's own process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use roh::config::Limits;
use roh::executor::{Executors, Plan};
use roh::outcome::Outcome;
use roh::sandbox::{Job, NoCalls};
use roh_tests::daemon::{image, roh};
use roh_tests::jobs::job;
use roh_tests::process::workspace;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::Any;
use crate::baseline::Baseline;
use crate::measures::median;

/// Added to each program: times `main` from within, in milliseconds.
const TIMED: &str = "

def timed():
    import time
    began = time.perf_counter()
    value = main()
    return [(time.perf_counter() - began) * 1e3, value]
";

/// Has CPython do what ROH does with a script and a function.
const RUNNER: &str = "import json, sys; script = {}; exec(sys.argv[1], script); \
                      print(json.dumps(script['timed']()))";

/// A program, and the milliseconds of its runs.
struct Program {
    path: PathBuf,
    roh: Vec<f64>,
    cpython: Vec<f64>,
}

/// Runs all of `tests/bench/programs` in turns; prints the medians and their ratios.
pub(crate) async fn measure(
    python: &Path,
    rounds: usize,
    recorded: Option<&Baseline>,
) -> Any<Value> {
    let mut paths: Vec<PathBuf> = fs::read_dir(workspace().join("tests/bench/programs"))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "py"))
        .collect();
    paths.sort();
    let program = |path| Program { path, roh: Vec::new(), cpython: Vec::new() };
    let mut programs: Vec<Program> = paths.into_iter().map(program).collect();
    let minute = Duration::from_secs(60);
    let limits = Limits { cpu: minute, wall: minute, ..Limits::default() };
    let plan = Plan { program: roh(), ..Plan::alone(image(), 1, limits) };
    let executors = Executors::start(plan).await?;
    for round in 1..=rounds {
        eprintln!("bench: python that computes: round {round} of {rounds}");
        for Program { path, roh, cpython } in &mut programs {
            let text = fs::read_to_string(&*path)? + TIMED;
            let (took, expected) = in_cpython(python, &text)
                .map_err(|error| format!("{} in CPython: {error}", path.display()))?;
            cpython.push(took);
            let job = Job { function: "timed".into(), ..job(&text, "[]", limits) };
            let report = executors.run(job, Arc::new(NoCalls), CancellationToken::new()).await;
            let Outcome::Succeeded(value) = &report.outcome else {
                return Err(format!("{}: {:?}", path.display(), report.outcome).into());
            };
            let (took, value): (f64, Value) = serde_json::from_str(value.get())?;
            if value != expected {
                return Err(format!("{}: {value}, and not {expected}", path.display()).into());
            }
            roh.push(took);
        }
    }
    Ok(show(&programs, recorded))
}

fn show(programs: &[Program], recorded: Option<&Baseline>) -> Value {
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    table.set_header(["python that computes", "", "roh", "cpython", "roh / cpython", "/ recorded"]);
    let (mut rows, mut logarithms) = (serde_json::Map::new(), 0.0);
    for Program { path, roh, cpython } in programs {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let (ours, theirs) = (median(roh), median(cpython));
        let ratio = ours / theirs;
        logarithms += ratio.ln();
        let worse = recorded.and_then(|recorded| recorded.program(&name, ratio));
        table.add_row([
            (*name).to_owned(),
            "ms".into(),
            format!("{ours:.1}"),
            format!("{theirs:.1}"),
            format!("{ratio:.2}"),
            worse.map(|worse| format!("{worse:.2}")).unwrap_or_default(),
        ]);
        let of = |median, rounds| json!({"median": median, "rounds": rounds});
        let row = json!({
            "unit": "ms", "roh": of(ours, roh), "cpython": of(theirs, cpython), "ratio": ratio,
        });
        rows.insert(name.into_owned(), row);
    }
    let mean = (logarithms / programs.len() as f64).exp();
    table.add_row(["geometric mean", "", "", "", &format!("{mean:.2}")]);
    println!("\n{table}");
    json!({"programs": rows, "geometric_mean": mean})
}

fn in_cpython(python: &Path, text: &str) -> Any<(f64, Value)> {
    let ran = Command::new(python)
        .args(["-I", "-c", RUNNER, text])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    if !ran.status.success() {
        return Err(ran.status.to_string().into());
    }
    Ok(serde_json::from_slice(&ran.stdout)?)
}
