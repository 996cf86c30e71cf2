//! Shares text that many events carry, such as the names of functions and replicas: copying one
//! increments a counter instead of allocating.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Immutable text that is cheap to copy. It is compared, ordered and hashed as a [`str`].
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text(Arc<str>);

impl Text {
    /// The text as a string slice.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::from("")
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<Cow<'_, str>> for Text {
    fn from(text: Cow<'_, str>) -> Self {
        Self(text.into())
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.as_str().to_owned()
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialEq<Text> for &str {
    fn eq(&self, other: &Text) -> bool {
        *self == other.as_str()
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'_, str>::deserialize(deserializer).map(Self::from)
    }
}

/// A small cache of recent words, so that repeated words are allocated once.
#[derive(Debug)]
pub(super) struct TextInterner([Option<Text>; WORDS]);

/// The number of words kept; a word's position depends on its length and its first and last byte.
const WORDS: usize = 64;

impl Default for TextInterner {
    fn default() -> Self {
        Self([const { None }; WORDS])
    }
}

impl TextInterner {
    pub(super) fn intern(&mut self, word: &str) -> Text {
        let (first, last) = match word.as_bytes() {
            [] => (0, 0),
            [first, .., last] => (*first, *last),
            [only] => (*only, *only),
        };
        let place = word.len() * 7 + usize::from(first) * 3 + usize::from(last);
        let kept = &mut self.0[place % WORDS];
        match kept {
            Some(text) if text.as_str() == word => text.clone(),
            _ => kept.insert(word.into()).clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::history::text::{Text, TextInterner};

    #[test]
    fn words_with_the_same_slot_stay_distinct() {
        let mut words = TextInterner::default();
        let names: Vec<String> = (0..500).map(|number| format!("n{number}")).collect();
        for name in names.iter().chain(&names) {
            assert_eq!(words.intern(name), name.as_str());
            let [one, other] = [words.intern(name), words.intern(name)];
            assert!(std::ptr::eq(one.as_str(), other.as_str()), "{name} was made twice");
        }
        assert_eq!(words.intern(""), Text::default());
    }
}
