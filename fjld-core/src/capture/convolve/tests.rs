use super::*;
use crate::capture::unfold::Window;
use candle_core::Device;

#[test]
fn gradients_of_minibatches_are_sums_over_their_own_examples() -> Result<()> {
    // a window of 2 by 2 on images of 3 by 3 with 2 channels; more minibatches of 2 than tasks
    let (draws, group, out, channels, side) = (19, 2, 3, 2, 3);
    let examples = draws * group;
    let window = Window {
        kernel: [2, 2],
        ..Window::POINT
    };
    let unfolding = Unfolding::new(window, [examples, channels, side, side], 1)?;
    // small whole numbers, whose sums of products are exact
    let image = |example: usize, channel: usize, y: usize, x: usize| {
        ((7 * example + 5 * channel + 3 * y + x * x) % 11) as f64 - 4.0
    };
    let above = |example: usize, row: usize, y: usize, x: usize| {
        ((5 * example + 3 * row + 2 * y + x) % 7) as f64 - 3.0
    };
    let numbers = |width: usize, side: usize, f: &dyn Fn(usize, usize, usize, usize) -> f64| {
        let places = (0..examples * width * side * side).map(|at| {
            let (plane, pixel) = (at / (side * side), at % (side * side));
            f(plane / width, plane % width, pixel / side, pixel % side)
        });
        Tensor::from_iter(places, &Device::Cpu)?.reshape((examples, width, side, side))
    };
    // the definition, in the order (out; tap, channel)
    let gradient = |draw: usize| -> Vec<f64> {
        let mut entries = Vec::new();
        for (row, tap, channel) in (0..out * 4 * channels)
            .map(|at| (at / (4 * channels), at / channels % 4, at % channels))
        {
            let (down, right) = (tap / 2, tap % 2);
            let places = (0..4).map(|place| (place / 2, place % 2));
            let terms = places.flat_map(|(y, x)| {
                (draw * group..(draw + 1) * group).map(move |example| {
                    above(example, row, y, x) * image(example, channel, y + down, x + right)
                })
            });
            entries.push(terms.sum::<f64>());
        }
        entries
    };
    let gradients: Vec<Vec<f64>> = (0..draws).map(gradient).collect();
    let over_draws = |f: &dyn Fn(f64) -> f64| -> Vec<f64> {
        let entries = 0..gradients[0].len();
        entries
            .map(|k| gradients.iter().map(|g| f(g[k])).sum())
            .collect()
    };
    let norms = gradients
        .iter()
        .map(|g| g.iter().map(|g| g * g).sum::<f64>());
    let norms: Vec<f64> = norms.collect();
    let convolution = Convolution {
        unfolding: &unfolding,
        examples,
        out,
    };
    let (images, upstream) = (numbers(channels, side, &image)?, numbers(out, 2, &above)?);
    for ask in [Ask::Sum, Ask::Norms, Ask::Squares] {
        let got = convolution.sums::<f64>(&images, &upstream, group, ask)?;
        assert_eq!(got.sum, over_draws(&|g| g));
        if ask != Ask::Sum {
            assert_eq!(got.squared_norms, norms);
        }
        if ask == Ask::Squares {
            assert_eq!(got.squares, Some(over_draws(&|g| g * g)));
        }
    }
    Ok(())
}
