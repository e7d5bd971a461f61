//! The examples of every world against formulas written out over the draws that they come from.

use super::*;
use crate::precision::Scalar;
use crate::scenarios::data::PIXELS;
use approx::assert_relative_eq;

fn drawn(seed: Seed, name: &str, count: usize) -> Vec<f64> {
    standard_normals(&mut seed.derive(name).generator(), count)
}

fn rows(features: &Mat<f64>) -> Vec<Vec<f64>> {
    let row = |i| (0..features.ncols()).map(|j| features[(i, j)]).collect();
    (0..features.nrows()).map(row).collect()
}

fn arm(problem: &Problem, wanted: Arm) -> &[f64] {
    let found = problem.targets.iter().find(|(arm, _)| *arm == wanted);
    &found.expect("every world has every arm").1
}

fn of_digits(examples: usize, label_noise: f64) -> RandomFeatures {
    RandomFeatures {
        examples,
        test_examples: 9,
        label_noise,
        frequency: 0.4,
        widths: vec![6, 4],
        stochastic_steps: 1,
    }
}

#[test]
fn an_arm_is_named_as_rows_name_it() {
    for arm in Arm::ALL {
        let written = serde_json::to_value(arm).expect("it is a name");
        assert_eq!(written, arm.name());
    }
}

#[test]
fn random_features_are_made_of_the_projections_of_the_pixels() {
    let (choice, seed) = (of_digits(30, 0.2), Seed::root(3));
    let images: Vec<&[Scalar]> = digits().flat_reals().0.chunks(PIXELS).collect();
    let order = permutation(&mut seed.derive("split").generator(), images.len());
    for world in [World::Fourier, World::Relu] {
        for (width, design) in choice.problem(world, seed).designs {
            let fourier = world == World::Fourier;
            let projections = if fourier { width / 2 } else { width };
            let stream = format!("projections {width}");
            let weights = drawn(seed, &stream, projections * PIXELS);
            // those to test come right after those to train
            let found = [rows(&design.train), rows(&design.test)].concat();
            assert_eq!((design.train.nrows(), found.len()), (30, 39));
            for (row, &example) in found.iter().zip(&order) {
                let along = weights.chunks(PIXELS).map(|weights| -> f64 {
                    let pairs = weights.iter().zip(images[example]);
                    pairs.map(|(w, &x)| w * f64::from(x)).sum()
                });
                let along: Vec<f64> = along.collect();
                let expected: Vec<f64> = if fourier {
                    let cosines = along.iter().map(|a| (0.4 * a).cos());
                    let sines = along.iter().map(|a| (0.4 * a).sin());
                    cosines.chain(sines).collect()
                } else {
                    along
                        .iter()
                        .map(|a| if *a > 0.0 { *a } else { 0.0 })
                        .collect()
                };
                assert_eq!(row.len(), expected.len());
                for (a, b) in row.iter().zip(&expected) {
                    // sums of 64 products of numbers near 1
                    assert_relative_eq!(a, b, epsilon = 1e-12);
                }
            }
        }
    }
}

#[test]
fn even_digits_are_told_from_odd_ones_by_their_sign() {
    let (choice, seed) = (of_digits(30, 0.2), Seed::root(3));
    let labels = digits().flat_reals().1;
    let order = permutation(&mut seed.derive("split").generator(), labels.len());
    let problem = choice.problem(World::Relu, seed);
    let found = [arm(&problem, Arm::NoAddedNoise), &problem.test].concat();
    assert_eq!(found.len(), 39);
    for (y, &example) in found.iter().zip(&order) {
        let expected = match labels[example] {
            0 | 2 | 4 | 6 | 8 => 1.0,
            _ => -1.0,
        };
        assert_eq!(*y, expected, "a {}", labels[example]);
    }
}

/// Which training labels are turned around.
fn turned(choice: &RandomFeatures, seed: Seed) -> Vec<bool> {
    let choice = RandomFeatures {
        widths: Vec::new(),
        ..choice.clone()
    };
    let problem = choice.problem(World::Relu, seed);
    let pairs = arm(&problem, Arm::Plain)
        .iter()
        .zip(arm(&problem, Arm::NoAddedNoise));
    // a label is itself or its opposite
    pairs
        .map(|(noisy, clean)| {
            assert_eq!(noisy.abs(), 1.0);
            noisy != clean
        })
        .collect()
}

#[test]
fn as_many_labels_are_turned_as_the_noise_says() {
    let seed = Seed::root(4);
    let count = |noise| {
        let all = turned(&of_digits(1700, noise), seed);
        all.into_iter().filter(|&t| t).count() as f64
    };
    // 340 of 1700 by binomial draws, with a deviation of 16.5: within five of them
    assert!((count(0.2) - 340.0).abs() < 83.0, "{}", count(0.2));
    assert_eq!(count(0.0), 0.0);
}

#[test]
fn a_draw_just_at_the_noise_turns_nothing() {
    // draws are the multiples of 2^-53 from 0 on, and the share of them that lies below one of them is that one
    let seed = Seed::root(5);
    let generator = &mut seed.derive("noise").generator();
    let draws: Vec<f64> = (0..20).map(|_| generator.random()).collect();
    let found = turned(&of_digits(20, draws[7]), seed);
    let expected: Vec<bool> = draws.iter().map(|draw| *draw < draws[7]).collect();
    assert!(!found[7]);
    assert_eq!(found, expected);
}

#[test]
fn both_groups_of_features_explain_their_share_of_the_target_whatever_their_scale() {
    let choice = TwoScales {
        examples: 4,
        test_examples: 3,
        strong: 2,
        weak: 3,
        weak_scale: 0.5,
        strong_signal: 5.0,
        weak_signal: 1.5,
        noise: 0.16,
        stochastic_steps: 1,
    };
    let seed = Seed::root(6);
    let problem = choice.problem(seed);
    let (width, design) = &problem.designs[0];
    assert_eq!(*width, 5);
    let teacher = drawn(seed, "teacher", 5);
    let clean = arm(&problem, Arm::NoAddedNoise);
    for (name, features, taught) in [
        ("train", &design.train, clean),
        ("test", &design.test, &problem.test),
    ] {
        let found = rows(features);
        let standard = drawn(seed, name, 5 * taught.len());
        assert_eq!(found.len(), taught.len());
        for ((row, z), y) in found.iter().zip(standard.chunks(5)).zip(taught) {
            let scaled = [z[0], z[1], 0.5 * z[2], 0.5 * z[3], 0.5 * z[4]];
            assert_eq!(row, &scaled);
            // in features of scale 1: two weights of variance 5/2 and three of variance 1.5/3
            let strong = z[0] * teacher[0] + z[1] * teacher[1];
            let weak = z[2] * teacher[2] + z[3] * teacher[3] + z[4] * teacher[4];
            let expected = 2.5f64.sqrt() * strong + 0.5f64.sqrt() * weak;
            // a sum of five products of numbers near 1
            assert_relative_eq!(*y, expected, epsilon = 1e-13);
        }
    }
    // of variance 0.16, so of deviation 0.4
    let noise = drawn(seed, "noise", 4);
    for ((noisy, clean), e) in arm(&problem, Arm::Plain).iter().zip(clean).zip(noise) {
        assert_relative_eq!(*noisy, clean + 0.4 * e, epsilon = 1e-13);
    }
}

/// A parabola to be found at twelve places, and tested at -1, -1/2, 0, 1/2 and 1.
fn parabola(seed: Seed) -> Problem {
    let choice = Polynomial {
        examples: 12,
        test_examples: 5,
        target_degree: 2,
        noise: 0.4,
        degrees: vec![1, 3],
        stochastic_steps: 1,
    };
    choice.problem(seed)
}

#[test]
fn polynomials_are_fitted_by_those_of_legendre_at_places_between_minus_one_and_one() {
    let problem = parabola(Seed::root(7));
    let widths: Vec<usize> = problem.designs.iter().map(|(width, _)| *width).collect();
    assert_eq!(widths, [2, 4]);
    let straight = &problem.designs[0].1;
    let places = |features: &Mat<f64>| -> Vec<f64> {
        let slope = |row: Vec<f64>| row[1] / 3f64.sqrt();
        rows(features).into_iter().map(slope).collect()
    };
    let (train, test) = (places(&straight.train), places(&straight.test));
    for (x, expected) in test.iter().zip([-1.0, -0.5, 0.0, 0.5, 1.0]) {
        assert_relative_eq!(*x, expected, epsilon = 1e-15);
    }
    assert!(train.iter().all(|x| x.abs() <= 1.0), "{train:?}");
    for (width, design) in &problem.designs {
        let found = [rows(&design.train), rows(&design.test)].concat();
        let all = [train.as_slice(), &test].concat();
        assert_eq!(found.len(), 17);
        for (row, x) in found.iter().zip(&all) {
            let second = (3.0 * x * x - 1.0) / 2.0;
            let third = (5.0 * x * x * x - 3.0 * x) / 2.0;
            let plain = [1.0, *x, second, third];
            assert_eq!(row.len(), *width);
            for (k, found) in row.iter().enumerate() {
                let scale = (2.0 * k as f64 + 1.0).sqrt();
                assert_relative_eq!(*found, scale * plain[k], epsilon = 1e-14);
            }
        }
    }
}

#[test]
fn the_polynomial_to_be_found_is_of_its_degree_and_of_variance_one() {
    for root in 0..4 {
        let problem = parabola(Seed::root(root));
        let &[a, b, c, d, e] = problem.test.as_slice() else {
            panic!("there are five places to test at");
        };
        // of a parabola the third differences vanish and the second are all the same
        for third in [d - 3.0 * c + 3.0 * b - a, e - 3.0 * d + 3.0 * c - b] {
            assert_relative_eq!(third, 0.0, epsilon = 1e-13);
        }
        assert!((c - 2.0 * b + a).abs() > 1e-3, "{:?}", problem.test);
        // Boole's rule is exact for its square, of degree four
        let mean = (7.0 * (a * a + e * e) + 32.0 * (b * b + d * d) + 12.0 * c * c) / 90.0;
        assert_relative_eq!(mean, 1.0, epsilon = 1e-13);
    }
}

#[test]
fn what_is_learned_from_is_the_polynomial_that_is_tested_and_noise() {
    let seed = Seed::root(8);
    let problem = parabola(seed);
    let test = &problem.test;
    let clean = arm(&problem, Arm::NoAddedNoise);
    let places = rows(&problem.designs[0].1.train);
    assert_eq!(clean.len(), 12);
    for (y, row) in clean.iter().zip(&places) {
        // Lagrange's through -1, 0 and 1
        let x = row[1] / 3f64.sqrt();
        let sides = test[0] * (x - 1.0) + test[4] * (x + 1.0);
        let through = sides * x / 2.0 + test[2] * (1.0 - x * x);
        assert_relative_eq!(*y, through, epsilon = 1e-13);
    }
    let noise = drawn(seed, "noise", 12);
    for ((noisy, clean), e) in arm(&problem, Arm::Plain).iter().zip(clean).zip(noise) {
        assert_relative_eq!(*noisy, clean + 0.4 * e, epsilon = 1e-14);
    }
}

#[test]
fn places_are_uniform_between_minus_one_and_one() {
    let generator = &mut Seed::root(9).generator();
    let draws: Vec<f64> = (0..1000).map(|_| uniform(generator)).collect();
    assert!(draws.iter().all(|x| x.abs() <= 1.0));
    // a deviation of 1/sqrt(3) a draw, and of 0.3 a square: five standard errors of 1000
    let mean = draws.iter().sum::<f64>() / 1e3;
    assert!(mean.abs() < 0.1, "{mean}");
    let square = draws.iter().map(|x| x * x).sum::<f64>() / 1e3;
    assert!((square - 1.0 / 3.0).abs() < 0.05, "{square}");
}
