//! The document's function for `C` and its monitoring loop, as they are printed.

mod model;

use super::{Claim, Origin, Sentence};
use crate::evidence::{
    Bench, Check, Draw, Finding, Kind, Outcome, Planted, Role, Size, Spec, Worlds,
};
use crate::precision::Scalar;
use fjld_core::geometry::log_jeffreys_diagonal;
use fjld_core::{Moments, compute_c_alpha};
use model::{Epoch, epoch, printed};
use std::sync::Arc;

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "listing-diagonal",
        origin: Origin::Document,
        statement: "The printed function, called after each epoch of the printed loop, gives C of a hundred gradients at the current parameters, and the Jeffreys density.",
        sentence: Some(Sentence {
            section: "Computing the Consolidation Ratio",
            line: 167,
            sha256: "728463b204dbebf25c82f6973850b02e37b22b8ef237a112d1e1836c14e2d72a",
            status: "stated",
        }),
        holds_when: Some(
            "a backward pass is added for every batch, the loader holds as many batches as are asked for, and of the results only C is used",
        ),
        corrected: Some(
            "The function that was meant takes a backward pass for each batch, refuses to go on with fewer batches than were asked for, adds nothing to the variances, and gives the density by its logarithm, which is finite however many parameters there are as long as each of them moves; the library's compute_c_alpha does so.",
        ),
        scenarios: &[],
        checks: vec![
            gradients("fresh-model", Role::AsWritten, Slot::Empty),
            gradients("after-an-epoch", Role::AsWritten, Slot::Stale),
            hundred_batches(),
            density("density", Role::AsWritten, Density::Product),
            gradients("with-backward", Role::HoldsWhen, Slot::Fresh { skipped: 0 }),
            meant_function(),
            refuses_short_data(),
            density("log-density", Role::Corrected, Density::Logarithm),
        ],
    }
}

/// What the gradient slots of the model hold when the listing reads them. It runs no backward pass itself.
#[derive(Clone, Copy)]
enum Slot {
    /// Nothing: no backward pass was ever run, or the slots were cleared.
    Empty,
    /// The gradient of the last training step.
    Stale,
    /// The batch's own gradient, a backward pass having been added, except that `skipped` batches of every four keep the one before.
    Fresh { skipped: usize },
}

/// The listing over an epoch's batches.
struct Reading {
    epoch: Arc<Epoch>,
    slot: Slot,
}

/// Sums of 2,410 numbers in `f32` err by up to 2,410 times 6e-8, relative, and the added `1e-10` by 1e-5.
const LISTING_TOLERANCE: f64 = 1e-3;

fn examine_gradients(world: &Reading, _: &Draw) -> Finding {
    let Epoch {
        gradients,
        last_step,
        ..
    } = &*world.epoch;
    let batches = gradients.len();
    let returned = printed(batches, batches, |i| match world.slot {
        Slot::Empty => None,
        Slot::Stale => Some(last_step.as_slice()),
        Slot::Fresh { skipped } => {
            let at = if i > 0 && i % 4 < skipped { i - 1 } else { i };
            Some(gradients[at].as_slice())
        }
    });
    let returned = match returned {
        Ok(returned) => returned,
        Err(reason) => {
            let summary = format!("it does not run: {reason}");
            return Finding::new(Outcome::Violated, batches as u64, summary);
        }
    };
    let meant = (|| -> fjld_core::Result<f64> {
        let mut moments = Moments::new(last_step.len())?;
        for gradient in gradients {
            moments.push(gradient)?;
        }
        Ok(moments.squared_mean_norm() / moments.trace()?)
    })();
    let Ok(meant) = meant else {
        return Finding::new(Outcome::Undecided, 0, "the library refused a gradient");
    };
    let c = f64::from(returned.c);
    let quotient = c / meant;
    let outcome = if (quotient - 1.0).abs() <= LISTING_TOLERANCE {
        Outcome::Holds
    } else {
        Outcome::Violated
    };
    let label = if c > 1.0 { "CONVERGENT" } else { "DIFFUSIVE" };
    let shown = if c < 1e4 {
        format!("{c:.3}")
    } else {
        format!("{c:.1e}")
    };
    let summary = format!(
        "on shuffled labels the loop prints C = {shown} [{label}]; the gradients of the same {batches} batches have C = {meant:.3}"
    );
    let mut finding = Finding::new(outcome, batches as u64, summary);
    finding.effect = Some(quotient);
    finding
}

fn gradients(id: &'static str, role: Role, real: Slot) -> Check {
    let spec = Spec {
        id,
        role,
        kind: Kind::Identity,
        hypothesis: match real {
            Slot::Empty => {
                "on a fresh model the printed function gives C of the batches it is handed"
            }
            Slot::Stale => {
                "after an epoch on shuffled labels the printed function gives C of the batches it is handed"
            }
            Slot::Fresh { .. } => {
                "with a backward pass added the printed function gives C of the batches it is handed"
            }
        },
        tolerance: LISTING_TOLERANCE,
        detectable: Size::of("share of batches without a backward pass", 0.25),
    };
    let build = move |bench: &Bench| {
        let epoch = epoch(bench)?;
        let reading = |slot| Reading {
            epoch: epoch.clone(),
            slot,
        };
        Ok(Worlds {
            real: reading(real),
            defect: Planted {
                what: "a backward pass for three batches of four",
                size: 0.25,
                world: reading(Slot::Fresh { skipped: 1 }),
            },
            truth: Planted {
                what: "a backward pass for every batch",
                size: 0.0,
                world: reading(Slot::Fresh { skipped: 0 }),
            },
        })
    };
    Check::built(spec, build, examine_gradients)
}

/// A loader with this many batches, asked for [`ASKED`].
struct Loader {
    batches: usize,
}

/// The listing's default.
const ASKED: usize = 100;

fn examine_loader(world: &Loader, _: &Draw) -> Finding {
    let row = [1 as Scalar];
    let returned = printed(world.batches, ASKED, |_| Some(&row));
    let used = returned.map_or(0, |r| r.gradients);
    let outcome = if used == ASKED {
        Outcome::Holds
    } else {
        Outcome::Violated
    };
    let summary = format!(
        "asked for {ASKED} gradients of a loader with {} batches, it goes on with {used} and does not say so",
        world.batches
    );
    let mut finding = Finding::new(outcome, 1, summary);
    finding.effect = Some(used as f64);
    finding
}

fn hundred_batches() -> Check {
    let spec = Spec {
        id: "hundred-batches",
        role: Role::AsWritten,
        kind: Kind::Identity,
        hypothesis: "asked for its default of 100 gradients, the printed function uses 100",
        tolerance: 0.0,
        detectable: Size::of("batches short of 100", 1.0),
    };
    let worlds = Worlds {
        // 1,348 training digits in batches of 64
        real: Loader { batches: 21 },
        defect: Planted {
            what: "a loader with 99 batches",
            size: 1.0,
            world: Loader { batches: 99 },
        },
        truth: Planted {
            what: "a loader with 938 batches, as 60,000 images in batches of 64 have",
            size: 0.0,
            world: Loader { batches: 938 },
        },
    };
    Check::new(spec, worlds, examine_loader)
}

/// How the density is computed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Density {
    /// As printed: one over the root of a product in `f32`.
    Product,
    /// As the library does it.
    Logarithm,
}

/// Variances of the gradients, as the listing has them, and a form of the density; its logarithm is multiplied by `1 + error`.
struct Variances {
    variances: Vec<Scalar>,
    density: Density,
    error: f64,
}

/// A product of few numbers in `f32`; and the sum of 2,410 logarithms in `f64` needs less.
const DENSITY_TOLERANCE: f64 = 1e-5;

fn examine_density(world: &Variances, _: &Draw) -> Finding {
    let variances: Vec<f64> = world.variances.iter().map(|&v| f64::from(v)).collect();
    // pairwise products with their exponents split off, which neither over- nor underflow
    let (mut mantissa, mut exponent) = (1f64, 0i64);
    for v in &variances {
        mantissa *= v;
        while mantissa < 1.0 {
            mantissa *= 2.0;
            exponent -= 1;
        }
        while mantissa >= 2.0 {
            mantissa /= 2.0;
            exponent += 1;
        }
    }
    let expected = -0.5 * (mantissa.ln() + exponent as f64 * 2f64.ln());
    let (logarithm, shown) = match world.density {
        Density::Product => {
            let density = 1.0 / world.variances.iter().product::<Scalar>().sqrt();
            (f64::from(density).ln(), format!("{density}"))
        }
        Density::Logarithm => match log_jeffreys_diagonal(&variances) {
            Ok(logarithm) => (logarithm, format!("e^{logarithm:.1}")),
            Err(_) => return Finding::new(Outcome::Undecided, 0, "a variance was refused"),
        },
    };
    let gap = (logarithm * (1.0 + world.error) / expected - 1.0).abs();
    let outcome = if gap <= DENSITY_TOLERANCE {
        Outcome::Holds
    } else {
        Outcome::Violated
    };
    let summary = format!(
        "the density of {} variances comes out as {shown}; it is e^{expected:.1}",
        variances.len()
    );
    let mut finding = Finding::new(outcome, variances.len() as u64, summary);
    finding.effect = Some(gap);
    finding
}

fn density(id: &'static str, role: Role, form: Density) -> Check {
    let spec = Spec {
        id,
        role,
        kind: Kind::Identity,
        hypothesis: "the density of a network's gradient variances has the logarithm -(1/2) sum log D_ii",
        tolerance: DENSITY_TOLERANCE,
        detectable: Size::of("relative error of the logarithm", 1e-4),
    };
    let build = move |bench: &Bench| {
        let epoch = epoch(bench)?;
        let batches = epoch.gradients.len();
        let returned = printed(batches, batches, |i| Some(epoch.gradients[i].as_slice()));
        let all = returned.map_or(Vec::new(), |r| r.variances);
        // the last layer's biases, which move in every batch
        let few: Vec<Scalar> = all.iter().rev().take(3).copied().collect();
        let world = |variances, density, error| Variances {
            variances,
            density,
            error,
        };
        Ok(Worlds {
            real: world(all, form, 0.0),
            defect: Planted {
                what: "three parameters, and a logarithm that is off by one part in 10^4",
                size: 1e-4,
                world: world(few.clone(), form, 1e-4),
            },
            truth: Planted {
                what: "three parameters",
                size: 0.0,
                world: world(few, form, 0.0),
            },
        })
    };
    Check::built(spec, build, examine_density)
}

/// The library's function over an epoch's batches, of which the first `used` are handed to it.
struct Meant {
    epoch: Arc<Epoch>,
    used: usize,
    error: f64,
}

/// Some 50,000 additions in `f64`.
const MEANT_TOLERANCE: f64 = 1e-11;

fn examine_meant(world: &Meant, _: &Draw) -> Finding {
    let Epoch {
        model,
        batches,
        gradients,
        ..
    } = &*world.epoch;
    let data = batches.iter().take(world.used).cloned().map(Ok);
    let Ok(Some(c)) = compute_c_alpha(model, data, world.used).map(|r| r.c_alpha) else {
        return Finding::new(Outcome::Undecided, 0, "the library refused a gradient");
    };
    // two passes over the gradients, each computed by a backward pass of its own
    let n = world.used as f64;
    let (mut signal, mut noise) = (0.0, 0.0);
    for j in 0..gradients[0].len() {
        let column = || gradients[..world.used].iter().map(|g| f64::from(g[j]));
        let mean = column().sum::<f64>() / n;
        signal += mean * mean;
        noise += column().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    }
    let gap = (c * (1.0 + world.error) / (signal / noise) - 1.0).abs();
    let outcome = if gap <= MEANT_TOLERANCE {
        Outcome::Holds
    } else {
        Outcome::Violated
    };
    let summary = format!(
        "compute_c_alpha gives {c:.3} for {} batches, and differs from two passes over their gradients by {gap:.1e}, relative",
        world.used
    );
    let mut finding = Finding::new(outcome, world.used as u64, summary);
    finding.effect = Some(gap);
    finding
}

fn meant_function() -> Check {
    let spec = Spec {
        id: "meant-function",
        role: Role::Corrected,
        kind: Kind::Identity,
        hypothesis: "compute_c_alpha gives C of the gradients of the batches it is handed, after an epoch on shuffled labels",
        tolerance: MEANT_TOLERANCE,
        detectable: Size::of("relative error of C", 1e-10),
    };
    let build = |bench: &Bench| {
        let epoch = epoch(bench)?;
        let all = epoch.batches.len();
        let meant = |used, error| Meant {
            epoch: epoch.clone(),
            used,
            error,
        };
        Ok(Worlds {
            real: meant(all, 0.0),
            defect: Planted {
                what: "a C that is off by one part in 10^10",
                size: 1e-10,
                world: meant(all, 1e-10),
            },
            truth: Planted {
                what: "two batches",
                size: 0.0,
                world: meant(2, 0.0),
            },
        })
    };
    Check::built(spec, build, examine_meant)
}

/// Batches that there are and that are wanted; the function is asked for `lowered` fewer than are wanted.
struct Wanted {
    epoch: Arc<Epoch>,
    there: usize,
    wanted: usize,
    lowered: usize,
}

fn examine_refusal(world: &Wanted, _: &Draw) -> Finding {
    let data = world
        .epoch
        .batches
        .iter()
        .take(world.there)
        .cloned()
        .map(Ok);
    let result = compute_c_alpha(&world.epoch.model, data, world.wanted - world.lowered);
    let fits = world.there >= world.wanted;
    let outcome = if result.is_ok() == fits {
        Outcome::Holds
    } else {
        Outcome::Violated
    };
    let said = result.map_or_else(
        |e| e.to_string(),
        |r| format!("C of {} gradients", r.samples),
    );
    let summary = format!(
        "{} batches wanted, {} there: {said}",
        world.wanted, world.there
    );
    Finding::new(outcome, 1, summary)
}

fn refuses_short_data() -> Check {
    let spec = Spec {
        id: "refuses-short-data",
        role: Role::Corrected,
        kind: Kind::Identity,
        hypothesis: "compute_c_alpha refuses data with fewer batches than are wanted, and no other",
        tolerance: 0.0,
        detectable: Size::of("batches missing without a word", 1.0),
    };
    let build = |bench: &Bench| {
        let epoch = epoch(bench)?;
        let wanted = |there, wanted, lowered| Wanted {
            epoch: epoch.clone(),
            there,
            wanted,
            lowered,
        };
        Ok(Worlds {
            real: wanted(20, 21, 0),
            defect: Planted {
                what: "a function that is content with one batch fewer",
                size: 1.0,
                world: wanted(20, 21, 1),
            },
            truth: Planted {
                what: "as many batches as are wanted",
                size: 0.0,
                world: wanted(21, 21, 0),
            },
        })
    };
    Check::built(spec, build, examine_refusal)
}
