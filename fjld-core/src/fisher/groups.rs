//! Blocks of a model's Fisher matrix that are no layers: attention heads, residual blocks, or any choice of parameters.

use crate::capture::Statistics;
use crate::error::{Error, Result};
use candle_core::Tensor;
use std::ops::Range;

/// Which entries of a parameter belong to a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All of them.
    All,
    /// These rows of a weight `[out, in]`, or entries of a vector: a head's part of the query, key and value projections.
    Rows(Range<usize>),
    /// These columns of a weight `[out, in]`: a head's part of the output projection.
    Columns(Range<usize>),
}

/// A named choice of parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Parameters by name, with the entries that belong to it.
    pub parts: Vec<(String, Selection)>,
}

impl Group {
    /// Every parameter whose name starts with `prefix` and a dot: a residual block, a layer.
    ///
    /// # Errors
    /// When there is none.
    pub fn under(prefix: &str, statistics: &Statistics) -> Result<Self> {
        let own = statistics.parameters().iter().filter(|parameter| {
            let rest = parameter.name().strip_prefix(prefix);
            rest.is_some_and(|rest| rest.starts_with('.'))
        });
        let parts: Vec<_> = own
            .map(|parameter| (parameter.name().to_owned(), Selection::All))
            .collect();
        if parts.is_empty() {
            return Err(Error::Capture(format!(
                "no parameter stands under `{prefix}`"
            )));
        }
        Ok(Self {
            name: prefix.to_owned(),
            parts,
        })
    }

    /// Head `head` of an attention block with `heads` of them: its rows of the projections in `inputs` (query, key, value; weights and
    /// biases), and its columns of the output projection's weight `output`. `width` is the width of all heads together.
    ///
    /// # Errors
    /// When `head` is not below `heads`, or `heads` does not divide `width`.
    pub fn head(
        name: &str,
        (head, heads, width): (usize, usize, usize),
        inputs: &[&str],
        output: &str,
    ) -> Result<Self> {
        if heads == 0 || head >= heads || !width.is_multiple_of(heads) {
            return Err(Error::Capture(format!(
                "there is no head {head} among {heads} heads of {width} features: the first must be below the second, and the second divide the third"
            )));
        }
        let each = width / heads;
        let own = head * each..(head + 1) * each;
        let rows = inputs
            .iter()
            .map(|&input| (input.to_owned(), Selection::Rows(own.clone())));
        let columns = [(output.to_owned(), Selection::Columns(own.clone()))];
        Ok(Self {
            name: name.to_owned(),
            parts: rows.chain(columns).collect(),
        })
    }

    /// The kept draws of this group's entries, `[n, entries]`, from which [`SecondMoment`](super::SecondMoment) and
    /// [`Covariance`](super::Covariance) make its block.
    ///
    /// # Errors
    /// When a parameter is not there, a selection does not fit it, or the capture did not keep the draws.
    pub fn rows(&self, statistics: &Statistics) -> Result<Tensor> {
        let mut parts = Vec::with_capacity(self.parts.len());
        for (name, selection) in &self.parts {
            let known = statistics.parameters().iter().find(|p| p.name() == name);
            let parameter = known.ok_or_else(|| {
                Error::Capture(format!(
                    "group `{}`: there is no parameter `{name}`",
                    self.name
                ))
            })?;
            let rows = parameter.rows().ok_or_else(|| {
                Error::Capture(
                    "a block of the Fisher matrix needs the draws: ask the capture for its rows"
                        .into(),
                )
            })?;
            let shape = parameter.shape();
            let draws = rows.dim(0)?;
            let (axis, range, leading) = match (selection, shape) {
                (Selection::All, _) => {
                    parts.push(rows.clone());
                    continue;
                }
                (Selection::Rows(range), [first, ..]) => (1, range, *first),
                (Selection::Columns(range), [_, second]) => (2, range, *second),
                (Selection::Columns(_), _) => (2, &(0..1), 0),
                (Selection::Rows(_), []) => (1, &(0..1), 0),
            };
            if range.end > leading || range.is_empty() {
                return Err(Error::Shape {
                    what: "a parameter that a group takes a part of",
                    expected: format!("{range:?} within axis {} of `{name}`", axis - 1),
                    got: shape.to_vec(),
                });
            }
            let mut dims = vec![draws];
            dims.extend(shape);
            let own = rows.reshape(dims)?.narrow(axis, range.start, range.len())?;
            parts.push(own.contiguous()?.flatten_from(1)?);
        }
        Ok(Tensor::cat(&parts, 1)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{Capture, Reduction, linear};
    use crate::rng::{Seed, SeededVars, standard_normals};
    use candle_core::{DType, Device};
    use candle_nn::Module;

    fn statistics() -> Result<Statistics> {
        let vars = SeededVars::new(Seed::root(21));
        let builder = vars.builder(DType::F64, &Device::Cpu);
        let query = linear(3, 4, builder.pp("block.query"))?;
        let output = linear(4, 2, builder.pp("block.output"))?;
        let values = standard_normals(&mut Seed::root(22).generator(), 5 * 3);
        let inputs = Tensor::from_vec(values, (5, 3), &Device::Cpu)?;
        let captured = Capture::new(5, Reduction::Mean)
            .rows()
            .run(&vars.named(), || {
                output
                    .forward(&query.forward(&inputs)?.tanh()?)?
                    .sqr()?
                    .sum(1)?
                    .mean(0)
            })?;
        Ok(captured.statistics)
    }

    /// Parameter by name: output.bias 2, output.weight [2, 4], query.bias 4, query.weight [4, 3].
    #[test]
    fn a_head_takes_its_rows_of_the_projections_and_its_columns_of_the_output() -> Result<()> {
        let statistics = statistics()?;
        let all = statistics
            .rows()?
            .expect("they were asked for")
            .to_vec2::<f64>()?;
        let inputs = ["block.query.weight", "block.query.bias"];
        let head = Group::head("head 1", (1, 2, 4), &inputs, "block.output.weight")?;
        let own = head.rows(&statistics)?.to_vec2::<f64>()?;
        let weight: Vec<usize> = (14 + 6..14 + 12).collect();
        let bias = vec![10 + 2, 10 + 3];
        let columns = vec![2 + 2, 2 + 3, 2 + 6, 2 + 7];
        for (own, all) in own.iter().zip(&all) {
            let expected: Vec<f64> = [&weight, &bias, &columns]
                .into_iter()
                .flatten()
                .map(|&k| all[k])
                .collect();
            assert_eq!(*own, expected);
        }
        Ok(())
    }

    #[test]
    fn a_residual_block_is_all_that_stands_under_its_name() -> Result<()> {
        let statistics = statistics()?;
        let block = Group::under("block", &statistics)?.rows(&statistics)?;
        let all = statistics.rows()?.expect("they were asked for");
        assert_eq!(block.to_vec2::<f64>()?, all.to_vec2::<f64>()?);
        assert!(Group::under("bloc", &statistics).is_err());
        Ok(())
    }

    #[test]
    fn what_a_group_can_not_take_is_refused_by_name() -> Result<()> {
        let statistics = statistics()?;
        let part = |name: &str, selection| Group {
            name: "group".into(),
            parts: vec![(name.into(), selection)],
        };
        for (group, said) in [
            (
                part("missing", Selection::All),
                "there is no parameter `missing`",
            ),
            (
                part("block.query.bias", Selection::Columns(0..1)),
                "within axis 1 of `block.query.bias`",
            ),
            (
                part("block.query.bias", Selection::Rows(3..5)),
                "3..5 within axis 0",
            ),
            (
                part("block.query.bias", Selection::Rows(2..2)),
                "2..2 within axis 0",
            ),
        ] {
            let error = group
                .rows(&statistics)
                .expect_err("this does not fit")
                .to_string();
            assert!(error.contains(said), "{error}");
        }
        assert!(Group::head("h", (2, 2, 4), &[], "w").is_err());
        assert!(Group::head("h", (0, 3, 4), &[], "w").is_err());
        Ok(())
    }

    #[test]
    fn the_heads_of_an_attention_block_share_out_its_width() -> Result<()> {
        // three heads of four features each
        for (head, own) in [0..4, 4..8, 8..12].into_iter().enumerate() {
            let group = Group::head("h", (head, 3, 12), &["query"], "output")?;
            let expected = [
                ("query".to_owned(), Selection::Rows(own.clone())),
                ("output".to_owned(), Selection::Columns(own)),
            ];
            assert_eq!(group.parts, expected);
        }
        Ok(())
    }
}
