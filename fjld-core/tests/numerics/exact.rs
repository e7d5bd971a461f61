//! The oracle: the same statistics of the very same 64-bit numbers, in rationals of unbounded size, where nothing is rounded.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed, ToPrimitive, Zero};

pub type Q = BigRational;

/// The rational that `x` is.
pub fn exact(x: f64) -> Q {
    Q::from_float(x).expect("only finite numbers are compared")
}

pub fn whole(n: usize) -> Q {
    Q::from_integer(BigInt::from(n))
}

/// What samples `[n, d]`, row after row, have for moments.
pub struct Moments {
    pub n: usize,
    pub mean: Vec<Q>,
    /// With the divisor `n - 1`.
    pub covariance: Vec<Vec<Q>>,
}

impl Moments {
    pub fn of(samples: &[f64], d: usize) -> Self {
        let n = samples.len() / d;
        let rows: Vec<Vec<Q>> = samples
            .chunks(d)
            .map(|row| row.iter().copied().map(exact).collect())
            .collect();
        let sum = |term: &dyn Fn(&[Q]) -> Q| rows.iter().map(|row| term(row)).sum::<Q>();
        let mean: Vec<Q> = (0..d).map(|j| sum(&|x| x[j].clone()) / whole(n)).collect();
        let scatter = |i: usize, j: usize| sum(&|x| &x[i] * &x[j]) - whole(n) * &mean[i] * &mean[j];
        let covariance = (0..d)
            .map(|i| (0..d).map(|j| scatter(i, j) / whole(n - 1)).collect())
            .collect();
        Self {
            n,
            mean,
            covariance,
        }
    }

    pub fn signal(&self) -> Q {
        dot(&self.mean, &self.mean)
    }

    pub fn noise(&self) -> Q {
        (0..self.mean.len()).map(|j| &self.covariance[j][j]).sum()
    }

    /// `sqrt((|mu|^2 + Tr D) / Tr D)`, how many times longer the samples are than their deviations: the condition of a variance (Chan, Golub
    /// and LeVeque 1983).
    pub fn condition(&self) -> f64 {
        (number(&(self.signal() / self.noise())) + 1.0).sqrt()
    }
}

pub fn dot(x: &[Q], y: &[Q]) -> Q {
    x.iter().zip(y).map(|(a, b)| a * b).sum()
}

pub fn matrix(entries: faer::MatRef<'_, f64>) -> Vec<Vec<Q>> {
    let row = |i| {
        (0..entries.ncols())
            .map(|j| exact(entries[(i, j)]))
            .collect()
    };
    (0..entries.nrows()).map(row).collect()
}

/// The solution of `a x = b` and the determinant of `a`, by elimination; nothing where `a` is singular.
pub fn solve(a: &[Vec<Q>], b: &[Q]) -> Option<(Vec<Q>, Q)> {
    let d = b.len();
    let mut rows: Vec<Vec<Q>> = a
        .iter()
        .zip(b)
        .map(|(row, b)| row.iter().chain([b]).cloned().collect())
        .collect();
    let mut determinant = Q::one();
    for k in 0..d {
        let pivot = (k..d).find(|&i| !rows[i][k].is_zero())?;
        if pivot != k {
            rows.swap(pivot, k);
            determinant = -determinant;
        }
        determinant *= &rows[k][k];
        let top = rows[k].clone();
        for (i, row) in rows.iter_mut().enumerate() {
            if i != k {
                let factor = &row[k] / &top[k];
                row.iter_mut()
                    .zip(&top)
                    .for_each(|(x, t)| *x -= &factor * t);
            }
        }
    }
    let solution = (0..d).map(|i| &rows[i][d] / &rows[i][i]).collect();
    Some((solution, determinant))
}

/// The nearest 64-bit number, zero and infinity among them.
pub fn number(x: &Q) -> f64 {
    x.to_f64().expect("a rational is near some number")
}

/// `ln x`, to a few roundings, also where `x` is out of the range of numbers.
pub fn ln(x: &Q) -> f64 {
    let bits = x.numer().bits() as i64 - x.denom().bits() as i64;
    let shift = Q::from_integer(BigInt::one() << bits.unsigned_abs());
    let near_one = if bits < 0 { x * shift } else { x / shift };
    number(&near_one).ln() + bits as f64 * std::f64::consts::LN_2
}

/// `|found - right| <= relative |right| + absolute`, itself decided without rounding.
#[track_caller]
pub fn assert_within(found: f64, right: &Q, relative: f64, absolute: f64, what: &str) {
    assert!(found.is_finite(), "{what}: {found} is no number");
    let error = (exact(found) - right).abs();
    let allowed = exact(relative) * right.abs() + exact(absolute);
    assert!(
        error <= allowed,
        "{what}: {found:e} against {:e}, an error of {:e} where {:e} is allowed",
        number(right),
        number(&error),
        number(&allowed)
    );
}
