//! Attention heads and residual blocks of a language model: their blocks are parts of the full empirical Fisher matrix, which is made here
//! from candle's autograd, example by example.

use super::models::{Cnn, Gpt};
use super::*;
use candle_nn::loss::cross_entropy;
use fjld_core::fisher::{Group, Selection};
use rand::RngExt;

const EXAMPLES: usize = 5;
const POSITIONS: usize = 5;
const WIDTH: usize = 8;
const HEADS: usize = 2;
const EACH: usize = WIDTH / HEADS;

/// A model with the mean loss of any of its examples.
struct Subject {
    parameters: Parameters,
    loss: Box<dyn Fn(usize, usize) -> candle_core::Result<Tensor>>,
}

impl Subject {
    fn gpt() -> Result<Self> {
        let (vars, mut generator) = seeded("gpt");
        let model = Gpt::new(vars.builder(DType::F64, &Device::Cpu))?;
        let mut texts = || -> candle_core::Result<Tensor> {
            let words: Vec<u32> = (0..EXAMPLES * POSITIONS)
                .map(|_| generator.random_range(0..7))
                .collect();
            Tensor::from_vec(words, (EXAMPLES, POSITIONS), &Device::Cpu)
        };
        let (x, y) = (texts()?, texts()?);
        Ok(Self {
            parameters: vars.named(),
            loss: Box::new(move |start, count| {
                let logits = model.forward(&x.narrow(0, start, count)?)?;
                let y = y.narrow(0, start, count)?;
                cross_entropy(&logits.flatten_to(1)?, &y.flatten_all()?)
            }),
        })
    }

    fn cnn() -> Result<Self> {
        let (vars, mut generator) = seeded("cnn");
        let model = Cnn::new(vars.builder(DType::F64, &Device::Cpu))?;
        let x = normal(&mut generator, &[EXAMPLES, 2, 8, 11])?;
        let y = Tensor::new(&[0u32, 2, 1, 1, 0], &Device::Cpu)?;
        Ok(Self {
            parameters: vars.named(),
            loss: Box::new(move |start, count| {
                let logits = model.forward(&x.narrow(0, start, count)?)?;
                cross_entropy(&logits, &y.narrow(0, start, count)?)
            }),
        })
    }

    fn statistics(&self) -> Result<Statistics> {
        let capture = Capture::new(EXAMPLES, Reduction::Mean).rows();
        let pass = capture.run(&self.parameters, || (self.loss)(0, EXAMPLES))?;
        Ok(pass.statistics)
    }

    /// `(1/n) sum_i g_i g_i'` over these coordinates of the flat gradient, parameters by name, by one backward pass an example.
    fn fisher(&self, coordinates: &[usize]) -> Result<Mat<f64>> {
        let mut sum = Mat::zeros(coordinates.len(), coordinates.len());
        for example in 0..EXAMPLES {
            let gradients = (self.loss)(example, 1)?.backward()?;
            let mut flat = Vec::new();
            for (name, var) in &self.parameters {
                let own = gradients.get(var).unwrap_or_else(|| panic!("no `{name}`"));
                flat.extend(own.flatten_all()?.to_vec1::<f64>()?);
            }
            let g = |k: usize| flat[coordinates[k]] / EXAMPLES as f64;
            sum += Mat::from_fn(coordinates.len(), coordinates.len(), |i, j| {
                g(i) * flat[coordinates[j]]
            });
        }
        Ok(sum)
    }

    /// Where entry 0 of a parameter stands in the flat gradient.
    fn start(&self, name: &str) -> usize {
        let before = self.parameters.iter().take_while(|(own, _)| own != name);
        before.map(|(_, var)| var.elem_count()).sum()
    }

    fn assert_is_a_part(&self, group: &Group, coordinates: &[usize]) -> Result<()> {
        let rows = group.rows(&self.statistics()?)?;
        let block = SecondMoment::<Dense>::empirical(&rows)?;
        let block = block.curvature().to_dense();
        assert_eq!(block.nrows(), coordinates.len(), "{}", group.name);
        let gap = distance(&block, &self.fisher(coordinates)?);
        assert!(gap < ROUNDING, "{}: {gap:e}", group.name);
        Ok(())
    }
}

#[test]
fn the_block_of_a_head_is_its_part_of_the_full_matrix() -> Result<()> {
    let gpt = Subject::gpt()?;
    for head in 0..HEADS {
        // the rows of qkv are three parts, each of as many rows for one head after the other
        let own = |part: usize| {
            let first = part * WIDTH + head * EACH;
            first..first + EACH
        };
        let mut parts = Vec::new();
        let mut coordinates = Vec::new();
        for part in 0..3 {
            parts.push(("block.qkv.weight".to_owned(), Selection::Rows(own(part))));
            let start = gpt.start("block.qkv.weight");
            coordinates
                .extend(own(part).flat_map(|row| (0..WIDTH).map(move |c| start + row * WIDTH + c)));
        }
        for part in 0..3 {
            parts.push(("block.qkv.bias".to_owned(), Selection::Rows(own(part))));
            let start = gpt.start("block.qkv.bias");
            coordinates.extend(own(part).map(|row| start + row));
        }
        parts.push(("block.out.weight".to_owned(), Selection::Columns(own(0))));
        let start = gpt.start("block.out.weight");
        coordinates.extend((0..WIDTH).flat_map(|row| own(0).map(move |c| start + row * WIDTH + c)));
        let group = Group {
            name: format!("head {head}"),
            parts,
        };
        gpt.assert_is_a_part(&group, &coordinates)?;
    }
    Ok(())
}

#[test]
fn the_block_of_a_residual_block_is_its_part_of_the_full_matrix() -> Result<()> {
    for (subject, prefix) in [
        (Subject::gpt()?, "block"),
        (Subject::cnn()?, "conv"),
        (Subject::cnn()?, "norm"),
    ] {
        let group = Group::under(prefix, &subject.statistics()?)?;
        let own: Vec<usize> = subject
            .parameters
            .iter()
            .filter(|(name, _)| name.split('.').next() == Some(prefix))
            .flat_map(|(name, var)| {
                let start = subject.start(name);
                start..start + var.elem_count()
            })
            .collect();
        subject.assert_is_a_part(&group, &own)?;
    }
    Ok(())
}
