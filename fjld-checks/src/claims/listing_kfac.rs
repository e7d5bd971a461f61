//! The document's function for the Kronecker form, and the test of it, as they are printed.

mod contractions;
mod meant;
mod model;
mod network;
mod printed_test;

use super::kfac::Layer;
use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Matrix, Q, dot, q, tuple};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{
    Check, Counterexample, Draw, Finding, Kind, Outcome, Planted, Role, Size, Spec, Worlds,
};
use model::{Seen, covariance, mean, printed, printed_damping, row};
use num_traits::{One, Signed, Zero};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "listing-kfac",
        origin: Origin::Document,
        statement: "The printed function gives C in the Kronecker form, with the contribution and condition number of each layer, and the printed test can be run on what it returns.",
        sentence: Some(Sentence {
            section: "Implementation",
            line: 464,
            sha256: "30b38246764083221eded97ae6b97e4bf28183e39d4f7b051f596e2c3d75909c",
            status: "stated",
        }),
        holds_when: Some(
            "of its lines only the last are kept, which contract the mean and the covariance of a layer's weight gradients with the inverse factors, the einsum among them, and the rest is replaced by lines that give those four",
        ),
        corrected: Some(
            "The function that was meant takes the factors A = E a a' and G = E g g' from every example's input and output gradient, and the mean and covariance from the gradients of the weights; it gives mu'F^-1 mu and Tr(F^-1 D) of each layer and of all, with their quotients and the layers' condition numbers, refuses to go on with fewer batches than were asked for, and gives no ratio where the noise vanished. The library's compute_c_alpha_kfac does so.",
        ),
        scenarios: &[],
        checks: vec![
            shapes(),
            stale(),
            mean_factors(),
            one_output(),
            printed_test::printed_test(),
            contractions::contractions(),
            meant::meant_function(),
            meant::refuses_short_data(),
            meant::vanished_noise(),
        ],
    }
}

/// Layers with up to so many inputs and outputs, in batches of up to so many examples.
struct Shapes {
    batch: i64,
    inputs: i64,
    outputs: i64,
}

/// A matrix of small numbers that are in no proportion to each other.
fn filled(rows: usize, columns: usize, start: i64) -> Matrix {
    Matrix::from_fn(rows, columns, |i, j| {
        let k = start + (i * columns + j) as i64;
        q(k * k % 7 + 1, k % 3 + 1)
    })
}

fn examine_shapes(world: &Shapes, _: &Draw) -> Finding {
    let sides = |most: i64| 1..=most as usize;
    let (mut cases, mut ran, mut stopped) = (0, 0, None);
    for batch in sides(world.batch) {
        for outputs in sides(world.outputs) {
            for inputs in sides(world.inputs) {
                let batches = |columns| (0..4).map(|k| filled(batch, columns, 5 * k)).collect();
                let layer = Seen {
                    inputs: batches(inputs),
                    gradients: batches(outputs),
                };
                cases += 1;
                match printed(&[layer], &printed_damping()) {
                    Ok(_) => ran += 1,
                    Err(reason) => {
                        stopped.get_or_insert((batch, inputs, outputs, reason));
                    }
                }
            }
        }
    }
    let summary = format!("it runs to its end in {ran} of {cases} shapes of layer and batch");
    let Some((batch, inputs, outputs, reason)) = stopped else {
        return Finding::new(Outcome::Holds, cases, summary);
    };
    let mut finding = Finding::new(Outcome::Violated, cases, summary);
    finding.effect = Some(f64::from(ran) / cases as f64);
    finding.counterexample = Some(Counterexample {
        case: format!("batches of {batch}, a layer from {inputs} to {outputs}: {reason}"),
        height: batch.max(inputs).max(outputs) as u64,
        searched: cases,
    });
    finding
}

fn shapes() -> Check {
    let spec = Spec {
        id: "shapes",
        role: Role::AsWritten,
        kind: Kind::Exact,
        hypothesis: "handed inputs [batch, in] and output gradients [batch, out] of a layer, as its comments have them, the printed function runs to its end",
        tolerance: 0.0,
        detectable: Size::of("examples in a batch", 2.0),
    };
    let shapes = |batch, inputs, outputs| Shapes {
        batch,
        inputs,
        outputs,
    };
    let worlds = Worlds {
        real: shapes(4, 4, 4),
        defect: Planted {
            what: "one output, and batches of one or two examples",
            size: 2.0,
            world: shapes(2, 4, 1),
        },
        truth: Planted {
            what: "one output, and batches of one example",
            size: 0.0,
            world: shapes(1, 4, 1),
        },
    };
    Check::new(spec, worlds, examine_shapes)
}

/// Four batches of one example, of which the last `stale` find the gradient of the last training step.
struct Stale {
    stale: usize,
}

fn examine_stale(world: &Stale, _: &Draw) -> Finding {
    let stale = world.stale;
    // the gradients of four batches, and that of the last training step
    let part = Part::new(&[&[Axis::Any; 5]], 2, move |c| {
        let read = |k: usize| if k >= 4 - stale { &c[4] } else { &c[k] };
        let layer = |of: &dyn Fn(usize) -> Q| Seen {
            inputs: vec![row(&[Q::one()]); 4],
            gradients: (0..4).map(|k| row(&[of(k)])).collect(),
        };
        Some((layer(&|k| c[k].clone()), layer(&|k| read(k).clone())))
    });
    search(&[part], |(fresh, read)| {
        let there: Vec<Vec<Q>> = fresh.gradients.iter().map(|g| g.0.concat()).collect();
        let noise = covariance(&there).trace();
        if noise.is_zero() {
            return None;
        }
        let mean = mean(&fresh.gradients).0.concat();
        let expected = dot(&mean, &mean) / noise;
        let returned = printed(std::slice::from_ref(read), &printed_damping());
        (returned != Ok(expected.clone())).then(|| {
            let shown = |seen: &Seen| {
                let numbers: Vec<String> = seen.gradients.iter().map(|g| g.0[0][0].to_string()).collect();
                numbers.join(", ")
            };
            let said = returned.map_or_else(|reason| reason, |c| format!("C = {c}"));
            format!(
                "one weight with the input 1, whose gradients over four batches are {}: C = {expected}; the helper finds {}: {said}",
                shown(fresh),
                shown(read)
            )
        })
    })
}

fn stale() -> Check {
    let spec = Spec {
        id: "no-backward-pass",
        role: Role::AsWritten,
        kind: Kind::Exact,
        hypothesis: "no line of the printed function runs a backward pass, and with what training left behind it gives C all the same",
        tolerance: 0.0,
        detectable: Size::of("batches of four without a backward pass", 1.0),
    };
    let worlds = Worlds {
        real: Stale { stale: 4 },
        defect: Planted {
            what: "one batch of four without a backward pass",
            size: 1.0,
            world: Stale { stale: 1 },
        },
        truth: Planted {
            what: "a backward pass for every batch",
            size: 0.0,
            world: Stale { stale: 0 },
        },
    };
    Check::new(spec, worlds, examine_stale)
}

/// Two batches of one example with two inputs: any, or the second like the first, its second input `sixty_fourths/64` larger.
struct Inputs {
    any: bool,
    sixty_fourths: i64,
}

fn examine_factors(world: &Inputs, _: &Draw) -> Finding {
    let (any, excess) = (world.any, q(world.sixty_fourths, 64));
    let part = Part::new(&[&[Axis::Any; 4]], 3, move |c| {
        let second = if any {
            c[2..].to_vec()
        } else {
            vec![c[0].clone(), &c[1] + &excess]
        };
        Some([row(&c[..2]), row(&second)])
    });
    search(&[part], |batches| {
        let mean = mean(batches);
        // as the comment has its shape: [in, in]
        let factor = mean.transpose().times(&mean);
        let moment = Matrix::from_fn(2, 2, |i, j| {
            let products = batches.iter().map(|b| &b.0[0][i] * &b.0[0][j]);
            products.sum::<Q>() / q(2, 1)
        });
        let places = || (0..2).flat_map(|i| (0..2).map(move |j| (i, j)));
        let entry = |m: &Matrix, (i, j): (usize, usize)| m.0[i][j].clone();
        let proportional = places().all(|p| {
            places().all(|r| {
                entry(&factor, p) * entry(&moment, r) == entry(&factor, r) * entry(&moment, p)
            })
        });
        let vanished = factor.trace().is_zero() && moment.trace().is_positive();
        (!proportional || vanished).then(|| {
            format!(
                "inputs {} and {}: the factor of their mean is {factor}, up to a multiple, and E aa' = {moment}",
                tuple(&batches[0].0[0]),
                tuple(&batches[1].0[0])
            )
        })
    })
}

fn mean_factors() -> Check {
    let spec = Spec {
        id: "mean-factors",
        role: Role::AsWritten,
        kind: Kind::Exact,
        hypothesis: "the product of the mean input with itself, as the printed function takes it, is E aa' up to a multiple, even in the order of factors that gives it the shape [in, in]",
        tolerance: 0.0,
        detectable: Size::of("difference of one input between two batches", 1.0 / 64.0),
    };
    let inputs = |any, sixty_fourths| Inputs { any, sixty_fourths };
    let worlds = Worlds {
        real: inputs(true, 0),
        defect: Planted {
            what: "a second batch with one input that is 1/64 larger",
            size: 1.0 / 64.0,
            world: inputs(false, 1),
        },
        truth: Planted {
            what: "two batches with the same inputs",
            size: 0.0,
            world: inputs(false, 0),
        },
    };
    Check::new(spec, worlds, examine_factors)
}

/// Two batches of one example for one weight: any inputs, or the second `1 + sixty_fourths/64` times the first.
struct OneWeight {
    any: bool,
    sixty_fourths: i64,
}

fn examine_one_output(world: &OneWeight, _: &Draw) -> Finding {
    let (any, excess) = (world.any, q(64 + world.sixty_fourths, 64));
    let part = Part::new(&[&[Axis::NonZero; 2], &[Axis::Any; 2]], 3, move |c| {
        let second = if any { c[1].clone() } else { &c[0] * &excess };
        Some([(c[0].clone(), c[2].clone()), (second, c[3].clone())])
    });
    search(&[part], |pairs| {
        let layer = Layer::even(
            pairs
                .iter()
                .map(|(a, g)| (vec![a.clone()], vec![g.clone()]))
                .collect(),
        );
        // one weight: every metric cancels, and of two draws the sample variance is twice that of a population
        let expected = layer.plain().ratio()? / q(2, 1);
        let seen = Seen {
            inputs: pairs
                .iter()
                .map(|(a, _)| row(std::slice::from_ref(a)))
                .collect(),
            gradients: pairs
                .iter()
                .map(|(_, g)| row(std::slice::from_ref(g)))
                .collect(),
        };
        let returned = printed(&[seen], &printed_damping());
        (returned != Ok(expected.clone())).then(|| {
            let said = returned.map_or_else(|reason| reason, |c| format!("C = {c}"));
            format!("{layer}: the weight's gradients ag have C = {expected}, and the function gives {said}")
        })
    })
}

fn one_output() -> Check {
    let spec = Spec {
        id: "where-it-runs",
        role: Role::AsWritten,
        kind: Kind::Exact,
        hypothesis: "in batches of one example for a layer with one weight, where the printed function does run, it gives C of the weight's gradients",
        tolerance: 0.0,
        detectable: Size::of(
            "relative difference of the input between two batches",
            1.0 / 64.0,
        ),
    };
    let weight = |any, sixty_fourths| OneWeight { any, sixty_fourths };
    let worlds = Worlds {
        real: weight(true, 0),
        defect: Planted {
            what: "a second input that is 1/64 larger",
            size: 1.0 / 64.0,
            world: weight(false, 1),
        },
        truth: Planted {
            what: "the same input in both batches, as the constant 1 of a bias",
            size: 0.0,
            world: weight(false, 0),
        },
    };
    Check::new(spec, worlds, examine_one_output)
}
