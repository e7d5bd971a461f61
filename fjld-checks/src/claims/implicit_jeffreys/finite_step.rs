//! Checks of the stationary density at steps that are not small, by its transition kernel: nothing is drawn.

use super::kernel::{Law, Noise, Torus};
use crate::evidence::{Check, Draw, Finding, Kind, Planted, Role, Size, Spec, Worlds, worse};

/// Tori, and what is judged of them: the corrections are multiplied by `factor`.
struct Expansion {
    tori: Vec<Torus>,
    factor: f64,
    /// The order of the first term that the expansion leaves out.
    next: i32,
    /// The coefficient of that term that the corrected statement allows.
    coefficient: f64,
}

/// The corrected statement gives the term in `eta^4` this coefficient.
const FOURTH: f64 = 2.0;

/// And the term in `eta^3`, where the noise is skewed, this one.
const THIRD: f64 = 0.4;

fn examine_expansion(world: &Expansion, _: &Draw) -> Finding {
    let (mut worst, mut told) = (0f64, Vec::new());
    for torus in &world.tori {
        let gap = torus.gap(world.factor);
        let share = gap / torus.step.powi(world.next);
        worst = worse(worst, share / world.coefficient);
        told.push(format!(
            "{gap:.1e} = {share:.2} eta^{} at d = {}, eta = {}",
            world.next, torus.dimension, torus.step
        ));
    }
    let summary = format!(
        "the stationary density and the stated one differ by at most {}, relative",
        told.join("; ")
    );
    Finding::of_discrepancy(worst, 1.0, world.tori.len() as u64, summary)
}

fn isotropic(dimension: usize, slope: f64, step: f64) -> Torus {
    Torus {
        dimension,
        noise: Noise::Isotropic { slope },
        law: Law::Normal,
        step,
    }
}

fn separable(step: f64) -> Torus {
    Torus {
        dimension: 2,
        noise: Noise::Separable {
            slopes: [0.8, -0.5],
        },
        law: Law::Normal,
        step,
    }
}

fn skewed(c: f64, step: f64) -> Torus {
    Torus {
        law: Law::Skewed { c },
        ..isotropic(1, 1.0, step)
    }
}

/// With normal noise: isotropic in one, two and three dimensions, and separable in two.
pub fn normal_noise() -> Check {
    let spec = Spec {
        id: "finite-step",
        role: Role::Corrected,
        kind: Kind::Identity,
        hypothesis: "the stationary density of steps of normal noise, by their transition kernel, is s^-2 (1 - (eta^2/4) Laplacian s^2) for isotropic noise on tori of one, two and three dimensions, and (1/det D)(1 - (eta^2/4) sum_i D_i'') for separable noise on one of two, up to 2 eta^4",
        // in units of that 2 eta^4
        tolerance: 1.0,
        detectable: Size::of("relative error of the coefficient 1/4", 0.25),
    };
    let world = |tori, factor| Expansion {
        tori,
        factor,
        next: 4,
        coefficient: FOURTH,
    };
    let ring = |slope| [0.15, 0.25, 0.4].map(|step| isotropic(1, slope, step));
    let mut real = ring(1.0).to_vec();
    for step in [0.25, 0.4] {
        real.extend([
            isotropic(2, 0.6, step),
            isotropic(3, 0.4, step),
            separable(step),
        ]);
    }
    let worlds = Worlds {
        real: world(real, 1.0),
        defect: Planted {
            what: "a coefficient that is a quarter too large",
            size: 0.25,
            world: world(ring(1.0).to_vec(), 1.25),
        },
        truth: Planted {
            what: "noise that hardly varies over the ring",
            size: 0.0,
            world: world(ring(0.1).to_vec(), 1.0),
        },
    };
    let worlds = worlds.violated_by(move |error| world(ring(1.0).to_vec(), 1.0 + error));
    Check::new(spec, worlds, examine_expansion)
}

/// With a third moment.
pub fn skewed_noise() -> Check {
    let spec = Spec {
        id: "skewed-noise",
        role: Role::Corrected,
        kind: Kind::Identity,
        hypothesis: "the stationary density of steps -eta s z on a ring with third moment k and fourth moment m of z is s^-2 (1 - (eta k/3) s' + eta^2 (k^2/18 - m/12) (s^2)''), up to 0.4 eta^3",
        // in units of that 0.4 eta^3
        tolerance: 1.0,
        detectable: Size::of("relative error of the corrections", 0.25),
    };
    let world = |steps: [Torus; 3], factor| Expansion {
        tori: steps.to_vec(),
        factor,
        next: 3,
        coefficient: THIRD,
    };
    let steps = |c| [0.15, 0.25, 0.4].map(|step| skewed(c, step));
    let worlds = Worlds {
        real: world(steps(0.6), 1.0),
        defect: Planted {
            what: "corrections that are a quarter too large",
            size: 0.25,
            world: world(steps(0.6), 1.25),
        },
        truth: Planted {
            what: "noise with hardly a third moment, 0.016",
            size: 0.0,
            world: world(steps(0.2), 1.0),
        },
    };
    let worlds = worlds.violated_by(move |error| world(steps(0.6), 1.0 + error));
    Check::new(spec, worlds, examine_expansion)
}

/// Step sizes on the ring with `s^2 = e^(cos x)`, with the power of `D` that the density has there; the steps taken are longer by
/// `excess`, relative.
struct Powers {
    stated: Vec<(f64, f64)>,
    excess: f64,
}

/// The powers are stated with three digits.
const ROUNDING: f64 = 0.0005;

fn examine_powers(world: &Powers, _: &Draw) -> Finding {
    let (mut worst, mut told) = (0f64, Vec::new());
    for &(step, stated) in &world.stated {
        let power = isotropic(1, 1.0, step * (1.0 + world.excess)).fitted_power();
        worst = worse(worst, (power - stated).abs());
        told.push(format!("{power:.4} at eta = {step}"));
    }
    let summary = format!("the power of D that fits is {}", told.join(", "));
    Finding::of_discrepancy(worst, ROUNDING, world.stated.len() as u64, summary)
}

/// `I_1(1)` (Abramowitz and Stegun 1964, table 9.8).
const BESSEL: f64 = 0.565_159_1;

/// What power of `D` a reader would find.
pub fn ring_powers() -> Check {
    let spec = Spec {
        id: "ring-powers",
        role: Role::Corrected,
        kind: Kind::Identity,
        hypothesis: "the least-squares power of D in the stationary density on a ring with s^2 = e^(cos x) is -0.997, -0.989, -0.931 and -0.750 at eta = 0.1, 0.2, 0.5 and 1, to three digits",
        tolerance: ROUNDING,
        detectable: Size::of("relative error of the step size", 1.0 / 64.0),
    };
    let small = [0.05, 0.1].map(|step: f64| (step, -1.0 + 0.5 * BESSEL * step.powi(2)));
    let powers = |stated: &[(f64, f64)], excess| Powers {
        stated: stated.to_vec(),
        excess,
    };
    let stated = [(0.1, -0.997), (0.2, -0.989), (0.5, -0.931), (1.0, -0.750)];
    let worlds = Worlds {
        real: powers(&stated, 0.0),
        defect: Planted {
            what: "steps that are 1/64 too long",
            size: 1.0 / 64.0,
            world: powers(&stated, 1.0 / 64.0),
        },
        truth: Planted {
            what: "small steps, with the power -1 + (eta^2/2) I_1(1)",
            size: 0.0,
            world: powers(&small, 0.0),
        },
    };
    Check::new(spec, worlds, examine_powers)
}
