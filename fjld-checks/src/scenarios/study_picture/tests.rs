use super::*;
use crate::evidence::picture::Of;

fn tail(seed: u64, batch: &str, rule: &str, index: f64) -> String {
    format!(
        r#"{{"seed":{seed},"step":0,"batch_size":{batch},"of":"length","rule":"{rule}","hill":{{"value":{index}}},"extreme_value_index":null}}"#
    )
}

#[test]
fn the_rows_of_a_study_that_is_known_have_a_picture() -> Result<()> {
    let rows = [
        tail(0, "1", "root", 4.0),
        tail(1, "1", "root", 6.0),
        tail(0, "1", "half", 99.0),
        tail(0, "null", "root", 30.0),
    ];
    let pictures = of("heavy-tails", &rows, &["heavy-tails".into()])?;
    let [panel] = &pictures[0].panels[..] else {
        panic!("an index that is null has no panel");
    };
    let names: Vec<&str> = panel.series.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["Gaussian noise", "batch size 1"]);
    assert_eq!(
        (&panel.series[1].x, &panel.series[1].y),
        (&vec![1.0], &vec![Some(5.0)])
    );
    assert_eq!(
        pictures[0].caption,
        "Tail index by Hill lies above 2 at 2 of 2 places, between 5 and 30. \
         Medians over runs, between the lowest and the highest (n = 2 seeds)."
    );
    Ok(())
}

#[test]
fn of_a_list_the_last_number_counts_and_a_row_without_the_keys_is_left_out() -> Result<()> {
    let rows = [
        r#"{"kind":"plain","depth":4,"seed":0,"shuffled":false,"c":[1.0,null,0.5],"accuracy":[0.1]}"#,
        r#"{"depth":4}"#,
    ];
    let pictures = of("depth", &rows.map(str::to_owned), &[])?;
    assert_eq!(pictures[0].panels[0].series[0].y, [Some(0.5)]);
    assert_eq!(pictures[0].panels[0].series[0].name, "plain, not shuffled");
    Ok(())
}

#[test]
fn a_caption_says_where_a_curve_is_highest_and_whether_it_falls() -> Result<()> {
    let row = |width: u32, error: f64| {
        format!(
            r#"{{"world":"relu","arm":"plain","fit":"gradient-descent","seed":0,"width":{width},"test_error":{error},"c":0.5}}"#
        )
    };
    let pictures = of(
        "double-descent",
        &[row(10, 1.0), row(60, 9.0), row(99, 2.0)],
        &[],
    )?;
    let caption = &pictures[0].caption;
    assert!(
        caption.starts_with("Test error at the end is highest at width 60 (relu). C at the end lies above 1 at 0 of 3 places,"),
        "{caption}"
    );
    let row = |share: f64, accuracy: f64| {
        format!(r#"{{"method":"random","seed":0,"share":{share},"accuracy":{accuracy}}}"#)
    };
    let pictures = of("lottery", &[row(0.1, 0.9), row(0.9, 0.4)], &[])?;
    let caption = &pictures[0].caption;
    assert!(
        caption.contains(
            "falls from the left end to the right in 1 of 1 lines: random from 0.9 to 0.4."
        ),
        "{caption}"
    );
    Ok(())
}

#[test]
fn other_rows_have_none() -> Result<()> {
    assert!(of("sums", &["1.5".into()], &[])?.is_empty());
    assert!(of("depth", &[], &[])?.is_empty());
    Ok(())
}

/// A row of double descent: its arm, width, test error and `C`.
fn descent(arm: &str, width: u32, error: f64, c: f64) -> String {
    format!(
        r#"{{"world":"relu","arm":"{arm}","fit":"gradient-descent","seed":0,"width":{width},"test_error":{error},"c":{c}}}"#
    )
}

#[test]
fn series_are_told_apart_by_ink_line_and_mark() {
    let styles: Vec<Style> = (0..6).map(|place| drawn(place, "", &[]).style).collect();
    // four inks, of which the first is number 1; three lines and three marks
    let inks: Vec<usize> = styles.iter().map(|style| style.ink).collect();
    assert_eq!(inks, [1, 2, 3, 4, 1, 2]);
    let kinds = [
        (Line::Solid, Mark::Circle),
        (Line::Dashed, Mark::Cross),
        (Line::Dotted, Mark::Triangle),
    ];
    for (place, style) in styles.iter().enumerate() {
        let after_three = [0, 1, 2, 0, 1, 2][place];
        assert_eq!((style.line, style.mark), kinds[after_three], "{place}");
    }
}

#[test]
fn a_panel_has_its_axes_its_level_and_the_medians_between_their_ends() -> Result<()> {
    let rows = [
        descent("plain", 10, 3.0, 0.5),
        descent("plain", 10, 5.0, 1.5),
        descent("plain", 20, 2.0, 4.0),
    ];
    let pictures = of("double-descent", &rows, &[])?;
    let axis = |what: &str| Axis {
        what: what.to_owned(),
        unit: None,
        scale: Scale::Log,
        names: Vec::new(),
    };
    let some = |values: [f64; 2]| values.map(Some).to_vec();
    let panel = |what: &str, low, middle, high, rules| Panel {
        title: format!("relu: {what}"),
        x: axis("width"),
        y: axis(what),
        series: vec![Series {
            name: "plain".into(),
            style: Style {
                ink: 1,
                line: Line::Solid,
                mark: Mark::Circle,
            },
            x: vec![10.0, 20.0],
            y: some(middle),
            low: some(low),
            high: some(high),
        }],
        rules,
        cells: Vec::new(),
    };
    let one = Rule {
        name: "C = 1".into(),
        of: Of::Y,
        at: 1.0,
    };
    let (error, c) = ("test error at the end", "C at the end");
    let wanted = [
        panel(error, [3.0, 2.0], [4.0, 2.0], [5.0, 2.0], Vec::new()),
        panel(c, [0.5, 4.0], [1.0, 4.0], [1.5, 4.0], vec![one]),
    ];
    assert_eq!(pictures[0].panels, wanted);
    Ok(())
}

#[test]
fn a_median_at_the_level_does_not_lie_above_it() -> Result<()> {
    let rows = [
        descent("plain", 10, 1.0, 1.0),
        descent("plain", 20, 1.0, 1.25),
    ];
    let caption = &of("double-descent", &rows, &[])?[0].caption;
    let wanted = "C at the end lies above 1 at 1 of 2 places, between 1 and 1.25.";
    assert!(caption.contains(wanted), "{caption}");
    Ok(())
}

#[test]
fn a_series_of_one_place_has_no_peak() -> Result<()> {
    let rows = [
        descent("plain", 10, 1.0, 0.5),
        descent("plain", 60, 9.0, 0.5),
        descent("shuffled", 99, 7.0, 0.5),
    ];
    let caption = &of("double-descent", &rows, &[])?[0].caption;
    let wanted = "Test error at the end is highest at width 60 (relu).";
    assert!(caption.starts_with(wanted), "{caption}");
    let alone = &of("double-descent", &rows[2..], &[])?[0].caption;
    let wanted = "Test error at the end has no peak, as no line has more than one width.";
    assert!(alone.starts_with(wanted), "{alone}");
    Ok(())
}

#[test]
fn a_line_that_ends_as_high_as_it_began_does_not_fall() -> Result<()> {
    let row = |method: &str, share: f64, accuracy: f64| {
        format!(r#"{{"method":"{method}","seed":0,"share":{share},"accuracy":{accuracy}}}"#)
    };
    let rows = [
        row("iterative", 0.1, 0.75),
        row("iterative", 0.9, 0.75),
        row("random", 0.1, 0.75),
        row("random", 0.9, 0.5),
    ];
    let caption = &of("lottery", &rows, &[])?[0].caption;
    let wanted = "in 1 of 2 lines: iterative from 0.75 to 0.75; random from 0.75 to 0.5.";
    assert!(caption.contains(wanted), "{caption}");
    Ok(())
}
