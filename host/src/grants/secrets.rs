//! A tenant's secrets: told to its scripts, and taken out of what they print.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::config::Secret;

/// The secrets of one tenant.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    by_name: BTreeMap<String, Secret>,
    /// Names, the one with the longest value first: it may hold another's.
    longest_first: Vec<String>,
}

impl Secrets {
    pub(super) fn new(by_name: &BTreeMap<String, Secret>) -> Secrets {
        let mut longest_first: Vec<_> = by_name.keys().cloned().collect();
        longest_first.sort_by_key(|name| std::cmp::Reverse(by_name[name].reveal().len()));
        Secrets { by_name: by_name.clone(), longest_first }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Secret> {
        self.by_name.get(name)
    }

    /// `text` with each secret in it replaced by its name. That may make it longer, by a
    /// factor of 12 for a text of nothing but short secrets.
    pub(super) fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for name in &self.longest_first {
            let value = self.by_name[name].reveal();
            if text.contains(value) {
                text = Cow::Owned(text.replace(value, &format!("[secret {name}]")));
            }
        }
        text
    }

    /// Takes the secrets out of `text`, and leaves at most `limit` bytes of it.
    pub(super) fn redact_in(&self, text: &mut String, limit: usize) {
        if let Cow::Owned(redacted) = self.redact(text) {
            *text = redacted;
            // What was within the limit before may be beyond it now.
            text.truncate(text.floor_char_boundary(limit));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_secret_goes_first() {
        let secret = |value: &str| crate::config::Secret::new(value);
        let secrets = Secrets::new(&BTreeMap::from([
            ("A".to_owned(), secret("hunter2")),
            ("B".to_owned(), secret("hunter2hunter2!")),
            ("C".to_owned(), secret("päßwört")),
        ]));
        for (text, redacted) in [
            ("hunter2", "[secret A]"),
            ("x=hunter2hunter2!;", "x=[secret B];"),
            ("hunter2hunter2", "[secret A][secret A]"),
            ("a päßwört b", "a [secret C] b"),
            ("hunter", "hunter"),
            ("", ""),
        ] {
            assert_eq!(secrets.redact(text), redacted);
        }
        let mut text = "hunter2".repeat(100);
        secrets.redact_in(&mut text, 700);
        assert_eq!(text.len(), 700);
        assert!(!text.contains("hunter"));
    }
}
