//! What the manager tells of its tasks to whoever asks. It decides nothing; the
//! wire's spelling is management's.

use std::sync::Arc;
use std::time::Instant;

use crate::outcome::{Status, Usage};
use crate::task::{TaskId, TenantName};

/// What a node runs and what waits there, each in order of arrival.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Tasks that have an instance.
    pub running: Vec<TaskView>,
    /// Tasks that wait for one.
    pub waiting: Vec<TaskView>,
}

/// One task, as it was when somebody asked.
#[derive(Debug, Clone)]
pub struct TaskView {
    /// The task's id.
    pub id: TaskId,
    /// What it calls; `None` if its message was not understood.
    pub task: Option<String>,
    /// Whose task it is.
    pub tenant: TenantName,
    /// The queue that it came from.
    pub queue: Arc<str>,
    /// Which attempt it is, from 1.
    pub attempt: u32,
    /// How far it has come.
    pub state: TaskState,
    /// When it was delivered.
    pub received: Instant,
    /// When its instance was started, if it was.
    pub started: Option<Instant>,
    /// How it ended, if it has.
    pub ending: Option<Ending>,
}

/// How far a task has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskState {
    /// It waits for an instance.
    Waiting,
    /// It has one.
    Running,
    /// It ended; its reply or its settlement is on its way.
    Settling,
    /// It ended and nothing is left to do.
    Ended,
}

impl TaskState {
    /// As lists show it.
    pub fn as_str(self) -> &'static str {
        match self {
            TaskState::Waiting => "waiting",
            TaskState::Running => "running",
            TaskState::Settling => "settling",
            TaskState::Ended => "ended",
        }
    }
}

/// How a task ended.
#[derive(Debug, Clone)]
pub struct Ending {
    /// The outcome's name.
    pub status: Status,
    /// Why, shortened; `None` if it succeeded.
    pub reason: Option<String>,
    /// What it used.
    pub usage: Usage,
    /// When.
    pub at: Instant,
}
