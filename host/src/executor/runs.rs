//! The runs of one executor by their numbers, as each of the two ends keeps them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::wire::RunId;

/// What is kept of each run that is not over.
pub(super) struct Runs<R>(Mutex<HashMap<RunId, R>>);

impl<R> Runs<R> {
    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<RunId, R>> {
        // Nothing panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// Derived, it would ask for `R: Default`.
impl<R> Default for Runs<R> {
    fn default() -> Runs<R> {
        Runs(Mutex::default())
    }
}
