//! By what candle puts in the place of the storage of devices it was built without.

use super::*;
use candle_core::MetalStorage;

fn node(storage: AnyStorage) -> Node {
    Node {
        storage: Mutex::new(Some(storage)),
        shape: Shape::from(3),
        input_wanted: false,
        backward: Box::new(|_, _| Ok(None)),
    }
}

#[test]
fn a_node_gives_its_storage_out_once_and_on_its_own_device() -> Result<()> {
    let layout = Layout::contiguous(3);
    let on_cuda = |node: &Node| node.cuda_fwd(&CudaStorage, &layout, &CudaStorage, &layout);
    let there = node(AnyStorage::Cuda(CudaStorage));
    assert_eq!(on_cuda(&there)?.1.dims(), [3]);
    let again = on_cuda(&there).expect_err("it is gone");
    let here = node(AnyStorage::Cpu(CpuStorage::F32(vec![0.0; 3])));
    let elsewhere = on_cuda(&here).expect_err("it lies on the host");
    assert_eq!(
        [again, elsewhere].map(|e| e.to_string()),
        [ELSEWHERE, ELSEWHERE]
    );
    Ok(())
}

#[test]
fn a_storage_that_can_not_be_copied_is_an_error_and_not_taken() {
    let taken = Taken(Mutex::new(None));
    let result = taken.cuda_fwd(&mut CudaStorage, &Layout::contiguous(3));
    assert!(result.is_err());
    assert!(taken.0.lock().expect("nobody panicked").is_none());
}

#[test]
fn a_device_without_a_way_through_is_refused_with_the_name_of_what_has_none() {
    let layout = Layout::contiguous(3);
    let taking = Taken(Mutex::new(None)).metal_fwd(&mut MetalStorage, &layout);
    let error = taking.expect_err("there is no way").to_string();
    assert!(
        error.contains("no metal implementation for take"),
        "{error}"
    );
    let node = node(AnyStorage::Cpu(CpuStorage::F32(vec![0.0; 3])));
    let placing = node.metal_fwd(&MetalStorage, &layout, &MetalStorage, &layout);
    let error = placing.expect_err("there is no way").to_string();
    assert!(
        error.contains("no metal implementation for captured layer"),
        "{error}"
    );
}
