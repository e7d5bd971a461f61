//! Training runs to look at: `C` and accuracy, and the noise scale. Any training scenario has these pictures, from its curves alone.

use super::curve::Control;
use super::curve::Item;
use super::measurement::{Estimator, View};
use super::store::Evidence;
use super::training::Curve;
use crate::evidence::picture::{
    Axis, Kind, Line, Mark, Panel, Picture, Rule, Series, Style, capital, median, plain,
};

/// What runs without a control are called.
const PLAIN: &str = "plain";

/// Runs with the same control, or none.
struct Arm<'a> {
    name: String,
    /// Its place among the arms, which says how it looks.
    place: usize,
    curves: Vec<&'a Curve>,
}

impl Arm<'_> {
    /// What is said of these runs begins so: controls are named.
    fn saying(&self, what: &str) -> String {
        match self.name.as_str() {
            PLAIN => what.to_owned(),
            control => format!("with {control} {what}"),
        }
    }
}

/// What a reading has one number for.
type Quantity<'a> = dyn Fn(&Curve, usize) -> Option<f64> + 'a;

/// The pictures of a scenario's runs, which speak to `claims`; `recorded` says where they come from if they were not run.
pub fn of(evidence: &Evidence, claims: &[String], recorded: Option<&str>) -> Vec<Picture> {
    let arms = arms(evidence);
    if arms.iter().all(|arm| arm.curves.is_empty()) {
        return Vec::new();
    }
    let source = match recorded {
        Some(label) => format!("scenario {}; {label}", evidence.scenario),
        None => format!("scenario {}", evidence.scenario),
    };
    let picture = |name: &str, title: String, caption: String, panels: Vec<Panel>| Picture {
        id: format!("{name}-{}", evidence.scenario),
        claims: claims.to_vec(),
        kind: Kind::Curves,
        title,
        caption,
        source: source.clone(),
        panels,
    };
    let mut panels: Vec<Panel> = evidence
        .batch_sizes
        .iter()
        .map(|&batch| ratio_panel(evidence, &arms, batch))
        .collect();
    panels.push(accuracy_panel(evidence, &arms));
    let mut pictures = vec![picture(
        "training",
        format!("C and accuracy over training: {}", evidence.scenario),
        ratio_caption(evidence, &arms),
        panels,
    )];
    if let Some((panel, caption)) = noise_scale(evidence, &arms) {
        pictures.push(picture(
            "noise-scale",
            format!("The noise scale over training: {}", evidence.scenario),
            caption,
            vec![panel],
        ));
    }
    pictures
}

/// The plain runs first.
fn arms(evidence: &Evidence) -> Vec<Arm<'_>> {
    let mut controls: Vec<Option<Control>> =
        evidence.curves.iter().map(|c| c.item.control).collect();
    controls.sort_unstable();
    controls.dedup();
    let of = |(place, control): (usize, Option<Control>)| Arm {
        name: control.map_or(PLAIN.into(), |c| c.name().replace('-', " ")),
        place,
        curves: evidence
            .curves
            .iter()
            // at the learning rate that verdicts rest on
            .filter(|c| c.item == Item::new(c.item.seed, control))
            .collect(),
    };
    controls.into_iter().enumerate().map(of).collect()
}

/// The estimator that is exact where there is one, else the document's.
fn best(evidence: &Evidence) -> Estimator {
    let readings = evidence.curves.iter().flat_map(|c| &c.readings);
    let exact = |e: Estimator| e == Estimator::PerExample;
    let mut values = readings.flat_map(|r| &r.values);
    match values.any(|v| exact(v.estimator)) {
        true => Estimator::PerExample,
        false => Estimator::Minibatch,
    }
}

fn look(place: usize, drawn: bool) -> Style {
    const LINES: [Line; 3] = [Line::Solid, Line::Dashed, Line::Dotted];
    const MARKS: [Mark; 3] = [Mark::Circle, Mark::Cross, Mark::Triangle];
    match drawn {
        true => Style::marks(1 + place, MARKS[place % 3]),
        false => Style::line(1 + place, LINES[place % 3]),
    }
}

/// The median over the runs of an arm at each reading, between the lowest and the highest. Steps are counted from 1, so that the start
/// has a place on a logarithmic axis.
fn series(arm: &Arm, name: &str, style: Style, of: &Quantity) -> Series {
    let readings = arm
        .curves
        .iter()
        .map(|c| c.readings.len())
        .min()
        .unwrap_or(0);
    let (mut points, mut ends) = (Vec::new(), Vec::new());
    for k in 0..readings {
        let values: Vec<f64> = arm.curves.iter().filter_map(|c| of(c, k)).collect();
        if let Some(middle) = median(&values) {
            points.push((arm.curves[0].readings[k].step as f64 + 1.0, middle));
            ends.push((
                values.iter().copied().fold(f64::INFINITY, f64::min),
                values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            ));
        }
    }
    Series::new(name, style, points).between(ends)
}

fn steps() -> Axis {
    Axis::log("training step, counted from 1")
}

/// `C` by an estimator at a batch, where it has a logarithm.
fn ratio(estimator: Estimator, batch: usize) -> impl Fn(&Curve, usize) -> Option<f64> {
    move |curve, k| {
        let c = curve.readings[k]
            .value(View::of_examples(estimator), batch)?
            .c?;
        (c > 0.0).then_some(c)
    }
}

fn ratio_panel(evidence: &Evidence, arms: &[Arm], batch: usize) -> Panel {
    let mut drawn = Vec::new();
    for arm in arms {
        for (estimator, name) in [
            (Estimator::PerExample, "all per-example gradients"),
            (Estimator::Minibatch, "minibatches drawn"),
        ] {
            let style = look(arm.place, estimator == Estimator::Minibatch);
            let name = format!("{}, {name}", arm.name);
            let own = series(arm, &name, style, &ratio(estimator, batch));
            if !own.x.is_empty() {
                drawn.push(own);
            }
        }
    }
    Panel {
        title: match batch {
            1 => "C of one example".into(),
            batch => format!("C at batch {batch}"),
        },
        x: steps(),
        y: Axis::log("C"),
        rules: half_way(evidence, arms)
            .into_iter()
            .chain([Rule::across("C = 1", 1.0)])
            .collect(),
        series: drawn,
        ..Panel::default()
    }
}

/// The step at which the accuracy of a run is half of the way from its first value to its highest, in the median of the plain runs.
fn half_way(evidence: &Evidence, arms: &[Arm]) -> Option<Rule> {
    let plain = arms.first()?;
    let reached: Vec<f64> = plain
        .curves
        .iter()
        .filter_map(|curve| {
            let accuracies = curve.accuracies();
            let first = *accuracies.first()?;
            let best = accuracies.iter().copied().fold(first, f64::max);
            let rises = best > first + 1.0 / evidence.test_examples as f64;
            let at = accuracies
                .iter()
                .position(|&a| a >= 0.5 * (first + best) && a > first)?;
            rises.then(|| curve.readings[at].step as f64 + 1.0)
        })
        .collect();
    let at = median(&reached)?;
    Some(Rule::upward("accuracy half way up", at))
}

fn accuracy_panel(evidence: &Evidence, arms: &[Arm]) -> Panel {
    let of = |curve: &Curve, k: usize| Some(curve.readings[k].accuracy);
    let own = arms
        .iter()
        .map(|arm| series(arm, &arm.name, look(arm.place, false), &of));
    Panel {
        title: "test accuracy".into(),
        x: steps(),
        y: Axis::linear("share of test labels right"),
        series: own.collect(),
        rules: half_way(evidence, arms)
            .into_iter()
            .chain([Rule::across("chance", 1.0 / evidence.classes as f64)])
            .collect(),
        ..Panel::default()
    }
}

/// The first and the last value of a quantity, each the median over an arm's runs, and in how many runs it rises.
fn travel(arm: &Arm, of: &Quantity) -> Option<(f64, f64, usize, usize)> {
    let ends: Vec<(f64, f64)> = arm
        .curves
        .iter()
        .filter_map(|c| Some((of(c, 0)?, of(c, c.readings.len().checked_sub(1)?)?)))
        .collect();
    let first = median(&ends.iter().map(|e| e.0).collect::<Vec<_>>())?;
    let last = median(&ends.iter().map(|e| e.1).collect::<Vec<_>>())?;
    let rising = ends.iter().filter(|e| e.1 > e.0).count();
    Some((first, last, rising, ends.len()))
}

fn ratio_caption(evidence: &Evidence, arms: &[Arm]) -> String {
    let batch = evidence.batch_sizes.first().copied().unwrap_or(1);
    let estimator = best(evidence);
    let mut told = Vec::new();
    for arm in arms {
        let of = ratio(estimator, batch);
        let accuracy = |c: &Curve, k: usize| Some(c.readings[k].accuracy);
        if let (Some((first, last, rising, runs)), Some((low, high, ..))) =
            (travel(arm, &of), travel(arm, &accuracy))
        {
            let way = match rising {
                0 => format!("falls in all {runs} runs"),
                all if all == runs => format!("rises in all {runs} runs"),
                some => format!("ends higher than it began in {some} of {runs} runs"),
            };
            told.push(format!(
                "{} {way}, at batch {batch} from {} to {}, while accuracy goes from {} to {}",
                arm.saying("C"),
                plain(first),
                plain(last),
                plain(low),
                plain(high)
            ));
        }
    }
    let mut caption = format!("{}.", capital(&told.join("; ")));
    if let [low, .., high] = evidence.batch_sizes[..] {
        caption += &format!(
            " C is {} times as large at batch {high} as at batch {low}, so that the side of 1 is a matter of the batch.",
            high / low.max(1)
        );
    }
    let count: Vec<String> = arms
        .iter()
        .map(|arm| format!("{} {}", arm.curves.len(), arm.name))
        .collect();
    caption
        + &format!(
            " Medians over runs, between the lowest and the highest (n = {}); estimates of C at or below 0 have no place on a logarithmic axis and are left out.",
            count.join(", ")
        )
}

/// `B/C`: the batch size at which `C` would be 1.
fn noise_scale(evidence: &Evidence, arms: &[Arm]) -> Option<(Panel, String)> {
    let estimator = best(evidence);
    // the largest batch is the one at which draws say most
    let batch = match estimator {
        Estimator::PerExample => evidence.batch_sizes.first().copied()?,
        Estimator::Minibatch => evidence.batch_sizes.last().copied()?,
    };
    let c = ratio(estimator, batch);
    let of = |curve: &Curve, k: usize| Some(batch as f64 / c(curve, k)?);
    let drawn: Vec<Series> = arms
        .iter()
        .map(|arm| series(arm, &arm.name, look(arm.place, false), &of))
        .filter(|series| !series.x.is_empty())
        .collect();
    if drawn.is_empty() {
        return None;
    }
    let told: Vec<String> = arms
        .iter()
        .filter_map(|arm| {
            let (first, last, _, runs) = travel(arm, &of)?;
            Some(format!(
                "{} goes from {} to {} examples (n = {runs})",
                arm.saying("it"),
                plain(first),
                plain(last)
            ))
        })
        .collect();
    let panel = Panel {
        title: String::new(),
        x: steps(),
        y: Axis::log("noise scale B/C").in_unit("examples"),
        rules: half_way(evidence, arms).into_iter().collect(),
        series: drawn,
        ..Panel::default()
    };
    let caption = format!(
        "The batch size at which C would be 1 is no constant of a network: {}. Medians over runs, between the lowest and the highest.",
        told.join("; ")
    );
    Some((panel, caption))
}

#[cfg(test)]
mod tests;
