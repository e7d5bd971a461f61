use super::*;
use crate::scenarios::fixtures::{descend, lines_of, quick, steady_rows};
use crate::scenarios::loader::Loader;
use crate::scenarios::store::RunStore;
use crate::scenarios::{from_toml, parse, shipped};
use fjld_core::rng::Seed;

fn small() -> Result<Optimisers> {
    let text = shipped::text("optimisers")?
        .replace("steps = 400", "steps = 6")
        .replace("readings = 16", "readings = 4");
    let optimisers: Optimisers = from_toml(&text, "optimisers")?;
    optimisers.check("optimisers")?;
    Ok(optimisers)
}

#[test]
fn rows_are_the_same_whatever_the_threads_and_after_a_resumption() -> Result<()> {
    let study = small()?;
    let rows = steady_rows(&study)?;
    assert_eq!(rows.len(), 5 * 18);
    let table = study.table(&rows)?;
    assert!(table.contains("momentum   cosine    shuffled-labels"));
    Ok(())
}

#[test]
fn before_the_first_step_the_preconditioned_ratio_is_that_of_the_mean_share() -> Result<()> {
    // s/(1 - s) at the training batch is that many times the one of an example
    let mut store = RunStore::new(Tier::Quick, Seed::root(4), None);
    store.run_study(&small()?)?;
    let rows: Vec<Row> = store.rows("optimisers")?;
    for row in rows.iter().filter(|r| r.rule == Rule::AdamW) {
        let first = row.readings[0];
        let s = first.mean_share.expect("there are gradients");
        let expected = s / (1.0 - s) / row.batch_size as f64;
        let found = first.preconditioned.expect("there is noise");
        // both from the same numbers in f64, added up in another order
        assert!((found / expected - 1.0).abs() < 1e-10, "{found} {expected}");
    }
    Ok(())
}

#[test]
fn schedules_begin_at_one_and_end_low() {
    for schedule in [Schedule::Constant, Schedule::Cosine, Schedule::Step] {
        assert_eq!(schedule.factor(0, 100), 1.0);
    }
    assert!((Schedule::Cosine.factor(50, 100) - 0.5).abs() < 1e-12);
    let steps = [49, 50, 74, 75].map(|step| Schedule::Step.factor(step, 100));
    assert_eq!(steps, [1.0, 0.1, 0.1, 0.01]);
}

#[test]
fn a_study_out_of_range_is_refused_with_what_is_accepted() -> Result<()> {
    let text = shipped::text("optimisers")?;
    let schedules = "schedules = [\"constant\", \"cosine\", \"step\"]";
    let lists = "optimisers and schedules must be lists, with adamw among the optimisers";
    for (old, new, said) in [
        (
            "readings = 16",
            "readings = 2",
            "readings is 2; it must be at least 3",
        ),
        ("rule = \"adamw\"", "rule = \"sgd\"", lists),
        (schedules, "schedules = []", lists),
        (
            "batch_size = 64",
            "batch_size = 0",
            "batch_size is 0; it must be at least 1",
        ),
        (
            "steps = 400",
            "steps = 0",
            "steps is 0; it must be at least 1",
        ),
        (
            "learning_rate = 0.005",
            "learning_rate = 0.0",
            "optimisers.learning_rate is 0; it must be positive",
        ),
    ] {
        assert!(text.contains(old), "{old}");
        let refused = parse(&text.replace(old, new), "x.toml").expect_err(new);
        assert_eq!(refused.to_string(), format!("x.toml: {said}"));
    }
    // three readings are enough, and adamw alone
    assert!(parse(&text.replace("readings = 16", "readings = 3"), "x.toml").is_ok());
    let alone = text
        .replace("\"sgd\"", "\"adamw\"")
        .replace("\"momentum\"", "\"adamw\"");
    assert!(parse(&alone, "x.toml").is_ok());
    Ok(())
}

#[test]
fn readings_lie_before_the_first_step_and_then_at_equal_ratios_up_to_the_last() -> Result<()> {
    let small = small()?;
    let at = |steps: u64, readings: usize| {
        let study = Optimisers {
            steps,
            readings,
            ..small.clone()
        };
        study.reading_steps()
    };
    assert_eq!(at(1000, 5), [0, 1, 10, 100, 1000]);
    assert_eq!(at(16, 6), [0, 1, 2, 4, 8, 16]);
    assert_eq!(at(6, 3), [0, 1, 6]);
    // no step is read twice: 1, 1.19, 1.41, 1.68 and 2
    assert_eq!(at(2, 6), [0, 1, 2]);
    Ok(())
}

#[test]
fn every_step_is_as_long_as_its_schedule_says() -> Result<()> {
    let (study, work) = (small()?, quick(4));
    let choice = study.optimisers[0];
    assert_eq!((choice.rule, choice.learning_rate), (Rule::Sgd, 0.2));
    let quarter = 0.25 * 3f64.sqrt();
    for (schedule, factors) in [
        // half of 1 and the cosine, at the sixths of a half turn
        (
            Schedule::Cosine,
            [1.0, 0.5 + quarter, 0.75, 0.5, 0.25, 0.5 - quarter],
        ),
        // a tenth from the third of six steps on, a hundredth from three quarters of them, 4.5, on
        (Schedule::Step, [1.0, 1.0, 1.0, 0.1, 0.1, 0.01]),
    ] {
        let row = study.one(0, (choice, schedule, None), &work)?;
        let seed = work.seed.derive(&format!("sgd {} seed 0", schedule.name()));
        let bench = Bench::new(&study.data, &study.model, seed, None, false)?;
        let mut loader = Loader::new(&bench.train, Some(64), seed.derive("order"))?;
        let mut readings = row.readings.iter();
        for step in 0..=6 {
            if [0, 1, 2, 6].contains(&step) {
                let reading = readings.next().expect("there are four");
                assert_eq!(reading.step, step);
                let all = Coordinates::of(&bench.model, &bench.train)?.expect("it is finite");
                let signal: f64 = all.mean.iter().map(|m| m * m).sum();
                let ratio = signal / all.variance.iter().sum::<f64>();
                for (found, expected) in [(reading.loss, bench.loss()?), (reading.raw, Some(ratio))]
                {
                    let (found, expected) = (found.expect("finite"), expected.expect("finite"));
                    // sums over two thousand weights and a thousand examples in f32
                    let gap = (found / expected - 1.0).abs();
                    assert!(gap < 1e-4, "step {step}: {found} {expected}");
                }
            }
            if let Some(factor) = factors.get(step as usize) {
                descend(&bench.model, &loader.next_batch()?, 0.2 * factor)?;
            }
        }
        assert_eq!(readings.next(), None);
    }
    Ok(())
}

#[test]
fn a_table_has_the_means_over_seeds_of_every_third_reading() -> Result<()> {
    let row = |seed, control, accuracy, loss, raw: Option<f64>, preconditioned| {
        // C is twice as high at the last step
        let reading = |step| Reading {
            step,
            accuracy,
            loss: Some(loss),
            raw: raw.map(|c| if step == 6 { 2.0 * c } else { c }),
            preconditioned: Some(preconditioned),
            mean_share: None,
        };
        line(&Row {
            seed,
            rule: Rule::Momentum,
            schedule: Schedule::Cosine,
            control,
            batch_size: 64,
            test_examples: 449,
            classes: 10,
            readings: [0, 1, 2, 6].map(reading).to_vec(),
        })
    };
    let shuffled = Some(Control::ShuffledLabels);
    let table = small()?.table(&[
        row(0, None, 0.25, 1.0, Some(0.25), 2.0),
        row(0, shuffled, 0.125, 4.0, Some(8.0), 16.0),
        row(1, None, 0.75, 2.0, None, 4.0),
    ])?;
    let printed = lines_of(&table);
    for wanted in [
        // of two seeds; a ratio that is undefined in one of them is that of the other
        "momentum cosine 0 0.500 1.5000 0.25000 3.00000",
        "momentum cosine 6 0.500 1.5000 0.50000 3.00000",
        "momentum cosine shuffled-labels 0 0.125 4.0000 8.00000 16.00000",
        "momentum cosine shuffled-labels 6 0.125 4.0000 16.00000 16.00000",
    ] {
        assert!(printed.iter().any(|line| line == wanted), "{table}");
    }
    Ok(())
}
