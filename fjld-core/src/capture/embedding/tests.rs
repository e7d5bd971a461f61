use super::*;
use candle_core::Device;

/// Whole numbers, so that sums in any order are exact.
fn whole(shape: (usize, usize, usize)) -> Result<Tensor> {
    let numbers = (0..shape.0 * shape.1 * shape.2).map(|k| (5 * k % 11) as f64 - 4.0);
    Tensor::from_vec(numbers.collect(), shape, &Device::Cpu)
}

fn flat(x: &Tensor) -> Result<Vec<f64>> {
    x.flatten_all()?.to_vec1()
}

#[test]
fn every_form_says_what_the_written_out_gradients_say() -> Result<()> {
    let (n, positions, vocabulary, width) = (3, 3, 5, 2);
    // once, twice and three times the same word, and one, 3, that no draw touches
    let indices = [1, 1, 0, 4, 4, 4, 2, 0, 1];
    let upstream = whole((n, positions, width))?;
    let mut expected = vec![vec![0.0; vocabulary * width]; n];
    for (draw, slopes) in upstream.to_vec3::<f64>()?.iter().enumerate() {
        for (at, slope) in slopes.iter().enumerate() {
            for (k, slope) in slope.iter().enumerate() {
                expected[draw][indices[draw * positions + at] * width + k] += slope;
            }
        }
    }
    let scatter = Scatter::new(&indices, &upstream, vocabulary)?;
    let products: Vec<f64> = (0..n * n)
        .map(|at| {
            let both = expected[at / n].iter().zip(&expected[at % n]);
            both.map(|(a, b)| a * b).sum()
        })
        .collect();
    let column = |f: fn(f64) -> f64| -> Vec<f64> {
        let sum = |k: usize| expected.iter().map(|row| f(row[k])).sum();
        (0..vocabulary * width).map(sum).collect()
    };
    assert_eq!(scatter.draws()?, n);
    assert_eq!(flat(&scatter.sum()?)?, column(|g| g));
    assert_eq!(flat(&scatter.sum_of_squares()?)?, column(|g| g * g));
    assert_eq!(scatter.gram()?, products);
    let norms: Vec<f64> = products.iter().step_by(n + 1).copied().collect();
    assert_eq!(scatter.squared_norms()?.on_host()?, norms);
    for (start, count) in [(0, 3), (1, 2), (2, 1)] {
        let rows = scatter.rows(start, count)?.to_vec2::<f64>()?;
        assert_eq!(rows, expected[start..start + count]);
    }
    Ok(())
}

#[test]
fn rows_add_up_at_their_places_one_by_one_and_as_a_product() -> Result<()> {
    // more places in all than in a block, and fewer rows than columns
    let (n, m, width, size) = (2, 3, 4, 5);
    let rows = whole((n, m, width))?;
    let places = [4, 0, 4, 2, 2, 1];
    let mut expected = vec![vec![0.0; width]; n * size];
    for (at, row) in rows.to_vec3::<f64>()?.iter().flatten().enumerate() {
        let into = &mut expected[at / m * size + places[at]];
        into.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
    }
    for by in [added, added_by_marks] {
        assert_eq!(by(&rows, &places, size)?.to_vec2::<f64>()?, expected);
    }
    Ok(())
}
