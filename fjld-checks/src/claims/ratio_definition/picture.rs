//! The estimators of `C` to look at: what they are off by, drawn anew, and how often the interval holds `C`, as recorded.

use crate::error::{Error, Result};
use crate::evidence::picture::{
    Axis, Kind, Line, Mark, Panel, Picture, Rule, Series, Style, median, plain,
};
use fjld_core::rng::{Seed, standard_normals};
use fjld_core::{Moments, Ratio};
use std::collections::{BTreeMap, BTreeSet};

const DRAWS: [usize; 7] = [3, 5, 10, 20, 50, 100, 200];
const DIMENSION: usize = 10;
const RATIO: f64 = 0.1;
const REPETITIONS: usize = 400;

/// Of normal means: one in a hundred samples of means leaves them.
const STANDARD_ERRORS: f64 = 2.58;

/// The mean of estimates over `C`, with the ends of an interval for it.
fn mean(estimates: &[f64]) -> (f64, f64, f64) {
    let n = estimates.len() as f64;
    let mean = estimates.iter().sum::<f64>() / n;
    let square: f64 = estimates.iter().map(|e| (e - mean).powi(2)).sum();
    let half = STANDARD_ERRORS * (square / (n * (n - 1.0))).sqrt();
    (mean / RATIO, (mean - half) / RATIO, (mean + half) / RATIO)
}

/// Plug-in and debiased estimates of isotropic Gaussian gradients.
fn estimates(seed: Seed, n: usize) -> Result<[Vec<f64>; 2]> {
    let generator = &mut seed.derive(&format!("{n} draws")).generator();
    // C = d m^2 / d at the mean m along every axis
    let shift = RATIO.sqrt();
    let [mut plug_in, mut debiased] = [Vec::new(), Vec::new()];
    for _ in 0..REPETITIONS {
        let mut draws = standard_normals(generator, n * DIMENSION);
        draws.iter_mut().for_each(|z| *z += shift);
        let mut moments = Moments::new(DIMENSION)?;
        for draw in draws.chunks_exact(DIMENSION) {
            moments.push(draw)?;
        }
        if let Ok(found) = Ratio::estimate(&moments, 0.95)?.estimates {
            plug_in.push(found.plug_in);
            debiased.push(found.debiased);
        }
    }
    Ok([plug_in, debiased])
}

/// What the estimators are off by.
///
/// # Errors
/// When the library refuses a sample.
pub fn bias(root: Seed) -> Result<Picture> {
    let seed = root.derive("the bias of the estimators");
    let mut series = [Vec::new(), Vec::new()];
    for n in DRAWS {
        for (own, found) in series.iter_mut().zip(estimates(seed, n)?) {
            own.push((n as f64, mean(&found)));
        }
    }
    let [plug_in, debiased] = &series;
    let drawn = |name: &str, style, own: &[(f64, (f64, f64, f64))]| {
        Series::new(name, style, own.iter().map(|&(n, (m, ..))| (n, m)))
            .between(own.iter().map(|&(_, (_, low, high))| (low, high)))
    };
    // E F of noncentral F times the scale
    let expected = DRAWS.map(|n| {
        let (d, n) = (DIMENSION as f64, n as f64);
        let freedom = d * (n - 1.0);
        (n, freedom / (freedom - 2.0) * (RATIO + 1.0 / n) / RATIO)
    });
    let (least, most) = (plug_in[0].1, plug_in[plug_in.len() - 1].1);
    let (first, last) = (DRAWS[0], DRAWS[DRAWS.len() - 1]);
    Ok(Picture {
        id: "estimator-bias".into(),
        claims: vec!["ratio-definition".into(), "sample-count".into()],
        kind: Kind::Curves,
        title: "What the estimators of C are off by".into(),
        caption: format!(
            "The document's plug-in estimate is too large on average: {} times C from {first} draws and {} times from {last}. Taking 1/n off leaves {} and {}. Isotropic Gaussian gradients in {DIMENSION} dimensions, C = {RATIO}; means of n = {REPETITIONS} repetitions with their 99% intervals.",
            plain(least.0),
            plain(most.0),
            plain(debiased[0].1.0),
            plain(debiased[debiased.len() - 1].1.0),
        ),
        source: "drawn anew from the root seed".into(),
        panels: vec![Panel {
            title: String::new(),
            x: Axis::log("gradients drawn, n"),
            y: Axis::log("mean estimate over C"),
            series: vec![
                drawn(
                    "plug-in, as in the document",
                    Style::marks(2, Mark::Cross),
                    plug_in,
                ),
                Series::new("its exact mean", Style::line(2, Line::Dashed), expected),
                drawn("debiased", Style::marks(1, Mark::Circle), debiased),
            ],
            rules: vec![Rule::across("no bias", 1.0)],
            ..Panel::default()
        }],
    })
}

const TABLE: &str = include_str!("../../../../fjld-core/coverage/coverage.csv");

const LAWS: [(&str, &str); 3] = [
    ("normal", "Gaussian noise"),
    ("student5", "Student's noise, 5 degrees of freedom"),
    ("exponential", "skewed noise"),
];

/// Coverages of a method by law and number of draws.
fn coverages(method: &str) -> Result<BTreeMap<(String, u32), Vec<f64>>> {
    let wrong = |what: &str| Error::input(format!("coverage.csv: {what}"));
    let mut lines = TABLE
        .lines()
        .map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap_or_default();
    let column = |name: &str| {
        let found = header.iter().position(|h| *h == name);
        found.ok_or_else(|| wrong(&format!("it has no column {name}")))
    };
    let (law, n, own) = (
        column("law")?,
        column("n")?,
        column(&format!("covers_{method}"))?,
    );
    let mut coverages: BTreeMap<(String, u32), Vec<f64>> = BTreeMap::new();
    for line in lines {
        let number = |at: usize| line.get(at).and_then(|v| v.parse::<f64>().ok());
        let (Some(n), Some(share), Some(law)) = (number(n), number(own), line.get(law)) else {
            return Err(wrong("a line has no law, n or coverage"));
        };
        coverages
            .entry(((*law).to_owned(), n as u32))
            .or_default()
            .push(share);
    }
    Ok(coverages)
}

/// How often the interval holds `C`.
///
/// # Errors
/// When the recorded table is not what it was.
pub fn coverage() -> Result<Picture> {
    const METHODS: [(&str, &str, Style); 2] = [
        (
            "matched",
            "the interval that is used",
            Style {
                ink: 1,
                line: Line::Solid,
                mark: Mark::Circle,
            },
        ),
        (
            "jackknife",
            "the jackknife",
            Style {
                ink: 2,
                line: Line::Dashed,
                mark: Mark::Cross,
            },
        ),
    ];
    let mut panels: Vec<Panel> = LAWS
        .iter()
        .map(|(_, title)| Panel {
            title: (*title).to_owned(),
            x: Axis::log("gradients drawn, n"),
            y: Axis::linear("share of intervals that hold C"),
            rules: vec![Rule::across("nominal", 0.95)],
            ..Panel::default()
        })
        .collect();
    let (mut told, mut cells) = (Vec::new(), 0);
    for (method, name, style) in METHODS {
        let coverages = coverages(method)?;
        let draws: BTreeSet<u32> = coverages.keys().map(|(_, n)| *n).collect();
        for (panel, (law, _)) in panels.iter_mut().zip(LAWS) {
            let of = |n: u32| coverages.get(&(law.to_owned(), n));
            let own: Vec<(f64, &Vec<f64>)> = draws
                .iter()
                .filter_map(|&n| Some((f64::from(n), of(n)?)))
                .collect();
            let middle = own.iter().filter_map(|(n, c)| Some((*n, median(c)?)));
            let ends = own.iter().map(|(_, c)| {
                c.iter()
                    .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| {
                        (l.min(*v), h.max(*v))
                    })
            });
            panel
                .series
                .push(Series::new(name, style, middle).between(ends));
        }
        let all: Vec<f64> = coverages.into_values().flatten().collect();
        cells = all.len();
        let low = all.iter().filter(|&&share| share < 0.9).count();
        let least = all.iter().copied().fold(1.0, f64::min);
        told.push(format!(
            "{name} covers less than .90 in {low} cells, {} at the least",
            plain(least)
        ));
    }
    Ok(Picture {
        id: "interval-coverage".into(),
        claims: vec!["ratio-definition".into()],
        kind: Kind::Curves,
        title: "How often the 95% interval holds C".into(),
        caption: format!(
            "Of n = {cells} cells of dimension, spectrum, mean, law, draws and C (1000 repetitions each, recorded): {}. Lines are medians over the cells of one number of draws, bands reach from the least to the most.",
            told.join("; ")
        ),
        source: "recorded in fjld-core/coverage/coverage.csv".into(),
        panels,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plug_in_estimate_is_too_large_and_the_debiased_one_is_not() -> Result<()> {
        let picture = bias(Seed::root(1))?;
        let [plug_in, _, debiased] = &picture.panels[0].series[..] else {
            panic!("three series");
        };
        // E C_hat / C = 1 + 1/(n C) and a little more
        assert!(plug_in.low[0] > Some(3.0));
        let last = DRAWS.len() - 1;
        assert!(debiased.low[last] < Some(1.0) && debiased.high[last] > Some(1.0));
        Ok(())
    }

    #[test]
    fn the_recorded_coverages_have_a_panel_for_each_law() -> Result<()> {
        let picture = coverage()?;
        for panel in &picture.panels {
            assert_eq!(panel.series.len(), 2);
            assert_eq!(panel.series[0].x, [10.0, 30.0, 100.0, 1000.0]);
        }
        assert!(picture.caption.contains("n = 2376"), "{}", picture.caption);
        Ok(())
    }
}
