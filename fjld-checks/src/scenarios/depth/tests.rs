use super::super::fixtures::quick;
use super::super::store::RunStore;
use super::*;

const TEXT: &str = include_str!("../../../../scenarios/depth.toml");

/// The shipped study, with less to do.
fn small() -> DepthStudy {
    let mut study: DepthStudy = toml::from_str(TEXT).expect("it is shipped");
    study.network.depths = Tier::ALL.map(|tier| (tier, vec![3, 6])).into();
    study.training.steps = Tier::ALL.map(|tier| (tier, 8)).into();
    study.training.readings = Tier::ALL.map(|tier| (tier, 4)).into();
    study
}

#[test]
fn a_network_is_trained_to_the_same_row_whatever_the_number_of_threads() {
    let item = "seed-1-residual-6-true-labels";
    let rows = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let run = || small().run(item, &quick(1)).expect("it runs");
        pool.expect("a pool").install(run)
    };
    assert_eq!(rows(1), rows(2));
    let curves: Vec<DepthCurve> = study::rows(&rows(1)).expect("its rows");
    assert_eq!(curves[0].steps, [0, 1, 3, 8]);
    assert!(curves[0].loss[3] < curves[0].loss[0], "{curves:?}");
    assert!(curves[0].c.iter().all(|c| c.is_some_and(|c| c > 0.0)));
}

#[test]
fn a_study_that_was_cut_off_goes_on_to_the_rows_of_one_that_was_not() -> Result<()> {
    let text = TEXT.replace("seeds = 5", "seeds = 1");
    let study = DepthStudy {
        tiers: toml::from_str::<DepthStudy>(&text).expect("one seed").tiers,
        ..small()
    };
    let mut whole = RunStore::new(Tier::Quick, Seed::root(1), None);
    whole.run_study(&study)?;
    assert_eq!(whole.lines(study.name()).len(), 3 * 2 * 2);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = || RunStore::new(Tier::Quick, Seed::root(1), Some(folder.path().to_owned()));
    store().run_study(&study)?;
    let kept = std::fs::read_dir(folder.path().join("unfinished")).expect("it is there");
    for one in kept.take(5) {
        std::fs::remove_file(one.expect("there are 12").path()).expect("mine");
    }
    let mut resumed = store();
    resumed.run_study(&study)?;
    assert_eq!(resumed.lines(study.name()), whole.lines(study.name()));
    Ok(())
}

#[test]
fn a_loss_that_is_no_number_ends_the_curve_without_ending_the_study() -> Result<()> {
    let mut study = small();
    study.training.learning_rate = 1e12;
    let rows = study.run("seed-0-plain-6-true-labels", &quick(1))?;
    let curves: Vec<DepthCurve> = study::rows(&rows)?;
    assert!(curves[0].steps.len() < 4, "{curves:?}");
    assert!(study.table(&rows)?.contains("plain"));
    Ok(())
}

#[test]
fn pieces_are_every_kind_depth_and_seed_with_both_labels() {
    let items = small().items(Tier::Quick);
    assert_eq!(
        items.len() as u64,
        small().tiers.seeds(Tier::Quick) * 3 * 2 * 2
    );
    assert!(items.contains(&"seed-4-plain-3-shuffled-labels".to_owned()));
    assert!(
        small()
            .run("seed-99-plain-3-true-labels", &quick(1))
            .is_err()
    );
}

#[test]
fn a_study_is_refused_beyond_its_bounds_and_taken_at_them() {
    let check = |change: &dyn Fn(&mut DepthStudy)| {
        let mut study = small();
        change(&mut study);
        study.check("a.toml").map_err(|e| e.to_string())
    };
    let every = |depth: usize| Tier::ALL.map(|tier| (tier, vec![4, depth])).into();
    let readings = |count: usize| Tier::ALL.map(|tier| (tier, count)).into();
    type Change<'a> = &'a dyn Fn(&mut DepthStudy);
    let refused: [(Change, &str); 9] = [
        (&|s| s.batch_sizes = vec![1, 0], "batch_sizes is [1, 0]"),
        (&|s| s.batch_sizes.clear(), "batch_sizes is []"),
        // there are 1,797 digits
        (&|s| s.data.test_examples = 1797 - 256 + 1, "is 1798"),
        (&|s| s.data.test_examples = 0, "test_examples is 256"),
        (
            &|s| s.training.learning_rate = 0.0,
            "training.learning_rate is 0.0; it must be positive",
        ),
        (&|s| s.network.width = 0, "network.width is 0"),
        (&|s| s.network.kinds.clear(), "of some kind"),
        (&|s| s.network.depths = every(1), "network.depths.quick"),
        (
            &|s| s.training.readings = readings(2),
            "it must be at least 3",
        ),
    ];
    for (change, said) in refused {
        let error = check(change).expect_err(said);
        assert!(error.contains(said), "{error}");
    }
    let taken: [&dyn Fn(&mut DepthStudy); 3] = [
        &|s| s.data.test_examples = 1797 - 256,
        &|s| s.network.depths = every(2),
        &|s| s.training.readings = readings(3),
    ];
    for change in taken {
        assert_eq!(check(change), Ok(()));
    }
}

#[test]
fn readings_lie_at_equal_ratios_between_the_first_step_and_the_last() {
    let mut study = small();
    study.training.steps = Tier::ALL.map(|tier| (tier, 10_000)).into();
    study.training.readings = Tier::ALL.map(|tier| (tier, 6)).into();
    let steps = study.reading_steps(Tier::Quick);
    assert_eq!(steps, [0, 1, 10, 100, 1000, 10_000]);
}

#[test]
fn the_digits_are_as_many_as_the_file_says_and_apart() -> Result<()> {
    for shuffled in [false, true] {
        let (train, test) = small().examples(Seed::root(1), shuffled)?;
        assert_eq!(train.0.dims(), [256, PIXELS]);
        assert_eq!(test.0.dims(), [400, PIXELS]);
        assert_eq!((train.1.dims(), test.1.dims()), (&[256][..], &[400][..]));
    }
    Ok(())
}

/// The network of the study's piece before any step, with the examples that it is trained on.
fn untrained(study: &DepthStudy, seed: Seed) -> Result<(Model, (Tensor, Tensor))> {
    let shape = Shape {
        kind: Kind::Plain,
        depth: 3,
        width: study.network.width,
    };
    let model = deep::build(shape, PIXELS, CLASSES, seed.derive("weights"))?;
    Ok((model, study.examples(seed, false)?.0))
}

#[test]
fn each_reading_is_taken_after_as_many_steps_as_it_says() -> Result<()> {
    let study = small();
    let found = study.run("seed-0-plain-3-true-labels", &quick(1))?;
    let curve: DepthCurve = study::rows(&found)?.remove(0);
    let seed = quick(1).seed.derive("seed 0");
    let (model, examples) = untrained(&study, seed)?;
    let mut loader = Loader::new(&examples, Some(32), seed.derive("order"))?;
    let mut optimiser = Optimiser::new(Rule::Momentum, 0.02, 0.0);
    let mut losses = vec![model.mean_loss(&examples, usize::MAX)?];
    for _ in 0..8 {
        let gradients = model.loss(&loader.next_batch()?)?.backward()?;
        optimiser.step(model.parameters(), &gradients)?;
        losses.push(model.mean_loss(&examples, usize::MAX)?);
    }
    for (&step, loss) in curve.steps.iter().zip(curve.loss) {
        let expected = losses[step as usize];
        // the same sums in f32; a step changes the loss by a hundred times as much
        assert!((loss - expected).abs() < 1e-5, "{step}: {loss} {expected}");
    }
    Ok(())
}

#[test]
fn a_loss_beyond_what_gradients_can_be_squared_at_is_not_read() -> Result<()> {
    let study = small();
    let (model, examples) = untrained(&study, Seed::root(1))?;
    let read = |curve: &mut DepthCurve| curve.read(7, &model, &examples, &examples);
    let found = study.run("seed-0-plain-3-true-labels", &quick(1))?;
    let mut curve: DepthCurve = study::rows(&found)?.remove(0);
    let before = curve.steps.len();
    let (_, scores) = model
        .parameters()
        .iter()
        .rfind(|(_, var)| var.dims() == [CLASSES, 16])
        .expect("the last layer gives the scores");
    let start = scores.as_tensor().copy()?;
    // scores of about 1 become ones of about 1e9, and then of about 1e13, whose gradients are finite in f32 as well
    scores.set(&(&start * 1e9)?)?;
    assert!(read(&mut curve)?);
    assert!(
        curve
            .loss
            .last()
            .is_some_and(|&loss| (1e7..1e12).contains(&loss))
    );
    assert_eq!(curve.steps.len(), before + 1);
    scores.set(&(&start * 1e13)?)?;
    assert!(!read(&mut curve)?);
    assert_eq!(curve.steps.len(), before + 1);
    Ok(())
}

#[test]
fn the_table_has_means_over_seeds_of_the_best_accuracy_and_of_c_in_logarithms() -> Result<()> {
    let curve = |depth, accuracy: [f64; 3], c: [f64; 3]| DepthCurve {
        kind: Kind::Plain,
        depth,
        seed: 0,
        shuffled: false,
        steps: vec![0, 1, 2],
        c: c.map(Some).to_vec(),
        accuracy: accuracy.to_vec(),
        loss: vec![1.0; 3],
    };
    let curves = [
        curve(4, [0.2, 0.5, 0.4], [0.1, 0.02, 0.4]),
        curve(4, [0.1, 0.3, 0.8], [0.4, 2.0, 0.9]),
        curve(9, [0.7, 0.6, 0.5], [3.0, 5.0, 4.0]),
    ];
    assert_eq!(curves[0].best_accuracy(), 0.5);
    assert_eq!(curves[2].best_accuracy(), 0.7);
    let table = small().table(&curves.map(|c| study::line(&c)))?;
    let lines = table.lines().skip(3);
    let words: Vec<Vec<&str>> = lines.map(|l| l.split_whitespace().collect()).collect();
    // accuracy (0.5 + 0.8)/2; C as the square roots of 0.1 0.4, 0.02 0.4, 0.4 2 and 0.4 0.9
    let first = "plain 4 true 0.65 2.0e-1 8.9e-2 8.9e-1 6.0e-1";
    let second = "plain 9 true 0.70 3.0e0 3.0e0 5.0e0 4.0e0";
    let rows = [first, second].map(|row| row.split(' ').collect::<Vec<_>>());
    assert_eq!(words, rows);
    Ok(())
}
