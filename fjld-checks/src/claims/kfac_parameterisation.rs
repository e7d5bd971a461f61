//! Both ratios under changes of a layer's parameters.

use super::kfac::maps::{self, Chart, rotation, scaled, three_examples};
use super::kfac::{Layer, kronecker};
use super::trained_network::{self, AROUND_LAYERS, ROTATIONS, Rewriting};
use super::{Claim, Origin, Sentence};
use crate::evidence::rational::{Matrix, Q, dot, q};
use crate::evidence::search::{Axis, Part, search};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds};
use crate::scenarios::reparameterization::metrics::Metric;
use crate::scenarios::reparameterization::transformation::Transformation;
use num_traits::{One, Zero};

/// See the module.
pub fn claim() -> Claim {
    Claim {
        id: "kfac-parameterisation",
        origin: Origin::Document,
        statement: "The plain ratio and the Kronecker-factored one are both invariant under reparameterisation.",
        sentence: Some(Sentence {
            section: "Comparison: Diagonal vs K-FAC",
            line: 508,
            sha256: "0b58a3587f6b9dd38d7a81670c4d893c22e5b421b81963d5d37b47c0ecf9f766",
            status: "stated",
        }),
        holds_when: Some(
            "for the plain ratio, the charts differ by rotations and one scale for all weights; for the factored one, by fixed maps around the layer, W = U W' V, and nothing is added to the factors",
        ),
        corrected: Some(
            "The factored ratio is unchanged under W = U W' V for all invertible U and V, because A (x) G then becomes J'(A (x) G)J with J = V' (x) U. No two factors can follow a map that rescales one weight alone: J'(A (x) G)J is then no Kronecker product. The whole matrix J'(A (x) G)J as the metric keeps the ratio under every invertible J.",
        ),
        scenarios: &[],
        checks: vec![
            plain("plain", Role::AsWritten, Charts::EachWeight),
            factored("factored", Role::AsWritten, Charts::EachWeight),
            plain("plain-conformal", Role::HoldsWhen, CONFORMAL),
            factored("factored-maps", Role::HoldsWhen, AROUND),
            factored("around-the-layer", Role::Corrected, AROUND),
            no_product(),
            whole_metric(),
            trained_plain(),
            trained_factored(),
        ],
    }
}

/// How the weights are written anew, `w = J w'`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Charts {
    /// Each weight has a scale of its own.
    EachWeight,
    /// The last weight has the scale `1 + sixty_fourths/64`, and the others the scale 1.
    LastWeight { sixty_fourths: i64 },
    /// Rotations of the outputs times one scale, with the last output `1 + sixty_fourths/64` times as large.
    Conformal { sixty_fourths: i64 },
    /// `W = U W' V`.
    Around,
}

const CONFORMAL: Charts = Charts::Conformal { sixty_fourths: 0 };
const AROUND: Charts = Charts::Around;

/// A layer, the Jacobian `J` of its gradients `a (x) g`, and the layer that the factors are taken from in the new chart.
struct Case {
    layer: Layer,
    jacobian: Matrix,
    seen: Layer,
}

impl Case {
    /// A map that the layer does not see: its inputs and output gradients stay as they are.
    fn unseen(layer: Layer, jacobian: Matrix) -> Self {
        Self {
            seen: layer.clone(),
            layer,
            jacobian,
        }
    }

    /// Maps around the layer: `a (x) g` becomes `V a (x) U'g`.
    fn around(chart: &Chart) -> Self {
        Self {
            jacobian: kronecker(&chart.v.transpose(), &chart.u),
            seen: chart.inner(),
            layer: chart.layer.clone(),
        }
    }

    /// `mu'J M J'mu / Tr(M J'DJ)` in the metric `M` of the new chart.
    fn ratio(&self, metric: &Matrix) -> Option<Q> {
        let mean = self.jacobian.transpose().apply(&self.layer.mean());
        let covariance = self.layer.covariance().pulled_back(&self.jacobian);
        let noise = metric.times(&covariance).trace();
        let signal = dot(&mean, &metric.apply(&mean));
        (!noise.is_zero()).then(|| signal / noise)
    }

    /// `A^-1 (x) G^-1` of the layer that is seen.
    fn factored_metric(&self) -> Option<Matrix> {
        let (a, g) = (self.seen.input_factor(), self.seen.output_factor());
        Some(kronecker(&a.inverse()?, &g.inverse()?))
    }
}

/// One input and two outputs, so that the two weights are a vector.
fn two_weights(charts: Charts) -> Vec<Part<Case>> {
    let axes: [&[Axis]; 3] = [&[Axis::Any; 2], &[Axis::Positive], &[Axis::NonZero; 2]];
    vec![Part::new(&axes, 2, move |c| {
        let jacobian = match charts {
            Charts::EachWeight => Matrix::diagonal(&c[3..]),
            Charts::LastWeight { sixty_fourths } => {
                Matrix::diagonal(&[Q::one(), q(64 + sixty_fourths, 64)])
            }
            Charts::Conformal { sixty_fourths } => {
                let stretch = Matrix::diagonal(&[Q::one(), q(64 + sixty_fourths, 64)]);
                scaled(&rotation(&c[3]), &c[4]).times(&stretch)
            }
            Charts::Around => return None,
        };
        let spreads = [Q::one(), c[2].clone()];
        Some(Case::unseen(Layer::cloud(&c[..2], &spreads), jacobian))
    })]
}

/// Two inputs and two outputs.
fn four_weights(charts: Charts) -> Vec<Part<Case>> {
    let scales =
        |scales: Vec<Q>, x: &Q| Some(Case::unseen(three_examples(x), Matrix::diagonal(&scales)));
    match charts {
        Charts::EachWeight => vec![Part::new(
            &[&[Axis::Any], &[Axis::Positive; 4]],
            2,
            move |c| scales(c[1..].to_vec(), &c[0]),
        )],
        Charts::LastWeight { sixty_fourths } => vec![Part::new(&[&[Axis::Any]], 3, move |c| {
            let last = q(64 + sixty_fourths, 64);
            scales(vec![Q::one(), Q::one(), Q::one(), last], &c[0])
        })],
        Charts::Conformal { .. } => Vec::new(),
        Charts::Around => maps::invertible(|chart| Case::around(&chart)),
    }
}

fn moved(case: &Case, before: &Q, after: &Q) -> Option<String> {
    (before != after).then(|| {
        format!(
            "{}, J = {}: the ratio is {before} before and {after} after",
            case.layer, case.jacobian
        )
    })
}

fn examine_plain(charts: &Charts, _: &Draw) -> Finding {
    search(&two_weights(*charts), |case| {
        let before = case.layer.plain().ratio()?;
        let after = case.ratio(&Matrix::identity(case.jacobian.rows()))?;
        moved(case, &before, &after)
    })
}

fn examine_factored(charts: &Charts, _: &Draw) -> Finding {
    search(&four_weights(*charts), |case| {
        let before = case.layer.undamped()?.ratio()?;
        let after = case.ratio(&case.factored_metric()?)?;
        moved(case, &before, &after)
    })
}

fn plain(id: &'static str, role: Role, real: Charts) -> Check {
    let defect = match real {
        Charts::Conformal { .. } => Charts::Conformal { sixty_fourths: 1 },
        _ => Charts::LastWeight { sixty_fourths: 1 },
    };
    let hypothesis = match real {
        Charts::Conformal { .. } => {
            "the plain ratio of a layer with two weights is the same after a rotation and one scale for both"
        }
        _ => {
            "the plain ratio of a layer with two weights is the same when each weight gets its own scale"
        }
    };
    invariant(id, role, hypothesis, real, defect, examine_plain)
}

fn factored(id: &'static str, role: Role, real: Charts) -> Check {
    let hypothesis = match real {
        Charts::Around => {
            "the factored ratio of a layer with four weights is the same for W = U W' V, for all invertible U and V"
        }
        _ => {
            "the factored ratio of a layer with four weights is the same when each weight gets its own scale"
        }
    };
    let defect = Charts::LastWeight { sixty_fourths: 1 };
    invariant(id, role, hypothesis, real, defect, examine_factored)
}

fn invariant(
    id: &'static str,
    role: Role,
    hypothesis: &'static str,
    real: Charts,
    defect: Charts,
    examine: fn(&Charts, &Draw) -> Finding,
) -> Check {
    let spec = Spec {
        id,
        role,
        kind: Kind::Exact,
        hypothesis,
        tolerance: 0.0,
        detectable: Size::of("excess of one scale over the others", 1.0 / 64.0),
    };
    let worlds = Worlds {
        real,
        defect: Planted {
            what: "a last weight or output that is scaled by 1/64 more",
            size: 1.0 / 64.0,
            world: defect,
        },
        truth: Planted {
            what: "the chart that there was",
            size: 0.0,
            world: Charts::LastWeight { sixty_fourths: 0 },
        },
    };
    Check::new(spec, worlds, examine)
}

/// So many weights of the last output get the scale `c`, and none of the others.
struct Rescaled {
    weights: usize,
    only_doubled: bool,
}

/// Whether a matrix of four weights is `P (x) Q` for some `P` and `Q`: all its blocks are multiples of one.
fn is_product(matrix: &Matrix) -> bool {
    let places = || (0..2).flat_map(|i| (0..2).map(move |j| (i, j)));
    let entry = |block: (usize, usize), place: (usize, usize)| {
        &matrix.0[2 * block.0 + place.0][2 * block.1 + place.1]
    };
    places().all(|b| {
        places().all(|c| {
            places()
                .all(|p| places().all(|r| entry(b, p) * entry(c, r) == entry(b, r) * entry(c, p)))
        })
    })
}

fn examine_product(world: &Rescaled, _: &Draw) -> Finding {
    let (weights, only_doubled) = (world.weights, world.only_doubled);
    let part = Part::new(&[&[Axis::Any], &[Axis::Positive]], 4, move |c| {
        let scale = if only_doubled { q(2, 1) } else { c[1].clone() };
        let mut scales = vec![Q::one(); 4];
        // the weights of the last output come second and fourth
        for k in [3, 1].into_iter().take(weights) {
            scales[k].clone_from(&scale);
        }
        let case = Case::unseen(three_examples(&c[0]), Matrix::diagonal(&scales));
        (!scale.is_one()).then_some(case)
    });
    search(&[part], |case| {
        let (a, g) = (case.seen.input_factor(), case.seen.output_factor());
        let metric = kronecker(&a, &g).pulled_back(&case.jacobian);
        is_product(&metric).then(|| {
            format!(
                "{}, J = {}: J'(A (x) G)J = {metric} is a Kronecker product",
                case.layer, case.jacobian
            )
        })
    })
}

fn no_product() -> Check {
    let spec = Spec {
        id: "one-weight",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "when one of four weights gets another scale, J'(A (x) G)J is no Kronecker product",
        tolerance: 0.0,
        detectable: Size::of("weights of one output that are rescaled together", 2.0),
    };
    let world = |weights, only_doubled| Rescaled {
        weights,
        only_doubled,
    };
    let worlds = Worlds {
        real: world(1, false),
        defect: Planted {
            what: "both weights of an output rescaled, which is a map around the layer",
            size: 2.0,
            world: world(2, false),
        },
        truth: Planted {
            what: "one weight doubled",
            size: 0.0,
            world: world(1, true),
        },
    };
    Check::new(spec, worlds, examine_product)
}

/// Any map of four weights; the metric follows one whose last weight is `1 + sixty_fourths/64` times as large; or scales only.
struct Whole {
    sixty_fourths: i64,
    scales_only: bool,
}

fn examine_whole(world: &Whole, _: &Draw) -> Finding {
    let scales_only = world.scales_only;
    let part = Part::new(&[&[Axis::Any; 6]], 1, move |c| {
        let mut jacobian = Matrix::diagonal(&[q(1, 1), q(2, 1), q(3, 1), q(1, 2)]);
        if !scales_only {
            let below = [(1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (0, 3)];
            for ((i, j), value) in below.into_iter().zip(c) {
                jacobian.0[i][j].clone_from(value);
            }
        }
        (!jacobian.determinant().is_zero())
            .then(|| Case::unseen(three_examples(&q(2, 1)), jacobian))
    });
    let excess = Matrix::diagonal(&[q(1, 1), q(1, 1), q(1, 1), q(64 + world.sixty_fourths, 64)]);
    search(&[part], |case| {
        let (a, g) = (case.layer.input_factor(), case.layer.output_factor());
        let followed = case.jacobian.times(&excess);
        let metric = kronecker(&a, &g).pulled_back(&followed).inverse()?;
        let before = case.layer.undamped()?.ratio()?;
        let after = case.ratio(&metric)?;
        moved(case, &before, &after)
    })
}

fn whole_metric() -> Check {
    let spec = Spec {
        id: "whole-metric",
        role: Role::Corrected,
        kind: Kind::Exact,
        hypothesis: "in the metric J'(A (x) G)J the ratio is the same for every invertible map J of four weights",
        tolerance: 0.0,
        detectable: Size::of("relative error of one scale in the metric", 1.0 / 64.0),
    };
    let world = |sixty_fourths, scales_only| Whole {
        sixty_fourths,
        scales_only,
    };
    let worlds = Worlds {
        real: world(0, false),
        defect: Planted {
            what: "a metric whose last scale is 1/64 too large",
            size: 1.0 / 64.0,
            world: world(1, false),
        },
        truth: Planted {
            what: "scales only",
            size: 0.0,
            world: world(0, true),
        },
    };
    Check::new(spec, worlds, examine_whole)
}

/// What the document's checklist allows a ratio to move by.
const FIVE_PERCENT: f64 = 0.05;

fn trained_plain() -> Check {
    let spec = Spec {
        id: "trained-network-plain",
        role: Role::AsWritten,
        kind: Kind::Identity,
        hypothesis: "the plain ratio of a trained relu network, on the same examples, stays within 5% under maps around its layers",
        tolerance: FIVE_PERCENT,
        detectable: Size::of("relative change of the ratio", 0.06),
    };
    let worlds = Worlds {
        real: Rewriting::of(Metric::Ratio, FIVE_PERCENT, AROUND_LAYERS),
        defect: Planted {
            what: "rotations that stretch the mean's direction by 5%, which raises the ratio by 10%",
            size: 0.1,
            world: Rewriting {
                stretch: 0.05,
                ..Rewriting::of(Metric::Ratio, FIVE_PERCENT, ROTATIONS)
            },
        },
        truth: Planted {
            what: "rotations of the inputs and of all parameters",
            size: 0.0,
            world: Rewriting::of(Metric::Ratio, FIVE_PERCENT, ROTATIONS),
        },
    };
    trained_network::check(spec, worlds)
}

/// The blocks of the network have conditions below 1e6 in all parameters, as the summary of kfac-invariance shows: solving by them errs by
/// 1e6 `eps`, 2e-10, relative.
const NETWORK_TOLERANCE: f64 = 1e-9;

fn trained_factored() -> Check {
    let world = |kinds| Rewriting::of(Metric::Kfac, NETWORK_TOLERANCE, kinds);
    let spec = Spec {
        id: "trained-network",
        role: Role::Corrected,
        kind: Kind::Identity,
        hypothesis: "the factored ratio of a trained relu network, nothing being added to its factors, is the same under four kinds of maps around its layers",
        tolerance: NETWORK_TOLERANCE,
        detectable: Size::of("share of the examples that are not transformed", 1.0 / 64.0),
    };
    let worlds = Worlds {
        real: world(AROUND_LAYERS),
        defect: Planted {
            what: "maps that leave one example in 64 behind",
            size: 1.0 / 64.0,
            world: Rewriting {
                left_behind: 1.0 / 64.0,
                ..world(AROUND_LAYERS)
            },
        },
        truth: Planted {
            what: "rotated inputs",
            size: 0.0,
            world: world(&[Transformation::RotatedInputs]),
        },
    };
    trained_network::check(spec, worlds)
}
