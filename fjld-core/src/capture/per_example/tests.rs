use super::*;
use crate::rng::{Seed, standard_normals};
use candle_core::Device;

#[test]
fn positions_are_summed_draw_by_draw_be_they_one_none_or_many() -> Result<()> {
    for (n, positions, width) in [(3, 1, 5), (3, 4, 5), (300, 7, 40), (3, 0, 5), (0, 4, 5)] {
        let numbers = (0..n * positions * width).map(|at| at as f64);
        let x = Tensor::from_iter(numbers, &Device::Cpu)?.reshape((n, positions, width))?;
        let got = over_positions(&x)?;
        assert_eq!(got.dims(), [n, width]);
        if n * positions > 0 {
            // whole numbers: nothing is rounded
            assert_eq!(got.to_vec2::<f64>()?, x.sum(1)?.to_vec2::<f64>()?);
        } else {
            assert!(
                got.flatten_all()?
                    .to_vec1::<f64>()?
                    .iter()
                    .all(|&sum| sum == 0.0)
            );
        }
    }
    Ok(())
}

fn outer(n: usize, positions: usize, fan_in: usize, fan_out: usize) -> Result<Outer> {
    let generator = &mut Seed::root(41).generator();
    let mut draw = |width: usize| {
        let values = standard_normals(generator, n * positions * width);
        Tensor::from_vec(values, (n, positions, width), &Device::Cpu)
    };
    Ok(Outer {
        inputs: draw(fan_in)?,
        upstream: draw(fan_out)?,
    })
}

/// `sum_t o_t a_t'` by the loops of its definition.
fn by_hand(outer: &Outer) -> Result<Vec<Vec<f64>>> {
    let (inputs, upstream) = (
        outer.inputs.to_vec3::<f64>()?,
        outer.upstream.to_vec3::<f64>()?,
    );
    let gradients = inputs.iter().zip(&upstream).map(|(inputs, upstream)| {
        let (fan_in, fan_out) = (inputs[0].len(), upstream[0].len());
        let mut gradient = vec![0.0; fan_out * fan_in];
        for (a, o) in inputs.iter().zip(upstream) {
            for (row, o) in o.iter().enumerate() {
                for (column, a) in a.iter().enumerate() {
                    gradient[row * fan_in + column] += o * a;
                }
            }
        }
        gradient
    });
    Ok(gradients.collect())
}

/// A few hundred roundings of numbers up to a few hundred.
const TOLERANCE: f64 = 1e-11;

fn assert_close(got: &[f64], expected: &[f64]) {
    assert_eq!(got.len(), expected.len());
    for (g, e) in got.iter().zip(expected) {
        assert!((g - e).abs() < TOLERANCE, "{g} against {e}");
    }
}

#[test]
fn every_form_says_what_the_written_out_gradients_say() -> Result<()> {
    // one position; few positions of a wide layer (Gram matrices); many of a narrow one (written out)
    for (n, positions, fan_in, fan_out) in [(5, 1, 4, 3), (4, 2, 9, 8), (6, 7, 2, 3), (1, 3, 1, 1)]
    {
        let outer = outer(n, positions, fan_in, fan_out)?;
        let gradients = by_hand(&outer)?;
        let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(a, b)| a * b).sum::<f64>();
        let norms: Vec<f64> = gradients.iter().map(|g| dot(g, g)).collect();
        let gram: Vec<f64> = gradients
            .iter()
            .flat_map(|g| gradients.iter().map(|h| dot(g, h)))
            .collect();
        let total = |f: &dyn Fn(f64) -> f64| -> Vec<f64> {
            (0..fan_in * fan_out)
                .map(|k| gradients.iter().map(|g| f(g[k])).sum())
                .collect()
        };
        let written = Rows(outer.rows(0, n)?);
        let forms: [&dyn PerExample; 2] = [&outer, &written];
        for form in forms {
            assert_close(&form.squared_norms()?.on_host()?, &norms);
            assert_close(&form.gram()?, &gram);
            assert_close(&form.sum()?.to_vec1()?, &total(&|x| x));
            assert_close(&form.sum_of_squares()?.to_vec1()?, &total(&|x| x * x));
            assert_eq!(form.draws()?, n);
            for ask in [Ask::Sum, Ask::Norms, Ask::Squares] {
                let totals = form.totals(ask)?;
                assert_close(&totals.sum.to_vec1()?, &total(&|x| x));
                if ask != Ask::Sum {
                    assert_close(&totals.squared_norms.on_host()?, &norms);
                }
                if ask == Ask::Squares {
                    let squares = totals.sum_of_squares.expect("they were asked for");
                    assert_close(&squares.to_vec1()?, &total(&|x| x * x));
                }
            }
        }
    }
    Ok(())
}

#[test]
fn both_ways_to_a_norm_are_taken_by_some_shape() -> Result<()> {
    assert!(outer(4, 2, 9, 8)?.ghost_is_cheaper()?);
    assert!(!outer(6, 7, 2, 3)?.ghost_is_cheaper()?);
    Ok(())
}

#[test]
fn two_uses_add_before_they_are_squared() -> Result<()> {
    let one = || -> Result<Box<dyn PerExample>> { Ok(Box::new(outer(5, 2, 4, 3)?)) };
    let single = one()?.squared_norms()?.on_host()?;
    let double = joined(vec![one()?, one()?])?.squared_norms()?.on_host()?;
    let expected: Vec<f64> = single.iter().map(|s| 4.0 * s).collect();
    assert_close(&double, &expected);
    Ok(())
}

#[test]
fn runs_of_draws_take_each_draw_once_and_fill_a_chunk() {
    let runs = |draws, entries| -> Vec<_> { chunks(draws, entries, &Device::Cpu).collect() };
    // two gradients of half a chunk fit
    assert_eq!(runs(5, CHUNK / 2), [(0, 2), (2, 2), (4, 1)]);
    // three of a third, with one number to spare
    assert_eq!(runs(7, CHUNK / 3), [(0, 3), (3, 3), (6, 1)]);
    // one that does not fit has to go alone
    assert_eq!(runs(2, CHUNK + 1), [(0, 1), (1, 1)]);
    // those without entries all do
    assert_eq!(runs(9, 0), [(0, 9)]);
    assert_eq!(runs(0, 4), []);
}

#[test]
fn the_norms_go_by_the_way_that_takes_fewer_multiplications() -> Result<()> {
    // a gradient of 100 x 100 that is written out is multiplied twelve times an entry: 120000
    let cheaper = |positions| outer(1, positions, 100, 100)?.ghost_is_cheaper();
    // two Gram matrices of 10 x 10 take 100 x 200
    assert!(cheaper(10)?);
    // and of 100 x 100 two million
    assert!(!cheaper(100)?);
    Ok(())
}

#[test]
fn what_the_fast_ways_do_not_take_goes_by_the_operations_of_candle() -> Result<()> {
    // small whole numbers, which half precision holds exactly, and so their sums of products
    let numbers = |n: usize, positions: usize, width: usize, step: usize| {
        let values = (0..n * positions * width).map(|at| (at * step % 5) as f64 - 2.0);
        Tensor::from_iter(values, &Device::Cpu)?.reshape((n, positions, width))
    };
    for positions in [1, 3] {
        let wide = Outer {
            inputs: numbers(4, positions, 3, 2)?,
            upstream: numbers(4, positions, 2, 3)?,
        };
        let half = Outer {
            inputs: wide.inputs.to_dtype(DType::F16)?,
            upstream: wide.upstream.to_dtype(DType::F16)?,
        };
        assert!(!is_host(&half.inputs));
        let gradients = by_hand(&wide)?;
        let total = |f: &dyn Fn(f64) -> f64| -> Vec<f64> {
            (0..6)
                .map(|k| gradients.iter().map(|g| f(g[k])).sum())
                .collect()
        };
        assert_eq!(host(&half.sum()?)?, total(&|g| g));
        assert_eq!(host(&half.totals(Ask::Sum)?.sum)?, total(&|g| g));
        assert_eq!(host(&half.sum_of_squares()?)?, total(&|g| g * g));
        let own = host(&over_positions(&half.inputs)?)?;
        let expected = wide.inputs.to_vec3::<f64>()?.into_iter().flat_map(|rows| {
            (0..3)
                .map(|k| rows.iter().map(|row| row[k]).sum())
                .collect::<Vec<f64>>()
        });
        assert_eq!(own, expected.collect::<Vec<_>>());
    }
    Ok(())
}

#[test]
fn gradients_without_a_position_or_without_an_entry_are_zero() -> Result<()> {
    for (positions, fan_in, fan_out) in [(0, 4, 2), (2, 4, 0), (2, 0, 0)] {
        let outer = outer(3, positions, fan_in, fan_out)?;
        assert_eq!(outer.squared_norms()?.on_host()?, [0.0; 3]);
        assert_eq!(outer.gram()?, [0.0; 9]);
        assert_eq!(host(&outer.sum()?)?, vec![0.0; fan_in * fan_out]);
        let totals = outer.totals(Ask::Squares)?;
        let squares = totals.sum_of_squares.expect("they were asked for");
        assert_eq!(host(&squares)?, vec![0.0; fan_in * fan_out]);
    }
    Ok(())
}
