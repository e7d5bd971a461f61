//! Parts of a flat gradient: which coordinates belong to which parameter or layer, and what the moments say of each.

use super::Moments;
use crate::error::{Error, Result};
use std::collections::BTreeSet;
use std::ops::Range;

/// Named, consecutive ranges of a flat gradient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    parts: Vec<(String, Range<usize>)>,
}

/// The moments of one part. Over the parts of a layout, `signal`, `noise` and the numbers of coordinates add up to those of the whole;
/// their ratios do not.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Its coordinates in the flat gradient.
    pub range: Range<usize>,
    /// The number of samples, `n`.
    pub samples: u64,
    /// `|mu_hat|^2` over its coordinates.
    pub signal: f64,
    /// `Tr D_hat` over its coordinates, with the divisor `n - 1`.
    pub noise: f64,
    /// How many of its coordinates never moved.
    pub zero_variance_coordinates: usize,
}

impl Layout {
    /// Parts in the order in which the flat gradient holds them, each with its name and number of coordinates.
    ///
    /// # Errors
    /// When there is no part, a part has no coordinates, or two have the same name.
    pub fn new<N: Into<String>>(parts: impl IntoIterator<Item = (N, usize)>) -> Result<Self> {
        let mut start = 0;
        let mut names = BTreeSet::new();
        let mut ranges = Vec::new();
        for (name, length) in parts {
            let name = name.into();
            if length == 0 {
                return Err(Error::NoCoordinates);
            }
            if !names.insert(name.clone()) {
                return Err(Error::SameName { name });
            }
            ranges.push((name, start..start + length));
            start += length;
        }
        if ranges.is_empty() {
            return Err(Error::NoCoordinates);
        }
        Ok(Self { parts: ranges })
    }

    /// The length of the flat gradient.
    pub fn dimension(&self) -> usize {
        self.parts.last().map_or(0, |(_, range)| range.end)
    }

    /// Every part's name and range.
    pub fn parts(&self) -> impl Iterator<Item = (&str, Range<usize>)> {
        self.parts
            .iter()
            .map(|(name, range)| (name.as_str(), range.clone()))
    }

    /// Joins neighbours whose names agree up to the last `.`: parameters `head.weight` and `head.bias` become the layer `head`. A name
    /// without a dot stays a part of its own.
    ///
    /// # Errors
    /// When the parameters of a layer are not next to each other.
    pub fn by_layer(&self) -> Result<Self> {
        let layer = |name: &str| {
            name.rsplit_once('.')
                .map_or(name, |(layer, _)| layer)
                .to_owned()
        };
        let mut lengths: Vec<(String, usize)> = Vec::new();
        for (name, range) in &self.parts {
            let layer = layer(name);
            match lengths.last_mut() {
                Some((last, length)) if *last == layer => *length += range.len(),
                _ => lengths.push((layer, range.len())),
            }
        }
        Self::new(lengths)
    }

    /// What `moments` says of each part.
    ///
    /// # Errors
    /// When the dimensions differ, or there are fewer than two samples.
    pub fn split(&self, moments: &Moments) -> Result<Vec<Part>> {
        if moments.dimension() != self.dimension() {
            return Err(Error::Length {
                what: "the layout",
                expected: moments.dimension(),
                got: self.dimension(),
            });
        }
        let variances = moments.variances()?;
        let parts = self.parts.iter().map(|(name, range)| {
            let own = &variances[range.clone()];
            Part {
                name: name.clone(),
                range: range.clone(),
                samples: moments.count(),
                signal: moments.mean()[range.clone()].iter().map(|m| m * m).sum(),
                noise: own.iter().sum(),
                zero_variance_coordinates: own.iter().filter(|&&v| v == 0.0).count(),
            }
        });
        Ok(parts.collect())
    }
}

impl Part {
    /// The debiased ratio of this part alone, `signal / noise - 1/n`; `None` where none of its coordinates ever moved. For an interval,
    /// give the part its own [`Moments`].
    pub fn debiased(&self) -> Option<f64> {
        (self.noise > 0.0).then(|| self.signal / self.noise - 1.0 / self.samples as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Seed, standard_normals};
    use approx::assert_relative_eq;

    fn layout() -> Layout {
        Layout::new([("body.weight", 6), ("body.bias", 2), ("head", 3)]).expect("names differ")
    }

    #[test]
    fn each_part_is_what_its_own_samples_give_and_the_parts_sum_to_the_whole() -> Result<()> {
        let (n, d) = (30, 11);
        let mut samples = standard_normals(&mut Seed::root(17).generator(), n * d);
        // one coordinate of the head never moves
        samples.chunks_mut(d).for_each(|row| row[9] = 2.5);
        let mut whole = Moments::new(d)?;
        whole.push_batch(&samples)?;
        let parts = layout().split(&whole)?;
        for part in &parts {
            let mut own = Moments::new(part.range.len())?;
            for row in samples.chunks(d) {
                own.push(&row[part.range.clone()])?;
            }
            assert_relative_eq!(part.signal, own.squared_mean_norm(), max_relative = 1e-13);
            assert_relative_eq!(part.noise, own.trace()?, max_relative = 1e-13);
            assert_eq!(part.samples, n as u64);
            assert_eq!(
                part.zero_variance_coordinates,
                own.zero_variance_coordinates()
            );
        }
        let signal: f64 = parts.iter().map(|p| p.signal).sum();
        let noise: f64 = parts.iter().map(|p| p.noise).sum();
        assert_relative_eq!(signal, whole.squared_mean_norm(), max_relative = 1e-13);
        assert_relative_eq!(noise, whole.trace()?, max_relative = 1e-13);
        Ok(())
    }

    #[test]
    fn parameters_of_a_layer_are_joined_and_a_layer_in_two_pieces_is_refused() -> Result<()> {
        let layers = layout().by_layer()?;
        let names: Vec<_> = layers.parts().collect();
        assert_eq!(names, [("body", 0..8), ("head", 8..11)]);
        let torn = Layout::new([("a.weight", 1), ("b.weight", 1), ("a.bias", 1)])?;
        assert_eq!(
            torn.by_layer().expect_err("a is torn").to_string(),
            "`a` names two separate parts of the gradient; every name must be used once"
        );
        Ok(())
    }

    #[test]
    fn a_layout_that_does_not_fit_is_refused_and_a_part_that_never_moved_has_no_ratio() -> Result<()>
    {
        assert!(Layout::new([("a", 0)]).is_err());
        assert!(Layout::new(Vec::<(String, usize)>::new()).is_err());
        assert!(Layout::new([("a", 1), ("a", 2)]).is_err());
        let mut moments = Moments::new(2)?;
        moments.push_batch(&[1.0, 1.0, 1.0, 3.0])?;
        assert!(layout().split(&moments).is_err());
        let parts = Layout::new([("still", 1), ("moving", 1)])?.split(&moments)?;
        assert_eq!(parts[0].debiased(), None);
        // 2^2 / 2 - 1/2
        assert_eq!(parts[1].debiased(), Some(1.5));
        Ok(())
    }
}
