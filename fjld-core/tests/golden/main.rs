//! The exact route against PyTorch: the models of `scripts/golden/make.py`, rebuilt from captured layers at the weights of its files. The
//! docstring there says what every tensor of a file is. Every tensor is compared: one that no test asks for fails the test.

mod file;
mod models;

use candle_nn::Module;
use file::{Golden, Parameters, matrix};
use fjld_core::Result;
use fjld_core::capture::{Capture, LayerPair, Reduction};
use fjld_core::fisher::{Dense, OutputLoss, SecondMoment};
use fjld_core::kronecker::{Factors, Setting};
use models::{Cnn, Gpt, Mlp};

#[test]
fn a_perceptron_measures_as_in_pytorch() -> Result<()> {
    let mut golden = Golden::load("mlp")?;
    let model = Mlp::new(golden.builder())?;
    let captured = golden.pass(|c| c.diagonal().rows().pairs(), &golden.parameters, &model)?;
    golden.assert_statistics(&captured)?;
    golden.assert_factors(&captured.pairs, &["first", "second"])?;
    golden.assert_fisher(&captured, "second")?;

    // the type-2 Fisher: one backward pass for each column of a root of the loss's Hessian
    let logits = model.forward(&golden.inputs)?;
    let (mut rows, mut pairs) = (Vec::new(), Vec::new());
    for k in 0..logits.dim(1)? {
        let column = OutputLoss::SoftmaxCrossEntropy.column(&logits, k)?;
        let pass = Capture::new(golden.examples()?, Reduction::Sum);
        let captured = pass.rows().pairs().run(&golden.parameters, || {
            (model.forward(&golden.inputs)? * &column)?.sum_all()
        })?;
        rows.push(captured.statistics.rows()?.expect("they were asked for"));
        pairs.push(captured.pairs);
    }
    let fisher = SecondMoment::<Dense>::type_2(&rows)?;
    golden.assert_is("ggn", &matrix(fisher.curvature())?)?;
    for layer in 0..pairs[0].len() {
        let own: Vec<LayerPair> = pairs.iter().map(|pass| pass[layer].clone()).collect();
        let mut factors = Factors::for_layer(&own[0], Setting::Expand)?;
        factors.push_columns(&own)?;
        let name = format!("type2.{}.g", own[0].layer);
        golden.assert_is(&name, &matrix(&factors.gradient_factor()?)?)?;
    }
    golden.assert_nothing_left();
    Ok(())
}

#[test]
fn a_convolutional_network_measures_as_in_pytorch() -> Result<()> {
    let mut golden = Golden::load("cnn")?;
    let model = Cnn::new(golden.builder())?;
    let captured = golden.pass(|c| c.diagonal().rows(), &golden.parameters, &model)?;
    golden.assert_statistics(&captured)?;
    golden.assert_fisher(&captured, "conv")?;

    let mut others: Parameters = golden.parameters.clone();
    others.retain(|(name, _)| name != "grouped.weight");
    let model = model.with_frozen_groups();
    let captured = golden.pass(Capture::pairs, &others, &model)?;
    golden.assert_factors(&captured.pairs, &["conv", "head"])?;
    golden.assert_nothing_left();
    Ok(())
}

#[test]
fn a_language_model_measures_as_in_pytorch() -> Result<()> {
    let mut golden = Golden::load("gpt")?;
    let model = Gpt::new(golden.builder())?;
    let captured = golden.pass(|c| c.diagonal().rows().pairs(), &golden.parameters, &model)?;
    golden.assert_statistics(&captured)?;
    golden.assert_fisher(&captured, "block.out")?;
    let layers = ["block.down", "block.out", "block.qkv", "block.up", "tokens"];
    golden.assert_factors(&captured.pairs, &layers)?;
    golden.assert_nothing_left();
    Ok(())
}
