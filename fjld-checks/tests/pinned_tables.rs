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
