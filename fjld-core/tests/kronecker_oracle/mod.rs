//! A layer's data with everything that the library makes of them, written out in loops.

use candle_core::{Device, Tensor};
use faer::Mat;
use fjld_core::capture::LayerPair;
use fjld_core::kronecker::Setting;

/// One layer's data as plain numbers, and everything about them by loops.
#[derive(Clone, Debug)]
pub struct Case {
    pub examples: usize,
    pub positions: usize,
    pub inputs: usize,
    pub outputs: usize,
    pub bias: bool,
    pub a: Vec<f64>,
    pub g: Vec<f64>,
    pub counted: Vec<bool>,
}

impl Case {
    pub fn pair(&self) -> LayerPair {
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
    pub fn part(&self, from: usize, to: usize) -> Self {
        let rows = |width: usize| from * self.positions * width..to * self.positions * width;
        Self {
            examples: to - from,
            a: self.a[rows(self.inputs)].to_vec(),
            g: self.g[rows(self.outputs)].to_vec(),
            counted: self.counted[rows(1)].to_vec(),
            ..self.clone()
        }
    }

    pub fn side(&self) -> usize {
        self.inputs + usize::from(self.bias)
    }

    /// The counted positions of an example: inputs with the bias's 1, and output gradients.
    pub fn seen(&self, example: usize) -> Vec<(Vec<f64>, Vec<f64>)> {
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
    pub fn gradient(&self, example: usize) -> Vec<f64> {
        let mut sum = vec![0.0; self.outputs * self.side()];
        for (a, g) in self.seen(example) {
            for (k, entry) in sum.iter_mut().enumerate() {
                *entry += g[k / self.side()] * a[k % self.side()];
            }
        }
        sum
    }

    /// `(1/n) sum` of the products of the gradients.
    pub fn exact_block(&self) -> Mat<f64> {
        let rows: Vec<f64> = (0..self.examples).flat_map(|e| self.gradient(e)).collect();
        mean_product(&rows, self.outputs * self.side())
    }

    /// `(A, G)` from the definitions, or nothing where no position counts.
    pub fn factors(&self, setting: Setting) -> Option<(Mat<f64>, Mat<f64>)> {
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
