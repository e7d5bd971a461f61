use super::*;
use crate::rng::{Seed, standard_normals};
use candle_core::Device;
use proptest::prelude::*;

/// Sums of at most a few hundred products of normal draws.
const TOLERANCE: f64 = 1e-11;

fn draw(name: &str, shape: &[usize]) -> Result<Tensor> {
    let generator = &mut Seed::root(5).derive(name).generator();
    let values = standard_normals(generator, shape.iter().product());
    Tensor::from_vec(values, shape, &Device::Cpu)
}

fn gap(a: &Tensor, b: &Tensor) -> Result<f64> {
    (a - b)?.flatten_all()?.abs()?.max(0)?.to_scalar()
}

prop_compose! {
    /// A square window that fits into its image, and the shape of the images.
    fn windows()(
        examples in 1usize..3, groups in 1usize..4, channels in 1usize..4,
        kernel in 1usize..4, padding in 0usize..3, stride in 1usize..4, dilation in 1usize..3,
        spare in [0usize..6, 0usize..6],
    ) -> (Window, [usize; 4], usize) {
        let reach = dilation * (kernel - 1) + 1;
        let [height, width] = spare.map(|spare| reach.saturating_sub(2 * padding).max(1) + spare);
        let window = Window { kernel: [kernel; 2], padding: [padding; 2], stride, dilation };
        (window, [examples, groups * channels, height, width], groups)
    }
}

/// Both implementations against candle's convolution; folding against what defines it, `<fold p, x> = <p, unfold x>` for all
/// `p` and `x`. candle's own backward pass fails where the window leaves pixels over on one axis and not on the other.
fn check(window: Window, images: [usize; 4], groups: usize) -> Result<()> {
    let unfolding = Unfolding::new(window, images, groups)?;
    let x = draw("images", &images)?;
    let (out, channels) = (2, images[1] / groups);
    let [rows, columns] = window.kernel;
    let kernel = draw("kernel", &[groups * out, channels, rows, columns])?;
    let expected = x.conv2d(
        &kernel,
        window.padding[0],
        window.stride,
        window.dilation,
        groups,
    )?;
    let patch = unfolding.patch();
    let matrix = kernel
        .reshape((groups * out, channels, rows * columns))?
        .transpose(1, 2)?
        .contiguous()?
        .reshape((groups, 1, out, patch))?
        .broadcast_as((groups, images[0], out, patch))?
        .contiguous()?;
    let both = [
        (unfolding.unfold(&x)?, "slices"),
        (unfolding.unfold_tensors(&x)?, "tensors"),
    ];
    for (patches, by) in both {
        let got = matrix
            .matmul(&patches.t()?)?
            .transpose(0, 1)?
            .contiguous()?
            .reshape(expected.shape())?;
        assert!(gap(&got, &expected)? < TOLERANCE, "unfold by {by}");
        let other = draw("patches", patches.dims())?;
        let folded = match by {
            "slices" => unfolding.fold(&other)?,
            _ => unfolding.fold_tensors(&other)?,
        };
        let (ours, theirs) = ((folded * &x)?.sum_all()?, (other * patches)?.sum_all()?);
        assert!(gap(&ours, &theirs)? < TOLERANCE, "fold by {by}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn patches_times_a_kernel_are_candles_convolution((window, images, groups) in windows()) {
        check(window, images, groups).unwrap_or_else(|error| panic!("{window:?} on {images:?}: {error}"));
    }
}

#[test]
fn a_point_moves_the_channels_behind_the_positions() -> Result<()> {
    let x = Tensor::arange(0f32, 12., &Device::Cpu)?.reshape((1, 4, 1, 3))?;
    let unfolding = Unfolding::new(Window::POINT, [1, 4, 1, 3], 2)?;
    let patches = unfolding.unfold(&x)?;
    assert_eq!(
        patches.squeeze(1)?.to_vec3::<f32>()?,
        [
            [[0., 3.], [1., 4.], [2., 5.]],
            [[6., 9.], [7., 10.], [8., 11.]]
        ]
    );
    let back = unfolding.fold(&patches)?.flatten_all()?;
    assert_eq!(back.to_vec1::<f32>()?, x.flatten_all()?.to_vec1::<f32>()?);
    Ok(())
}

#[test]
fn a_window_that_does_not_fit_is_refused_with_its_size() {
    let window = Window {
        kernel: [3, 3],
        dilation: 2,
        ..Window::POINT
    };
    let error = Unfolding::new(window, [1, 1, 5, 4], 1)
        .expect_err("4 < 5")
        .to_string();
    assert!(error.contains("kernel: [3, 3]") && error.contains("[5, 4]"));
    for (channels, groups) in [(0, 1), (3, 2), (3, 0)] {
        let error = Unfolding::new(Window::POINT, [1, channels, 2, 2], groups)
            .expect_err("no equal groups")
            .to_string();
        assert!(error.starts_with(&format!(
            "{channels} channels do not make up {groups} groups"
        )));
    }
}

#[test]
fn a_border_wider_than_two_pixels_is_zeros_all_around() -> Result<()> {
    // taps far apart in an image that is mostly border: the window reaches over all of it
    let window = Window {
        kernel: [4, 4],
        padding: [3, 3],
        stride: 1,
        dilation: 3,
    };
    check(window, [2, 3, 4, 5], 1)?;
    // windows that lie on the border alone
    let window = Window {
        kernel: [2, 2],
        padding: [4, 4],
        stride: 3,
        dilation: 1,
    };
    check(window, [2, 2, 3, 1], 2)
}
