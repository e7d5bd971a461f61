//! What both routes measure, in plain numbers.

use crate::subject::{EXAMPLES, Subject};
use candle_core::{DType, Tensor};
use fjld_core::capture::{Capture, Reduction};
use fjld_core::{Error, Moments, Ratio, Result};

/// Quantities by name, each as its numbers in a fixed order.
pub struct Measured(Vec<(&'static str, Vec<f64>)>);

impl Measured {
    /// The quantity with the largest gap, `max |got - expected| / max |expected|`, and the gap; infinite where a number is NaN.
    pub fn worst_gap(&self, expected: &Self) -> (&'static str, f64) {
        let mut worst = ("", 0.0);
        for ((name, got), (_, expected)) in self.0.iter().zip(&expected.0) {
            let size = largest(expected.iter().copied());
            let gap = largest(got.iter().zip(expected).map(|(g, e)| (g - e) / size));
            if gap >= worst.1 {
                worst = (name, gap);
            }
        }
        worst
    }
}

/// The largest size of a number, infinite if one is NaN.
fn largest(numbers: impl Iterator<Item = f64>) -> f64 {
    numbers.fold(0.0, |most, x| match x.is_nan() {
        true => f64::INFINITY,
        false => most.max(x.abs()),
    })
}

/// One forward and backward pass.
pub fn captured(subject: &Subject) -> Result<Measured> {
    let capture = Capture::new(EXAMPLES, Reduction::Mean);
    let captured = capture
        .rows()
        .diagonal()
        .interval()
        .run(&subject.parameters, || (subject.loss)(0, EXAMPLES))?;
    let statistics = &captured.statistics;
    let (mut means, mut variances) = (Vec::new(), Vec::new());
    for parameter in statistics.parameters() {
        means.extend(numbers(&parameter.mean()?)?);
        variances.extend(numbers(&wanted(parameter.variances()?)?)?);
    }
    let rows = numbers(&wanted(statistics.rows()?)?)?;
    let mut gradients = Vec::new();
    for (name, var) in &subject.parameters {
        let own = captured.gradients.get(var).ok_or_else(|| missing(name))?;
        gradients.extend(numbers(own)?);
    }
    Ok(Measured(vec![
        ("per-example gradients", rows),
        ("squared norms", statistics.squared_norms()),
        ("mean gradient", means),
        ("variances", variances),
        ("gradient for the optimiser", gradients),
        ("ratio", vec![ratio(&statistics.ratio(0.95)?)?]),
    ]))
}

/// One forward and backward pass an example, and one of the whole batch.
pub fn plain(subject: &Subject) -> Result<Measured> {
    let gradient = |start: usize, count: usize| -> Result<Vec<f64>> {
        let store = (subject.loss)(start, count)?.backward()?;
        let mut flat = Vec::new();
        for (name, var) in &subject.parameters {
            flat.extend(numbers(store.get(var).ok_or_else(|| missing(name))?)?);
        }
        Ok(flat)
    };
    let rows = (0..EXAMPLES)
        .map(|example| gradient(example, 1))
        .collect::<Result<Vec<_>>>()?;
    let mut moments = Moments::new(rows[0].len())?;
    for row in &rows {
        moments.push(row)?;
    }
    let norms = rows.iter().map(|row| row.iter().map(|g| g * g).sum());
    Ok(Measured(vec![
        ("per-example gradients", rows.concat()),
        ("squared norms", norms.collect()),
        ("mean gradient", moments.mean().to_vec()),
        ("variances", moments.variances()?),
        ("gradient for the optimiser", gradient(0, EXAMPLES)?),
        ("ratio", vec![ratio(&Ratio::estimate(&moments, 0.95)?)?]),
    ]))
}

fn ratio(ratio: &Ratio) -> Result<f64> {
    match &ratio.estimates {
        Ok(estimates) => Ok(estimates.plug_in),
        Err(reason) => Err(Error::Capture(reason.to_string())),
    }
}

fn numbers(tensor: &Tensor) -> Result<Vec<f64>> {
    Ok(tensor.flatten_all()?.to_dtype(DType::F64)?.to_vec1()?)
}

fn wanted(tensor: Option<Tensor>) -> Result<Tensor> {
    tensor.ok_or_else(|| Error::Capture("the capture kept too little".into()))
}

fn missing(name: &str) -> Error {
    Error::Capture(format!("`{name}` received no gradient"))
}
