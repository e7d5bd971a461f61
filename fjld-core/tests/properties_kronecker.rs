//! What must hold of the curvature operators, the Kronecker factors and the ratio in their metric, for every shape.

use candle_core::{Device, Tensor};
use faer::linalg::solvers::Solve;
use faer::{Mat, MatRef, Side};
use fjld_core::capture::LayerPair;
use fjld_core::fisher::{BlockDiagonal, Curvature, Dense, Diagonal, Foof, Kronecker, SecondMoment};
use fjld_core::kronecker::{Block, Damping, EkfacMoments, Factors, KroneckerRatio, Setting};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// Rounding, 1e-16 a step, times sums of up to a hundred terms, times condition numbers: factors have eigenvalues between 1/2 and
/// `5^2 + 1/2`, so their products a condition below 3000.
const TOLERANCE: f64 = 1e-10;

fn close(a: f64, b: f64, scale: f64) -> bool {
    (a - b).abs() <= TOLERANCE * (a.abs() + b.abs() + scale)
}

fn distance(a: &Mat<f64>, b: &Mat<f64>) -> f64 {
    (a - b).norm_l2()
}

fn same(a: &Mat<f64>, b: &Mat<f64>) -> bool {
    distance(a, b) <= TOLERANCE * (a.norm_l2() + b.norm_l2())
}

fn column(v: &[f64]) -> MatRef<'_, f64> {
    MatRef::from_column_major_slice(v, v.len(), 1)
}

fn kronecker_product(g: &Mat<f64>, a: &Mat<f64>) -> Mat<f64> {
    let side = a.nrows();
    Mat::from_fn(g.nrows() * side, g.nrows() * side, |i, j| {
        g[(i / side, j / side)] * a[(i % side, j % side)]
    })
}

/// One layer's data as plain numbers, and everything about them by loops.
#[derive(Clone, Debug)]
struct Case {
    examples: usize,
    positions: usize,
    inputs: usize,
    outputs: usize,
    bias: bool,
    a: Vec<f64>,
    g: Vec<f64>,
    counted: Vec<bool>,
}

impl Case {
    fn pair(&self) -> LayerPair {
        let tensor = |values: &[f64], width: usize| {
            let shape = (self.examples, self.positions, width);
            Tensor::from_vec(values.to_vec(), shape, &Device::Cpu).expect("it has this shape")
        };
        let mask: Vec<u8> = self.counted.iter().map(|&c| u8::from(c)).collect();
        let shape = (self.examples, self.positions);
        LayerPair {
            layer: "fc".into(),
            inputs: tensor(&self.a, self.inputs),
            gradients: tensor(&self.g, self.outputs),
            bias: self.bias,
            counted: Some(Tensor::from_vec(mask, shape, &Device::Cpu).expect("it has this shape")),
        }
    }

    /// Examples `from..to` only.
    fn part(&self, from: usize, to: usize) -> Self {
        let rows = |width: usize| from * self.positions * width..to * self.positions * width;
        Self {
            examples: to - from,
            a: self.a[rows(self.inputs)].to_vec(),
            g: self.g[rows(self.outputs)].to_vec(),
            counted: self.counted[rows(1)].to_vec(),
            ..self.clone()
        }
    }

    fn side(&self) -> usize {
        self.inputs + usize::from(self.bias)
    }

    /// The counted positions of an example: inputs with the bias's 1, and output gradients.
    fn seen(&self, example: usize) -> Vec<(Vec<f64>, Vec<f64>)> {
        (example * self.positions..(example + 1) * self.positions)
            .filter(|&row| self.counted[row])
            .map(|row| {
                let mut a = self.a[row * self.inputs..(row + 1) * self.inputs].to_vec();
                if self.bias {
                    a.push(1.0);
                }
                (
                    a,
                    self.g[row * self.outputs..(row + 1) * self.outputs].to_vec(),
                )
            })
            .collect()
    }

    /// `sum_t g_t a_t'` row by row.
    fn gradient(&self, example: usize) -> Vec<f64> {
        let mut sum = vec![0.0; self.outputs * self.side()];
        for (a, g) in self.seen(example) {
            for (k, entry) in sum.iter_mut().enumerate() {
                *entry += g[k / self.side()] * a[k % self.side()];
            }
        }
        sum
    }

    /// `(1/n) sum` of the products of the gradients.
    fn exact_block(&self) -> Mat<f64> {
        let rows: Vec<f64> = (0..self.examples).flat_map(|e| self.gradient(e)).collect();
        mean_product(&rows, self.outputs * self.side())
    }

    /// `(A, G)` from the definitions, or nothing where no position counts.
    fn factors(&self, setting: Setting) -> Option<(Mat<f64>, Mat<f64>)> {
        let (mut a_rows, mut g_rows) = (Vec::new(), Vec::new());
        for example in 0..self.examples {
            let seen = self.seen(example);
            match setting {
                Setting::Expand => seen.into_iter().for_each(|(a, g)| {
                    a_rows.extend(a);
                    g_rows.extend(g);
                }),
                Setting::Reduce if seen.is_empty() => {}
                Setting::Reduce => {
                    for i in 0..self.side() {
                        let sum: f64 = seen.iter().map(|(a, _)| a[i]).sum();
                        a_rows.push(sum / seen.len() as f64);
                    }
                    g_rows.extend(
                        (0..self.outputs).map(|o| seen.iter().map(|(_, g)| g[o]).sum::<f64>()),
                    );
                }
            }
        }
        if a_rows.is_empty() {
            return None;
        }
        let summed = g_rows.len() / self.outputs;
        let g = mean_product(&g_rows, self.outputs);
        let per_example = summed as f64 / self.examples as f64;
        Some((
            mean_product(&a_rows, self.side()),
            g * faer::Scale(per_example),
        ))
    }
}

/// `X'X / rows` of rows of a width.
fn mean_product(rows: &[f64], width: usize) -> Mat<f64> {
    let count = rows.len() / width;
    Mat::from_fn(width, width, |i, j| {
        let sum: f64 = rows.chunks(width).map(|r| r[i] * r[j]).sum();
        sum / count as f64
    })
}

fn numbers(count: usize) -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(-1.0..1.0, count)
}

fn case() -> impl Strategy<Value = Case> {
    (
        2usize..=6,
        1usize..=3,
        1usize..=4,
        1usize..=4,
        prop::bool::ANY,
    )
        .prop_flat_map(|(examples, positions, inputs, outputs, bias)| {
            let rows = examples * positions;
            let counted = prop::collection::vec(prop::bool::weighted(0.8), rows);
            (numbers(rows * inputs), numbers(rows * outputs), counted).prop_map(
                move |(a, g, counted)| Case {
                    examples,
                    positions,
                    inputs,
                    outputs,
                    bias,
                    a,
                    g,
                    counted,
                },
            )
        })
}

prop_compose! {
    /// `M M' + 1/2` with entries of `M` in `[-1, 1]`.
    fn definite(d: usize)(entries in numbers(d * d)) -> Mat<f64> {
        let m = Mat::from_fn(d, d, |i, j| entries[i * d + j]);
        let half = 0.5 * Mat::<f64>::identity(d, d);
        &m * m.transpose() + half
    }
}

fn dense(matrix: &Mat<f64>) -> Dense {
    Dense::new(matrix.as_ref()).expect("a definite matrix")
}

/// A layer with definite factors `(G, A)` of its shape that owe nothing to its data.
fn case_with_factors() -> impl Strategy<Value = (Case, Mat<f64>, Mat<f64>)> {
    case().prop_flat_map(|case| {
        let (outputs, side) = (case.outputs, case.side());
        (Just(case), definite(outputs), definite(side))
    })
}

fn damping() -> impl Strategy<Value = Damping> {
    (0usize..5, 0.01..2.0).prop_map(|(kind, lambda)| match kind {
        0 => Damping::None,
        1 => Damping::Exact(lambda),
        2 => Damping::Pi(lambda),
        3 => Damping::Factors(lambda),
        _ => Damping::Jeffreys(lambda),
    })
}

/// Every operator against the matrix that it stands for.
fn check_operator(operator: &dyn Curvature, v: &[f64]) -> std::result::Result<(), TestCaseError> {
    let matrix = operator.to_dense();
    let v = &v[..operator.dimension()];
    let product = &matrix * column(v);
    let solution = matrix.llt(Side::Lower).expect("definite").solve(column(v));
    let (by_operator, solved) = (operator.matvec(v)?, operator.solve(v)?);
    let scale = product.norm_l2() + solution.norm_l2();
    for i in 0..v.len() {
        prop_assert!(
            close(by_operator[i], product[(i, 0)], scale),
            "matvec of {operator:?}"
        );
        prop_assert!(
            close(solved[i], solution[(i, 0)], scale),
            "solve of {operator:?}"
        );
    }
    let eigenvalues = matrix
        .self_adjoint_eigenvalues(Side::Lower)
        .expect("symmetric");
    prop_assert!(close(operator.trace(), eigenvalues.iter().sum(), 0.0));
    let logs: f64 = eigenvalues.iter().map(|e| e.ln()).sum();
    prop_assert!(close(operator.log_determinant()?, logs, 1.0));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: RngSeed::Fixed(20261),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_operator_does_what_its_matrix_does(
        (case, g, a) in case_with_factors(), damping in damping(), v in numbers(80),
    ) {
        let product = Kronecker::new(dense(&g), dense(&a));
        prop_assert!(same(&product.to_dense(), &kronecker_product(&g, &a)));
        let foof = Foof::new(dense(&a), case.outputs)?;
        let identity = Mat::identity(case.outputs, case.outputs);
        prop_assert!(same(&foof.to_dense(), &kronecker_product(&identity, &a)));
        let diagonal = Diagonal::new((0..4).map(|i| 1.5 + v[i]).collect())?;
        check_operator(&dense(&g), &v)?;
        check_operator(&foof, &v)?;
        check_operator(&diagonal, &v)?;
        check_operator(&damping.apply(product.clone())?, &v)?;
        let blocks = BlockDiagonal::new(vec![
            ("product".into(), Box::new(product) as Box<dyn Curvature>),
            ("diagonal".into(), Box::new(diagonal)),
            ("inputs".into(), Box::new(foof)),
        ])?;
        check_operator(&blocks, &v)?;
    }

    #[test]
    fn solutions_reproduce_their_right_side_however_bad_the_condition(
        (_, g, a) in case_with_factors(), decades in -8i32..=8, v in numbers(20),
    ) {
        // parameters of very different scales, and a factor within 1e-12 of singular
        let scaled = Mat::from_fn(a.nrows(), a.nrows(), |i, j| {
            a[(i, j)] * 10f64.powi(decades * ((i == 0) as i32 + (j == 0) as i32))
        });
        let flat = Mat::from_fn(g.nrows(), g.nrows(), |i, j| 1.0 + 1e-12 * g[(i, j)]);
        let block = Kronecker::new(dense(&flat), dense(&scaled));
        let v = &v[..block.dimension()];
        let x = block.solve(v)?;
        let length = x.iter().map(|x| x * x).sum::<f64>().sqrt();
        for (back, wanted) in block.matvec(&x)?.iter().zip(v) {
            // backward stable: the residual is rounding of |F| |x|
            prop_assert!((back - wanted).abs() <= 1e-13 * block.trace() * length);
        }
    }

    #[test]
    fn exact_damping_is_lambda_on_the_diagonal_and_pi_damping_that_and_two_terms_more(
        (_, g, a) in case_with_factors(), lambda in 0.01..2.0,
    ) {
        let product = Kronecker::new(dense(&g), dense(&a));
        let plain = kronecker_product(&g, &a);
        let identity = |side: usize| Mat::<f64>::identity(side, side);
        let exact = &plain + identity(plain.nrows()) * faer::Scale(lambda);
        let damped = Damping::Exact(lambda).apply(product.clone())?.to_dense();
        prop_assert!(same(&damped, &exact));
        let mean = |m: &Mat<f64>| (0..m.nrows()).map(|i| m[(i, i)]).sum::<f64>() / m.nrows() as f64;
        let pi = (mean(&a) / mean(&g)).sqrt();
        let more = kronecker_product(&g, &identity(a.nrows())) * faer::Scale(pi)
            + kronecker_product(&identity(g.nrows()), &a) * faer::Scale(1.0 / pi);
        let damped = Damping::Pi(lambda).apply(product)?.to_dense();
        prop_assert!(same(&damped, &(&exact + more * faer::Scale(lambda.sqrt()))));
        prop_assert!(distance(&damped, &exact) > lambda.sqrt() * 0.1);
    }

    #[test]
    fn factors_are_what_their_definition_says_in_one_push_or_several(
        case in case(), cut in 1usize..5, reduce in prop::bool::ANY,
    ) {
        let setting = if reduce { Setting::Reduce } else { Setting::Expand };
        let cut = cut.min(case.examples - 1);
        let mut whole = Factors::for_layer(&case.pair(), setting)?;
        whole.push(&case.pair())?;
        let (first, second) = (case.part(0, cut).pair(), case.part(cut, case.examples).pair());
        let mut pushed = Factors::for_layer(&first, setting)?;
        pushed.push(&first)?;
        let mut merged = pushed.clone();
        pushed.push(&second)?;
        let mut other = Factors::for_layer(&second, setting)?;
        other.push(&second)?;
        merged.merge(&other)?;
        let expected = case.factors(setting);
        for factors in [whole, pushed, merged] {
            prop_assert_eq!(factors.examples(), case.examples as f64);
            prop_assert_eq!(factors.positions(), case.counted.iter().filter(|c| **c).count() as f64);
            match &expected {
                None => prop_assert!(factors.input_factor().is_err()),
                Some((a, g)) => {
                    prop_assert!(same(&factors.input_factor()?.to_dense(), a));
                    prop_assert!(same(&factors.gradient_factor()?.to_dense(), g));
                    let foof = factors.foof()?.to_dense();
                    prop_assert!(same(&foof, &kronecker_product(&Mat::identity(case.outputs, case.outputs), a)));
                }
            }
        }
    }

    #[test]
    fn a_deep_linear_layer_is_exact_in_its_own_setting(case in case(), reduce in prop::bool::ANY) {
        prop_assume!((0..case.examples).all(|e| !case.seen(e).is_empty()));
        // the loss is |f|^2 / 2 with f linear in each position's output (expand) or in their mean (reduce): column k of its square
        // root sends the same gradient to one position, or an equal share to all, of every example
        let head = &case.g;
        let t = case.positions;
        let columns: Vec<Case> = (0..t * case.outputs)
            .map(|k| {
                let mut column = case.clone();
                for e in 0..case.examples {
                    let share = case.seen(e).len() as f64;
                    for p in 0..t {
                        for o in 0..case.outputs {
                            let value = head[(k % case.outputs) * t + o % t] + f64::from(u8::from(k % case.outputs == o));
                            column.g[(e * t + p) * case.outputs + o] = match reduce {
                                true if k < case.outputs => value / share,
                                false if k / case.outputs == p => value,
                                _ => 0.0,
                            };
                        }
                    }
                }
                column
            })
            .collect();
        let setting = if reduce { Setting::Reduce } else { Setting::Expand };
        let pairs: Vec<LayerPair> = columns.iter().map(Case::pair).collect();
        let mut factors = Factors::for_layer(&pairs[0], setting)?;
        factors.push_columns(&pairs)?;
        let rows: Vec<Tensor> = columns
            .iter()
            .map(|c| {
                let rows: Vec<f64> = (0..c.examples).flat_map(|e| c.gradient(e)).collect();
                Tensor::from_vec(rows, (c.examples, c.outputs * c.side()), &Device::Cpu)
            })
            .collect::<candle_core::Result<_>>()?;
        let exact = SecondMoment::<Dense>::type_2(&rows)?.curvature().to_dense();
        prop_assert!(same(&factors.kronecker()?.to_dense(), &exact));
        let mut moments = EkfacMoments::new(&factors)?;
        moments.push_columns(&pairs)?;
        prop_assert!(same(&moments.block()?.to_dense(), &exact));
    }

    #[test]
    fn ekfac_is_no_further_from_the_exact_block_than_kfac(case in case(), reduce in prop::bool::ANY) {
        prop_assume!(case.counted.iter().any(|c| *c));
        let setting = if reduce { Setting::Reduce } else { Setting::Expand };
        let mut factors = Factors::for_layer(&case.pair(), setting)?;
        factors.push(&case.pair())?;
        let mut moments = EkfacMoments::new(&factors)?;
        moments.push(&case.part(0, 1).pair())?;
        moments.push(&case.part(1, case.examples).pair())?;
        let (exact, ekfac) = (case.exact_block(), moments.block()?);
        let kfac = factors.kronecker()?.to_dense();
        let rounding = TOLERANCE * exact.norm_l2();
        prop_assert!(distance(&exact, &ekfac.to_dense()) <= distance(&exact, &kfac) + rounding);
        // what is left over has no diagonal in that basis: the spectrum is a projection
        let left_over = &exact - ekfac.to_dense();
        let basis = kronecker_product(&ekfac.left().to_owned(), &ekfac.right().to_owned());
        let turned = basis.transpose() * left_over * &basis;
        for i in 0..turned.nrows() {
            prop_assert!(turned[(i, i)].abs() <= rounding);
        }
    }

    #[test]
    fn the_ratio_is_that_of_materialised_gradients_in_the_dense_metric(
        (case, g, a) in case_with_factors(), damping in damping(), cut in 0usize..6,
    ) {
        let block = damping.apply(Kronecker::new(dense(&g), dense(&a)))?;
        let mut ratio = KroneckerRatio::new("fc", &block, &Device::Cpu)?;
        if (1..case.examples).contains(&cut) {
            ratio.push(&case.part(0, cut).pair())?;
            ratio.push(&case.part(cut, case.examples).pair())?;
        } else {
            ratio.push(&case.pair())?;
        }
        let (signal, noise, squares) = dense_ratio(&case, &block);
        let metric = ratio.metric()?;
        prop_assert!(close(metric.signal, signal, squares), "{} against {signal}", metric.signal);
        prop_assert!(close(metric.noise, noise, squares), "{} against {noise}", metric.noise);
        if noise > 1e-6 * squares {
            prop_assert!(metric.c_alpha_layer.is_some_and(|c| c == metric.signal / metric.noise));
        }
        let eigenvalues = block.to_dense().self_adjoint_eigenvalues(Side::Lower).expect("symmetric");
        let condition = eigenvalues[eigenvalues.len() - 1] / eigenvalues[0];
        prop_assert!(metric.fisher_condition.is_some_and(|c| close(c, condition, 0.0)));
    }
}

/// `mu' F^-1 mu`, `Tr(F^-1 D)` and the mean of `g' F^-1 g`, from every gradient written out.
fn dense_ratio(case: &Case, block: &Block) -> (f64, f64, f64) {
    let factor = block.to_dense().llt(Side::Lower).expect("definite");
    let form = |v: &[f64]| (column(v).transpose() * factor.solve(column(v)))[(0, 0)];
    let n = case.examples as f64;
    let gradients: Vec<Vec<f64>> = (0..case.examples).map(|e| case.gradient(e)).collect();
    let mean: Vec<f64> = (0..gradients[0].len())
        .map(|k| gradients.iter().map(|g| g[k]).sum::<f64>() / n)
        .collect();
    let deviation =
        |g: &Vec<f64>| -> Vec<f64> { g.iter().zip(&mean).map(|(g, m)| g - m).collect() };
    let noise: f64 = gradients.iter().map(|g| form(&deviation(g))).sum();
    let squares: f64 = gradients.iter().map(|g| form(g)).sum();
    (form(&mean), noise / (n - 1.0), squares / n)
}
