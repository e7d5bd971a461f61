//! The suite's own instruments, tried before any claim: with one of them broken no verdict counts.

use crate::evidence::Outcome;
use crate::evidence::kernels::{kolmogorov, kolmogorov_sample_size};
use crate::evidence::ledger::Rates;
use crate::evidence::rational::{Matrix, q};
use crate::scenarios::data::{CLASSES, digits};
use faer::mat;
use fjld_core::Moments;
use fjld_core::geometry::pull_back;
use fjld_core::rng::{Seed, standard_normals};
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};

/// How one instrument fared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Instrument {
    /// What it must do.
    pub what: String,
    /// Whether it did.
    pub works: bool,
}

/// Whether an instrument works; `None` where it refused its input.
type Trial = fn(Seed) -> Option<bool>;

/// Tries every instrument.
pub fn try_instruments(root: Seed) -> Vec<Instrument> {
    let tried: [(&str, Trial); 5] = [
        ("normal draws follow the normal law", normal_draws),
        (
            "the trace of a sample has the divisor n - 1 and no mean in it",
            trace,
        ),
        (
            "a gradient in another chart is the slope of the loss there",
            pulled_back,
        ),
        (
            "a rational matrix times its inverse is the identity",
            inverse,
        ),
        (
            "shuffled labels agree with the true ones no more than chance",
            shuffled,
        ),
    ];
    tried
        .into_iter()
        .map(|(what, instrument)| Instrument {
            what: what.to_owned(),
            works: instrument(root.derive("baseline").derive(what)).unwrap_or(false),
        })
        .collect()
}

fn normal_draws(seed: Seed) -> Option<bool> {
    let rates = Rates::of_one_slot();
    let normal = Normal::new(0.0, 1.0).ok()?;
    let draws = standard_normals(&mut seed.generator(), kolmogorov_sample_size(0.02, rates));
    Some(kolmogorov(draws, |x| normal.cdf(x), rates).outcome == Outcome::Holds)
}

fn trace(_: Seed) -> Option<bool> {
    let mut moments = Moments::new(2).ok()?;
    moments
        .push_batch(&[11.0, 5.0, 13.0, 5.0, 15.0, 8.0])
        .ok()?;
    // deviations -2, 0, 2 and -1, -1, 2: (8 + 6) / 2
    Some((moments.trace().ok()? - 7.0).abs() < 1e-12)
}

fn pulled_back(_: Seed) -> Option<bool> {
    // L(theta) = theta_1 + 10 theta_2 with theta = J phi: L = phi_1 (1 + 30) + phi_2 (2 + 40)
    let gradient = pull_back(mat![[1.0, 2.0], [3.0, 4.0]].as_ref(), &[1.0, 10.0]).ok()?;
    Some(gradient == [31.0, 42.0])
}

fn inverse(_: Seed) -> Option<bool> {
    let hilbert = Matrix::from_fn(4, 4, |i, j| q(1, (i + j + 1) as i64));
    Some(hilbert.times(&hilbert.inverse()?) == Matrix::identity(4))
}

fn shuffled(seed: Seed) -> Option<bool> {
    let digits = digits();
    let agreement = digits.label_agreement(&digits.with_shuffled_labels(seed));
    let chance = 1.0 / CLASSES as f64;
    // five standard deviations of a proportion over all images
    Some((agreement - chance).abs() < 5.0 * (chance * (1.0 - chance) / digits.len() as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instrument_works() {
        for instrument in try_instruments(Seed::root(0)) {
            assert!(instrument.works, "{}", instrument.what);
        }
    }
}
