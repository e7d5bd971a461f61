//! Layers applied at several positions of an example, linear networks around them: expand and reduce are each exact in their own setting,
//! and in the other's they are not (Eschenhagen et al. 2023, arXiv:2311.00636).

use super::*;
use candle_nn::Conv2dConfig;
use fjld_core::capture::conv2d;

const LOSS: OutputLoss = OutputLoss::SquaredError { scale: 1.0 };
const EXAMPLES: usize = 6;
const POSITIONS: usize = 4;
const WIDTHS: [usize; 3] = [3, 4, 2];

/// Both layers at every position.
struct Shared {
    model: Deep,
    x: Tensor,
}

impl Shared {
    fn new() -> Result<Self> {
        let (vars, mut generator) = seeded("shared");
        Ok(Self {
            model: Deep::new(&vars, &WIDTHS)?,
            x: normal(&mut generator, &[EXAMPLES, POSITIONS, WIDTHS[0]])?,
        })
    }

    /// The passes where the loss sees `outputs` of the last layer's, `[n, T, out]`.
    fn passes(
        &self,
        outputs: impl Fn(Tensor) -> candle_core::Result<Tensor>,
    ) -> Result<Vec<Captured>> {
        type_2(&self.model.parameters, LOSS, || {
            outputs(self.model.forward(&self.x)?)
        })
    }
}

/// Asserts that every layer is exact in one setting, and in the other off by more than a tenth.
fn assert_exact_in(setting: Setting, passes: &[Captured]) -> Result<()> {
    for tried in [Setting::Expand, Setting::Reduce] {
        for own in factors(passes, tried)?.layers() {
            let (block, exact) = (kfac(own)?, exact_block(passes, own.layer())?);
            if tried == setting {
                let gap = worst(&block, &exact);
                assert!(gap < ROUNDING, "{tried:?}, {}: {gap:e}", own.layer());
            } else {
                let gap = distance(&block, &exact);
                assert!(gap > 0.1, "{tried:?}, {}: {gap}", own.layer());
            }
        }
    }
    Ok(())
}

#[test]
fn expand_is_exact_where_every_position_has_a_loss_of_its_own() -> Result<()> {
    let passes = Shared::new()?.passes(|z| z.flatten_from(1))?;
    assert_eq!(passes.len(), POSITIONS * WIDTHS[2]);
    assert_exact_in(Setting::Expand, &passes)
}

#[test]
fn reduce_is_exact_where_the_loss_sees_the_positions_mean_or_sum() -> Result<()> {
    let shared = Shared::new()?;
    assert_exact_in(Setting::Reduce, &shared.passes(|z| z.mean(1))?)?;
    assert_exact_in(Setting::Reduce, &shared.passes(|z| z.sum(1))?)
}

#[test]
fn a_convolution_before_global_pooling_is_exact_reduced_and_the_head_behind_it_in_both()
-> Result<()> {
    let (vars, mut generator) = seeded("convolution");
    let builder = vars.builder(DType::F64, &Device::Cpu);
    let config = Conv2dConfig {
        padding: 1,
        stride: 2,
        ..Conv2dConfig::default()
    };
    let conv = conv2d(2, 4, 3, config, builder.pp("conv"))?;
    let head = linear(4, 3, builder.pp("head"))?;
    let images = normal(&mut generator, &[EXAMPLES, 2, 5, 6])?;
    let passes = type_2(&vars.named(), LOSS, || {
        head.forward(&conv.forward(&images)?.mean((2, 3))?)
    })?;
    let (expanded, reduced) = (
        factors(&passes, Setting::Expand)?,
        factors(&passes, Setting::Reduce)?,
    );
    let exact = ["conv", "head"].map(|layer| exact_block(&passes, layer));
    let [conv, head] = exact;
    let (conv, head) = (conv?, head?);
    assert!(worst(&kfac(&reduced.layers()[0])?, &conv) < ROUNDING);
    assert!(distance(&kfac(&expanded.layers()[0])?, &conv) > 0.1);
    assert!(worst(&kfac(&reduced.layers()[1])?, &head) < ROUNDING);
    assert!(worst(&kfac(&expanded.layers()[1])?, &head) < ROUNDING);
    Ok(())
}

#[test]
fn equal_positions_summed_are_exact_reduced_and_too_small_by_their_number_expanded() -> Result<()> {
    let (vars, mut generator) = seeded("equal positions");
    let model = Deep::new(&vars, &WIDTHS)?;
    let x = normal(&mut generator, &[EXAMPLES, 1, WIDTHS[0]])?;
    let repeated = x.repeat((1, POSITIONS, 1))?;
    let passes = type_2(&model.parameters, LOSS, || model.forward(&repeated)?.sum(1))?;
    // what one position would give, of which the truth is S^2 times as much
    let one = type_2(&model.parameters, LOSS, || model.forward(&x)?.squeeze(1))?;
    let s = POSITIONS as f64;
    let (expanded, reduced) = (
        factors(&passes, Setting::Expand)?,
        factors(&passes, Setting::Reduce)?,
    );
    for (expanded, reduced) in expanded.layers().iter().zip(reduced.layers()) {
        let single = exact_block(&one, expanded.layer())?;
        let truth = &single * faer::Scale(s * s);
        assert!(worst(&exact_block(&passes, expanded.layer())?, &truth) < ROUNDING);
        assert!(worst(&kfac(reduced)?, &truth) < ROUNDING);
        assert!(worst(&kfac(expanded)?, &(single * faer::Scale(s))) < ROUNDING);
    }
    Ok(())
}
