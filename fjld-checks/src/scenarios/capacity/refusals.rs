//! Which values a file may hold.

use super::tests::TEXT;
use super::*;
use crate::scenarios::data::digits;

/// What is said of the shipped study after a change; nothing where it is accepted.
fn said(change: impl FnOnce(&mut CapacityStudy)) -> String {
    let mut study: CapacityStudy = toml::from_str(TEXT).expect("it is shipped");
    change(&mut study);
    let refused = study.check("a.toml").err();
    refused.map(|e| e.to_string()).unwrap_or_default()
}

#[test]
fn a_count_is_accepted_from_its_least_value_on() {
    // a spread takes two examples, and a spacing two places
    type Set = fn(&mut CapacityStudy, usize);
    let counts: [(&str, usize, Set); 14] = [
        ("random_features.examples", 2, |s, n| {
            s.random_features.examples = n;
        }),
        ("random_features.test_examples", 1, |s, n| {
            s.random_features.test_examples = n;
        }),
        ("two_scales.examples", 2, |s, n| s.two_scales.examples = n),
        ("two_scales.test_examples", 1, |s, n| {
            s.two_scales.test_examples = n;
        }),
        ("two_scales.strong", 1, |s, n| s.two_scales.strong = n),
        ("two_scales.weak", 1, |s, n| s.two_scales.weak = n),
        ("polynomial.examples", 2, |s, n| s.polynomial.examples = n),
        ("polynomial.test_examples", 2, |s, n| {
            s.polynomial.test_examples = n;
        }),
        ("training.steps", 1, |s, n| s.training.steps = n as u64),
        ("random_features.stochastic_steps", 1, |s, n| {
            s.random_features.stochastic_steps = n as u64;
        }),
        ("two_scales.stochastic_steps", 1, |s, n| {
            s.two_scales.stochastic_steps = n as u64;
        }),
        ("polynomial.stochastic_steps", 1, |s, n| {
            s.polynomial.stochastic_steps = n as u64;
        }),
        ("training.batch_size", 1, |s, n| s.training.batch_size = n),
        ("training.readings_per_decade", 1, |s, n| {
            s.training.readings_per_decade = n;
        }),
    ];
    for (key, least, set) in counts {
        assert_eq!(said(|study| set(study, least)), "", "{key}");
        let fewer = least - 1;
        let expected = format!("a.toml: {key} is {fewer}; it must be at least {least}");
        assert_eq!(said(|study| set(study, fewer)), expected);
    }
}

#[test]
fn training_and_test_together_are_no_more_than_the_digits_there_are() {
    let of = |examples, test_examples| {
        said(|study| {
            study.random_features.examples = examples;
            study.random_features.test_examples = test_examples;
        })
    };
    assert_eq!(digits().len(), 1797);
    assert_eq!(of(1000, 797), "");
    assert_eq!(
        of(1000, 798),
        "a.toml: random_features.examples + test_examples is 1798; it must be at most 1797, the digits there are"
    );
}

#[test]
fn a_list_that_is_empty_or_holds_what_it_may_not_is_refused_by_name() {
    for batches in [vec![], vec![0], vec![1, 0]] {
        let found = said(|study| study.batch_sizes = batches);
        assert!(found.starts_with("a.toml: batch_sizes is ["), "{found:?}");
    }
    for widths in [vec![], vec![0], vec![11], vec![20, 11], vec![20, 0]] {
        let found = said(|study| study.random_features.widths = widths);
        let expected = "a.toml: random_features.widths is [";
        assert!(found.starts_with(expected), "{found:?}");
    }
    let found = said(|study| study.polynomial.degrees.clear());
    assert_eq!(
        found,
        "a.toml: polynomial.degrees is []; it must be a list of degrees"
    );
    // one of each is enough
    let found = said(|study| {
        study.batch_sizes = vec![1];
        study.random_features.widths = vec![2];
        study.polynomial.degrees = vec![0];
    });
    assert_eq!(found, "");
}

#[test]
fn no_more_than_half_of_the_labels_may_be_turned() {
    let of = |noise| said(|study| study.random_features.label_noise = noise);
    assert_eq!([of(0.0), of(0.5)], ["", ""]);
    for noise in [-0.1, 0.6, f64::NAN] {
        let found = of(noise);
        let expected = "a.toml: random_features.label_noise is ";
        assert!(found.starts_with(expected), "{found:?}");
    }
}
