//! Lets `tests/fuzz` reach what is private here. In no other build.

use tokio::io::AsyncWriteExt;

use super::*;
use crate::executor::lockdown::Applied;
use crate::executor::wire::Ended;

/// What became of the runs of an executor that talked.
pub struct Heard {
    /// Of each run, in order: what it reported, if it did.
    pub reports: Vec<Option<Report>>,
    /// Why it was not listened to any longer, unless it hung up.
    pub broken: Option<String>,
}

/// Hears what an executor says that was handed these jobs, piece by piece. It says what it
/// likes; a `patient` one waits for the answer to each piece that is a call.
pub async fn hear(
    said: &[Vec<u8>],
    patient: bool,
    jobs: &[Job],
    calls: Arc<dyn Calls>,
) -> std::io::Result<Heard> {
    let walls = Walls { seccomp: Applied::Yes, landlock: Applied::Yes, namespaces: Applied::Yes };
    let (ours, theirs) = UnixStream::pair()?;
    let (to, rest) = outlet(&ours, wire::unwritten(jobs.len() as u32))?;
    let from = (Frames::default(), inlet(ours)?);
    let process = Process::new(0, walls, jobs.len() as u32, to);
    let run = |job: &Job| process.run(Box::new(job.clone()), calls.clone()).ok();
    let mut running: Vec<_> = jobs.iter().filter_map(run).collect();
    let limits: Vec<_> = jobs.iter().map(|job| job.limits).collect();
    theirs.set_nonblocking(true)?;
    let (mut told, mut says) = tokio::net::UnixStream::from_std(theirs)?.into_split();
    let executor = async {
        let mut frames = Frames::default();
        let mut told =
            async || frames.receive::<ToExecutor>(&mut told, u64::MAX).await.ok().flatten();
        for piece in said {
            // The daemon may have hung up.
            let _ = says.write_all(piece).await;
            let message = piece.get(4..).map(postcard::from_bytes::<FromExecutor>);
            let mut waits = patient && matches!(message, Some(Ok(FromExecutor::Call(..))));
            while waits {
                waits = !matches!(told().await, None | Some(ToExecutor::Answer(..)));
            }
        }
        let _ = says.shutdown().await;
        while told().await.is_some() {}
    };
    let broken = tokio::select! {
        heard = listen(from, &process, wire::longest_message(&limits)) => match heard {
            Err(ReadError::Breach(breach)) => Some(breach.to_string()),
            Err(ReadError::Io(_)) | Ok(()) => None,
        },
        () = executor => None,
        _ = rest.write() => None,
        () = process.kill.cancelled() => process.fault.get().map(|&fault| fault.to_owned()),
    };
    drop(Watched(process.clone()));
    let mut reports = Vec::new();
    for running in &mut running {
        reports.push(running.ended().await.ok());
    }
    Ok(Heard { reports, broken })
}

/// What an honest executor sends at the end of its first run.
pub fn say(report: Report) -> Vec<u8> {
    wire::frame(&FromExecutor::Ended(RunId(0), Box::new(Ended::new(report))))
}
