//! The tables of the synthetic scenarios are as pinned.

use fjld_checks::scenarios::{Scenario, parse};
use fjld_snapshots::settings;

fn table_is_pinned(name: &str, text: &str) {
    let Ok(Scenario::Gaussian(scenario)) = parse(text, name) else {
        panic!("{name} is a Gaussian scenario");
    };
    let table = scenario.run().expect("a shipped scenario runs");
    settings().bind(|| insta::assert_json_snapshot!(name, table));
}

#[test]
fn the_correlated_gaussian_gives_the_pinned_table() {
    let text = include_str!("../../scenarios/gaussian-correlated.toml");
    table_is_pinned("gaussian_correlated", text);
}

#[test]
fn the_isotropic_gaussian_gives_the_pinned_table() {
    let text = include_str!("../../scenarios/gaussian-isotropic.toml");
    table_is_pinned("gaussian_isotropic", text);
}

/// The smallest change that a metric is said to notice; below a millionth it is rounding, and nothing lies between.
const NOTICED: f64 = 0.01;
const ROUNDING: f64 = 1e-6;

#[test]
fn which_metrics_notice_which_change_of_parameters_is_as_pinned() {
    let text = include_str!("../../scenarios/reparameterization.toml");
    let Ok(Scenario::Reparameterization(scenario)) = parse(text, "reparameterization") else {
        panic!("it is a reparameterization scenario");
    };
    let table = scenario.run().expect("a shipped scenario runs");
    let lines: Vec<String> = table
        .cells
        .iter()
        .map(|cell| {
            let said = match cell.same_draws {
                None => "has no value".to_owned(),
                Some(change) if change < ROUNDING => "stays".to_owned(),
                Some(change) if change > NOTICED => "moves".to_owned(),
                Some(change) => format!("moves by {change:e}, neither rounding nor noticeable"),
            };
            let (under, metric) = (cell.transformation.name(), cell.metric.name());
            format!("{under}: {metric} {said}")
        })
        .collect();
    settings().bind(|| insta::assert_json_snapshot!("reparameterization", lines));
}
