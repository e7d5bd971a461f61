//! Finding the lines of one text again in another.

use std::collections::{HashMap, HashSet, VecDeque};

/// Where a line of the first text is in the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// There, in the order of the lines around it.
    InOrder(usize),
    /// There, out of that order.
    Elsewhere(usize),
    /// Not there; where its neighbours are, another line stands.
    Replaced(usize),
    /// Not there.
    Gone,
}

/// Where each line of `before` is in `after`. No line of `after` is found twice, so that of equal lines (the fences of code) as many are
/// gone as there are fewer.
///
/// In order are the lines of a longest common subsequence; equal lines that are left go together as they come. Between two lines in order,
/// the lines that are left of `before` and of `after` are taken for replacements of each other as they come.
pub fn align(before: &[&str], after: &[&str]) -> Vec<Match> {
    let in_order = common(before, after);
    let mut taken = vec![false; after.len()];
    for &j in in_order.iter().flatten() {
        taken[j] = true;
    }
    let mut left: HashMap<&str, VecDeque<usize>> = HashMap::new();
    for j in (0..after.len()).filter(|&j| !taken[j]) {
        left.entry(after[j]).or_default().push_back(j);
    }
    let mut matches: Vec<Match> = Vec::with_capacity(before.len());
    for (i, line) in before.iter().enumerate() {
        matches.push(match in_order[i] {
            Some(j) => Match::InOrder(j),
            None => match left.get_mut(line).and_then(VecDeque::pop_front) {
                Some(j) => {
                    taken[j] = true;
                    Match::Elsewhere(j)
                }
                None => Match::Gone,
            },
        });
    }
    replace(&mut matches, &mut taken);
    matches
}

/// Pairs what is gone with what is new in its place.
fn replace(matches: &mut [Match], taken: &mut [bool]) {
    let mut from = 0;
    for i in 0..matches.len() {
        match matches[i] {
            Match::InOrder(j) => from = j + 1,
            Match::Gone => {
                let next = matches[i..].iter().find_map(|m| match m {
                    Match::InOrder(j) => Some(*j),
                    _ => None,
                });
                let mut gap = from..next.unwrap_or(taken.len());
                if let Some(j) = gap.find(|&j| !taken[j]) {
                    taken[j] = true;
                    from = j + 1;
                    matches[i] = Match::Replaced(j);
                }
            }
            Match::Elsewhere(_) | Match::Replaced(_) => {}
        }
    }
}

/// A longest common subsequence: for each line of `before` the index of its partner.
fn common(before: &[&str], after: &[&str]) -> Vec<Option<usize>> {
    // lines that are nowhere in `before` pair with nothing, and without them a large file costs no more than a copy
    let known: HashSet<&str> = before.iter().copied().collect();
    let after: Vec<(usize, &str)> = after
        .iter()
        .copied()
        .enumerate()
        .filter(|(_, line)| known.contains(line))
        .collect();
    let (rows, columns) = (before.len(), after.len());
    // length[i][j]: of the longest common subsequence of what is left from i and from j on
    let mut length = vec![vec![0_u32; columns + 1]; rows + 1];
    for i in (0..rows).rev() {
        for j in (0..columns).rev() {
            length[i][j] = if before[i] == after[j].1 {
                length[i + 1][j + 1] + 1
            } else {
                length[i + 1][j].max(length[i][j + 1])
            };
        }
    }
    let mut partners = vec![None; rows];
    let (mut i, mut j) = (0, 0);
    while i < rows && j < columns {
        if before[i] == after[j].1 {
            partners[i] = Some(after[j].0);
            (i, j) = (i + 1, j + 1);
        } else if length[i + 1][j] >= length[i][j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    partners
}

#[cfg(test)]
mod tests {
    use super::Match::{Elsewhere, Gone, InOrder, Replaced};
    use super::*;

    /// A letter is a line.
    fn letters(text: &str) -> Vec<&str> {
        text.split("").filter(|c| !c.is_empty()).collect()
    }

    fn of(before: &str, after: &str) -> Vec<Match> {
        align(&letters(before), &letters(after))
    }

    #[test]
    fn a_text_is_in_order_in_itself() {
        assert_eq!(of("abc", "abc"), [InOrder(0), InOrder(1), InOrder(2)]);
        assert!(of("", "abc").is_empty());
        assert_eq!(of("ab", ""), [Gone, Gone]);
    }

    #[test]
    fn what_is_put_in_shifts_and_what_is_taken_out_is_gone() {
        assert_eq!(of("abc", "axbc"), [InOrder(0), InOrder(2), InOrder(3)]);
        assert_eq!(of("abc", "ac"), [InOrder(0), Gone, InOrder(1)]);
    }

    #[test]
    fn another_line_in_the_same_place_replaces() {
        assert_eq!(of("abc", "axc"), [InOrder(0), Replaced(1), InOrder(2)]);
        assert_eq!(
            of("abcd", "axd"),
            [InOrder(0), Replaced(1), Gone, InOrder(2)]
        );
        // the new line stands in another place than the one that is gone
        assert_eq!(of("abc", "acx"), [InOrder(0), Gone, InOrder(1)]);
    }

    #[test]
    fn a_line_is_found_out_of_order() {
        assert_eq!(
            of("abcd", "bcda"),
            [Elsewhere(3), InOrder(0), InOrder(1), InOrder(2)]
        );
    }

    #[test]
    fn of_equal_lines_as_many_are_gone_as_there_are_fewer() {
        let found = of("f1f2f", "f1f2");
        assert_eq!(found.iter().filter(|&&m| m == Gone).count(), 1);
        assert_eq!(of("f1f", "f1ff"), [InOrder(0), InOrder(1), InOrder(2)]);
    }
}
