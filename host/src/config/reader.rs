//! Walks the tables of a parsed file and collects every problem on the way. It knows
//! where a value stands, not what it means.

use std::cell::RefCell;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{self, KEYS, TABLES, nearest};
use super::problems::Problem;
use super::values::{Expected, article};

/// A whole file, and what is wrong with it so far.
pub(super) struct Document<'a> {
    table: &'a DeTable<'a>,
    problems: RefCell<Vec<Problem>>,
}

/// One table of the file, or the place where it is missing.
#[derive(Clone)]
pub(super) struct Section<'a> {
    document: &'a Document<'a>,
    header: &'static str,
    table: Option<&'a DeTable<'a>>,
    /// Of its header; the file's start if it is missing.
    pub(super) span: Range<usize>,
}

impl<'a> Document<'a> {
    pub(super) fn new(table: &'a DeTable<'a>) -> Document<'a> {
        let document = Document { table, problems: RefCell::default() };
        for key in table.keys().filter(|key| header_of(key.get_ref()).is_none()) {
            document.unknown_table(key);
        }
        document
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }

    pub(super) fn report(
        &self,
        span: Range<usize>,
        message: impl Into<String>,
        expected: impl Into<String>,
        hint: Option<String>,
    ) {
        let (message, expected) = (message.into(), expected.into());
        self.problems.borrow_mut().push(Problem { span, message, expected, hint });
    }

    /// The table called `name`; it may be missing.
    pub(super) fn section(&'a self, name: &'static str) -> Section<'a> {
        let header = header_of(name).unwrap_or(name);
        match self.table.get(name) {
            Some(value) => self.enter(header, value),
            None => Section { document: self, header, table: None, span: 0..0 },
        }
    }

    /// The tables of the array called `name`.
    pub(super) fn sections(&'a self, name: &'static str) -> Vec<Section<'a>> {
        self.enter_all(name, header_of(name).unwrap_or(name), self.table.get(name))
    }

    fn enter_all(
        &'a self,
        name: &str,
        header: &'static str,
        value: Option<&'a Spanned<DeValue<'a>>>,
    ) -> Vec<Section<'a>> {
        match value.map(|value| (value, value.get_ref())) {
            None => Vec::new(),
            Some((_, DeValue::Array(array))) => {
                array.iter().map(|value| self.enter(header, value)).collect()
            }
            Some((value, other)) => {
                let expected = format!("expected an array of tables, not {}", article(other));
                let hint = format!("write {header}, once for each");
                self.report(value.span(), format!("{name:?} is not a list"), expected, Some(hint));
                Vec::new()
            }
        }
    }

    fn enter(&'a self, header: &'static str, value: &'a Spanned<DeValue<'a>>) -> Section<'a> {
        let table = value.get_ref().as_table();
        let section = Section { document: self, header, table, span: value.span() };
        match table {
            Some(table) => {
                let known: Vec<_> = keys::names(header).collect();
                for key in table.keys().filter(|key| !known.contains(&&**key.get_ref())) {
                    section.unknown_key(key, &known);
                }
            }
            None => {
                let expected = format!("expected a table, not {}", article(value.get_ref()));
                let hint = Some(format!("write {header}, its keys below it"));
                self.report(value.span(), format!("{header} is not a table"), expected, hint);
            }
        }
        section
    }

    fn unknown_table(&self, key: &Spanned<std::borrow::Cow<'_, str>>) {
        let name = key.get_ref();
        let near = nearest(name, TABLES.iter().map(|(name, _)| *name)).and_then(header_of);
        let hint =
            near.map(|header| format!("did you mean {header}?")).or_else(|| elsewhere(name, ""));
        let headers: Vec<_> = TABLES.iter().map(|(_, header)| *header).collect();
        let expected = format!("expected one of {}", headers.join(", "));
        self.report(key.span(), format!("unknown table {name:?}"), expected, hint);
    }
}

impl<'a> Section<'a> {
    /// Whether it stands in the file.
    pub(super) fn is_present(&self) -> bool {
        self.table.is_some()
    }

    /// The value of `key`, if it is there and `convert` takes it; reports it if not.
    pub(super) fn read<T>(
        &self,
        key: &str,
        convert: impl FnOnce(&'a DeValue<'a>) -> Result<T, Expected>,
    ) -> Option<T> {
        debug_assert!(keys::names(self.header).any(|known| known == key), "{key} is not in KEYS");
        let value = self.table?.get(key)?;
        convert(value.get_ref()).map_err(|expected| self.report(key, expected, None)).ok()
    }

    /// The table that `key` holds.
    pub(super) fn subsection(&self, key: &str, header: &'static str) -> Section<'a> {
        match self.table.and_then(|table| table.get(key)) {
            Some(value) => self.document.enter(header, value),
            None => Section { document: self.document, header, table: None, span: 0..0 },
        }
    }

    /// The tables of the array that `key` holds.
    pub(super) fn subsections(&self, key: &str, header: &'static str) -> Vec<Section<'a>> {
        self.document.enter_all(key, header, self.table.and_then(|table| table.get(key)))
    }

    /// The tables in the table that `key` holds, each by its name, all with one header.
    pub(super) fn entries(&self, key: &str, header: &'static str) -> Vec<(&'a str, Section<'a>)> {
        match self.table.and_then(|table| table.get(key)).map(Spanned::get_ref) {
            None => Vec::new(),
            Some(DeValue::Table(table)) => table
                .iter()
                .map(|(name, value)| (&**name.get_ref(), self.document.enter(header, value)))
                .collect(),
            Some(other) => {
                self.report(key, format!("expected a table, not {}", article(other)), None);
                Vec::new()
            }
        }
    }

    /// Where the value of `key` stands; the table's header if it is missing.
    pub(super) fn span_of(&self, key: &str) -> Range<usize> {
        self.table.and_then(|table| table.get(key)).map_or_else(|| self.span.clone(), Spanned::span)
    }

    /// Whether `key` is there, right or wrong.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// Reports the value of `key`.
    pub(super) fn report(&self, key: &str, expected: impl Into<String>, hint: Option<String>) {
        let message = format!("invalid value for {key:?} in {}", self.header);
        self.document.report(self.span_of(key), message, expected, hint);
    }

    /// Reports something else, at the value of `key`.
    pub(super) fn report_as(
        &self,
        key: &str,
        message: impl Into<String>,
        expected: impl Into<String>,
        hint: Option<String>,
    ) {
        self.document.report(self.span_of(key), message, expected, hint);
    }

    fn unknown_key(&self, key: &Spanned<std::borrow::Cow<'_, str>>, known: &[&'static str]) {
        let (name, header) = (key.get_ref(), self.header);
        let hint = nearest(name, known.iter().copied())
            .map(|near| format!("did you mean {near:?}?"))
            .or_else(|| elsewhere(name, header));
        let expected = format!("expected one of {}", known.join(", "));
        self.document.report(
            key.span(),
            format!("unknown key {name:?} in {header}"),
            expected,
            hint,
        );
    }
}

/// The header of the table called `name`.
fn header_of(name: &str) -> Option<&'static str> {
    TABLES.iter().find(|(known, _)| *known == name).map(|(_, header)| *header)
}

/// Tells where a key belongs that is known, but not here.
fn elsewhere(name: &str, header: &str) -> Option<String> {
    let key = KEYS.iter().find(|key| key.name == name && key.table != header)?;
    Some(format!("{name:?} belongs in {}", key.table))
}
