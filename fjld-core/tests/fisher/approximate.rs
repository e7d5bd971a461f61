//! A trained network with a nonlinearity, where no Kronecker product is exact: which one is nearer.

use super::models::Mlp;
use super::*;
use candle_nn::loss::cross_entropy;
use candle_nn::{Optimizer, SGD};
use fjld_core::kronecker::EkfacMoments;

const EXAMPLES: usize = 48;

/// 5 - 7 - 4 with relu, trained to tell which of the first four features is the largest.
struct Trained {
    model: Mlp,
    parameters: Parameters,
    x: Tensor,
    y: Tensor,
}

impl Trained {
    fn new() -> Result<Self> {
        let (vars, mut generator) = seeded("trained");
        let model = Mlp::new(vars.builder(DType::F64, &Device::Cpu))?;
        let x = normal(&mut generator, &[EXAMPLES, 5])?;
        let y = x.narrow(1, 0, 4)?.argmax(1)?;
        let parameters = vars.named();
        let mut sgd = SGD::new(parameters.iter().map(|(_, v)| v.clone()).collect(), 0.3)?;
        let mut losses = Vec::new();
        for _ in 0..150 {
            let loss = cross_entropy(&model.forward(&x)?, &y)?;
            losses.push(loss.to_scalar::<f64>()?);
            sgd.backward_step(&loss)?;
        }
        assert!(losses[149] < 0.5 * losses[0], "{losses:?}");
        Ok(Self {
            model,
            parameters,
            x,
            y,
        })
    }

    fn empirical(&self) -> Result<Vec<Captured>> {
        let capture = Capture::new(EXAMPLES, Reduction::Mean).rows().pairs();
        let pass = capture.run(&self.parameters, || {
            cross_entropy(&self.model.forward(&self.x)?, &self.y)
        })?;
        Ok(vec![pass])
    }

    fn type_2(&self) -> Result<Vec<Captured>> {
        type_2(&self.parameters, OutputLoss::SoftmaxCrossEntropy, || {
            self.model.forward(&self.x)
        })
    }
}

/// Distances of K-FAC and of EKFAC from the exact block of a layer.
fn distances(passes: &[Captured], at: usize) -> Result<(f64, f64)> {
    let factors = factors(passes, Setting::Expand)?;
    let own = &factors.layers()[at];
    let columns: Vec<_> = passes.iter().map(|pass| pass.pairs[at].clone()).collect();
    let mut moments = EkfacMoments::new(own)?;
    moments.push_columns(&columns)?;
    let exact = exact_block(passes, own.layer())?;
    let ekfac = moments.block()?;
    // second moments in any basis have the trace of the block
    approx::assert_relative_eq!(ekfac.trace(), exact_trace(&exact), max_relative = ROUNDING);
    Ok((
        distance(&kfac(own)?, &exact),
        distance(&ekfac.to_dense(), &exact),
    ))
}

fn exact_trace(block: &Mat<f64>) -> f64 {
    (0..block.nrows()).map(|i| block[(i, i)]).sum()
}

#[test]
fn ekfac_is_nearer_than_kfac_to_every_block_of_a_trained_relu_network() -> Result<()> {
    let trained = Trained::new()?;
    for passes in [trained.empirical()?, trained.type_2()?] {
        for at in 0..2 {
            let (kfac, ekfac) = distances(&passes, at)?;
            // neither is exact, and the two are told apart by far more than rounding
            assert!(0.01 < ekfac && ekfac < 0.99 * kfac, "{ekfac} and {kfac}");
        }
    }
    Ok(())
}

#[test]
fn kfac_follows_the_loss_by_its_square_and_foof_not_at_all() -> Result<()> {
    let trained = Trained::new()?;
    let plain = trained.empirical()?;
    let capture = Capture::new(EXAMPLES, Reduction::Mean).rows().pairs();
    let tripled = capture.run(&trained.parameters, || {
        cross_entropy(&trained.model.forward(&trained.x)?, &trained.y)? * 3.0
    })?;
    let (one, three) = (
        factors(&plain, Setting::Expand)?,
        factors(&[tripled], Setting::Expand)?,
    );
    for (one, three) in one.layers().iter().zip(three.layers()) {
        let nine = kfac(one)? * faer::Scale(9.0);
        assert!(distance(&kfac(three)?, &nine) < ROUNDING);
        assert_eq!(three.foof()?.to_dense(), one.foof()?.to_dense());
    }
    Ok(())
}
