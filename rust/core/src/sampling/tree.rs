//! A sample as nested fields, for those who want all of it by name: the bindings make a dict of it.

use std::borrow::Cow;

/// A field or a group of fields.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    /// Not known.
    Unknown,
    /// Yes or no.
    Flag(bool),
    /// A count, or bytes.
    Count(u64),
    /// Any other number.
    Number(f64),
    /// Text.
    Text(String),
    /// Groups of one kind.
    List(Vec<Tree>),
    /// Fields by name, in order.
    Map(Vec<(Cow<'static, str>, Tree)>),
}

impl From<bool> for Tree {
    fn from(value: bool) -> Tree {
        Tree::Flag(value)
    }
}

impl From<u64> for Tree {
    fn from(value: u64) -> Tree {
        Tree::Count(value)
    }
}

impl From<f64> for Tree {
    fn from(value: f64) -> Tree {
        Tree::Number(value)
    }
}

impl From<String> for Tree {
    fn from(value: String) -> Tree {
        Tree::Text(value)
    }
}

impl From<&str> for Tree {
    fn from(value: &str) -> Tree {
        Tree::Text(value.to_owned())
    }
}

impl<T: Into<Tree>> From<Option<T>> for Tree {
    fn from(value: Option<T>) -> Tree {
        value.map_or(Tree::Unknown, T::into)
    }
}

impl Tree {
    /// The field or group of this name; None where there is none, or this is no map.
    pub fn get(&self, name: &str) -> Option<&Tree> {
        let Tree::Map(fields) = self else { return None };
        fields.iter().find(|(field, _)| field == name).map(|(_, value)| value)
    }

    /// Every field that is no group, with its path: `cpu.usage_percent`, `network[2].name`.
    pub fn leaves(&self) -> Vec<(String, &Tree)> {
        let mut found = Vec::new();
        self.collect(String::new(), &mut found);
        found
    }

    fn collect<'t>(&'t self, path: String, found: &mut Vec<(String, &'t Tree)>) {
        match self {
            Tree::List(items) => {
                items.iter().enumerate().for_each(|(at, item)| item.collect(format!("{path}[{at}]"), found));
            }
            Tree::Map(fields) => {
                let joint = if path.is_empty() { "" } else { "." };
                fields.iter().for_each(|(name, value)| value.collect(format!("{path}{joint}{name}"), found));
            }
            _ => found.push((path, self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_name_and_path() {
        let inner = Tree::Map(vec![("b".into(), Tree::from(Some(1.5))), ("c".into(), Tree::from(None::<u64>))]);
        let tree = Tree::Map(vec![("a".into(), Tree::List(vec![inner.clone()])), ("d".into(), Tree::from("x"))]);
        assert_eq!(tree.get("d"), Some(&Tree::Text("x".into())));
        assert_eq!((tree.get("e"), Tree::Unknown.get("a")), (None, None));
        let paths: Vec<_> = tree.leaves().into_iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["a[0].b", "a[0].c", "d"]);
    }
}
