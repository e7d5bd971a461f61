//! Independent blocks: layers, attention heads, residual blocks, each with an operator of its own.

use super::Curvature;
use crate::error::{Error, Result};
use crate::geometry::factor::check_vector;
use faer::Mat;

/// `diag(F_1, F_2, ...)`, in the order of the blocks.
#[derive(Debug)]
pub struct BlockDiagonal {
    blocks: Vec<(String, Box<dyn Curvature>)>,
}

impl BlockDiagonal {
    /// From blocks with their names.
    ///
    /// # Errors
    /// When there is no block, or two have the same name.
    pub fn new(blocks: Vec<(String, Box<dyn Curvature>)>) -> Result<Self> {
        if blocks.is_empty() {
            return Err(Error::NoCoordinates);
        }
        for (i, (name, _)) in blocks.iter().enumerate() {
            if blocks[..i].iter().any(|(earlier, _)| earlier == name) {
                return Err(Error::SameName { name: name.clone() });
            }
        }
        Ok(Self { blocks })
    }

    /// The blocks with their names, in order.
    pub fn blocks(&self) -> impl Iterator<Item = (&str, &dyn Curvature)> {
        self.blocks
            .iter()
            .map(|(name, block)| (name.as_str(), block.as_ref()))
    }

    /// Applies `operation` to every block's part of `v`.
    fn by_block(
        &self,
        v: &[f64],
        operation: impl Fn(&dyn Curvature, &[f64]) -> Result<Vec<f64>>,
    ) -> Result<Vec<f64>> {
        check_vector(v, self.dimension(), "the vector")?;
        let mut rest = v;
        let mut result = Vec::with_capacity(v.len());
        for (name, block) in self.blocks() {
            let (part, after) = rest.split_at(block.dimension());
            result.extend(operation(block, part).map_err(|e| e.within(name))?);
            rest = after;
        }
        Ok(result)
    }
}

impl Curvature for BlockDiagonal {
    fn dimension(&self) -> usize {
        self.blocks().map(|(_, block)| block.dimension()).sum()
    }

    fn matvec(&self, v: &[f64]) -> Result<Vec<f64>> {
        self.by_block(v, |block, part| block.matvec(part))
    }

    fn solve(&self, v: &[f64]) -> Result<Vec<f64>> {
        self.by_block(v, |block, part| block.solve(part))
    }

    fn trace(&self) -> f64 {
        self.blocks().map(|(_, block)| block.trace()).sum()
    }

    fn log_determinant(&self) -> Result<f64> {
        self.blocks()
            .map(|(name, block)| block.log_determinant().map_err(|e| e.within(name)))
            .sum()
    }

    fn to_dense(&self) -> Mat<f64> {
        let mut whole = Mat::zeros(self.dimension(), self.dimension());
        let mut start = 0;
        for (_, block) in self.blocks() {
            let part = block.to_dense();
            whole
                .as_mut()
                .submatrix_mut(start, start, part.nrows(), part.ncols())
                .copy_from(&part);
            start += part.nrows();
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fisher::Diagonal;

    fn diagonal(entries: &[f64]) -> Box<dyn Curvature> {
        Box::new(Diagonal::new(entries.to_vec()).expect("tests use variances"))
    }

    #[test]
    fn a_singular_block_is_named() -> Result<()> {
        let blocks = BlockDiagonal::new(vec![
            ("head.0".into(), diagonal(&[1.0, 2.0])),
            ("head.1".into(), diagonal(&[3.0, 0.0])),
        ])?;
        let message = blocks
            .solve(&[1.0; 4])
            .expect_err("a zero variance")
            .to_string();
        assert!(
            message.starts_with("in `head.1`: the diagonal curvature is singular"),
            "{message}"
        );
        assert!(blocks.log_determinant().is_err());
        assert_eq!(blocks.matvec(&[1.0; 4])?, [1.0, 2.0, 3.0, 0.0]);
        Ok(())
    }

    #[test]
    fn blocks_need_names_of_their_own() {
        let twice = vec![
            ("a".into(), diagonal(&[1.0])),
            ("a".into(), diagonal(&[1.0])),
        ];
        assert!(matches!(
            BlockDiagonal::new(twice),
            Err(Error::SameName { .. })
        ));
        assert!(BlockDiagonal::new(Vec::new()).is_err());
    }
}
