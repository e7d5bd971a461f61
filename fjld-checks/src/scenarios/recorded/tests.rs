use super::super::store::whole_lines;
use super::super::study::tests::{Sums, tiers};
use super::*;

const NAME: &str = "digits-mlp";

/// Runs of two readings by both estimators.
fn evidence() -> Evidence {
    let value = |estimator, interval| Value {
        estimator,
        unit: Unit::Example,
        batch_size: 16,
        c: Some(0.1 + 0.2),
        interval,
    };
    let reading = |step| Reading {
        step,
        accuracy: 1.0 / 3.0,
        loss: 2.5,
        values: vec![
            value(Estimator::Minibatch, Some([-0.1, 0.7])),
            value(Estimator::PerExample, None),
        ],
    };
    let curve = |control, learning_rate| Curve {
        item: Item {
            seed: 3,
            control,
            learning_rate,
        },
        readings: vec![reading(0), reading(7)],
    };
    let scenario = shipped::training(NAME).expect("it is built in");
    Evidence {
        curves: vec![
            curve(None, None),
            curve(Some(Control::ShuffledLabels), None),
            curve(None, Some(0.05)),
        ],
        ..Evidence::none_of(&scenario, Tier::Quick)
    }
}

fn provenance(scenario: &str, text: &str, lines: &str) -> String {
    let made = Made {
        scenario,
        text,
        data: false,
        device: DeviceName::Cpu,
        tier: Tier::Quick,
        root_seed: crate::audit::ROOT_SEED,
        note: None,
    };
    let provenance = Provenance::of(&made, lines).expect("its text is TOML");
    serde_json::to_string(&provenance).expect("names and sums")
}

#[test]
fn curves_come_back_from_their_lines_to_the_last_bit() -> Result<()> {
    let lines = evidence().json_lines();
    assert_eq!(curves(&lines)?, evidence().curves);
    Ok(())
}

#[test]
fn a_changed_line_or_scenario_is_refused() -> Result<()> {
    let (lines, text) = (evidence().json_lines(), shipped::text(NAME)?);
    let provenance = provenance(NAME, text, &lines);
    let scenario = shipped::scenario(NAME)?;
    let taken = taken_from(&scenario, text, &provenance, &lines)?;
    assert_eq!(taken.evidence(), Some(&evidence()));
    let said = |text: &str, lines: &str| {
        let taken = taken_from(&scenario, text, &provenance, lines).expect_err("it differs");
        taken.to_string()
    };
    let spoilt = lines.replacen("0.7", "0.8", 1);
    assert!(said(text, &spoilt).contains("not those that were recorded"));
    assert!(said("another = 1", &lines).contains("its scenario has changed"));
    Ok(())
}

#[test]
fn the_rows_of_a_study_are_recorded_and_stand_in_for_it() -> Result<()> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let rows = ["1.5".to_owned(), "-2.0".to_owned()];
    let lines = whole_lines(&rows);
    let made: Provenance =
        serde_json::from_str(&provenance("sums", "some = 1", &lines)).expect("it was just written");
    made.record(&lines, folder.path())?;
    let read = |end: &str| {
        let path = folder.path().join(format!("sums.{end}"));
        std::fs::read(path).expect("it was recorded")
    };
    let study = Scenario::Study(Box::new(Sums { tiers: tiers(2) }));
    let json = String::from_utf8(read("json")).expect("it is text");
    let unpacked = unpacked("sums", &read("jsonl.gz"))?;
    let taken = taken_from(&study, "some = 1", &json, &unpacked)?;
    assert_eq!(taken.rows(), Some(rows.as_slice()));
    let root = fjld_core::rng::Seed::root(1);
    let mut store = super::super::store::RunStore::new(Tier::Quick, root, None);
    assert!(!store.has("sums"));
    store.take_up(taken);
    assert_eq!(store.rows::<f64>("sums")?, [1.5, -2.0]);
    assert!(store.has("sums") && store.recorded_label("sums").is_some());
    Ok(())
}

/// Every recording is of its scenario as it is now, whole: as many runs and readings as the tier has.
#[test]
fn every_recording_gives_the_evidence_that_its_tier_would() -> Result<()> {
    let all = all()?;
    assert_eq!(all.len(), RECORDINGS.len());
    for ((name, _, lines), recording) in RECORDINGS.iter().zip(&all) {
        assert_eq!(recording.provenance.scenario, *name);
        let Provenance { schema, tier, .. } = &recording.provenance;
        assert_eq!(schema, SCHEMA);
        match shipped::scenario(name)? {
            Scenario::Training(scenario) => {
                let evidence = recording.evidence().expect("it trains");
                let items: Vec<Item> = evidence.curves.iter().map(|c| c.item).collect();
                assert_eq!(items, scenario.items(*tier), "{name}");
                let steps = scenario.reading_steps(*tier);
                for curve in &evidence.curves {
                    let read: Vec<u64> = curve.readings.iter().map(|r| r.step).collect();
                    assert_eq!(read, steps, "{name}, {}", curve.item);
                }
                assert_eq!(evidence.json_lines(), unpacked(name, lines)?, "{name}");
            }
            Scenario::Study(study) => {
                let rows = recording.rows().expect("it has rows");
                assert!(rows.len() >= study.items(*tier).len(), "{name}");
                study.table(rows)?;
            }
            Scenario::Gaussian(_) | Scenario::Reparameterization(_) => {
                unreachable!("these are not recorded")
            }
        }
    }
    Ok(())
}

#[test]
fn a_recording_says_at_which_tier_it_was_made_and_what_else_has_to_be_known() {
    let mut made: Provenance =
        serde_json::from_str(&provenance("sums", "some = 1", "")).expect("it was just written");
    assert_eq!(made.label(), "recorded at tier quick, not run here");
    made.tier = Tier::Full;
    made.note = Some("on a GPU".into());
    assert_eq!(
        made.label(),
        "recorded at tier full (on a GPU), not run here"
    );
}

#[test]
fn a_provenance_lies_beside_its_lines_for_people_to_read() -> Result<()> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let lines = "1.5\n-2.0\n";
    let made: Provenance =
        serde_json::from_str(&provenance("sums", "some = 1", lines)).expect("it was just written");
    made.write(lines, folder.path())?;
    let read =
        |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("it was written");
    assert_eq!(read("sums.jsonl"), lines);
    let back: Provenance = serde_json::from_str(&read("sums.json")).expect("it was written");
    assert_eq!(back, made);
    Ok(())
}
