//! The lines of the printed function that contract mean and covariance with the inverse factors, the einsum among them.

use super::model::{columns, covariance, mean, noise, row, signal};
use crate::claims::kfac::{Layer, kronecker};
use crate::evidence::rational::{Q, dot, q};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};

/// The factor `G` that the contractions are handed has its first entry `1 + sixty_fourths/64` times as large; or there is one weight.
struct Contracted {
    sixty_fourths: i64,
    one_weight: bool,
}

/// Examples' inputs and output gradients.
type Pairs = Vec<(Vec<Q>, Vec<Q>)>;

fn examine_contractions(world: &Contracted, _: &Draw) -> Finding {
    let excess = q(world.sixty_fourths, 64);
    let numbers = |values: &[i64]| values.iter().map(|&v| q(v, 1)).collect::<Vec<Q>>();
    let one = Part::new(&[&[Axis::NonZero; 2], &[Axis::Any; 2]], 2, |c| {
        let pair = |k: usize| (vec![c[k].clone()], vec![c[k + 2].clone()]);
        Some(vec![pair(0), pair(1)])
    });
    let six = Part::new(&[&[Axis::Any; 3]], 2, move |c| -> Option<Pairs> {
        Some(vec![
            (numbers(&[1, 0, 2]), vec![q(1, 1), c[0].clone()]),
            (vec![c[1].clone(), q(1, 1), q(0, 1)], numbers(&[0, 1])),
            (numbers(&[1, 1, 1]), vec![c[2].clone(), q(-1, 1)]),
            (numbers(&[0, 2, 1]), numbers(&[2, 1])),
        ])
    });
    let parts = if world.one_weight {
        vec![one]
    } else {
        vec![one, six]
    };
    search(&parts, |pairs: &Pairs| {
        let layer = Layer::even(pairs.clone());
        let (a, g) = (layer.input_factor(), layer.output_factor());
        let mut handed = g.clone();
        handed.0[0][0] += &g.0[0][0] * &excess;
        // row by row, as torch flattens a weight [out, in]
        let gradients: Vec<Vec<Q>> = pairs
            .iter()
            .map(|(a, g)| {
                let row = |g: &Q| a.iter().map(|a| g * a).collect::<Vec<Q>>();
                g.iter().flat_map(row).collect()
            })
            .collect();
        let mu = mean(&gradients.iter().map(|g| row(g)).collect::<Vec<_>>())
            .0
            .concat();
        let d = covariance(&gradients);
        let inverse = kronecker(&g, &a).inverse()?;
        let expected = (dot(&mu, &inverse.apply(&mu)), inverse.times(&d).trace());
        let (g_inverse, a_inverse) = (handed.inverse()?, a.inverse()?);
        let given = (
            signal(&g_inverse, &a_inverse, &mu),
            noise(&g_inverse, &a_inverse, &d),
        );
        (given != expected).then(|| {
            format!(
                "{layer}, a layer from {} to {}: signal {} and noise {}, by the whole matrix {} and {}",
                columns(&a), columns(&g), given.0, given.1, expected.0, expected.1
            )
        })
    })
}

/// That they are right.
pub fn contractions() -> Check {
    let spec = Spec {
        id: "contractions",
        role: Role::HoldsWhen,
        kind: Kind::Exact,
        hypothesis: "given A, G and the mean and covariance of the weight's gradients row by row, the printed contractions give mu'F^-1 mu and Tr(F^-1 D) for F = G (x) A, for one weight and for a layer from three to two",
        tolerance: 0.0,
        detectable: Size::of("relative error of an entry of G", 1.0 / 64.0),
    };
    let world = |sixty_fourths, one_weight| Contracted {
        sixty_fourths,
        one_weight,
    };
    let worlds = Worlds {
        real: world(0, false),
        defect: Planted {
            what: "a first entry of G that is 1/64 too large",
            size: 1.0 / 64.0,
            world: world(1, false),
        },
        truth: Planted {
            what: "one weight",
            size: 0.0,
            world: world(0, true),
        },
    };
    Check::new(spec, worlds, examine_contractions)
}
