//! When `C` crosses 1.

use super::event::Direction;
use crate::ratio::Phase;

/// Which side of 1 the interval was last wholly on. What a transition is, [`super::Monitor`] says in words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Crossing {
    /// No interval yet.
    #[default]
    Unseen,
    /// All so far contained 1.
    AtOne,
    /// Wholly below.
    Below,
    /// Wholly above.
    Above,
}

impl Crossing {
    /// Takes a reading in; says which way the interval left 1, if it did.
    pub fn take(&mut self, phase: Phase) -> Option<Direction> {
        let (next, left) = match (*self, phase) {
            (was, Phase::Undefined) => (was, None),
            (Self::Unseen, Phase::Critical) => (Self::AtOne, None),
            (was, Phase::Critical) => (was, None),
            (Self::Unseen | Self::Above, Phase::Drift) => (Self::Above, None),
            (Self::AtOne | Self::Below, Phase::Drift) => (Self::Above, Some(Direction::Up)),
            (Self::Unseen | Self::Below, Phase::Diffusive) => (Self::Below, None),
            (Self::AtOne | Self::Above, Phase::Diffusive) => (Self::Below, Some(Direction::Down)),
        };
        *self = next;
        left
    }
}

#[cfg(test)]
mod tests {
    use super::Direction::{Down, Up};
    use super::Phase::{Critical, Diffusive, Drift, Undefined};
    use super::*;

    fn leaves(phases: &[Phase]) -> Vec<Option<Direction>> {
        let mut crossing = Crossing::default();
        phases.iter().map(|&phase| crossing.take(phase)).collect()
    }

    #[test]
    fn the_interval_leaves_one_upward_once_however_often_it_touches_it_again() {
        let seen = leaves(&[
            Diffusive, Critical, Drift, Critical, Drift, Undefined, Drift,
        ]);
        assert_eq!(seen, [None, None, Some(Up), None, None, None, None]);
    }

    #[test]
    fn only_an_interval_below_one_arms_the_next_transition() {
        let seen = leaves(&[Critical, Drift, Critical, Diffusive, Critical, Drift]);
        assert_eq!(seen, [None, Some(Up), None, Some(Down), None, Some(Up)]);
    }

    #[test]
    fn a_run_that_starts_above_one_has_had_no_transition() {
        assert_eq!(leaves(&[Undefined, Drift, Critical, Drift]), [None; 4]);
        assert_eq!(leaves(&[Diffusive, Drift]), [None, Some(Up)]);
    }

    #[test]
    fn readings_without_an_interval_leave_everything_as_it_was() {
        let seen = leaves(&[Diffusive, Undefined, Undefined, Drift]);
        assert_eq!(seen, [None, None, None, Some(Up)]);
    }

    proptest::proptest! {
        #[test]
        fn transitions_go_up_and_down_in_turn_whatever_the_phases(
            phases in proptest::collection::vec(0usize..4, 0..60),
        ) {
            let phases: Vec<Phase> = phases
                .into_iter()
                .map(|index| [Diffusive, Critical, Drift, Undefined][index])
                .collect();
            let seen: Vec<Direction> = leaves(&phases).into_iter().flatten().collect();
            proptest::prop_assert!(seen.windows(2).all(|pair| pair[0] != pair[1]));
        }
    }
}
