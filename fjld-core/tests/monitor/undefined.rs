//! What can not be measured is an event with its reason, and what is wrong with the program an error.

use super::*;
use fjld_core::Phase;

fn reasons(step: &Step) -> Vec<&str> {
    step.events
        .iter()
        .map(|event| match &event.what {
            What::Undefined(reason) | What::NotFinite(reason) => reason.as_str(),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn a_loss_that_is_no_number_is_an_event_and_training_goes_on() -> Result<()> {
    let subject = Subject::new()?;
    let mut monitor = Monitor::new(4, Schedule::every(2)?)?;
    let broken = [[f64::NAN, 0.0, 0.0]; 4];
    let due = subject.step(&mut monitor, 0, &broken)?;
    assert!(due.loss.is_nan());
    assert_eq!(reasons(&due), ["the loss is NaN", "the loss is NaN"]);
    let reading = due.reading.as_ref().expect("step 0 is due");
    assert_eq!((reading.phase, reading.loss), (Phase::Undefined, None));
    assert_eq!(
        reading.line("Epoch", 0),
        "Epoch 0: C_α is undefined [UNDEFINED]: the loss is NaN"
    );
    // said once, not at every step that follows
    assert_eq!(reasons(&subject.step(&mut monitor, 1, &broken)?), [""; 0]);
    assert!(
        subject
            .step(&mut monitor, 2, &rows(4, 1.0, 2))?
            .events
            .is_empty()
    );
    assert_eq!(
        reasons(&subject.step(&mut monitor, 3, &broken)?),
        ["the loss is NaN"]
    );
    Ok(())
}

#[test]
fn a_gradient_that_is_no_number_beside_a_finite_loss_is_an_event() -> Result<()> {
    let w = Var::from_slice(&[1.0f64], 1, &Device::Cpu)?;
    let parameters = [("w".to_owned(), w.clone())];
    let mut monitor = Monitor::new(3, Schedule::every(1)?)?.microbatches(3)?;
    // the root has no slope at 0
    let step = monitor.step(0, 3, &parameters, |_| w.sub(&w.detach())?.sqrt()?.sum_all())?;
    assert_eq!(step.loss, 0.0);
    assert_eq!(reasons(&step), ["the gradient of `w` is not finite"]);
    Ok(())
}

#[test]
fn a_gradient_too_large_for_its_square_is_an_error_that_says_so_and_no_event() -> Result<()> {
    // every entry is a number, their sum, 2e308, is none
    let w = Var::zeros(20, DType::F64, &Device::Cpu)?;
    let parameters = [("w".to_owned(), w.clone())];
    let mut monitor = Monitor::new(3, Schedule::every(1)?)?.microbatches(3)?;
    let error = monitor.step(0, 3, &parameters, |_| (w.as_tensor() * 1e307)?.sum_all());
    let error = error.expect_err("1e614 is no number").to_string();
    assert!(
        error.contains("every entry must be at most 3e144"),
        "{error}"
    );
    Ok(())
}

#[test]
fn a_single_example_two_and_equal_ones_are_undefined_each_with_its_reason() -> Result<()> {
    let subject = Subject::new()?;
    let mut monitor = Monitor::new(8, Schedule::every(1)?)?;
    let single = subject.step(&mut monitor, 0, &rows(1, 1.0, 0))?;
    assert_eq!(
        reasons(&single),
        ["1 samples were given; a variance needs at least 2"]
    );
    let two = subject.step(&mut monitor, 1, &rows(2, 1.0, 1))?;
    assert_eq!(
        reasons(&two),
        ["an interval needs at least 3 samples; there are 2"]
    );
    let reading = two.reading.expect("every step is due");
    assert!(reading.c.is_some() && reading.interval.is_none());
    let equal = subject.step(&mut monitor, 2, &[[0.1, 0.2, 0.3]; 8])?;
    assert!(
        reasons(&equal)[0].starts_with("the noise vanished"),
        "{:?}",
        equal.events
    );
    Ok(())
}

#[test]
fn a_parameter_that_is_not_measured_is_an_error_and_no_event() -> Result<()> {
    let w = Var::from_slice(&[1.0f64, 2.0], (2, 1), &Device::Cpu)?;
    let x = Tensor::new(&[[1.0f64, 2.0], [3.0, 4.0]], &Device::Cpu)?;
    let mut monitor = Monitor::new(2, Schedule::every(1)?)?;
    let parameters = [("w".to_owned(), w.clone())];
    let error = monitor.step(0, 2, &parameters, |_| x.matmul(&w)?.mean_all());
    let error = error.expect_err("w is no captured layer's").to_string();
    assert!(
        error.contains("`w` received a gradient outside the captured layers"),
        "{error}"
    );
    let error = monitor.step(0, 2, &parameters, |_| x.matmul(&w));
    assert!(
        error
            .expect_err("no scalar")
            .to_string()
            .contains("the loss has shape [2, 1]")
    );
    Ok(())
}
