//! What a sample could not read, and why: a field that is unknown is `None`, never 0, and it is named here.

/// Names of fields, each with the reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unread(Vec<(String, String)>);

impl Unread {
    /// Names a field that is `None`.
    pub fn note(&mut self, field: impl Into<String>, reason: impl Into<String>) {
        self.0.push((field.into(), reason.into()));
    }

    /// The value, or None after noting all fields that depend on it.
    pub fn keep<T>(&mut self, fields: &[&str], value: Result<T, String>) -> Option<T> {
        match value {
            Ok(value) => Some(value),
            Err(reason) => {
                for field in fields {
                    self.note(*field, reason.clone());
                }
                None
            }
        }
    }

    /// Takes over what a part could not read, each name behind a prefix such as `memory.`.
    pub fn extend(&mut self, prefix: &str, part: Unread) {
        self.0.extend(part.0.into_iter().map(|(field, reason)| (format!("{prefix}{field}"), reason)));
    }

    /// What is said about these fields, and nothing else.
    pub fn only(mut self, fields: &[&str]) -> Unread {
        self.0.retain(|(field, _)| fields.contains(&field.as_str()));
        self
    }

    /// Fields and reasons in the order of reading.
    pub fn entries(&self) -> &[(String, String)] {
        &self.0
    }

    /// Whether everything was read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_missing_is_named_once_for_each_field() {
        let mut unread = Unread::default();
        assert_eq!(unread.keep(&["rss_bytes"], Ok(1)), Some(1));
        assert!(unread.is_empty());
        assert_eq!(unread.keep::<u64>(&["a", "b"], Err("gone".into())), None);
        let mut whole = Unread::default();
        whole.extend("memory.", unread);
        let expected = [("memory.a".to_owned(), "gone".to_owned()), ("memory.b".to_owned(), "gone".to_owned())];
        assert_eq!(whole.entries(), expected);
    }
}
