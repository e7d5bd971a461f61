//! What the file of each claim says of it: the text of its rustdoc, for reports and the terminal.

/// File names, `-` for `_`, and the documentation of the module.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/about.rs"));

/// What the file of the claim with this name says of it; nothing for a claim that has no file.
pub fn of(id: &str) -> Option<&'static str> {
    let found = FILES.iter().find(|(name, _)| *name == id);
    found.map(|(_, text)| *text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::{all, waiting};

    #[test]
    fn every_claim_with_checks_has_a_file_of_its_name_that_says_what_it_is() {
        for claim in all() {
            let waits = waiting::unexamined(claim.id).is_some();
            assert!(waits || of(claim.id).is_some(), "{}", claim.id);
        }
    }
}
