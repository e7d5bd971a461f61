//! The multiplications of a training step of a perceptron, and of exact per-example `C` on top of it, counted and by formula.
//!
//! In a layer with `k` inputs `a`, a bias and `m` outputs with gradients `b`, an example's squared gradient is `(|a|^2 + 1)|b|^2`, which takes
//! `k + m + 1` multiplications, and the squared mean takes `(k + 1) m` a batch. The step itself takes `3 k m` an example: outputs, gradients of the
//! weights, and gradients of the inputs, which the first layer does not need.

/// Multiplies whole numbers, and counts.
#[derive(Default)]
struct Tally(i64);

impl Tally {
    fn dot(&mut self, a: &[i64], b: &[i64]) -> i64 {
        self.0 += a.len() as i64;
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    fn scaled(&mut self, s: i64, a: &[i64]) -> Vec<i64> {
        self.0 += a.len() as i64;
        a.iter().map(|a| s * a).collect()
    }
}

/// The multiplications of a step and of the capture, in a perceptron of these widths.
pub struct Cost {
    /// Of a step.
    pub step: i64,
    /// Of the capture on top of it.
    pub capture: i64,
}

/// As the module's documentation has it.
pub fn formula(widths: &[i64], batch: i64) -> Cost {
    let layers = || widths.windows(2).map(|w| (w[0], w[1]));
    let products: i64 = layers().map(|(k, m)| k * m).sum();
    let norms: i64 = layers().map(|(k, m)| k + m + 1).sum();
    let mean: i64 = layers().map(|(k, m)| (k + 1) * m).sum();
    Cost {
        step: batch * (3 * products - widths[0] * widths[1]),
        capture: batch * norms + mean,
    }
}

/// A step and a capture by hand: sums over the batch of `|g_i|^2`, from the norms and from every entry, and what was counted.
pub struct Passed {
    /// As counted.
    pub cost: Cost,
    /// `sum_i |g_i|^2` from norms.
    pub by_norms: i64,
    /// The same, entry by entry.
    pub by_entries: i64,
}

/// A batch through a relu perceptron of the given widths with small whole weights, the loss half the squared distance from 1.
/// In the norms the bias counts as one more input, of the square `bias`: 1 when nothing is left out.
pub fn pass(widths: &[i64], batch: i64, bias: i64) -> Passed {
    let (mut step, mut capture) = (Tally::default(), Tally::default());
    let sizes: Vec<usize> = widths.iter().map(|&w| w as usize).collect();
    let weight = |layer: usize, i: usize, j: usize| ((layer + 2 * i + 3 * j) % 5) as i64 - 1;
    let layers = sizes.len() - 1;
    let (mut by_norms, mut by_entries) = (0, 0);
    let mut mean: Vec<Vec<i64>> = (0..layers)
        .map(|l| vec![0; (sizes[l] + 1) * sizes[l + 1]])
        .collect();
    for example in 0..batch {
        let first = (0..sizes[0]).map(|j| example + j as i64 + 1).collect();
        let mut inputs: Vec<Vec<i64>> = vec![first];
        let mut outputs = Vec::new();
        for layer in 0..layers {
            let input = &inputs[layer];
            let z: Vec<i64> = (0..sizes[layer + 1])
                .map(|i| {
                    let row: Vec<i64> = (0..sizes[layer]).map(|j| weight(layer, i, j)).collect();
                    step.dot(&row, input)
                })
                .collect();
            inputs.push(z.iter().map(|&z| z.max(0)).collect());
            outputs.push(z);
        }
        let mut gradient: Vec<i64> = outputs[layers - 1].iter().map(|z| z - 1).collect();
        for layer in (0..layers).rev() {
            let input = &inputs[layer];
            let mut entries = Vec::new();
            for &b in &gradient {
                entries.extend(step.scaled(b, input));
                entries.push(b);
            }
            by_entries += entries.iter().map(|e| e * e).sum::<i64>();
            mean[layer]
                .iter_mut()
                .zip(&entries)
                .for_each(|(m, e)| *m += e);
            let squares = [
                capture.dot(input, input) + bias,
                capture.dot(&gradient, &gradient),
            ];
            by_norms += capture.dot(&squares[..1], &squares[1..]);
            if layer > 0 {
                gradient = (0..sizes[layer])
                    .map(|j| {
                        let column: Vec<i64> =
                            (0..sizes[layer + 1]).map(|i| weight(layer, i, j)).collect();
                        let slope = i64::from(outputs[layer - 1][j] > 0);
                        // relu's slope chooses, it does not multiply
                        step.dot(&column, &gradient) * slope
                    })
                    .collect();
            }
        }
    }
    for layer in &mean {
        capture.dot(layer, layer);
    }
    Passed {
        cost: Cost {
            step: step.0,
            capture: capture.0,
        },
        by_norms,
        by_entries,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_of_two_inputs_and_one_output_takes_what_pencil_counts() {
        let passed = pass(&[2, 1], 1, 1);
        // two for the output and two for the weights; 2 + 1 + 1 for the norms and 3 for the squared mean
        assert_eq!((passed.cost.step, passed.cost.capture), (4, 7));
        // inputs (1, 2), weights -1 and 2: output 3, gradient 2; (1 + 4 + 1) 2^2
        assert_eq!((passed.by_norms, passed.by_entries), (24, 24));
    }
}
