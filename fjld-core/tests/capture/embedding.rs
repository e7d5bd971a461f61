//! Embeddings, alone and tied to a head.

use super::*;
use candle_nn::Module;
use fjld_core::capture::{Embedding, Linear, Unit, embedding, linear_no_bias};
use proptest::prelude::*;
use rand::RngExt;

/// `[examples, positions]` indices below the vocabulary, most of them more than once.
fn indices(
    generator: &mut Generator,
    shape: [usize; 2],
    vocabulary: u32,
) -> candle_core::Result<Tensor> {
    let count = shape[0] * shape[1];
    let values: Vec<u32> = (0..count)
        .map(|_| generator.random_range(0..vocabulary))
        .collect();
    Tensor::from_vec(values, &shape, &Device::Cpu)
}

/// An embedding whose positions are scaled by numbers of their own and go through a linear layer. The scales make all examples different:
/// there is no interval where one of them carries the noise, and rounding decides where that begins.
fn network(
    name: &str,
    shape: [usize; 2],
    vocabulary: usize,
    width: usize,
    dtype: DType,
) -> Result<Subject<'static>> {
    let (vars, mut generator) = seeded(name);
    let builder = vars.builder(DType::F64, &Device::Cpu);
    let table = embedding(vocabulary, width, builder.pp("table"))?;
    let head = linear_no_bias(width, 2, builder.pp("head"))?;
    let ids = indices(&mut generator, shape, vocabulary as u32)?.to_dtype(dtype)?;
    let scales = normal(&mut generator, &[shape[0], shape[1], 1])?;
    let weights = normal(&mut generator, &[2 * shape[1]])?;
    Ok(Subject {
        parameters: vars.named(),
        examples: shape[0],
        loss: Box::new(move |rows| {
            let embedded = table.forward(&pick(&ids, rows)?)?;
            let hidden = embedded.broadcast_mul(&pick(&scales, rows)?)?.tanh()?;
            smooth_loss(&head.forward(&hidden)?, &weights)
        }),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn embeddings_of_any_shape_agree_with_autograd(
        shape in [2usize..7, 1usize..7],
        vocabulary in 1usize..9,
        width in 1usize..5,
        dtype in prop::sample::select(vec![DType::U8, DType::U32, DType::I64]),
    ) {
        network("embedding", shape, vocabulary, width, dtype)
            .and_then(|subject| subject.assert_routes_agree())
            .unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn a_head_tied_to_the_embedding_adds_to_its_rows() -> Result<()> {
    let (vars, mut generator) = seeded("tied embedding");
    let table = embedding(5, 3, vars.builder(DType::F64, &Device::Cpu).pp("table"))?;
    let head = Linear::new(table.embeddings().clone(), None);
    let ids = indices(&mut generator, [4, 6], 5)?;
    let weights = normal(&mut generator, &[30])?;
    let subject = Subject {
        parameters: vars.named(),
        examples: 4,
        loss: Box::new(move |rows| {
            let hidden = table.forward(&pick(&ids, rows)?)?.tanh()?;
            smooth_loss(&head.forward(&hidden)?, &weights)
        }),
    };
    subject.assert_routes_agree()?;
    // the head alone has inputs to make Kronecker factors from
    let pairs = subject.captured()?.pairs;
    assert_eq!(pairs.len(), 1);
    assert_eq!(pairs[0].inputs.dims(), [4, 6, 3]);
    Ok(())
}

#[test]
fn an_embedding_called_twice_adds_both_uses_before_squaring() -> Result<()> {
    let (vars, mut generator) = seeded("embedding twice");
    let table = embedding(4, 3, vars.builder(DType::F64, &Device::Cpu).pp("table"))?;
    let left = indices(&mut generator, [5, 2], 4)?;
    // one index an example, without an axis of positions
    let right = indices(&mut generator, [5, 1], 4)?.squeeze(1)?;
    let weights = normal(&mut generator, &[6])?;
    Subject {
        parameters: vars.named(),
        examples: 5,
        loss: Box::new(move |rows| {
            let left = table.forward(&pick(&left, rows)?)?;
            let right = table.forward(&pick(&right, rows)?)?.unsqueeze(1)?;
            smooth_loss(&left.broadcast_mul(&right)?, &weights)
        }),
    }
    .assert_routes_agree()
}

#[test]
fn the_same_word_twice_in_an_example_counts_four_times_in_its_norm() -> Result<()> {
    let (vars, _) = seeded("by hand");
    let table = embedding(3, 2, vars.builder(DType::F64, &Device::Cpu))?;
    // dL/dz is 1 everywhere: (1, 1) for a word seen once, (2, 2) for one seen twice
    let ids = Tensor::new(&[[0u32, 1], [2, 2]], &Device::Cpu)?;
    let captured =
        Capture::new(2, Reduction::Sum).run(&vars.named(), || table.forward(&ids)?.sum_all())?;
    assert_eq!(captured.statistics.squared_norms(), [4.0, 8.0]);
    let mean = captured.statistics.parameters()[0]
        .mean()?
        .to_vec2::<f64>()?;
    assert_eq!(mean, [[0.5, 0.5], [0.5, 0.5], [1.0, 1.0]]);
    let both = Capture::new(2, Reduction::Sum)
        .unit(Unit::Minibatch(2))
        .run(&vars.named(), || table.forward(&ids)?.sum_all())?;
    // the mean of the two, 0.5 0.5 0.5 0.5 1 1
    assert_eq!(both.statistics.squared_norms(), [3.0]);
    Ok(())
}

#[test]
fn the_byte_255_has_an_embedding_of_its_own() -> Result<()> {
    let (vars, _) = seeded("bytes");
    let table = embedding(256, 2, vars.builder(DType::F64, &Device::Cpu))?;
    let ids = Tensor::new(&[[255u8], [254]], &Device::Cpu)?;
    let subject = Subject {
        parameters: vars.named(),
        examples: 2,
        loss: Box::new(|rows| {
            table
                .forward(&pick(&ids, rows)?)?
                .sqr()?
                .sum((1, 2))?
                .mean(0)
        }),
    };
    subject.assert_routes_agree()?;
    assert!(subject.captured()?.statistics.squared_norms()[0] > 0.0);
    Ok(())
}

#[test]
fn an_index_outside_the_vocabulary_is_named() -> Result<()> {
    let (vars, _) = seeded("outside");
    let table = embedding(3, 2, vars.builder(DType::F64, &Device::Cpu))?;
    let run = |ids: Tensor| {
        let captured =
            Capture::new(2, Reduction::Sum).run(&vars.named(), || table.forward(&ids)?.sum_all());
        captured.expect_err("this must be refused").to_string()
    };
    let new = |ids: [i64; 2]| Tensor::new(&ids, &Device::Cpu);
    for (ids, index) in [
        (new([0, 3])?, "3"),
        (new([-1, 0])?, "-1"),
        // candle's mask
        (new([0, i64::MAX])?, "9223372036854775807"),
        (new([0, 3])?.to_dtype(DType::U8)?, "3"),
    ] {
        let expected = format!(
            "candle: an embedding was given the index {index}; its vocabulary has the indices 0 to 2"
        );
        assert_eq!(run(ids), expected);
    }
    let error = run(Tensor::new(&[0f64, 1.0], &Device::Cpu)?);
    assert!(error.contains("indices of type F64"), "{error}");
    Ok(())
}

#[test]
fn a_frozen_embedding_is_left_out() -> Result<()> {
    let (vars, mut generator) = seeded("frozen embedding");
    let builder = vars.builder(DType::F64, &Device::Cpu);
    let head = linear_no_bias(3, 2, builder.pp("head"))?;
    let table = Embedding::new(normal(&mut generator, &[4, 3])?, 3);
    let ids = indices(&mut generator, [3, 2], 4)?;
    let weights = normal(&mut generator, &[4])?;
    Subject {
        parameters: vars.named(),
        examples: 3,
        loss: Box::new(move |rows| {
            smooth_loss(
                &head.forward(&table.forward(&pick(&ids, rows)?)?)?,
                &weights,
            )
        }),
    }
    .assert_routes_agree()
}

#[test]
fn an_embedding_knows_the_length_of_its_rows() -> Result<()> {
    let (vars, _) = seeded("length");
    let table = embedding(5, 3, vars.builder(DType::F64, &Device::Cpu))?;
    assert_eq!(table.hidden_size(), 3);
    assert_eq!(table.embeddings().dims(), [5, 3]);
    Ok(())
}
