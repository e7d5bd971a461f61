//! The picture: accuracy and `C` along training, beside the same with labels dealt out at random, from the recorded runs on MNIST.
//!
//! Plain SVG that follows the reader's light or dark theme. Plain runs are solid and the control is dashed, so that grey will do.

use fjld_checks::scenarios::curve::{Control, Curve, Item};
use fjld_checks::scenarios::measurement::{Estimator, View};
use fjld_checks::scenarios::recorded::recording;
use std::fmt::Write;

const SCENARIO: &str = "mnist-mlp";
/// The batch size of training, at which `C` is shown.
const BATCH: usize = 64;

/// What a reader who can not see it is told.
pub const TITLE: &str =
    "Test accuracy and C over training, with true labels and with labels dealt out at random";

/// A panel's frame in pixels.
struct Panel {
    left: f64,
    title: String,
    /// The values at the ends of the axis, and whether it is logarithmic.
    range: (f64, f64),
    logarithmic: bool,
    ticks: &'static [(f64, &'static str)],
}

const TOP: f64 = 60.0;
const HEIGHT: f64 = 200.0;
const WIDTH: f64 = 290.0;
/// The last step of the axis, which runs over the logarithm of the step plus one.
const LAST: f64 = 2000.0;

/// What is drawn of one kind of run.
struct Arm {
    class: &'static str,
    runs: Vec<Vec<(f64, f64)>>,
}

impl Panel {
    fn x(&self, step: f64) -> f64 {
        self.left + WIDTH * (step + 1.0).ln() / (LAST + 1.0).ln()
    }

    fn y(&self, value: f64) -> f64 {
        let (low, high) = self.range;
        let share = match self.logarithmic {
            true => (value / low).ln() / (high / low).ln(),
            false => (value - low) / (high - low),
        };
        TOP + HEIGHT * (1.0 - share.clamp(0.0, 1.0))
    }

    fn draw(&self, arms: &[Arm; 2]) -> String {
        let (left, right, bottom) = (self.left, self.left + WIDTH, TOP + HEIGHT);
        let mut svg = format!(
            "<text class=\"title\" x=\"{left}\" y=\"{}\">{}</text>\n",
            TOP - 14.0,
            self.title
        );
        for (value, label) in self.ticks {
            let y = self.y(*value);
            let class = if *label == "1" && self.logarithmic {
                "one"
            } else {
                "grid"
            };
            svg += &format!(
                "<path class=\"{class}\" d=\"M{left} {y:.1}H{right}\"/><text class=\"end\" x=\"{}\" y=\"{:.1}\">{label}</text>\n",
                left - 6.0,
                y + 4.0
            );
        }
        for (step, label) in [(0.0, "0"), (9.0, "10"), (99.0, "100"), (999.0, "1000")] {
            let x = self.x(step);
            svg += &format!(
                "<path class=\"grid\" d=\"M{x:.1} {bottom}v5\"/><text class=\"middle\" x=\"{x:.1}\" y=\"{}\">{label}</text>\n",
                bottom + 18.0
            );
        }
        svg += &format!(
            "<text class=\"middle\" x=\"{}\" y=\"{}\">step of training</text>\n",
            left + WIDTH / 2.0,
            bottom + 36.0
        );
        for arm in arms {
            for run in &arm.runs {
                svg += &self.line(&format!("{} run", arm.class), run);
            }
            svg += &self.line(&format!("{} mean", arm.class), &mean(&arm.runs));
        }
        svg
    }

    fn line(&self, class: &str, points: &[(f64, f64)]) -> String {
        let mut path = String::new();
        for (index, (step, value)) in points.iter().enumerate() {
            let letter = if index == 0 { "M" } else { "L" };
            write!(path, "{letter}{:.1} {:.1}", self.x(*step), self.y(*value))
                .expect("strings take all");
        }
        format!("<path class=\"{class}\" d=\"{path}\"/>\n")
    }
}

/// The mean over runs at each reading.
fn mean(runs: &[Vec<(f64, f64)>]) -> Vec<(f64, f64)> {
    let count = runs.len() as f64;
    let at = |index: usize| {
        let sum: f64 = runs.iter().map(|run| run[index].1).sum();
        (runs[0][index].0, sum / count)
    };
    (0..runs[0].len()).map(at).collect()
}

fn arms(curves: &[Curve], of: impl Fn(&Curve, usize) -> f64) -> [Arm; 2] {
    [(None, "plain"), (Some(Control::ShuffledLabels), "control")].map(|(control, class)| {
        // at the learning rate that verdicts rest on
        let own = curves
            .iter()
            .filter(|curve| curve.item == Item::new(curve.item.seed, control));
        let points = |curve: &Curve| {
            let steps = curve.readings.iter().enumerate();
            steps
                .map(|(index, r)| (r.step as f64, of(curve, index)))
                .collect()
        };
        Arm {
            class,
            runs: own.map(points).collect(),
        }
    })
}

/// Where the mean goes, and its lowest point where that is less than half of either end.
fn way(arm: &Arm) -> String {
    let line: Vec<f64> = mean(&arm.runs)
        .into_iter()
        .map(|(_, value)| value)
        .collect();
    let (first, last) = (line[0], line[line.len() - 1]);
    let lowest = line.into_iter().fold(f64::INFINITY, f64::min);
    match lowest < 0.5 * first.min(last) {
        true => format!("from {first:.2} down to {lowest:.2} and up to {last:.2}"),
        false => format!("from {first:.2} to {last:.2}"),
    }
}

/// The picture, and what it shows in a sentence of which the numbers are computed.
pub fn training() -> (String, String) {
    let recording = recording(SCENARIO)
        .expect("it is whole")
        .expect("it is recorded");
    let evidence = recording.evidence().expect("it is of training runs");
    let accuracy = arms(&evidence.curves, |curve, index| {
        curve.readings[index].accuracy
    });
    let ratio = arms(&evidence.curves, |curve, index| {
        let value = curve.readings[index].value(View::of_examples(Estimator::PerExample), BATCH);
        value
            .and_then(|v| v.c)
            .expect("the exact C is always there")
    });
    let [plain_accuracy, control_accuracy] = [way(&accuracy[0]), way(&accuracy[1])];
    let [plain_ratio, control_ratio] = [way(&ratio[0]), way(&ratio[1])];
    let caption = format!(
        "Training a small network on MNIST: accuracy goes {plain_accuracy} while C at the training batch of {BATCH} goes {plain_ratio}. With labels dealt out at random, where nothing can be learnt but by heart, accuracy goes {control_accuracy} and C {control_ratio}. Means and single runs of {} seeds.",
        accuracy[0].runs.len(),
    );
    let left = Panel {
        left: 50.0,
        title: "Test accuracy".into(),
        range: (0.0, 1.0),
        logarithmic: false,
        ticks: &[
            (0.0, "0"),
            (0.25, "0.25"),
            (0.5, "0.5"),
            (0.75, "0.75"),
            (1.0, "1"),
        ],
    };
    let right = Panel {
        left: 430.0,
        title: format!("C at a batch of {BATCH}"),
        range: (0.01, 10.0),
        logarithmic: true,
        ticks: &[(0.01, "0.01"), (0.1, "0.1"), (1.0, "1"), (10.0, "10")],
    };
    let legend = "<path class=\"plain mean\" d=\"M230 16h34\"/><text x=\"270\" y=\"20\">true labels</text>\n<path class=\"control mean\" d=\"M390 16h34\"/><text x=\"430\" y=\"20\">labels dealt out at random</text>\n";
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 740 305\" width=\"740\" role=\"img\" aria-label=\"{TITLE}\">\n<style>{STYLE}</style>\n<rect class=\"ground\" width=\"740\" height=\"305\"/>\n{legend}{}{}</svg>\n",
        left.draw(&accuracy),
        right.draw(&ratio)
    );
    (svg, caption)
}

const STYLE: &str = ":root{--ink:#24292f;--quiet:#d0d7de;--plain:#0969da;--control:#bc4c00;--ground:#fff}@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--quiet:#3d444d;--plain:#58a6ff;--control:#f0883e;--ground:#0d1117}}.ground{fill:var(--ground)}text{font:12px system-ui,sans-serif;fill:var(--ink)}.title{font-weight:600}.end{text-anchor:end}.middle{text-anchor:middle}path{fill:none}.grid{stroke:var(--quiet)}.one{stroke:var(--ink);stroke-width:1.5}.plain{stroke:var(--plain)}.control{stroke:var(--control);stroke-dasharray:7 4}.run{stroke-width:1;opacity:.35}.mean{stroke-width:2.5}";
