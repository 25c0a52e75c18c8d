//! What was measured before, perhaps on another machine, and how what is measured now compares with
//! it: 2 is twice as bad.

use std::fs;

use roh_tests::process::workspace;
use serde_json::Value;

use crate::measures::RATE;
use crate::stage::Who;
use crate::{ALONE, Any, RECORD};

/// What was recorded.
pub(crate) struct Baseline(Value);

impl Baseline {
    /// What `docs` has, if that was measured beside the same Python.
    pub(crate) fn read(python: &str) -> Any<Option<Baseline>> {
        let path = workspace().join("docs").join(RECORD);
        let Ok(text) = fs::read_to_string(path) else { return Ok(None) };
        let json: Value = serde_json::from_str(&text)?;
        Ok((json["python"] == python).then_some(Baseline(json)))
    }

    /// A row of ROH's, where a Python process took `calibration` microseconds in the same run.
    pub(crate) fn row(
        &self,
        (name, unit): (&str, &str),
        now: f64,
        calibration: f64,
    ) -> Option<f64> {
        let then = self.0["results"][name][Who::Roh.name()]["median"].as_f64()?;
        Some(match unit {
            RATE => then / now / self.slower(calibration)?,
            "µs" | "ms" => now / then / self.slower(calibration)?,
            _ => now / then,
        })
    }

    /// A point of a curve, in microseconds.
    pub(crate) fn point(&self, name: &str, at: usize, now: f64, calibration: f64) -> Option<f64> {
        let points = self.0["as_work_grows"][name]["points"].as_array()?;
        let then = points.iter().find(|point| point["at"] == at)?["median"].as_f64()?;
        Some(now / then / self.slower(calibration)?)
    }

    /// What a program takes in ROH of what it takes in CPython.
    pub(crate) fn program(&self, name: &str, now: f64) -> Option<f64> {
        let then = self.0["python_that_computes"]["programs"][name]["ratio"].as_f64()?;
        Some(now / then)
    }

    /// How much slower this machine is than the one that was measured on, or how much busier.
    fn slower(&self, calibration: f64) -> Option<f64> {
        let then = self.0["results"][ALONE.0][Who::Python.name()]["median"].as_f64()?;
        Some(calibration / then)
    }
}
