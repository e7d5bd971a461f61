use crate::cases::{SCALES, samples};
use crate::exact::{self, Q, assert_within, dot, number, whole};
use fjld_core::moments::effective_rank::{Undefined, effective_rank};

/// The ratio of both unbiased estimates, as their formulas have it.
fn right(samples: &[f64], d: usize) -> Q {
    let moments = exact::Moments::of(samples, d);
    let n = whole(moments.n);
    let of = |k: usize| whole(moments.n) - whole(k);
    let trace = moments.noise();
    let square: Q = moments.covariance.iter().map(|row| dot(row, row)).sum();
    let fourth = samples
        .chunks(d)
        .map(|row| {
            let gap: Vec<Q> = row
                .iter()
                .zip(&moments.mean)
                .map(|(x, m)| exact::exact(*x) - m)
                .collect();
            let norm = dot(&gap, &gap);
            &norm * &norm
        })
        .sum::<Q>()
        / of(1);
    let of_trace = whole(2) * &square + (&n * &n - whole(3) * &n + whole(1)) * &trace * &trace;
    let of_square = of(1) * of(2) * &square + &trace * &trace;
    (of_trace - &n * &fourth) / (of_square - &n * fourth)
}

#[test]
fn the_effective_rank_is_right_at_every_scale_there_is() -> Result<(), Undefined> {
    for (n, d) in [(4, 1), (4, 3), (6, 40), (50, 2)] {
        // the deviations lose a digit for each that the mean has more
        for offset in [0.0, 1e3, 1e6] {
            for scale in SCALES.into_iter().chain([1e-305, 1e307 / (offset + 10.0)]) {
                let list = samples(n, d, offset, scale);
                // n d roundings of the terms, of whose difference with four samples about a hundredth may be left
                let bound = 100.0 * (n * d) as f64 * f64::EPSILON * (offset + 10.0);
                let found = effective_rank(list.clone(), d)?;
                let what = format!("n = {n}, d = {d}, {offset} deviations, {scale:e}");
                assert_within(found, &right(&list, d), bound, 0.0, &what);
            }
        }
    }
    Ok(())
}

#[test]
fn noise_along_one_line_has_rank_one_and_duplicates_count() -> Result<(), Undefined> {
    let z = samples(9, 1, 0.0, 1.0);
    let line: Vec<f64> = z.iter().flat_map(|z| [*z, -2.0 * z, 0.5 * z]).collect();
    assert_within(effective_rank(line, 3)?, &whole(1), 1e-12, 0.0, "a line");
    let twice = samples(5, 3, 0.0, 1.0).repeat(2);
    let bound = 1e4 * f64::EPSILON; // 30 terms, in a difference of two digits
    assert_within(
        effective_rank(twice.clone(), 3)?,
        &right(&twice, 3),
        bound,
        0.0,
        "twice",
    );
    Ok(())
}

#[test]
fn samples_without_spread_have_no_rank_and_the_reason_has_no_nan_in_it() {
    for list in [
        vec![0.0; 12],
        vec![3.0; 12],
        [0.1, 0.7, -0.3].repeat(5),
        vec![5e-324; 12],
        // seen in one sample only: no pair of pairs shows it
        [vec![1.0; 9], vec![1.0, 1.0, 5.0]].concat(),
    ] {
        let undefined = effective_rank(list, 3).expect_err("nothing varies twice");
        assert!(matches!(undefined, Undefined::NoSpread { .. }));
        assert!(!undefined.to_string().contains("NaN"), "{undefined}");
    }
}

#[test]
fn the_oracle_is_what_the_definition_counts() {
    // both are averages over four distinct samples: ((x_i - x_j).(x_k - x_l))^2 and |x_i - x_j|^2 |x_k - x_l|^2
    let (d, list) = (2, samples(6, 2, 1.0, 1.0));
    let row = |i: usize| -> Vec<Q> {
        list[i * d..][..d]
            .iter()
            .copied()
            .map(exact::exact)
            .collect()
    };
    let gap = |i, j| -> Vec<Q> { row(i).iter().zip(row(j)).map(|(a, b)| a - b).collect() };
    let (mut of_trace, mut of_square) = (whole(0), whole(0));
    for i in 0..6 {
        for j in (0..6).filter(|j| *j != i) {
            for k in (0..6).filter(|k| ![i, j].contains(k)) {
                for l in (0..6).filter(|l| ![i, j, k].contains(l)) {
                    let (a, b) = (gap(i, j), gap(k, l));
                    of_trace += dot(&a, &a) * dot(&b, &b);
                    of_square += dot(&a, &b) * dot(&a, &b);
                }
            }
        }
    }
    assert_eq!(number(&(of_trace / of_square)), number(&right(&list, d)));
}
