//! The intervals that are compared. Every one is made from the same [`Summary`].

use fjld_core::ratio::{Spread, Summary};
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// A way to an interval: name, and its ends for a summary and a level.
pub type Method = (&'static str, fn(&Summary, f64) -> (f64, f64));

/// The one that the library uses first, then its rivals.
pub const METHODS: [Method; 5] = [
    ("matched", matched),
    ("jackknife", jackknife),
    ("root_jackknife", root_jackknife),
    ("noncentral_f", noncentral_f),
    ("delta", delta),
];

fn student(summary: &Summary, level: f64) -> f64 {
    StudentsT::new(0.0, 1.0, summary.blocks.len() as f64 - 1.0)
        .expect("there are at least three blocks")
        .inverse_cdf(0.5 + level / 2.0)
}

fn debiased(summary: &Summary) -> f64 {
    summary.plug_in() - 1.0 / summary.samples as f64
}

/// What the library does: see [`Spread::interval`].
fn matched(summary: &Summary, level: f64) -> (f64, f64) {
    let interval = summary.interval(level);
    (interval.low, interval.high)
}

/// The standard error of `f(plug-in ratio, samples)` by leaving out one block at a time (Busing, Meijer and van der Leeden 1999).
fn jackknife_error(summary: &Summary, f: impl Fn(f64, f64) -> f64) -> f64 {
    let n = summary.samples as f64;
    let scatter = summary.noise * (n - 1.0);
    let whole = f(summary.plug_in(), n);
    let pseudo: Vec<(f64, f64)> = summary
        .blocks
        .iter()
        .map(|block| {
            let left = n - block.count as f64;
            let signal =
                summary.signal - 2.0 * block.along_mean / left + block.squared / (left * left);
            let noise = (scatter - block.scatter - block.squared / left) / (left - 1.0);
            let h = n / block.count as f64;
            (h, h * whole - (h - 1.0) * f(signal.max(0.0) / noise, left))
        })
        .collect();
    let centre: f64 = pseudo.iter().map(|(h, value)| value / h).sum();
    let squares: f64 = pseudo
        .iter()
        .map(|(h, value)| (value - centre).powi(2) / (h - 1.0))
        .sum();
    (squares / pseudo.len() as f64).sqrt()
}

/// The debiased ratio give or take Student's quantile times its jackknife error.
fn jackknife(summary: &Summary, level: f64) -> (f64, f64) {
    let half_width = student(summary, level) * jackknife_error(summary, |p, n| p - 1.0 / n);
    let centre = debiased(summary);
    (centre - half_width, centre + half_width)
}

/// The same for the square root of the plug-in ratio, squared afterwards.
fn root_jackknife(summary: &Summary, level: f64) -> (f64, f64) {
    let half_width = student(summary, level) * jackknife_error(summary, |p, _| p.sqrt());
    let centre = summary.plug_in().sqrt();
    let back = |root: f64| root.max(0.0).powi(2) - 1.0 / summary.samples as f64;
    (back(centre - half_width), back(centre + half_width))
}

/// The noncentral F law with `r` and `r (n - 1)` degrees of freedom, inverted in its noncentrality `n r C`: isotropic Gaussian noise in
/// `r` dimensions. The law's tail areas are Patnaik's and Paulson's.
fn noncentral_f(summary: &Summary, level: f64) -> (f64, f64) {
    let isotropic = Spread {
        along_mean: summary.concentration,
        concentration: summary.concentration,
        noise: 2.0 * summary.concentration / (summary.samples as f64 - 1.0),
        correlation: 0.0,
    };
    let normal = Normal::new(0.0, 1.0).expect("a standard normal exists");
    let quantile = normal.inverse_cdf(0.5 + level / 2.0);
    isotropic.interval(summary.samples, summary.plug_in(), quantile)
}

/// The debiased ratio give or take Student's quantile times the root of its variance to first order, in which that of the numerator,
/// `4 mu'D mu / n + 2 Tr(D^2) / (n (n-1))`, is kept whole.
fn delta(summary: &Summary, level: f64) -> (f64, f64) {
    let n = summary.samples as f64;
    let spread = summary.spread();
    let plug_in = summary.plug_in();
    // mu_hat' D_hat mu_hat is too large by Tr(D^2) / n
    let first = (spread.along_mean * plug_in - spread.concentration / n).max(0.0) * 4.0 / n;
    let second = 2.0 * spread.concentration / (n * (n - 1.0));
    let centre = debiased(summary);
    let covariance = spread.correlation * (first * spread.noise).sqrt();
    let variance =
        first + second + spread.noise * centre * centre - 2.0 * covariance * centre.abs();
    let half_width = student(summary, level) * variance.max(0.0).sqrt();
    (centre - half_width, centre + half_width)
}
