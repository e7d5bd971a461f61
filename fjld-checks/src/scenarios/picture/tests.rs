use super::super::measurement::{Unit, Value};
use super::super::training::Reading;
use super::*;
use crate::evidence::picture::{Of, Scale};

fn evidence() -> Evidence {
    let reading = |step: u64, c| Reading {
        step,
        accuracy: 0.1 + 0.1 * step as f64,
        loss: 1.0,
        values: vec![Value {
            estimator: Estimator::PerExample,
            unit: Unit::Example,
            batch_size: 1,
            c,
            interval: None,
        }],
    };
    let curve = |seed, control, last| Curve {
        item: Item::new(seed, control),
        readings: vec![reading(0, Some(0.1)), reading(1, None), reading(4, last)],
    };
    Evidence {
        scenario: "made-up".into(),
        batch_sizes: vec![1, 16],
        units: vec![Unit::Example],
        learning_rate: 0.1,
        test_examples: 100,
        classes: 10,
        curves: vec![
            curve(0, None, Some(0.3)),
            curve(1, None, Some(0.5)),
            curve(0, Some(Control::ShuffledLabels), Some(-0.2)),
        ],
    }
}

#[test]
fn any_evidence_has_a_picture_with_its_controls_and_an_undefined_reading_is_left_out() {
    let pictures = of(&evidence(), &["a".into()], None);
    assert_eq!(pictures.len(), 2);
    let [first, .., accuracy] = &pictures[0].panels[..] else {
        panic!("a panel for each batch and one for accuracy");
    };
    let names: Vec<&str> = accuracy.series.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["plain", "shuffled labels"]);
    assert_eq!(first.series[0].x, [1.0, 5.0]);
    assert_eq!(first.series[0].y, [Some(0.1), Some(0.4)]);
    assert_eq!(first.series[0].high[1], Some(0.5));
    assert!(
        pictures[0]
            .caption
            .contains("n = 2 plain, 1 shuffled labels")
    );
    assert!(
        pictures[0]
            .caption
            .starts_with("C rises in all 2 runs, at batch 1 from"),
        "{}",
        pictures[0].caption
    );
}

#[test]
fn the_noise_scale_is_the_batch_over_c() {
    let pictures = of(&evidence(), &[], None);
    assert_eq!(
        pictures[1].panels[0].series[0].y,
        [Some(10.0), Some(2.66667)]
    );
}

#[test]
fn without_runs_there_is_no_picture() {
    let mut none = evidence();
    none.curves.clear();
    assert!(of(&none, &[], None).is_empty());
}

/// Plain runs with these accuracies before steps 0, 9, 99 and 999, and no `C`.
fn of_accuracies(runs: &[[f64; 4]], test_examples: usize) -> Evidence {
    let curve = |(seed, accuracies): (usize, &[f64; 4])| Curve {
        item: Item::new(seed as u64, None),
        readings: [0, 9, 99, 999]
            .iter()
            .zip(accuracies)
            .map(|(&step, &accuracy)| Reading {
                step,
                accuracy,
                loss: 1.0,
                values: Vec::new(),
            })
            .collect(),
    };
    Evidence {
        test_examples,
        curves: runs.iter().enumerate().map(curve).collect(),
        ..evidence()
    }
}

/// Where the rule of that name stands in the panel of accuracies.
fn half_way_up(evidence: &Evidence) -> Option<f64> {
    let panel = accuracy_panel(evidence, &arms(evidence));
    let rule = panel.rules.iter().find(|r| r.name.contains("half way"));
    rule.map(|r| r.at)
}

#[test]
fn accuracy_is_half_way_up_at_the_first_reading_that_is_as_high() {
    // half of the way from 1/8 to 5/8 is 3/8: before step 99, the 100th counted from 1
    let rising = [0.125, 0.25, 0.375, 0.625];
    assert_eq!(half_way_up(&of_accuracies(&[rising], 4)), Some(100.0));
    // a run that falls before it rises goes from its first value, and its highest need not be the last
    let falling = [0.25, 0.125, 0.75, 0.5];
    assert_eq!(half_way_up(&of_accuracies(&[falling], 4)), Some(100.0));
    let early = [0.125, 0.375, 0.5, 0.625];
    let both = of_accuracies(&[rising, early], 4);
    // the median of 10 and 100
    assert_eq!(half_way_up(&both), Some(55.0));
}

#[test]
fn a_run_that_gains_no_more_than_one_test_label_has_no_half_way() {
    let by = |gain: f64| of_accuracies(&[[0.25, 0.25, 0.25 + gain, 0.25 + gain]], 4);
    assert_eq!(half_way_up(&by(0.0)), None);
    // one label of four
    assert_eq!(half_way_up(&by(0.25)), None);
    assert_eq!(half_way_up(&by(0.5)), Some(100.0));
}

#[test]
fn chance_is_one_in_as_many_as_there_are_classes() {
    let evidence = evidence();
    let panel = accuracy_panel(&evidence, &arms(&evidence));
    let chance = panel.rules.iter().find(|r| r.name == "chance");
    assert_eq!(chance.map(|r| r.at), Some(0.1));
}

#[test]
fn arms_are_told_apart_by_ink_and_by_lines_or_marks() {
    let lines = [0, 1, 2, 3].map(|place| look(place, false));
    assert_eq!(lines.map(|style| style.ink), [1, 2, 3, 4]);
    assert!(lines.iter().all(|style| style.mark == Mark::None));
    // there are three kinds of lines, so that the fourth arm has the first one's
    let kinds = [Line::Solid, Line::Dashed, Line::Dotted, Line::Solid];
    assert_eq!(lines.map(|style| style.line), kinds);
    let marks = [0, 1, 2, 3].map(|place| look(place, true));
    assert_eq!(marks.map(|style| style.ink), [1, 2, 3, 4]);
    assert!(marks.iter().all(|style| style.line == Line::None));
    let kinds = [Mark::Circle, Mark::Cross, Mark::Triangle, Mark::Circle];
    assert_eq!(marks.map(|style| style.mark), kinds);
}

#[test]
fn exact_values_are_lines_drawn_ones_are_marks_and_steps_have_a_logarithmic_axis() {
    let mut evidence = evidence();
    for reading in evidence.curves.iter_mut().flat_map(|c| &mut c.readings) {
        reading.values.push(Value {
            estimator: Estimator::Minibatch,
            ..reading.values[0].clone()
        });
    }
    let panel = &of(&evidence, &[], None)[0].panels[0];
    let style = |name: &str| {
        let found = panel.series.iter().find(|s| s.name == name);
        found.expect("it is drawn").style
    };
    let exact = style("plain, all per-example gradients");
    assert_eq!((exact.line, exact.mark), (Line::Solid, Mark::None));
    let drawn = style("plain, minibatches drawn");
    assert_eq!((drawn.line, drawn.mark), (Line::None, Mark::Circle));
    assert_eq!(panel.x.scale, Scale::Log);
    assert_eq!(panel.x.what, "training step, counted from 1");
}

#[test]
fn a_ratio_of_zero_has_no_place_on_a_logarithmic_axis() {
    let mut evidence = evidence();
    for curve in &mut evidence.curves {
        curve.readings[1].values[0].c = Some(0.0);
    }
    let panel = &of(&evidence, &[], None)[0].panels[0];
    assert_eq!(panel.series[0].x, [1.0, 5.0]);
}

#[test]
fn a_run_that_ends_where_it_began_does_not_rise() {
    let mut evidence = evidence();
    evidence.curves[0].readings[2].values[0].c = Some(0.1);
    let caption = &of(&evidence, &[], None)[0].caption;
    let said = "C ends higher than it began in 1 of 2 runs, at batch 1 from";
    assert!(caption.starts_with(said), "{caption}");
    evidence.curves[1].readings[2].values[0].c = Some(0.1);
    let caption = &of(&evidence, &[], None)[0].caption;
    assert!(caption.starts_with("C falls in all 2 runs"), "{caption}");
}

#[test]
fn panels_say_what_their_axes_are_and_where_one_and_chance_and_half_way_lie() {
    let pictures = of(&evidence(), &[], None);
    let ([one, sixteen, accuracy], [scale]) = (&pictures[0].panels[..], &pictures[1].panels[..])
    else {
        panic!("two batches and accuracy, and the noise scale apart");
    };
    let rule = |name: &str, of, at| Rule {
        name: name.to_owned(),
        of,
        at,
    };
    // accuracy goes from 0.1 over 0.2 to 0.5: the first reading of 0.3 or more is that before step 4, the fifth counted from 1
    let half_way = || rule("accuracy half way up", Of::X, 5.0);
    let at_one = || vec![half_way(), rule("C = 1", Of::Y, 1.0)];
    let at_chance = vec![half_way(), rule("chance", Of::Y, 0.1)];
    let right = "share of test labels right";
    for (panel, title, y, laid_out, rules) in [
        (one, "C of one example", "C", Scale::Log, at_one()),
        (sixteen, "C at batch 16", "C", Scale::Log, at_one()),
        (accuracy, "test accuracy", right, Scale::Linear, at_chance),
        (
            scale,
            "",
            "noise scale B/C (examples)",
            Scale::Log,
            vec![half_way()],
        ),
    ] {
        assert_eq!(panel.title, title);
        let x = "training step, counted from 1";
        assert_eq!((&*panel.x.label(), panel.x.scale), (x, Scale::Log));
        assert_eq!((&*panel.y.label(), panel.y.scale), (y, laid_out));
        assert_eq!(panel.rules, rules, "{title}");
    }
}
