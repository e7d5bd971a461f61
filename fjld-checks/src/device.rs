//! Where the tensors of training runs live. Everything else, the studies and every judgement, is computed on the processor.

use crate::error::{Error, Result};
use candle_core::Device;

/// A device, as the command line names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum DeviceName {
    /// The processor.
    Cpu,
    /// The first GPU that CUDA finds; the program has to be built for it.
    Cuda,
}

impl DeviceName {
    /// The device.
    ///
    /// # Errors
    /// When this program was built without it, or the machine has none.
    pub fn open(self) -> Result<Device> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda => cuda(),
        }
    }
}

#[cfg(feature = "cuda")]
fn cuda() -> Result<Device> {
    Device::new_cuda(0).map_err(|e| {
        Error::input(format!(
            "--device cuda: no GPU can be used: {e}; accepted is cpu"
        ))
    })
}

#[cfg(not(feature = "cuda"))]
fn cuda() -> Result<Device> {
    Err(Error::input(
        "--device cuda: this program was built without CUDA; accepted is cpu, or a build by `cargo build --release -p fjld-checks --features cuda`, which takes the CUDA toolkit",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(not(feature = "cuda"))]
    fn without_the_feature_a_gpu_is_refused_with_how_to_build() {
        let said = DeviceName::Cuda.open().expect_err("it was built without");
        assert!(said.to_string().contains("--features cuda"), "{said}");
        assert!(DeviceName::Cpu.open().is_ok_and(|device| device.is_cpu()));
    }
}
