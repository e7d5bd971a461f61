//! One network over several ranks: what they measure together is what one measures that holds all examples.

use approx::assert_relative_eq;
use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{Module, loss::cross_entropy};
use fjld_core::capture::{Capture, Captured, Linear, Reduction, Share, linear};
use fjld_core::fisher::{Curvature, Dense, Diagonal, RowProducts, SecondMoment};
use fjld_core::kronecker::{Factors, Setting};
use fjld_core::moments::TwoBatch;
use fjld_core::ranks::{Ranks, on_threads};
use fjld_core::rng::{Seed, SeededVars, standard_normals};
use fjld_core::{Error, Result};

const EXAMPLES: usize = 29;
const INPUTS: usize = 6;
const CLASSES: usize = 3;

struct Net {
    parameters: Vec<(String, Var)>,
    hidden: Linear,
    head: Linear,
    inputs: Tensor,
    labels: Tensor,
}

impl Net {
    fn new() -> Result<Self> {
        let seed = Seed::root(4);
        let vars = SeededVars::new(seed.derive("weights"));
        let vb = vars.builder(DType::F64, &Device::Cpu);
        let inputs = standard_normals(&mut seed.derive("data").generator(), EXAMPLES * INPUTS);
        let inputs = Tensor::from_vec(inputs, (EXAMPLES, INPUTS), &Device::Cpu)?;
        Ok(Self {
            hidden: linear(INPUTS, 5, vb.pp("hidden"))?,
            head: linear(5, CLASSES, vb.pp("head"))?,
            labels: inputs.narrow(1, 0, CLASSES)?.argmax(1)?,
            parameters: vars.named(),
            inputs,
        })
    }

    /// Measures the examples from one number to another.
    fn measure(&self, from: usize, to: usize) -> Result<Captured> {
        let x = self.inputs.narrow(0, from, to - from)?;
        let y = self.labels.narrow(0, from, to - from)?;
        Capture::new(to - from, Reduction::Mean)
            .pairs()
            .rows()
            .run(&self.parameters, || {
                let z = self.hidden.forward(&x)?.tanh()?;
                cross_entropy(&self.head.forward(&z)?, &y)
            })
    }
}

/// Rank `r` of `k` holds the examples from `r^2 n / k^2` on.
fn shard(rank: usize, size: usize) -> [usize; 2] {
    [rank, rank + 1].map(|r| r * r * EXAMPLES / (size * size))
}

#[test]
fn signal_noise_and_ratio_of_unequal_shards_are_those_of_all_examples() -> Result<()> {
    let whole = Net::new()?.measure(0, EXAMPLES)?.statistics;
    let expected = whole.whole()?;
    for size in [1, 2, 4, 5] {
        for found in on_threads(size, |ranks| {
            let [from, to] = shard(ranks.rank(), ranks.size());
            let own = Net::new()?.measure(from, to)?.statistics;
            own.all_reduce(ranks)
        }) {
            let shares = found?;
            assert_eq!(shares.len(), 4);
            let all = Share::sum("all parameters", &shares);
            assert_eq!(all.samples, EXAMPLES as u64);
            // sums of 29 terms in f64, a difference of which costs a digit
            assert_relative_eq!(all.signal, expected.signal, max_relative = 1e-13);
            assert_relative_eq!(all.noise, expected.noise, max_relative = 1e-13);
            let ratios = [all, expected.clone()].map(|share| share.debiased().expect("noise"));
            assert_relative_eq!(ratios[0], ratios[1], max_relative = 1e-12);
        }
    }
    Ok(())
}

#[test]
fn kronecker_factors_of_unequal_shards_are_those_of_all_examples() -> Result<()> {
    let factors = |from, to| -> Result<Vec<Factors>> {
        let pairs = Net::new()?.measure(from, to)?.pairs;
        pairs
            .iter()
            .map(|pair| {
                let mut factors = Factors::for_layer(pair, Setting::Expand)?;
                factors.push(pair)?;
                Ok(factors)
            })
            .collect()
    };
    let whole = factors(0, EXAMPLES)?;
    for found in on_threads(4, |ranks| {
        let [from, to] = shard(ranks.rank(), ranks.size());
        let mut own = factors(from, to)?;
        own.iter_mut().try_for_each(|f| f.all_reduce(ranks))?;
        Ok::<_, Error>(own)
    }) {
        for (own, one) in found?.iter().zip(&whole) {
            let gap = own.kronecker()?.to_dense() - one.kronecker()?.to_dense();
            // means of 29 products
            assert!(gap.norm_max() < 1e-14, "{}", gap.norm_max());
        }
    }
    Ok(())
}

#[test]
fn fisher_matrices_of_unequal_shards_are_those_of_all_examples() -> Result<()> {
    fn fisher<C: RowProducts>(from: usize, to: usize) -> Result<SecondMoment<C>> {
        let rows = Net::new()?.measure(from, to)?.statistics.rows()?;
        SecondMoment::empirical(&rows.expect("the draws were kept"))
    }
    fn gap<C: RowProducts>() -> Result<f64> {
        let whole = fisher::<C>(0, EXAMPLES)?.curvature().to_dense();
        let mut worst = 0f64;
        for found in on_threads(4, |ranks| {
            let [from, to] = shard(ranks.rank(), ranks.size());
            let mut own = fisher::<C>(from, to)?;
            own.all_reduce(ranks)?;
            assert_eq!(own.examples(), EXAMPLES as u64);
            Ok::<_, Error>(own.curvature().to_dense())
        }) {
            worst = worst.max((found? - &whole).norm_max());
        }
        Ok(worst)
    }
    // means of 29 products of numbers below 1
    assert!(gap::<Dense>()? < 1e-15 * EXAMPLES as f64);
    assert!(gap::<Diagonal>()? < 1e-15 * EXAMPLES as f64);
    Ok(())
}

/// The cheap form: norms of the gradients that data-parallel training has anyway.
#[test]
fn the_two_batch_form_over_ranks_is_that_of_the_norms_brought_together() -> Result<()> {
    let (ranks, b) = (4, 7);
    let flat = |captured: &Captured, net: &Net| -> Result<Vec<f64>> {
        let mut flat = Vec::new();
        for (_, var) in &net.parameters {
            let gradient = captured.gradients.get(var).expect("it was measured");
            flat.extend(gradient.flatten_all()?.to_vec1::<f64>()?);
        }
        Ok(flat)
    };
    let norm = |g: &[f64]| g.iter().map(|x| x * x).sum::<f64>();
    let net = Net::new()?;
    let parts: Vec<Vec<f64>> = (0..ranks)
        .map(|r| flat(&net.measure(r * b, (r + 1) * b)?, &net))
        .collect::<Result<_>>()?;
    let whole = norm(&flat(&net.measure(0, ranks * b)?, &net)?);
    let mut alone = TwoBatch::new(b as u64, (ranks * b) as u64)?;
    alone.push(
        parts.iter().map(|g| norm(g)).sum::<f64>() / ranks as f64,
        whole,
    )?;
    for found in on_threads(ranks, |own| {
        let mine = &parts[own.rank()];
        let mut mean: Vec<f64> = mine.iter().map(|x| x / own.size() as f64).collect();
        own.add(&mut mean)?;
        let mut both = TwoBatch::new(b as u64, (ranks * b) as u64)?;
        both.push_ranks(own, norm(mine), norm(&mean))?;
        Ok::<_, Error>(both)
    }) {
        let found = found?;
        let pairs = [
            (found.signal(), alone.signal()),
            (found.noise(), alone.noise()),
        ];
        for (own, one) in pairs {
            assert_relative_eq!(
                own.expect("a step"),
                one.expect("a step"),
                max_relative = 1e-12
            );
        }
    }
    Ok(())
}
