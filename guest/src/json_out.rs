//! Writes a Python value as JSON by walking the objects themselves.
//!
//! Nothing of the script's runs meanwhile: no overridden `__iter__` or `__str__`,
//! no `json` module that it may have patched.

use std::fmt::Write as _;

use rustpython_vm::builtins::{PyBaseExceptionRef, PyDict, PyFloat, PyInt, PyList, PyStr, PyTuple};
use rustpython_vm::literal::float;
use rustpython_vm::{AsObject, PyObject, VirtualMachine};

/// As deep as arguments may be, and more than most readers of JSON take.
const DEEPEST: usize = 500;
/// Of a key, in an error message, in bytes.
const LONGEST_KEY: usize = 60;

/// Why a value has no JSON, as Python would raise it.
pub(crate) struct Refusal {
    pub(crate) kind: &'static str,
    pub(crate) message: String,
}

impl Refusal {
    /// As the exception that it is.
    pub(crate) fn raised(self, vm: &VirtualMachine) -> PyBaseExceptionRef {
        match self.kind {
            "TypeError" => vm.new_type_error(self.message),
            "RecursionError" => vm.new_recursion_error(self.message),
            _ => vm.new_value_error(self.message),
        }
    }
}

/// Writes `value`, which messages call `name`, as JSON of at most `limit` bytes.
pub(crate) fn write(
    value: &PyObject,
    name: &str,
    limit: usize,
    vm: &VirtualMachine,
) -> Result<String, Refusal> {
    let mut writer = Writer { vm, name, limit, json: String::new() };
    writer.value(value, None)?;
    Ok(writer.json)
}

struct Writer<'a> {
    vm: &'a VirtualMachine,
    name: &'a str,
    limit: usize,
    json: String,
}

/// Where in the whole a value is: its container, and its place in there.
struct Place<'a> {
    container: &'a PyObject,
    step: Step<'a>,
    parent: Option<&'a Place<'a>>,
    depth: usize,
}

enum Step<'a> {
    Index(usize),
    Key(&'a PyObject),
}

impl Writer<'_> {
    fn value(&mut self, value: &PyObject, place: Option<&Place<'_>>) -> Result<(), Refusal> {
        if self.vm.is_none(value) {
            self.push("null")
        } else if let Some(int) = value.downcast_ref::<PyInt>() {
            self.int(int)
        } else if let Some(float) = value.downcast_ref::<PyFloat>() {
            self.float(float.to_f64(), place)
        } else if let Some(string) = value.downcast_ref::<PyStr>() {
            match string.to_str() {
                Some(text) => self.string(text),
                None => Err(self.value_error(place, "holds a lone surrogate, which is not JSON")),
            }
        } else if let Some(list) = value.downcast_ref::<PyList>() {
            // Held for the walk: no Python runs that could want to change it.
            let items = list.borrow_vec();
            self.array(value, &items, place)
        } else if let Some(tuple) = value.downcast_ref::<PyTuple>() {
            self.array(value, tuple.as_slice(), place)
        } else if let Some(dict) = value.downcast_ref::<PyDict>() {
            self.object(value, dict, place)
        } else {
            let kind = with_article(&value.class().name());
            Err(Refusal {
                kind: "TypeError",
                message: format!("{} is {kind}, which is not JSON", self.path(place)),
            })
        }
    }

    fn array(
        &mut self,
        list: &PyObject,
        items: &[rustpython_vm::PyObjectRef],
        place: Option<&Place<'_>>,
    ) -> Result<(), Refusal> {
        let depth = self.enter(list, place)?;
        self.push("[")?;
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.push(",")?;
            }
            let here = Place { container: list, step: Step::Index(index), parent: place, depth };
            self.value(item, Some(&here))?;
        }
        self.push("]")
    }

    fn object(
        &mut self,
        object: &PyObject,
        dict: &rustpython_vm::Py<PyDict>,
        place: Option<&Place<'_>>,
    ) -> Result<(), Refusal> {
        let depth = self.enter(object, place)?;
        self.push("{")?;
        for (index, (key, value)) in dict.into_iter().enumerate() {
            if index > 0 {
                self.push(",")?;
            }
            self.key(&key, place)?;
            self.push(":")?;
            let here = Place { container: object, step: Step::Key(&key), parent: place, depth };
            self.value(&value, Some(&here))?;
        }
        self.push("}")
    }

    /// A key, of the types that Python's `json` takes for one.
    fn key(&mut self, key: &PyObject, place: Option<&Place<'_>>) -> Result<(), Refusal> {
        if let Some(string) = key.downcast_ref::<PyStr>() {
            return match string.to_str() {
                Some(text) => self.string(text),
                None => Err(self.value_error(
                    place,
                    "has a key that holds a lone surrogate, which is not JSON",
                )),
            };
        }
        if self.vm.is_none(key) {
            return self.push("\"null\"");
        }
        if let Some(int) = key.downcast_ref::<PyInt>() {
            self.push("\"")?;
            self.int(int)?;
            return self.push("\"");
        }
        if let Some(float) = key.downcast_ref::<PyFloat>() {
            if !float.to_f64().is_finite() {
                let text = format!("has the key {}, which is not JSON", spelled(float.to_f64()));
                return Err(self.value_error(place, &text));
            }
            self.push("\"")?;
            self.float(float.to_f64(), place)?;
            return self.push("\"");
        }
        let kind = with_article(&key.class().name());
        Err(Refusal {
            kind: "TypeError",
            message: format!(
                "{} has a key that is {kind}; keys must be str, int, float, bool or None",
                self.path(place)
            ),
        })
    }

    fn int(&mut self, int: &rustpython_vm::Py<PyInt>) -> Result<(), Refusal> {
        if int.class().is(self.vm.ctx.types.bool_type) {
            let truth = int.as_u32_mask() != 0;
            return self.push(if truth { "true" } else { "false" });
        }
        // A digit is worth less than 4 bits: told before a huge number is spelled out.
        if int.as_bigint().bits() / 4 > self.limit as u64 {
            return Err(self.too_large());
        }
        self.push(&int.to_str_radix_10())
    }

    fn float(&mut self, float: f64, place: Option<&Place<'_>>) -> Result<(), Refusal> {
        if !float.is_finite() {
            let text = format!("is {}, which is not JSON", spelled(float));
            return Err(self.value_error(place, &text));
        }
        self.push(&float::to_string(float))
    }

    fn string(&mut self, text: &str) -> Result<(), Refusal> {
        self.push("\"")?;
        let mut rest = text;
        while let Some(at) = rest.find(|c: char| c < ' ' || c == '"' || c == '\\') {
            self.push(&rest[..at])?;
            match rest.as_bytes()[at] {
                b'"' => self.push("\\\"")?,
                b'\\' => self.push("\\\\")?,
                b'\n' => self.push("\\n")?,
                b'\r' => self.push("\\r")?,
                b'\t' => self.push("\\t")?,
                control => self.push(&format!("\\u{control:04x}"))?,
            }
            rest = &rest[at + 1..];
        }
        self.push(rest)?;
        self.push("\"")
    }

    fn push(&mut self, text: &str) -> Result<(), Refusal> {
        if self.json.len() + text.len() > self.limit {
            return Err(self.too_large());
        }
        self.json.push_str(text);
        Ok(())
    }

    /// Steps into a container: its depth, or why not.
    fn enter(&self, container: &PyObject, place: Option<&Place<'_>>) -> Result<usize, Refusal> {
        let mut above = place;
        while let Some(at) = above {
            if at.container.is(container) {
                let whole = self.path(at.parent);
                let text = format!("is {whole} itself, and a circle is not JSON");
                return Err(self.value_error(place, &text));
            }
            above = at.parent;
        }
        let depth = place.map_or(0, |place| place.depth) + 1;
        if depth > DEEPEST {
            return Err(Refusal {
                kind: "RecursionError",
                message: format!("the {} is nested more than {DEEPEST} deep", self.name),
            });
        }
        Ok(depth)
    }

    fn value_error(&self, place: Option<&Place<'_>>, text: &str) -> Refusal {
        Refusal { kind: "ValueError", message: format!("{} {text}", self.path(place)) }
    }

    /// As Python would reach the value: `result["rows"][3]`, say.
    fn path(&self, place: Option<&Place<'_>>) -> String {
        let mut steps = Vec::new();
        let mut at = place;
        while let Some(place) = at {
            steps.push(&place.step);
            at = place.parent;
        }
        let mut path = self.name.to_owned();
        for step in steps.into_iter().rev() {
            // Writing to a string cannot fail.
            let _ = match step {
                Step::Index(index) => write!(path, "[{index}]"),
                Step::Key(key) => write!(path, "[{}]", shown_key(key)),
            };
        }
        path
    }

    fn too_large(&self) -> Refusal {
        Refusal {
            kind: "ValueError",
            message: format!("the {} is more than {} bytes of JSON", self.name, self.limit),
        }
    }
}

fn spelled(float: f64) -> &'static str {
    if float.is_nan() {
        "nan"
    } else if float > 0.0 {
        "inf"
    } else {
        "-inf"
    }
}

fn with_article(kind: &str) -> String {
    let vowel = kind.starts_with(|c: char| "aeiouAEIOU".contains(c));
    format!("{} {kind}", if vowel { "an" } else { "a" })
}

fn shown_key(key: &PyObject) -> String {
    if let Some(string) = key.downcast_ref::<PyStr>() {
        let text = string.to_string_lossy();
        let shown = &text[..text.floor_char_boundary(LONGEST_KEY)];
        let more = if shown.len() < text.len() { "…" } else { "" };
        return format!("{:?}", format!("{shown}{more}"));
    }
    match key.downcast_ref::<PyInt>() {
        Some(int) if int.as_bigint().bits() <= 64 => int.to_str_radix_10(),
        _ => "…".to_owned(),
    }
}
