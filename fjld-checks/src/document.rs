//! Whether the sentences that claims judge still stand in a copy of the document.

use crate::claims::Claim;
use crate::error::{Error, Result};
use crate::scenarios::store::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::Path;

/// Where the sentence of a claim stands in a copy of the document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Place {
    /// Where the claim says.
    Bound,
    /// Unchanged, on another line.
    Moved {
        /// That line.
        line: u32,
    },
    /// Nowhere.
    Changed {
        /// What stands on its line now, or nothing where the document has become shorter.
        found: Option<String>,
    },
}

/// How each claim of the document stands to a copy of it.
#[derive(Clone, Debug)]
pub struct Binding(Vec<(String, Place)>);

impl Binding {
    /// Compares the claims with a copy of the document.
    ///
    /// # Errors
    /// When the file can not be read.
    pub fn of(claims: &[Claim], path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::file("read", path, &e))?;
        Ok(Self::to_text(claims, &text))
    }

    fn to_text(claims: &[Claim], text: &str) -> Self {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let hashes: Vec<String> = lines
            .iter()
            .map(|line| hex(&Sha256::digest(line)))
            .collect();
        let places = claims.iter().filter_map(|claim| {
            let sentence = claim.sentence?;
            let at = sentence.line as usize - 1;
            let place = if hashes.get(at).is_some_and(|hash| hash == sentence.sha256) {
                Place::Bound
            } else if let Some(line) = hashes.iter().position(|hash| hash == sentence.sha256) {
                Place::Moved {
                    line: line as u32 + 1,
                }
            } else {
                Place::Changed {
                    found: lines.get(at).map(|&line| line.to_owned()),
                }
            };
            Some((claim.id.to_owned(), place))
        });
        Self(places.collect())
    }

    /// Every claim of the document with its place.
    pub fn places(&self) -> impl Iterator<Item = (&str, &Place)> {
        self.0.iter().map(|(id, place)| (id.as_str(), place))
    }

    /// Whether the sentence of this claim is gone, so that a verdict on it says nothing any more.
    pub fn has_lapsed(&self, id: &str) -> bool {
        self.places()
            .any(|(claim, place)| claim == id && matches!(place, Place::Changed { .. }))
    }

    /// Whether any sentence is gone.
    pub fn has_lapses(&self) -> bool {
        self.places().any(|(id, _)| self.has_lapsed(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::{Origin, Sentence};

    fn claim(line: u32, sha256: &'static str) -> Claim {
        Claim {
            id: "it",
            origin: Origin::Document,
            statement: "",
            sentence: Some(Sentence {
                section: "",
                line,
                sha256,
                status: "stated",
            }),
            holds_when: None,
            corrected: None,
            scenarios: &[],
            checks: Vec::new(),
        }
    }

    /// SHA-256 of "abc", as FIPS 180 prints it.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_sentence_is_bound_moved_or_gone() {
        let place = |line, text| {
            let binding = Binding::to_text(&[claim(line, ABC)], text);
            let (_, place) = binding.places().next().expect("the claim has a sentence");
            place.clone()
        };
        assert_eq!(place(2, "x\n  abc  \n"), Place::Bound);
        assert_eq!(place(1, "x\nabc"), Place::Moved { line: 2 });
        assert_eq!(
            place(1, "abd"),
            Place::Changed {
                found: Some("abd".into())
            }
        );
        assert_eq!(place(3, "x"), Place::Changed { found: None });
        assert!(Binding::to_text(&[claim(1, ABC)], "abd").has_lapsed("it"));
        assert!(!Binding::to_text(&[claim(1, ABC)], "abc").has_lapses());
    }
}
