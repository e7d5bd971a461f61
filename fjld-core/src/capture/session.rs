//! A pass in progress: which parameters were used, and what their layers hand in.
//!
//! [`Capture::run`] opens a session on its thread; every layer called inside it announces the parameters it uses, and its backward
//! step hands in their per-example gradients, which are reduced and dropped as soon as the last use of a parameter has come in. A
//! parameter that gets a gradient by any other way is an error, not a number that lacks a part.

use super::LayerPair;
use super::dense::Ask;
use super::per_example::{PerExample, joined};
use super::reduce::{PerDraw, widened};
use super::request::{Capture, Captured, Reduction, Unit, Wants};
use super::statistics::{ParameterStatistics, Statistics, layer_of};
use crate::error::{Error, Result};
use candle_core::{DType, Tensor, TensorId, Var, backprop::GradStore};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

/// A pass in progress.
pub(crate) struct Session {
    examples: usize,
    /// Examples in a draw.
    group: usize,
    unit: Unit,
    reduction: Reduction,
    wants: Wants,
    counted: Option<Tensor>,
    /// Whether each draw counts.
    kept: Vec<bool>,
    slots: HashMap<TensorId, usize>,
    progress: Mutex<Vec<Progress>>,
    gram: Mutex<Vec<f64>>,
    pairs: Mutex<Vec<(usize, LayerPair)>>,
}

/// How far one parameter is.
#[derive(Default)]
struct Progress {
    announced: usize,
    waiting: Vec<Box<dyn PerExample>>,
    arrived: usize,
    reduced: Option<Reduced>,
}

struct Reduced {
    sum: Tensor,
    squared_norms: PerDraw,
    sum_of_squares: Option<Tensor>,
    rows: Option<Tensor>,
}

/// A layer's parameters as the session knows them; none of them where they are frozen.
pub(crate) struct Announced<'a> {
    pub weight: Option<usize>,
    pub bias: Option<usize>,
    /// What the layer's node has to depend on for its backward step to be reached: a parameter that is trained, if there is one.
    pub anchor: &'a Tensor,
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Session>>> = const { RefCell::new(None) };
}

/// Makes a session the thread's own until dropped, by a panic too.
pub(super) struct Open;

impl Open {
    pub fn new(session: &Arc<Session>) -> Result<Self> {
        CURRENT.with_borrow_mut(|current| {
            if current.is_some() {
                return Err(Error::Capture(
                    "a capture is already running on this thread; one must end before the next begins".into(),
                ));
            }
            *current = Some(session.clone());
            Ok(Self)
        })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        CURRENT.with_borrow_mut(|current| *current = None);
    }
}

fn refuse<T>(message: String) -> candle_core::Result<T> {
    Err(candle_core::Error::Msg(message))
}

impl Session {
    pub fn new(capture: &Capture, parameters: &[(String, Var)]) -> Result<Self> {
        let examples = capture.examples;
        let group = match capture.unit {
            Unit::Minibatch(size) => size,
            Unit::Example | Unit::Token => 1,
        };
        if group == 0 || examples == 0 || !examples.is_multiple_of(group) {
            return Err(Error::Capture(format!(
                "{examples} examples do not make up minibatches of {group}; both must be positive and the first a multiple of the second"
            )));
        }
        let mut slots = HashMap::new();
        for (slot, (name, var)) in parameters.iter().enumerate() {
            if slots.insert(var.as_tensor().id(), slot).is_some() {
                return Err(Error::SameName { name: name.clone() });
            }
        }
        if slots.is_empty() {
            return Err(Error::NoCoordinates);
        }
        let kept = match &capture.counted {
            None => vec![true; examples / group],
            Some(_) if group > 1 => {
                return Err(Error::Capture(
                    "padding and minibatches of several examples can not be combined: leave the padded examples out of the batch".into(),
                ));
            }
            Some(mask) => counted_examples(mask, examples)?,
        };
        Ok(Self {
            examples,
            group,
            unit: capture.unit,
            reduction: capture.reduction,
            wants: capture.wants,
            counted: capture.counted.clone(),
            kept,
            progress: Mutex::new(parameters.iter().map(|_| Progress::default()).collect()),
            slots,
            gram: Mutex::default(),
            pairs: Mutex::default(),
        })
    }

    /// Examples in a draw.
    pub fn group(&self) -> usize {
        self.group
    }

    /// The session of this thread, if there is one.
    pub fn current() -> Option<Arc<Self>> {
        CURRENT.with_borrow(Clone::clone)
    }

    fn progress(&self) -> MutexGuard<'_, Vec<Progress>> {
        self.progress.lock().expect("no holder of this lock panics")
    }

    /// Says that a layer is about to use a tensor: its slot if it is a parameter, nothing if it is frozen.
    pub fn announce(&self, tensor: &Tensor) -> candle_core::Result<Option<usize>> {
        let Some(&slot) = self.slots.get(&tensor.id()) else {
            return if tensor.is_variable() {
                refuse(format!(
                    "a captured layer has a trainable parameter of shape {:?} that is not in the list of parameters; add it, or detach it",
                    tensor.dims()
                ))
            } else if tensor.track_op() {
                refuse(format!(
                    "a parameter of shape {:?} is computed from other variables; a captured layer needs the variable itself",
                    tensor.dims()
                ))
            } else {
                Ok(None)
            };
        };
        self.progress()[slot].announced += 1;
        Ok(Some(slot))
    }

    /// Says that a layer is about to use a weight and perhaps a bias.
    pub fn announce_both<'a>(
        &self,
        weight: &'a Tensor,
        bias: Option<&'a Tensor>,
    ) -> candle_core::Result<Announced<'a>> {
        let weight_slot = self.announce(weight)?;
        let bias_slot = match bias {
            Some(bias) => self.announce(bias)?,
            None => None,
        };
        let anchor = match (weight_slot, bias_slot, bias) {
            (None, Some(_), Some(bias)) => bias,
            _ => weight,
        };
        Ok(Announced {
            weight: weight_slot,
            bias: bias_slot,
            anchor,
        })
    }

    /// Refuses an input whose first axis is not the examples.
    pub fn check_input(&self, input: &Tensor) -> candle_core::Result<()> {
        match input.dims() {
            [first, _, ..] if *first == self.examples => Ok(()),
            dims => refuse(format!(
                "a captured layer was given an input of shape {dims:?}; its first axis must be the {} examples of the batch",
                self.examples
            )),
        }
    }

    /// `[examples, ..., k]` as `[draws, positions, k]`: positions of one draw next to each other, in a type wide enough to add in.
    pub fn positions(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let width = x.dim(candle_core::D::Minus1)?;
        let draws = self.examples / self.group;
        let positions = x.elem_count() / (draws * width).max(1);
        widened(x)?.reshape((draws, positions, width))?.contiguous()
    }

    /// Takes in one use of a parameter; the last one has it reduced.
    pub fn record(&self, slot: usize, gradients: Box<dyn PerExample>) -> candle_core::Result<()> {
        let waiting = {
            let mut progress = self.progress();
            let own = &mut progress[slot];
            own.waiting.push(gradients);
            own.arrived += 1;
            if own.arrived < own.announced {
                return Ok(());
            }
            std::mem::take(&mut own.waiting)
        };
        let gradients = joined(waiting)?;
        let totals = gradients.totals(self.ask())?;
        let reduced = Reduced {
            sum: totals.sum,
            squared_norms: totals.squared_norms,
            sum_of_squares: totals.sum_of_squares,
            rows: match self.wants.rows {
                true => Some(gradients.rows(0, gradients.draws()?)?),
                false => None,
            },
        };
        if self.wants.gram {
            let own = gradients.gram()?;
            let mut gram = self.gram.lock().expect("no holder of this lock panics");
            if gram.is_empty() {
                *gram = own;
            } else {
                gram.iter_mut().zip(own).for_each(|(all, own)| *all += own);
            }
        }
        self.progress()[slot].reduced = Some(reduced);
        Ok(())
    }

    fn ask(&self) -> Ask {
        match self.wants {
            Wants {
                gradient_alone: true,
                ..
            } => Ask::Sum,
            Wants { diagonal: true, .. } => Ask::Squares,
            _ => Ask::Norms,
        }
    }

    /// Whether [`Self::record_pair`] keeps anything.
    pub fn wants_pairs(&self) -> bool {
        self.wants.pairs
    }

    /// Keeps what a layer with the weight in `slot` saw, where that was asked for. Both are `[draws, positions, k]`.
    pub fn record_pair(
        &self,
        slot: usize,
        inputs: &Tensor,
        upstream: &Tensor,
        bias: bool,
    ) -> candle_core::Result<()> {
        if !self.wants.pairs {
            return Ok(());
        }
        let positions = inputs.dim(1)?;
        let counted = match &self.counted {
            Some(mask) if mask.dim(1)? == positions => Some(self.keep(mask)?),
            Some(mask) if positions > 1 => {
                return refuse(format!(
                    "a layer has {positions} positions an example where the mask of padding has {}",
                    mask.dim(1)?
                ));
            }
            _ => None,
        };
        let pair = LayerPair {
            layer: String::new(),
            inputs: self.keep(inputs)?,
            gradients: (self.keep(upstream)? * self.scale())?,
            bias,
            counted,
        };
        let mut pairs = self.pairs.lock().expect("no holder of this lock panics");
        pairs.push((slot, pair));
        Ok(())
    }

    /// The draws that count.
    fn keep(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        if self.kept.iter().all(|&kept| kept) {
            return Ok(x.clone());
        }
        let kept: Vec<u32> = (0u32..)
            .zip(&self.kept)
            .filter_map(|(index, &kept)| kept.then_some(index))
            .collect();
        x.index_select(&Tensor::new(kept, x.device())?, 0)
    }

    fn draws(&self) -> usize {
        self.kept.iter().filter(|&&kept| kept).count()
    }

    /// What a draw's share of the gradient of the loss as given is multiplied by to be the draw.
    fn scale(&self) -> f64 {
        match self.reduction {
            Reduction::Sum => 1.0 / self.group as f64,
            Reduction::Mean => self.draws() as f64,
        }
    }

    /// Puts everything together after the backward pass.
    pub fn finish(
        &self,
        parameters: &[(String, Var)],
        loss: f64,
        mut gradients: GradStore,
    ) -> Result<Captured> {
        let scale = self.scale();
        let mut measured = Vec::with_capacity(parameters.len());
        let mut progress = std::mem::take(&mut *self.progress());
        let reduced = progress.iter_mut().filter_map(|own| own.reduced.as_mut());
        let norms = reduced.map(|own| std::mem::replace(&mut own.squared_norms, PerDraw::NONE));
        let mut norms = PerDraw::all_on_host(norms.collect())?.into_iter();
        for ((name, var), progress) in parameters.iter().zip(progress) {
            let elsewhere = gradients.get(var).is_some();
            let Some((reduced, norms)) = progress.reduced.zip(norms.next()) else {
                return Err(match (elsewhere, progress.arrived) {
                    (true, _) => Error::UncapturedUse { name: name.clone() },
                    (false, 0) => Error::NoGradient {
                        name: name.clone(),
                        shape: var.dims().to_vec(),
                    },
                    (false, arrived) => Error::Capture(format!(
                        "the backward pass reached {arrived} of the {} uses of parameter `{name}`; every use must lead to the loss through operations that candle differentiates",
                        progress.announced
                    )),
                });
            };
            if elsewhere {
                return Err(Error::UncapturedUse { name: name.clone() });
            }
            let gradient = reduced.sum.reshape(var.shape())?.to_dtype(var.dtype())?;
            gradients.insert(var, gradient);
            for (draw, (&kept, &norm)) in self.kept.iter().zip(&norms).enumerate() {
                if !kept && norm != 0.0 {
                    return Err(Error::Capture(format!(
                        "example {draw} has no position that counts, and yet a gradient in `{name}`; its loss must be masked too"
                    )));
                }
            }
            let kept_norms = self.kept.iter().zip(&norms);
            let resolution = match var.dtype() {
                DType::F64 => f64::EPSILON,
                // whatever is narrower was multiplied and added in f32
                _ => f64::from(f32::EPSILON),
            };
            measured.push(ParameterStatistics {
                resolution,
                name: name.clone(),
                shape: var.dims().to_vec(),
                sum: reduced.sum,
                scale,
                squared_norms: kept_norms
                    .filter(|&(&kept, _)| kept)
                    .map(|(_, norm)| norm * scale * scale)
                    .collect(),
                sum_of_squares: reduced.sum_of_squares,
                rows: match reduced.rows {
                    Some(rows) => Some((self.keep(&rows)? * scale)?),
                    None => None,
                },
            });
        }
        let gram = std::mem::take(&mut *self.gram.lock().expect("no holder of this lock panics"));
        let statistics = Statistics::new(self.unit, measured, self.kept_products(gram, scale))?;
        Ok(Captured {
            loss,
            gradients,
            statistics,
            pairs: self.named_pairs(parameters)?,
        })
    }

    /// The inner products of the draws that count, scaled; nothing if they were not measured.
    fn kept_products(&self, gram: Vec<f64>, scale: f64) -> Option<Vec<f64>> {
        if !self.wants.gram {
            return None;
        }
        let n = self.kept.len();
        let pairs = gram.into_iter().enumerate();
        Some(
            pairs
                .filter(|(at, _)| self.kept[at / n] && self.kept[at % n])
                .map(|(_, product)| product * scale * scale)
                .collect(),
        )
    }

    /// The pairs under the names of their layers, in the order of the parameters; the uses of one weight as positions of one pair.
    fn named_pairs(&self, parameters: &[(String, Var)]) -> Result<Vec<LayerPair>> {
        let mut pairs =
            std::mem::take(&mut *self.pairs.lock().expect("no holder of this lock panics"));
        // the last use is the first to come in
        pairs.reverse();
        pairs.sort_by_key(|(slot, _)| *slot);
        let mut named: Vec<LayerPair> = Vec::new();
        let mut last = None;
        for (slot, pair) in pairs {
            match named.last_mut() {
                Some(previous) if last == Some(slot) => previous.add_positions(&pair)?,
                _ => named.push(LayerPair {
                    layer: layer_of(&parameters[slot].0).to_owned(),
                    ..pair
                }),
            }
            last = Some(slot);
        }
        Ok(named)
    }
}

/// Which examples have a position that counts.
fn counted_examples(mask: &Tensor, examples: usize) -> Result<Vec<bool>> {
    let dims = mask.dims();
    if dims.len() != 2 || dims[0] != examples {
        return Err(Error::Capture(format!(
            "the mask of padding has shape {dims:?}; it must be [{examples}, positions]"
        )));
    }
    let rows = mask.to_dtype(DType::F64)?.to_vec2::<f64>()?;
    if let Some(value) = rows.iter().flatten().find(|&&v| v != 0.0 && v != 1.0) {
        return Err(Error::Capture(format!(
            "the mask of padding holds {value}; every entry must be 0 or 1"
        )));
    }
    let kept: Vec<bool> = rows.iter().map(|row| row.contains(&1.0)).collect();
    if !kept.contains(&true) {
        return Err(Error::TooFewSamples {
            what: "a batch with padding",
            needed: 1,
            got: 0,
        });
    }
    Ok(kept)
}

#[cfg(test)]
mod tests;
