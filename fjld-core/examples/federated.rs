//! What Kronecker factors lose on the way from ten parties, each of which holds the digits of about one class: `cargo run --example federated`.
//!
//! Every party takes the factors of its own examples and sends them short; what arrives is added up. The table has, for every form of
//! message, its size against that of the whole upper triangles in `f64`, the relative error of the factors `A` and `G` (Frobenius, the worst
//! layer), and that of `C` in the metric that they make (over all examples, with pi-damping).

#[path = "monitor_digits/data.rs"]
mod data;

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{Module, Optimizer, SGD, loss::cross_entropy};
use data::Digits;
use fjld_core::capture::{Capture, LayerPair, Linear, Reduction, linear};
use fjld_core::fisher::Curvature;
use fjld_core::kronecker::{Compression, Damping, Factors, KfacRatios, KroneckerRatio, Setting};
use fjld_core::rng::{Seed, SeededVars};

const PARTIES: usize = 10;
const EXAMPLES: usize = 1340;
const DAMPING: Damping = Damping::Pi(1e-3);

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

struct Net {
    parameters: Vec<(String, Var)>,
    hidden: Linear,
    head: Linear,
}

impl Net {
    fn scores(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        self.head.forward(&self.hidden.forward(x)?.relu()?)
    }

    fn pairs(&self, x: &Tensor, y: &Tensor) -> Result<Vec<LayerPair>> {
        let captured = Capture::new(x.dim(0)?, Reduction::Mean)
            .pairs()
            .run(&self.parameters, || cross_entropy(&self.scores(x)?, y))?;
        Ok(captured.pairs)
    }
}

/// A network after ten epochs.
fn trained(digits: &Digits) -> Result<Net> {
    let vars = SeededVars::new(Seed::root(1).derive("weights"));
    let vb = vars.builder(DType::F32, &Device::Cpu);
    let net = Net {
        hidden: linear(data::PIXELS, 32, vb.pp("hidden"))?,
        head: linear(32, data::CLASSES, vb.pp("head"))?,
        parameters: vars.named(),
    };
    let mut sgd = SGD::new(vars.named().into_iter().map(|(_, var)| var).collect(), 0.2)?;
    for step in 0..10 * digits.batches(64) {
        let (x, y) = digits.batch(step, 64)?;
        sgd.backward_step(&cross_entropy(&net.scores(&x)?, &y)?)?;
    }
    let accuracy = digits.accuracy(|x| net.scores(x))?;
    println!("{PARTIES} parties, test accuracy {accuracy:.3}\n");
    Ok(net)
}

fn factors(pairs: &[LayerPair]) -> fjld_core::Result<Vec<Factors>> {
    let one = |pair: &LayerPair| {
        let mut factors = Factors::for_layer(pair, Setting::Expand)?;
        factors.push(pair)?;
        Ok(factors)
    };
    pairs.iter().map(one).collect()
}

/// What arrives from all parties together, and its bytes.
fn together(
    parties: &[Vec<Factors>],
    how: Compression,
) -> fjld_core::Result<(Vec<Factors>, usize)> {
    let mut sum: Vec<Factors> = Vec::new();
    let mut bytes = 0;
    for layers in parties {
        let sent: Vec<_> = layers
            .iter()
            .map(|f| f.send(how))
            .collect::<fjld_core::Result<_>>()?;
        for (layer, (arrived, size)) in sent.into_iter().enumerate() {
            bytes += size;
            match sum.get_mut(layer) {
                Some(own) => own.merge(&arrived)?,
                None => sum.push(arrived),
            }
        }
    }
    Ok((sum, bytes))
}

/// The largest relative error of a factor over the layers.
fn error(
    of: impl Fn(&Factors) -> fjld_core::Result<faer::Mat<f64>>,
    a: &[Factors],
    b: &[Factors],
) -> fjld_core::Result<f64> {
    let mut worst = 0f64;
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (of(a)?, of(b)?);
        worst = worst.max((&a - &b).norm_l2() / b.norm_l2());
    }
    Ok(worst)
}

/// `C` over the pairs in the metric of the factors; an error where a damped factor is not positive definite.
fn ratio(factors: &[Factors], pairs: &[LayerPair]) -> fjld_core::Result<Option<f64>> {
    let layers = factors
        .iter()
        .map(|f| KroneckerRatio::new(f.layer(), &f.block(DAMPING)?, &Device::Cpu))
        .collect::<fjld_core::Result<_>>()?;
    let mut ratios = KfacRatios::new(layers)?;
    ratios.push(pairs)?;
    Ok(ratios.reading()?.c_alpha_kfac)
}

fn main() -> Result<()> {
    let digits = Digits::read()?;
    let net = trained(&digits)?;
    let (x, y) = digits.batch(0, EXAMPLES)?;
    // by class, so that a party holds little of what the others do
    let order = y.to_dtype(DType::F32)?.arg_sort_last_dim(true)?;
    let (x, y) = (x.index_select(&order, 0)?, y.index_select(&order, 0)?);
    let share = EXAMPLES / PARTIES;
    let parties: Vec<Vec<Factors>> = (0..PARTIES)
        .map(|p| {
            Ok(factors(&net.pairs(
                &x.narrow(0, p * share, share)?,
                &y.narrow(0, p * share, share)?,
            )?)?)
        })
        .collect::<Result<_>>()?;
    let pairs = net.pairs(&x, &y)?;
    let (exact, whole) = together(&parties, Compression::None)?;
    let c = ratio(&exact, &pairs)?;
    let forms = [2, 4, 6, 8, 12].map(|bits| (format!("{bits} bits"), Compression::Bits(bits)));
    let ranks = [1, 2, 4, 8].map(|rank| (format!("rank {rank}"), Compression::LowRank(rank)));
    println!("| message | share of the bytes | error of A | error of G | error of C |");
    println!("|---|---|---|---|---|");
    println!("| whole | 1 ({whole} bytes) | 0 | 0 | 0 |");
    for (name, how) in forms.into_iter().chain(ranks) {
        let (arrived, bytes) = together(&parties, how)?;
        let inputs = error(|f| Ok(f.input_factor()?.to_dense()), &arrived, &exact);
        let gradients = error(|f| Ok(f.gradient_factor()?.to_dense()), &arrived, &exact);
        let off = match (ratio(&arrived, &pairs), c) {
            (Ok(Some(arrived)), Some(c)) => format!("{:.1e}", (arrived / c - 1.0).abs()),
            _ => "no metric: indefinite".to_owned(),
        };
        let told = |error: fjld_core::Result<f64>| {
            error.map_or("indefinite".to_owned(), |e| format!("{e:.1e}"))
        };
        println!(
            "| {name} | {:.3} | {} | {} | {off} |",
            bytes as f64 / whole as f64,
            told(inputs),
            told(gradients)
        );
    }
    Ok(())
}
