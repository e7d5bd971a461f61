use super::*;
use crate::scenarios::fixtures::{descend, lines_of, quick, steady_rows};
use crate::scenarios::loader::Loader;
use crate::scenarios::{from_toml, mask, parse, shipped};

fn small() -> Result<Lottery> {
    let text = shipped::text("lottery")?
        .replace("steps = 400", "steps = 6")
        .replace("[0, 10, 50]", "[0, 2]")
        .replace("[0.3, 0.5, 0.7, 0.9]", "[0.5, 0.9]");
    let lottery: Lottery = from_toml(&text, "lottery")?;
    lottery.check("lottery")?;
    Ok(lottery)
}

#[test]
fn rows_are_the_same_whatever_the_threads_and_after_a_resumption() -> Result<()> {
    let study = small()?;
    let rows = steady_rows(&study)?;
    assert_eq!(rows.len(), 5 * 2 * 6);
    assert!(study.table(&rows)?.contains("iterative"));
    Ok(())
}

#[test]
fn every_subnetwork_starts_from_the_first_weights_of_the_whole() -> Result<()> {
    let study = small()?;
    let work = quick(4);
    let found: Vec<Row> = rows(&study.run("seed-0", &work)?)?;
    // a magnitude mask of the trained network and an iterative one are the same at the first share
    let at_first = |method| found.iter().find(|r| r.method == method && r.share == 0.5);
    let (once, again) = (at_first(Method::Magnitude), at_first(Method::Iterative));
    let (once, again) = (once.expect("it is there"), again.expect("it is there"));
    assert_eq!(once.readings, again.readings);
    assert_eq!(once.accuracy, again.accuracy);
    Ok(())
}

#[test]
fn readings_that_do_not_ascend_to_before_the_end_are_refused() -> Result<()> {
    let text = shipped::text("lottery")?;
    let with = |readings: &str| parse(&text.replace("[0, 10, 50]", readings), "x.toml");
    // the end is read anyway
    for readings in ["[]", "[10, 0]", "[0, 400]", "[0, 999]"] {
        let said = with(readings).expect_err(readings).to_string();
        let wanted = format!(
            "x.toml: pruning.readings is {readings}; it must be an ascending list of steps before training.steps = 400"
        );
        assert_eq!(said, wanted);
    }
    assert!(with("[0, 399]").is_ok());
    let said = parse(&text.replace("[0.3, 0.5,", "[0.5, 0.3,"), "x.toml");
    let said = said.expect_err("0.3 is below 0.5").to_string();
    let wanted = "x.toml: pruning.shares is [0.5, 0.3, 0.7, 0.9]; it must be ascending";
    assert_eq!(said, wanted);
    Ok(())
}

fn bench(lottery: &Lottery, seed: Seed) -> Result<Bench> {
    Bench::new(&lottery.data, &lottery.model, seed, None, false)
}

/// `C` of one example and `|mu|` over the kept parameters, summed one by one, and the loss.
fn read(bench: &Bench, mask: &Mask) -> Result<[f64; 3]> {
    let all = Coordinates::of(&bench.model, &bench.train)?.expect("the loss is finite");
    let (mut signal, mut noise) = (0.0, 0.0);
    for (i, kept) in mask.0.iter().enumerate() {
        if *kept {
            signal += all.mean[i] * all.mean[i];
            noise += all.variance[i];
        }
    }
    let loss = bench.loss()?.expect("the loss is finite");
    Ok([signal / noise, signal.sqrt(), loss])
}

#[test]
fn a_subnetwork_is_read_before_its_training_on_the_way_and_at_its_end() -> Result<()> {
    let lottery = small()?;
    let bench = bench(&lottery, Seed::root(5))?;
    let parameters = bench.model.parameters();
    let start = Snapshot::of(parameters)?;
    let half = counts(parameters, 0.5);
    let mask = Mask::lowest(parameters, &magnitudes(parameters)?, &half);
    let order = Seed::root(6);
    // it starts from the first weights, wherever the network has come
    descend(&bench.model, &bench.train, 1.0)?;
    let found = lottery.train(&bench, &start, &mask, order)?;
    // plain descent with a step of 0.2 on batches of 64, after each of which what is pruned is set back to 0
    start.restore(parameters)?;
    let zeros = mask.tensors(parameters)?;
    let mut loader = Loader::new(&bench.train, Some(64), order)?;
    let mut expected = Vec::new();
    for step in 0..=6 {
        mask::zero(parameters, &zeros)?;
        if [0, 2, 6].contains(&step) {
            expected.push((step, read(&bench, &mask)?));
        }
        descend(&bench.model, &loader.next_batch()?, 0.2)?;
    }
    assert_eq!(found.len(), expected.len());
    for (reading, (step, numbers)) in found.iter().zip(expected) {
        assert_eq!(reading.step, step);
        let found = [reading.c, reading.gradient, reading.loss];
        for (found, expected) in found.into_iter().zip(numbers) {
            let found = found.expect("it is defined");
            // sums over two thousand weights and nine hundred examples in f32
            let gap = (found / expected - 1.0).abs();
            assert!(gap < 1e-4, "step {step}: {found} {expected}");
        }
    }
    Ok(())
}

#[test]
fn an_iterative_mask_takes_the_smallest_weights_of_the_subnetwork_before_it() -> Result<()> {
    let (lottery, work) = (small()?, quick(4));
    let found: Vec<Row> = rows(&lottery.run("seed-0", &work)?)?;
    let seed = work.seed.derive("seed-0");
    let (bench, order) = (bench(&lottery, seed)?, seed.derive("order"));
    let parameters = bench.model.parameters();
    let start = Snapshot::of(parameters)?;
    lottery.train(&bench, &start, &Mask::whole(parameters), order)?;
    for share in [0.5, 0.9] {
        // the network is as the training before has left it
        let sizes = magnitudes(parameters)?;
        let mask = Mask::lowest(parameters, &sizes, &counts(parameters, share));
        let readings = lottery.train(&bench, &start, &mask, order)?;
        let own = |r: &&Row| r.method == Method::Iterative && r.share == share;
        let row = found.iter().find(own).expect("it is there");
        assert_eq!(row.readings, readings, "{share}");
        assert_eq!(row.accuracy, bench.accuracy()?, "{share}");
        assert_eq!(row.loss, bench.held_out_loss()?, "{share}");
    }
    Ok(())
}

#[test]
fn a_table_has_the_means_over_runs_for_each_share_and_method() -> Result<()> {
    let row = |seed, method, share, accuracy, c: [Option<f64>; 3]| {
        let readings = [0, 2, 6].into_iter().zip(c).map(|(step, c)| Reading {
            step,
            c,
            gradient: None,
            loss: None,
        });
        line(&Row {
            seed,
            method,
            draw: 0,
            share,
            readings: readings.collect(),
            accuracy,
            loss: None,
            whole_accuracy: 0.875,
            whole_loss: None,
        })
    };
    let (first, second) = ([Some(1.0), Some(2.0), None], [2.0, 4.0, 8.0].map(Some));
    let table = small()?.table(&[
        row(0, Method::Magnitude, 0.5, 0.25, first),
        row(0, Method::Magnitude, 0.9, 0.625, [Some(16.0); 3]),
        row(0, Method::Random, 0.5, 0.125, [Some(0.5); 3]),
        row(1, Method::Magnitude, 0.5, 0.75, second),
    ])?;
    let printed = lines_of(&table);
    for wanted in [
        // of two runs; a reading that is undefined in one of them is that of the other
        "0.500 magnitude 0.500 1.50000 3.00000 8.00000",
        "0.500 random 0.125 0.50000 0.50000 0.50000",
        "0.900 magnitude 0.625 16.00000 16.00000 16.00000",
        "the whole network of the first run: accuracy 0.875",
    ] {
        assert!(printed.iter().any(|line| line == wanted), "{table}");
    }
    Ok(())
}
