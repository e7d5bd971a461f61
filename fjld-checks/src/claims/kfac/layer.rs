//! A layer with finitely many examples, and everything that its Kronecker factors are made of, exactly.
//!
//! `z = W a` has the input `a` of size `n` and the output gradient `g = dL/dz` of size `m`. One example's gradient is the `m` by `n`
//! matrix `g a'`, here stacked column by column into the vector `a (x) g` of size `n m`.

use crate::evidence::rational::{Matrix, Q, dot, q, squared_norm, tuple};
use num_traits::{One, Zero};

/// A law with finitely many values of `(a, g)`.
#[derive(Clone)]
pub struct Layer(Vec<Example>);

#[derive(Clone)]
struct Example {
    probability: Q,
    activation: Vec<Q>,
    gradient: Vec<Q>,
}

/// Numerator and denominator of a ratio in some metric: `mu' M mu` and `Tr(M D)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// `mu' M mu`.
    pub signal: Q,
    /// `Tr(M D)`, with the divisor `N` of a population.
    pub noise: Q,
}

impl Terms {
    /// Their quotient, or `None` where the noise vanishes.
    pub fn ratio(&self) -> Option<Q> {
        (!self.noise.is_zero()).then(|| &self.signal / &self.noise)
    }

    /// The sums over several layers.
    pub fn sum<'a>(terms: impl IntoIterator<Item = &'a Self>) -> Self {
        let zero = Self {
            signal: Q::zero(),
            noise: Q::zero(),
        };
        terms.into_iter().fold(zero, |sum, t| Self {
            signal: sum.signal + &t.signal,
            noise: sum.noise + &t.noise,
        })
    }
}

impl Layer {
    /// The law in which each pair `(a, g)` has the same probability.
    pub fn even(pairs: Vec<(Vec<Q>, Vec<Q>)>) -> Self {
        let probability = q(1, pairs.len() as i64);
        let weigh = |(activation, gradient)| (probability.clone(), activation, gradient);
        Self::weighted(pairs.into_iter().map(weigh).collect())
    }

    /// The law with these probabilities, which add up to one, of these `a` and `g`.
    pub fn weighted(examples: Vec<(Q, Vec<Q>, Vec<Q>)>) -> Self {
        let example = |(probability, activation, gradient)| Example {
            probability,
            activation,
            gradient,
        };
        Self(examples.into_iter().map(example).collect())
    }

    /// The law of `a` and `g` drawn apart from each other, each evenly.
    pub fn independent(activations: &[Vec<Q>], gradients: &[Vec<Q>]) -> Self {
        let pairs = activations
            .iter()
            .flat_map(|a| gradients.iter().map(move |g| (a.clone(), g.clone())));
        Self::even(pairs.collect())
    }

    /// A layer with the constant input 1, so that `A (x) G` is the second moment itself: output gradients `mean + (+-s_1, +-s_2, ...)`
    /// with every choice of signs, whose covariance is `diag(s_1^2, s_2^2, ...)`.
    pub fn cloud(mean: &[Q], spreads: &[Q]) -> Self {
        let example = |signs: usize| {
            let coordinate = |(j, (m, s)): (usize, (&Q, &Q))| {
                if signs >> j & 1 == 0 { m + s } else { m - s }
            };
            let gradient = mean.iter().zip(spreads).enumerate().map(coordinate);
            (vec![Q::one()], gradient.collect())
        };
        Self::even((0..1 << mean.len()).map(example).collect())
    }

    /// The layer of `W'` in `W = U W' V`, where `U` and `V` are fixed maps around it: it sees `V a` and `U' g`.
    pub fn within(&self, u: &Matrix, v: &Matrix) -> Self {
        let transposed = u.transpose();
        let inner = |e: &Example| Example {
            probability: e.probability.clone(),
            activation: v.apply(&e.activation),
            gradient: transposed.apply(&e.gradient),
        };
        Self(self.0.iter().map(inner).collect())
    }

    fn average(&self, d: usize, entry: impl Fn(&Example, usize, usize) -> Q) -> Matrix {
        Matrix::from_fn(d, d, |i, j| {
            let weighed = |e: &Example| &e.probability * entry(e, i, j);
            self.0.iter().map(weighed).sum()
        })
    }

    /// `n`, the size of the input.
    pub fn inputs(&self) -> usize {
        self.0[0].activation.len()
    }

    /// `m`, the size of the output.
    pub fn outputs(&self) -> usize {
        self.0[0].gradient.len()
    }

    /// `A = E a a'`.
    pub fn input_factor(&self) -> Matrix {
        self.average(self.inputs(), |e, i, j| &e.activation[i] * &e.activation[j])
    }

    /// `G = E g g'`.
    pub fn output_factor(&self) -> Matrix {
        self.average(self.outputs(), |e, i, j| &e.gradient[i] * &e.gradient[j])
    }

    /// Every example's gradient `a (x) g`, with its probability.
    pub fn gradients(&self) -> Vec<(Q, Vec<Q>)> {
        let stacked = |e: &Example| {
            let column = |a: &Q| e.gradient.iter().map(|g| a * g).collect::<Vec<_>>();
            let gradient = e.activation.iter().flat_map(column).collect();
            (e.probability.clone(), gradient)
        };
        self.0.iter().map(stacked).collect()
    }

    /// `mu = E a (x) g`.
    pub fn mean(&self) -> Vec<Q> {
        let mut mean = vec![Q::zero(); self.inputs() * self.outputs()];
        for (probability, gradient) in self.gradients() {
            for (m, w) in mean.iter_mut().zip(gradient) {
                *m += &probability * w;
            }
        }
        mean
    }

    /// `E (a (x) g)(a (x) g)'`, of size `n m`.
    pub fn second_moment(&self) -> Matrix {
        let gradients = self.gradients();
        let d = self.inputs() * self.outputs();
        Matrix::from_fn(d, d, |i, j| {
            gradients.iter().map(|(p, w)| p * &w[i] * &w[j]).sum()
        })
    }

    /// The covariance of the examples' gradients, of size `n m`.
    pub fn covariance(&self) -> Matrix {
        let mean = self.mean();
        let moment = self.second_moment();
        let d = mean.len();
        Matrix::from_fn(d, d, |i, j| &moment.0[i][j] - &mean[i] * &mean[j])
    }

    /// Numerator and denominator of the plain ratio, `|mu|^2` and `Tr D`.
    pub fn plain(&self) -> Terms {
        let signal = squared_norm(&self.mean());
        let total = |(p, w): &(Q, Vec<Q>)| p * squared_norm(w);
        let total: Q = self.gradients().iter().map(total).sum();
        Terms {
            noise: total - &signal,
            signal,
        }
    }

    /// Numerator and denominator in the metric `A^-1 (x) G^-1` of any two factors, without a matrix of size `n m`:
    /// `Tr((A^-1 (x) G^-1) D) = E (a'A^-1 a)(g'G^-1 g) - mu'(A^-1 (x) G^-1) mu`. `None` for a singular factor.
    pub fn in_metric(&self, input: &Matrix, output: &Matrix) -> Option<Terms> {
        let (a_inverse, g_inverse) = (input.inverse()?, output.inverse()?);
        let m = self.outputs();
        // row j holds the column j of the mean gradient matrix E g a'
        let columns = Matrix(self.mean().chunks(m).map(<[Q]>::to_vec).collect());
        let turned = a_inverse.times(&columns).times(&g_inverse);
        let signal: Q = (0..self.inputs())
            .map(|j| dot(&turned.0[j], &columns.0[j]))
            .sum();
        let length = |inverse: &Matrix, x: &[Q]| dot(x, &inverse.apply(x));
        let total: Q = self
            .0
            .iter()
            .map(|e| {
                &e.probability * length(&a_inverse, &e.activation) * length(&g_inverse, &e.gradient)
            })
            .sum();
        Some(Terms {
            noise: total - &signal,
            signal,
        })
    }

    /// Numerator and denominator in the layer's own metric `(A + damping)^-1 (x) (G + damping)^-1`, or `None` for a singular factor.
    pub fn damped(&self, damping: &Q) -> Option<Terms> {
        let raise = |factor: Matrix| factor.plus(damping, &Matrix::identity(factor.rows()));
        self.in_metric(&raise(self.input_factor()), &raise(self.output_factor()))
    }

    /// The same without damping.
    pub fn undamped(&self) -> Option<Terms> {
        self.in_metric(&self.input_factor(), &self.output_factor())
    }
}

impl std::fmt::Display for Layer {
    /// `(a; g) = (1; 2), (1; (0, 3))`, each with its probability unless all have the same.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let even = q(1, self.0.len() as i64);
        let pairs: Vec<String> = self
            .0
            .iter()
            .map(|e| {
                let pair = format!("({}; {})", tuple(&e.activation), tuple(&e.gradient));
                if e.probability == even {
                    pair
                } else {
                    format!("{} of {pair}", e.probability)
                }
            })
            .collect();
        write!(f, "(a; g) = {}", pairs.join(", "))
    }
}

/// `a (x) g`.
pub fn kronecker(a: &Matrix, g: &Matrix) -> Matrix {
    let (m, d) = (g.rows(), a.rows() * g.rows());
    Matrix::from_fn(d, d, |i, j| &a.0[i / m][j / m] * &g.0[i % m][j % m])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(values: &[i64]) -> Vec<Q> {
        values.iter().map(|&v| q(v, 1)).collect()
    }

    fn layer() -> Layer {
        Layer::even(vec![
            (numbers(&[1, 0]), numbers(&[1, 2])),
            (numbers(&[1, 1]), numbers(&[0, 1])),
            (numbers(&[2, -1]), numbers(&[3, 1])),
        ])
    }

    #[test]
    fn one_scalar_weight_has_the_moments_that_pencil_gives() {
        // products 2 and 6: mean 4, variance 4
        let scalar = Layer::even(vec![
            (numbers(&[1]), numbers(&[2])),
            (numbers(&[2]), numbers(&[3])),
        ]);
        assert_eq!(scalar.mean(), numbers(&[4]));
        assert_eq!(scalar.covariance(), Matrix::diagonal(&numbers(&[4])));
        assert_eq!(scalar.input_factor(), Matrix::diagonal(&[q(5, 2)]));
        assert_eq!(scalar.output_factor(), Matrix::diagonal(&[q(13, 2)]));
        assert_eq!(scalar.plain().ratio(), Some(q(4, 1)));
        // in one dimension every metric gives the same ratio
        let terms = scalar.undamped().expect("both factors are positive");
        assert_eq!(terms.ratio(), Some(q(4, 1)));
    }

    #[test]
    fn the_terms_without_the_large_matrix_are_those_with_it() {
        let layer = layer();
        let (a, g) = (layer.input_factor(), layer.output_factor());
        let metric = kronecker(&a, &g).inverse().expect("both are definite");
        let terms = layer.undamped().expect("both are definite");
        let mean = layer.mean();
        assert_eq!(terms.signal, dot(&mean, &metric.apply(&mean)));
        assert_eq!(terms.noise, metric.times(&layer.covariance()).trace());
    }

    #[test]
    fn the_plain_terms_are_those_of_the_identity_metric() {
        let layer = layer();
        let one = Matrix::identity(2);
        assert_eq!(layer.in_metric(&one, &one), Some(layer.plain()));
        assert_eq!(layer.plain().noise, layer.covariance().trace());
    }

    #[test]
    fn fixed_maps_around_a_layer_take_its_gradient_to_u_transposed_times_it_times_v_transposed() {
        let (u, v) = (
            Matrix(vec![numbers(&[1, 2]), numbers(&[0, 1])]),
            Matrix(vec![numbers(&[3, 1]), numbers(&[1, 1])]),
        );
        let jacobian = kronecker(&v, &u.transpose());
        assert_eq!(
            layer().within(&u, &v).mean(),
            jacobian.apply(&layer().mean())
        );
    }

    #[test]
    fn a_cloud_has_the_mean_and_the_variances_it_was_asked_for() {
        let cloud = Layer::cloud(&numbers(&[3, 0]), &numbers(&[1, 2]));
        assert_eq!(cloud.mean(), numbers(&[3, 0]));
        assert_eq!(cloud.covariance(), Matrix::diagonal(&numbers(&[1, 4])));
        let product = kronecker(&cloud.input_factor(), &cloud.output_factor());
        assert_eq!(product, cloud.second_moment());
    }

    #[test]
    fn a_singular_factor_and_a_vanished_noise_give_no_ratio() {
        let single = Layer::even(vec![(numbers(&[1, 1]), numbers(&[1]))]);
        assert_eq!(single.undamped(), None);
        let constant = Layer::even(vec![(numbers(&[2]), numbers(&[1]))]);
        let terms = constant.undamped().expect("the factors are positive");
        assert_eq!(terms.ratio(), None);
    }
}
