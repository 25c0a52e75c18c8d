//! Python that computes: the same programs in an executor and in CPython's own process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use roh::config::Limits;
use roh::executor::{Executors, Plan};
use roh::outcome::Outcome;
use roh::sandbox::image::{Image, Recipe};
use roh::sandbox::{Job, NoCalls};
use roh_tests::daemon::{guest, image, roh};
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
    /// In an interpreter of a plain build, if there is one.
    plain: Vec<f64>,
    cpython: Vec<f64>,
}

/// Runs all of `tests/bench/programs` in turns, in a `plain` build of the interpreter as well if there
/// is one; prints the medians and their ratios.
pub(crate) async fn measure(
    python: &Path,
    plain: Option<Image>,
    rounds: usize,
    recorded: Option<&Baseline>,
) -> Any<Value> {
    let mut paths: Vec<PathBuf> = fs::read_dir(workspace().join("tests/bench/programs"))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "py"))
        .collect();
    paths.sort();
    let program = |path| Program { path, roh: Vec::new(), plain: Vec::new(), cpython: Vec::new() };
    let mut programs: Vec<Program> = paths.into_iter().map(program).collect();
    let ours = executors(image()).await?;
    let plain = match plain {
        Some(image) => Some(executors(image).await?),
        None => None,
    };
    for round in 1..=rounds {
        eprintln!("bench: python that computes: round {round} of {rounds}");
        for Program { path, roh, plain: by_plain, cpython } in &mut programs {
            let text = fs::read_to_string(&*path)? + TIMED;
            let (took, expected) = in_cpython(python, &text)
                .map_err(|error| format!("{} in CPython: {error}", path.display()))?;
            cpython.push(took);
            let contestants = [(Some(&ours), roh), (plain.as_ref(), by_plain)];
            for (executors, times) in contestants {
                let Some(executors) = executors else { continue };
                let (took, value) = in_executor(executors, &text)
                    .await
                    .map_err(|error| format!("{}: {error}", path.display()))?;
                if value != expected {
                    let differs = format!("{}: {value}, and not {expected}", path.display());
                    return Err(differs.into());
                }
                times.push(took);
            }
        }
    }
    Ok(show(&programs, recorded))
}

/// The image of the interpreter that `guest/build-guest.sh --plain` built, if it did. It blocks.
pub(crate) fn plain() -> Any<Option<Image>> {
    let guest = guest().with_file_name("roh_guest_plain.wasm");
    if !guest.exists() {
        return Ok(None);
    }
    // The cache that a node has is for its own.
    let cache = guest.with_file_name("guest-plain-images");
    Ok(Some(Image::open_or_build(&Recipe { guest, cache }, &|_| {})?))
}

/// With time enough for any of the programs.
fn limits() -> Limits {
    let minute = Duration::from_secs(60);
    Limits { cpu: minute, wall: minute, ..Limits::default() }
}

async fn executors(image: Image) -> Any<Executors> {
    let plan = Plan { program: roh(), ..Plan::alone(image, 1, limits()) };
    Ok(Executors::start(plan).await?)
}

async fn in_executor(executors: &Executors, text: &str) -> Any<(f64, Value)> {
    let job = Job { function: "timed".into(), ..job(text, "[]", limits()) };
    let report = executors.run(job, Arc::new(NoCalls), CancellationToken::new()).await;
    match report.outcome {
        Outcome::Succeeded(value) => Ok(serde_json::from_str(value.get())?),
        outcome => Err(format!("{outcome:?}").into()),
    }
}

fn show(programs: &[Program], recorded: Option<&Baseline>) -> Value {
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    table.set_header([
        "python that computes",
        "",
        "roh",
        "cpython",
        "roh / cpython",
        "/ recorded",
        "plain build",
        "plain / roh",
    ]);
    let mut rows = serde_json::Map::new();
    let (mut slower, mut faster) = (Vec::new(), Vec::new());
    for Program { path, roh, plain, cpython } in programs {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let (ours, theirs) = (median(roh), median(cpython));
        let ratio = ours / theirs;
        slower.push(ratio);
        let worse = recorded.and_then(|recorded| recorded.program(&name, ratio));
        let of = |median, rounds| json!({"median": median, "rounds": rounds});
        let mut row = json!({
            "unit": "ms", "roh": of(ours, roh), "cpython": of(theirs, cpython), "ratio": ratio,
        });
        let mut cells = vec![
            (*name).to_owned(),
            "ms".into(),
            format!("{ours:.1}"),
            format!("{theirs:.1}"),
            format!("{ratio:.2}"),
            worse.map(|worse| format!("{worse:.2}")).unwrap_or_default(),
        ];
        if !plain.is_empty() {
            let of_plain = median(plain);
            faster.push(of_plain / ours);
            cells.extend([format!("{of_plain:.1}"), format!("{:.2}", of_plain / ours)]);
            row["plain"] = of(of_plain, plain);
        }
        table.add_row(cells);
        rows.insert(name.into_owned(), row);
    }
    let slower = geometric_mean(&slower);
    let mut cells = vec!["geometric mean".to_owned(), String::new(), String::new(), String::new()];
    cells.push(format!("{slower:.2}"));
    let mut json = json!({"programs": rows, "geometric_mean": slower});
    if !faster.is_empty() {
        let faster = geometric_mean(&faster);
        cells.extend([String::new(), String::new(), format!("{faster:.2}")]);
        json["faster_than_plain"] = faster.into();
    }
    table.add_row(cells);
    println!("\n{table}");
    json
}

fn geometric_mean(values: &[f64]) -> f64 {
    (values.iter().map(|value| value.ln()).sum::<f64>() / values.len() as f64).exp()
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
