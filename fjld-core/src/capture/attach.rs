//! Values that we computed ourselves, placed into candle's graph with a backward step of our own.

use candle_core::backend::BackendStorage;
use candle_core::{
    CpuStorage, CudaStorage, CustomOp2, Error, InplaceOp1, Layout, Result, Shape, Tensor,
};
use std::sync::Mutex;

/// What to do with `dL/dz`: record the parameters' share, and return `dL/dx` if the flag says that it is wanted.
pub(crate) type Backward = Box<dyn Fn(&Tensor, bool) -> Result<Option<Tensor>> + Send + Sync>;

/// `dL/dx` from `dL/dz`.
pub(crate) type PullBack = Box<dyn Fn(&Tensor) -> Result<Tensor> + Send + Sync>;

/// `value` as a node of the graph that depends on `input` and `parameter`, and whose backward step is `backward`.
///
/// The storage of `value` is taken, not copied: it must be the fresh result of an operation, not a view of what others hold. No gradient of `parameter` goes into candle's store: a gradient found there later
/// came from elsewhere.
pub(crate) fn attach(
    input: &Tensor,
    parameter: &Tensor,
    value: Tensor,
    backward: Backward,
) -> Result<Tensor> {
    let value = value.contiguous()?;
    let shape = value.shape().clone();
    let taken = Taken(Mutex::new(None));
    // flat, as candle writes into no tensor with a stride of 0, which an empty one of several axes has
    value.flatten_all()?.inplace_op1(&taken)?;
    let node = Node {
        storage: taken.0,
        shape,
        input_wanted: input.track_op(),
        backward,
    };
    input.apply_op2(parameter, node)
}

/// As [`attach`], for a value without parameters; `backward` gives `dL/dx`.
pub(crate) fn attach_alone(input: &Tensor, value: Tensor, backward: PullBack) -> Result<Tensor> {
    // candle asks both arguments for their gradients; the second has none
    let nothing = Tensor::zeros(1, input.dtype(), input.device())?;
    attach(
        input,
        &nothing,
        value,
        Box::new(move |upstream, wanted| wanted.then(|| backward(upstream)).transpose()),
    )
}

enum AnyStorage {
    Cpu(CpuStorage),
    Cuda(CudaStorage),
}

/// Takes the storage out of a tensor that nobody else holds.
struct Taken(Mutex<Option<AnyStorage>>);

impl InplaceOp1 for Taken {
    fn name(&self) -> &'static str {
        "take"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, _: &Layout) -> Result<()> {
        let taken = std::mem::replace(storage, CpuStorage::U8(Vec::new()));
        *self.0.lock().expect("no holder of this lock panics") = Some(AnyStorage::Cpu(taken));
        Ok(())
    }

    fn cuda_fwd(&self, storage: &mut CudaStorage, layout: &Layout) -> Result<()> {
        // there is no empty storage to leave behind
        let copy = storage.try_clone(layout)?;
        *self.0.lock().expect("no holder of this lock panics") = Some(AnyStorage::Cuda(copy));
        Ok(())
    }
}

/// The node: it gives out the storage once, and keeps the backward step.
struct Node {
    storage: Mutex<Option<AnyStorage>>,
    shape: Shape,
    input_wanted: bool,
    backward: Backward,
}

impl Node {
    fn take(&self) -> Option<AnyStorage> {
        let mut storage = self.storage.lock().expect("no holder of this lock panics");
        storage.take()
    }
}

const ELSEWHERE: &str = "the input and the parameters of a captured layer lie on different devices";

impl CustomOp2 for Node {
    fn name(&self) -> &'static str {
        "captured layer"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        match self.take() {
            Some(AnyStorage::Cpu(storage)) => Ok((storage, self.shape.clone())),
            _ => Err(Error::Msg(ELSEWHERE.into())),
        }
    }

    fn cuda_fwd(
        &self,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        match self.take() {
            Some(AnyStorage::Cuda(storage)) => Ok((storage, self.shape.clone())),
            _ => Err(Error::Msg(ELSEWHERE.into())),
        }
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        upstream: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Ok(((self.backward)(upstream, self.input_wanted)?, None))
    }
}

#[cfg(all(test, not(feature = "cuda")))]
mod tests;
