//! Decides what runs and what becomes of each delivery (`state`, pure), and has it
//! done (`actor`). It names neither the broker nor the sandbox: they are a
//! [`Settler`] and a [`Runner`].

mod actor;
pub mod settlement;
pub mod state;
mod usage;
pub mod view;

pub use actor::{Gone, Manager, ManagerHandle, Runner, Settler};
pub use usage::{TenantTotals, Totals};
