//! The table of changes: what it says of a small run, how it is written, and which scenarios are refused.

use super::*;
use crate::precision::Scalar;
use crate::scenarios::{Scenario, parse};

const TEXT: &str = include_str!("../../../../scenarios/reparameterization.toml");

/// A table whose cells hold what the two functions say of the places of transformation and metric.
pub(super) fn table(
    same: impl Fn(usize, usize) -> Option<f64>,
    independent: impl Fn(usize, usize) -> Option<f64>,
) -> Table {
    let places =
        (0..Transformation::ALL.len()).flat_map(|t| (0..Metric::ALL.len()).map(move |m| (t, m)));
    Table {
        schema: "fjld-reparameterization/1".into(),
        scenario: "by hand".into(),
        dimension: 172,
        samples: 40,
        before: Metric::ALL.map(|metric| (metric, Some(7.0))).to_vec(),
        sampling_noise: Metric::ALL.map(|metric| (metric, Some(8.0))).to_vec(),
        cells: places
            .map(|(t, m)| Cell {
                transformation: Transformation::ALL[t],
                metric: Metric::ALL[m],
                same_draws: same(t, m),
                independent_draws: independent(t, m),
            })
            .collect(),
    }
}

/// What a printed row says after its name of 28 characters, in columns of 24.
fn columns(line: &str) -> Vec<String> {
    let characters: Vec<char> = line.chars().skip(28).collect();
    let text = |column: &[char]| column.iter().collect::<String>().trim().to_owned();
    characters.chunks(24).map(text).collect()
}

#[test]
fn the_printed_table_has_a_row_for_every_transformation_and_a_column_for_every_metric() {
    let table = table(
        |t, m| Some((10 * t + m) as f64),
        |t, m| Some((100 + 10 * t + m) as f64),
    );
    let text = table.to_string();
    let lines: Vec<&str> = text.lines().collect();
    let metrics = [
        "C",
        "C, diagonally weighted",
        "t / rank D",
        "C, Kronecker form",
        "log Jeffreys, diagonal",
        "effective rank",
    ];
    let kinds = [
        "rotation of all parameters",
        "rotated inputs",
        "scaled inputs",
        "mixed hidden units",
        "rescaled relu units",
        "bent coordinates",
    ];
    assert_eq!(lines.len(), 18, "{text}");
    assert!(lines[0].starts_with("by hand: 172 parameters, 40 examples;"));
    let heads = [
        (1, "value"),
        (3, "same draws, largest"),
        (10, "independent, median"),
    ];
    for (at, title) in heads {
        assert_eq!(lines[at][..28].trim_end(), title);
        assert_eq!(columns(lines[at]), metrics);
    }
    let numbers = |first: usize| (first..first + 6).map(|n| format!("{n}.0000"));
    for (t, kind) in kinds.into_iter().enumerate() {
        for (line, first) in [(lines[4 + t], 10 * t), (lines[11 + t], 100 + 10 * t)] {
            assert_eq!(line[..28].trim_end(), kind);
            assert!(columns(line).into_iter().eq(numbers(first)), "{line}");
        }
    }
    for (line, name, value) in [
        (lines[2], "before", "7.0000"),
        (lines[17], "no transformation", "8.0000"),
    ] {
        assert_eq!(line[..28].trim_end(), name);
        assert_eq!(columns(line), [value; 6]);
    }
}

#[test]
fn small_numbers_are_printed_with_an_exponent_and_missing_ones_as_a_dash() {
    let mut table = table(|_, _| None, |_, _| None);
    // four decimals would leave nothing of what is below a thousandth, but a zero is a zero
    let values = [
        Some(0.0),
        Some(-0.5),
        Some(1e-3),
        Some(9.9e-4),
        Some(-2.5e-5),
        None,
    ];
    table.before = Metric::ALL.into_iter().zip(values).collect();
    let text = table.to_string();
    let before = text.lines().nth(2).expect("the third line");
    assert_eq!(
        columns(before),
        ["0.0000", "-0.5000", "0.0010", "9.9e-4", "-2.5e-5", "-"]
    );
    let same = text.lines().nth(4).expect("the fifth line");
    assert_eq!(columns(same), ["-"; 6]);
}

#[test]
fn a_change_has_a_size_where_both_sides_exist() {
    assert_eq!(change(Metric::Ratio, Some(2.0), Some(0.5)), Some(0.75));
    assert_eq!(
        change(Metric::LogJeffreys, Some(2.0), Some(-1.0)),
        Some(3.0)
    );
    assert_eq!(change(Metric::Ratio, None, Some(0.5)), None);
    assert_eq!(change(Metric::Ratio, Some(2.0), None), None);
}

#[test]
fn the_median_is_the_middle_size_or_between_the_middle_two_and_none_where_a_change_is_missing() {
    assert_eq!(median(&[Some(3.0)]), Some(3.0));
    assert_eq!(median(&[9.0, 1.0, 4.0, 16.0, 2.0].map(Some)), Some(4.0));
    // sorted 1, 2, 4, 7: halfway between 2 and 4
    assert_eq!(median(&[4.0, 1.0, 7.0, 2.0].map(Some)), Some(3.0));
    assert_eq!(median(&[Some(4.0), None, Some(7.0)]), None);
    assert_eq!(
        sorted(&[4.0, 1.0, 7.0].map(Some)),
        Some(vec![1.0, 4.0, 7.0])
    );
    assert_eq!(sorted(&[Some(4.0), None]), None);
}

#[test]
fn every_pooled_pixel_is_the_average_of_the_four_under_it() -> Result<()> {
    let problem = pooled_digits()?;
    let (images, labels) = digits().tensors(&Device::Cpu)?;
    let (images, labels) = (images.to_vec2::<Scalar>()?, labels.to_vec1::<u32>()?);
    assert_eq!(
        (problem.inputs.nrows(), problem.inputs.ncols()),
        (images.len(), 16)
    );
    for (image, pixels) in images.iter().enumerate() {
        // every one of 8 x 8 pixels hands a quarter of itself on; sixteenths are exact
        let mut pooled = [0.0; 16];
        for (at, pixel) in pixels.iter().enumerate() {
            let (row, column) = (at / 8, at % 8);
            pooled[row / 2 * 4 + column / 2] += f64::from(*pixel) / 4.0;
        }
        assert!(
            (0..16).all(|at| problem.inputs[(image, at)] == pooled[at]),
            "{image}"
        );
        let class = labels[image] as usize;
        assert!((0..10).all(|k| problem.targets[(image, k)] == f64::from(u8::from(k == class))));
    }
    Ok(())
}

#[test]
fn values_out_of_range_are_refused_by_name() {
    let with = |key: &str, value: &str| {
        let own = |line: &&str| line.starts_with(&format!("{key} ="));
        let line = TEXT.lines().find(own).expect("the scenario has the key");
        let text = TEXT.replace(line, &format!("{key} = {value}"));
        let scenario: ReparameterizationScenario =
            toml::from_str(&text).expect("it is of the form");
        scenario.check("altered")
    };
    let rate = "it must be positive";
    let condition = "it must exceed 1";
    let refused = [
        ("hidden", "0", "it must be 1 to 30"),
        ("hidden", "31", "it must be 1 to 30"),
        ("learning_rate", "0.0", rate),
        ("learning_rate", "-0.1", rate),
        ("learning_rate", "inf", rate),
        ("learning_rate", "nan", rate),
        ("condition", "1.0", condition),
        ("condition", "0.5", condition),
        ("condition", "inf", condition),
        ("condition", "nan", condition),
        ("repeats", "0", "it must be at least 1"),
    ];
    for (key, value, accepted) in refused {
        let said = match with(key, value) {
            Ok(_) => panic!("{key} = {value} is accepted"),
            Err(error) => error.to_string(),
        };
        assert!(said.starts_with(&format!("altered: {key} is ")), "{said}");
        assert!(said.contains(accepted), "{said}");
    }
    let accepted = [
        ("hidden", "1"),
        ("hidden", "30"),
        ("learning_rate", "1e-6"),
        ("condition", "1.001"),
        ("repeats", "1"),
    ];
    for (key, value) in accepted {
        assert!(with(key, value).is_ok(), "{key} = {value}");
    }
}

/// Whether theory says that a metric keeps its value: in parameters turned orthogonally what lengths and spectra say stays, in parameters
/// scaled one by one what divides each by its own spread, under any linear map the Mahalanobis length, and under maps of inputs and
/// outputs of layers the Kronecker form.
fn stays(metric: Metric, kind: Transformation) -> bool {
    use Transformation::{Bent, RescaledUnits, RotatedInputs, Rotation, ScaledInputs};
    match metric {
        Metric::Ratio | Metric::EffectiveRank => matches!(kind, Rotation | RotatedInputs),
        Metric::DiagonallyWeighted => matches!(kind, ScaledInputs | RescaledUnits | Bent),
        Metric::Mahalanobis | Metric::Kfac => true,
        Metric::LogJeffreys => false,
    }
}

#[test]
fn metrics_stay_where_theory_has_them_stay_and_their_noise_is_that_of_the_halves_alone()
-> Result<()> {
    // hardly trained, and once: what is invariant is so at any weights
    let text = TEXT
        .replace("steps = 300", "steps = 5")
        .replace("repeats = 4", "repeats = 1");
    let Scenario::Reparameterization(scenario) = parse(&text, "small")? else {
        panic!("it is a reparameterization scenario");
    };
    let table = scenario.run()?;
    // 16 inputs, 6 hidden units and 10 outputs
    assert_eq!(table.dimension, 16 * 6 + 6 + 6 * 10 + 10);
    assert_eq!((table.samples, table.cells.len()), (1797, 36));
    assert!(table.before.iter().all(|(_, value)| value.is_some()));
    for cell in &table.cells {
        let (metric, kind) = (cell.metric, cell.transformation);
        if metric == Metric::Kfac && matches!(kind, Transformation::Rotation | Transformation::Bent)
        {
            // a map of all parameters together leaves no layers
            assert_eq!((cell.same_draws, cell.independent_draws), (None, None));
            continue;
        }
        let same = cell.same_draws.expect("it exists");
        // what the picture takes for rounding: dividing by variances down to 1e-8 of the largest costs up to eight of sixteen digits
        let rounding = 1e-6;
        assert_eq!(
            same < rounding,
            stays(metric, kind),
            "{metric:?} {kind:?}: {same}"
        );
        if stays(metric, kind) {
            let own = table.sampling_noise.iter().find(|(m, _)| *m == metric);
            let noise = own.and_then(|(_, noise)| *noise).expect("it exists");
            let independent = cell.independent_draws.expect("it exists");
            assert!(noise > rounding, "{metric:?}: {noise}");
            assert!(
                (independent - noise).abs() < rounding * (1.0 + noise),
                "{metric:?} {kind:?}: {independent}, {noise}"
            );
        }
    }
    Ok(())
}
