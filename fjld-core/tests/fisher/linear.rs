//! Deep linear networks with squared error: every layer's K-FAC block is its type-2 block, and no other (Bernacchia et al. 2018,
//! *NeurIPS* 31; Martens 2020, *JMLR* 21(146)).

use super::*;

const LOSS: OutputLoss = OutputLoss::SquaredError { scale: 1.0 };
const WIDTHS: [usize; 4] = [4, 5, 3, 2];
const EXAMPLES: usize = 7;

/// Inputs, `[n, 4]`: of order one, or over eight decades with two features that differ in their seventh digit only.
fn inputs(generator: &mut Generator, ill_conditioned: bool) -> Result<Tensor> {
    let x = normal(generator, &[EXAMPLES, WIDTHS[0]])?;
    if !ill_conditioned {
        return Ok(x);
    }
    let scaled = x.broadcast_mul(&Tensor::new(&[1e4, 1e-4, 1.0, 1e-7], &Device::Cpu)?)?;
    let last = (scaled.narrow(1, 2, 1)? + scaled.narrow(1, 3, 1)?)?;
    Ok(Tensor::cat(&[&scaled.narrow(1, 0, 3)?, &last], 1)?)
}

/// `mean (a, 1)(a, 1)'` of what a layer is given, `[n, in]`.
fn input_moment(a: &Tensor) -> Result<Mat<f64>> {
    let ones = Tensor::ones((a.dim(0)?, 1), DType::F64, &Device::Cpu)?;
    let a = matrix(&Tensor::cat(&[a, &ones], 1)?)?;
    Ok(a.transpose() * &a * faer::Scale(1.0 / a.nrows() as f64))
}

#[test]
fn kfac_is_the_type_2_block_of_every_layer_however_bad_the_inputs() -> Result<()> {
    for ill_conditioned in [false, true] {
        let (vars, mut generator) = seeded("deep linear");
        let model = Deep::new(&vars, &WIDTHS)?;
        let x = inputs(&mut generator, ill_conditioned)?;
        let passes = type_2(&model.parameters, LOSS, || model.forward(&x))?;
        assert_eq!(passes.len(), WIDTHS[3]);
        let factors = factors(&passes, Setting::Expand)?;
        let mut a = x;
        for (at, (layer, own)) in model.layers.iter().zip(factors.layers()).enumerate() {
            let exact = exact_block(&passes, own.layer())?;
            let gap = worst(&kfac(own)?, &exact);
            assert!(gap < ROUNDING, "{}: {gap:e}", own.layer());
            // by pencil: J'J (x) mean (a,1)(a,1)', with J the product of the weights behind
            let j = model.jacobian(at)?;
            let pencil = product(&(j.transpose() * &j), &input_moment(&a)?);
            let gap = worst(&exact, &pencil);
            assert!(gap < ROUNDING, "{} by pencil: {gap:e}", own.layer());
            a = layer.forward(&a)?;
        }
        let condition = factors.layers()[0].input_factor()?.condition()?;
        assert_eq!(condition.is_none_or(|c| c > 1e15), ill_conditioned);
    }
    Ok(())
}

#[test]
fn kfac_is_far_from_the_block_at_the_real_labels() -> Result<()> {
    let (vars, mut generator) = seeded("deep linear");
    let model = Deep::new(&vars, &WIDTHS)?;
    let x = inputs(&mut generator, false)?;
    let y = normal(&mut generator, &[EXAMPLES, WIDTHS[3]])?;
    let capture = Capture::new(EXAMPLES, Reduction::Sum).rows().pairs();
    let pass = capture.run(&model.parameters, || {
        (model.forward(&x)? - &y)?.sqr()?.sum_all()? * 0.5
    })?;
    let passes = [pass];
    for own in factors(&passes, Setting::Expand)?.layers() {
        // residuals belong to their inputs: the product of two means is not the mean of the products
        let gap = distance(&kfac(own)?, &exact_block(&passes, own.layer())?);
        assert!(gap > 0.2, "{}: {gap}", own.layer());
    }
    Ok(())
}

#[test]
fn kfac_with_a_nonlinearity_is_exact_in_the_last_layer_only() -> Result<()> {
    let (vars, mut generator) = seeded("tanh");
    let model = Deep::new(&vars, &WIDTHS)?;
    let x = inputs(&mut generator, false)?;
    let passes = type_2(&model.parameters, LOSS, || {
        let [first, second, last] = [0, 1, 2].map(|at| &model.layers[at]);
        last.forward(&second.forward(&first.forward(&x)?.tanh()?)?.tanh()?)
    })?;
    for (at, own) in factors(&passes, Setting::Expand)?
        .layers()
        .iter()
        .enumerate()
    {
        let (block, exact) = (kfac(own)?, exact_block(&passes, own.layer())?);
        match at {
            2 => assert!(worst(&block, &exact) < ROUNDING),
            _ => assert!(distance(&block, &exact) > 0.01),
        }
    }
    Ok(())
}

#[test]
fn foof_is_the_block_of_a_layer_whose_own_outputs_are_to_be_fitted_but_for_the_scale() -> Result<()>
{
    let (vars, mut generator) = seeded("one layer");
    let model = Deep::new(&vars, &[4, 3])?;
    let positions = 5;
    let x = normal(&mut generator, &[EXAMPLES, positions, 4])?;
    for scale in [1.0, 0.5, 2.0 / 3.0] {
        let loss = OutputLoss::SquaredError { scale };
        // every position's outputs are fitted: the factor of the gradients is scale * positions * 1
        let passes = type_2(&model.parameters, loss, || {
            model.forward(&x)?.flatten_from(1)
        })?;
        let factors = factors(&passes, Setting::Expand)?;
        let foof = factors.layers()[0].foof()?.to_dense();
        let expected = foof * faer::Scale(scale * positions as f64);
        let gap = worst(&exact_block(&passes, "layer0")?, &expected);
        assert!(gap < ROUNDING, "at scale {scale}: {gap:e}");
    }
    Ok(())
}
