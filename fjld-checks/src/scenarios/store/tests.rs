use super::super::study::tests::{Sums, tiers};
use super::*;

fn store(folder: &Path, tier: Tier) -> RunStore {
    RunStore::new(tier, Seed::root(1), Some(folder.to_owned()))
}

#[test]
fn a_study_that_was_cut_off_goes_on_to_the_rows_of_one_that_was_not() -> Result<()> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let sums = |seeds| Sums {
        tiers: tiers(seeds),
    };
    let mut whole = RunStore::new(Tier::Quick, Seed::root(1), None);
    whole.run_study(&sums(4))?;
    let rows: Vec<f64> = whole.rows("sums")?;
    assert_eq!(rows.len(), 4);
    // another tier and another study are not taken up; the same one is, wherever it stopped
    store(folder.path(), Tier::Full).run_study(&sums(4))?;
    store(folder.path(), Tier::Quick).run_study(&sums(3))?;
    let before = std::fs::read_dir(unfinished(folder.path())).expect("it is there");
    assert_eq!(before.count(), 7);
    store(folder.path(), Tier::Quick).run_study(&sums(4))?;
    let kept = unfinished(folder.path());
    let one = std::fs::read_dir(&kept).expect("it is there").next();
    std::fs::remove_file(one.expect("seven more").expect("it is there").path()).expect("mine");
    let mut resumed = store(folder.path(), Tier::Quick);
    resumed.run_study(&sums(4))?;
    assert_eq!(resumed.rows::<f64>("sums")?, rows);
    resumed.write(folder.path())?;
    assert!(kept.exists());
    resumed.forget();
    assert!(!kept.exists());
    let written = std::fs::read_to_string(folder.path().join("evidence/sums.jsonl"));
    assert_eq!(written.expect("it was written").lines().count(), 4);
    Ok(())
}

/// A study whose pieces take a while.
#[derive(Debug)]
struct Busy {
    tiers: study::Tiers,
}

/// Core-seconds that a piece takes: three ticks of the clock that they are counted by.
const BUSY: f64 = 0.03;

/// Keeps a core until so much more was taken.
fn be_busy() {
    let start = core_seconds();
    while core_seconds() < start + BUSY {}
}

impl Study for Busy {
    fn name(&self) -> &str {
        "busy"
    }

    fn tiers(&self) -> &study::Tiers {
        &self.tiers
    }

    fn items(&self, _: Tier) -> Vec<String> {
        vec!["only".into()]
    }

    fn run(&self, _: &str, _: &Work) -> Result<Vec<String>> {
        be_busy();
        Ok(Vec::new())
    }

    fn table(&self, _: &[String]) -> Result<String> {
        Ok(String::new())
    }
}

#[test]
fn what_a_scenario_took_is_added_up_beside_what_its_file_allows() -> Result<()> {
    let study = Busy { tiers: tiers(1) };
    // so that what the process took before is more than nothing
    be_busy();
    let before = core_seconds();
    let mut store = RunStore::new(Tier::Quick, Seed::root(1), None);
    assert!(store.spent().is_empty());
    let mut taken = 0.0;
    for pieces in 1..=2 {
        store.run_study(&study)?;
        let most = core_seconds() - before;
        let all = store.spent();
        assert_eq!(all.keys().collect::<Vec<_>>(), ["busy"]);
        assert_eq!(all["busy"].budget, 1);
        let least = taken + 0.99 * BUSY;
        taken = all["busy"].core_seconds;
        // hundredths are rounded in f64
        assert!(
            (least..most + 1e-9).contains(&taken),
            "{pieces}: {taken} of {most}"
        );
    }
    Ok(())
}

#[test]
fn a_scenario_runs_where_its_data_are_and_on_a_gpu_if_it_is_meant_for_one() -> Result<()> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let own = folder.path().join("text");
    std::fs::create_dir(&own).expect("it is new");
    std::fs::write(own.join("tinyshakespeare.txt"), "to be").expect("it is mine");
    for tier in Tier::ALL {
        let without = RunStore::new(tier, Seed::root(1), None);
        let with = RunStore::new(tier, Seed::root(1), None).with_data(Some(folder.path().into()));
        let runs = |name: &str| -> Result<[bool; 2]> {
            let scenario = shipped::scenario(name)?;
            Ok([&without, &with].map(|store| store.runs_here(&scenario)))
        };
        assert_eq!(runs("digits-mlp")?, [true, true]);
        assert_eq!(runs("faq")?, [true, true]);
        assert_eq!(runs("mnist-mlp")?, [false, false]);
        assert_eq!(runs("gpt-shakespeare")?, [false, true]);
        // it is meant for a GPU, and the store is on the processor
        assert_eq!(runs("gpt-wide")?, [false, false]);
    }
    Ok(())
}

#[test]
fn a_scenario_that_can_not_be_run_has_its_recording_taken_up_and_says_so() -> Result<()> {
    let mut store = RunStore::new(Tier::Quick, Seed::root(1), None);
    assert_eq!(store.recorded_label("gpt-wide"), None);
    assert!(!store.has("gpt-wide"));
    store.run_shipped("gpt-wide")?;
    assert!(!store.get("gpt-wide")?.curves.is_empty());
    assert_eq!(store.all().count(), 0);
    let label = store.recorded_label("gpt-wide").expect("it was taken up");
    assert!(label.starts_with("recorded at tier "), "{label}");
    assert_eq!(store.recorded_label("gpt"), None);
    Ok(())
}

#[test]
fn a_training_scenario_has_a_curve_for_each_of_its_runs() -> Result<()> {
    let text = shipped::text("digits-mlp")?
        .replace("steps = 200\n", "steps = 2\n")
        .replace("draws = 100", "draws = 3")
        .replace("seeds = 5", "seeds = 2");
    let Scenario::Training(scenario) = super::super::parse(&text, "a.toml")? else {
        unreachable!("it is a training");
    };
    let mut store = RunStore::new(Tier::Quick, Seed::root(1), None);
    store.run(&scenario)?;
    let evidence = store.get("digits-mlp")?;
    let items: Vec<String> = evidence.curves.iter().map(|c| c.item.to_string()).collect();
    let plain_and_control = [
        "seed-0-plain",
        "seed-0-shuffled-labels",
        "seed-1-plain",
        "seed-1-shuffled-labels",
    ];
    assert_eq!(items, plain_and_control);
    for curve in &evidence.curves {
        let steps: Vec<u64> = curve.readings.iter().map(|r| r.step).collect();
        assert_eq!(steps, [0, 1, 2]);
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    store.write(folder.path())?;
    let written = std::fs::read_to_string(folder.path().join("evidence/digits-mlp.jsonl"));
    assert_eq!(written.expect("it was written"), evidence.json_lines());
    Ok(())
}

#[test]
fn a_planned_piece_of_work_is_done_alone_and_kept_where_the_plan_says() -> Result<()> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = store(folder.path(), Tier::Quick);
    let planned = store.plan("modular-grokking")?;
    store.work(&planned[2])?;
    let kept = std::fs::read_dir(unfinished(folder.path())).expect("it is there");
    let kept: Vec<PathBuf> = kept.map(|one| one.expect("it is there").path()).collect();
    assert_eq!(kept, [planned[2].kept_in(folder.path())]);
    let bytes = std::fs::read(&kept[0]).expect("it is there");
    let curve: Curve = serde_json::from_slice(&bytes).expect("it is a curve");
    assert_eq!(curve.item.to_string(), planned[2].item);
    Ok(())
}

#[test]
fn the_hash_of_the_program_is_a_sha256() -> Result<()> {
    let hash = program()?;
    assert_eq!(hash.len(), 64);
    assert!(
        hash.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')),
        "{hash}"
    );
    // a second one is the same
    assert_eq!(program()?, hash);
    Ok(())
}
