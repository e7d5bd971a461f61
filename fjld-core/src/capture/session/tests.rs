use super::*;
use candle_core::Device;

#[test]
fn inner_products_keep_the_draws_that_count_and_take_the_scale_of_both() -> Result<()> {
    let var = Var::zeros(1, DType::F64, &Device::Cpu)?;
    let mask = Tensor::new(&[[1f64], [0.], [1.]], &Device::Cpu)?;
    let capture = Capture::new(3, Reduction::Mean).interval().counted(mask);
    let session = Session::new(&capture, &[("one".into(), var)])?;
    // the rows and columns 0 and 2 of three, times 5^2
    let gram: Vec<f64> = (1..=9).map(f64::from).collect();
    assert_eq!(
        session.kept_products(gram, 5.0),
        Some(vec![25.0, 75.0, 175.0, 225.0])
    );
    Ok(())
}
