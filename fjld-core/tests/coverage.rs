//! A few cells of the committed coverage table, drawn afresh through the public path: samples, moments, interval.

use fjld_core::rng::{Seed, standard_normals};
use fjld_core::{Moments, Ratio};

const TABLE: &str = include_str!("../coverage/coverage.csv");

const REPETITIONS: usize = 400;

/// The table has 1000 repetitions of its own.
const RECORDED: f64 = 1000.0;

/// No cell of Gaussian noise may cover less. The table's least is .91, and three standard errors of 400 repetitions are .043.
const FLOOR: f64 = 0.86;

struct Cell {
    d: usize,
    condition: f64,
    mean: &'static str,
    n: usize,
    ratio: f64,
}

/// The table's coverage of the library's interval in one cell of Gaussian noise.
fn recorded(cell: &Cell) -> f64 {
    let mut lines = TABLE.lines();
    let header: Vec<&str> = lines
        .next()
        .expect("a table has a header")
        .split(',')
        .collect();
    let column = |name: &str| {
        header
            .iter()
            .position(|h| *h == name)
            .expect("the table has this column")
    };
    let wanted = [
        ("d", cell.d.to_string()),
        ("condition", format!("{:e}", cell.condition)),
        ("law", "normal".to_owned()),
        ("mean", cell.mean.to_owned()),
        ("n", cell.n.to_string()),
        ("C", cell.ratio.to_string()),
    ]
    .map(|(name, value)| (column(name), value));
    let line = lines
        .map(|line| line.split(',').collect::<Vec<_>>())
        .find(|fields| wanted.iter().all(|(at, value)| fields[*at] == value))
        .expect("the table has this cell");
    line[column("covers_matched")]
        .parse()
        .expect("coverages are numbers")
}

fn covers(cell: &Cell) -> f64 {
    let seed = Seed::root(77).derive(&format!("{} {} {}", cell.d, cell.n, cell.ratio));
    let steps = (cell.d.max(2) - 1) as f64;
    let variances: Vec<f64> = (0..cell.d)
        .map(|j| cell.condition.powf(-(j as f64) / steps))
        .collect();
    let trace: f64 = variances.iter().sum();
    let length = (cell.ratio * trace).sqrt();
    let mean = |j: usize| match (cell.mean, j) {
        ("even", _) => length / (cell.d as f64).sqrt(),
        (_, 0) => length,
        _ => 0.0,
    };
    let generator = &mut seed.generator();
    let mut covered = 0;
    for _ in 0..REPETITIONS {
        let mut samples = standard_normals(generator, cell.n * cell.d);
        for row in samples.chunks_mut(cell.d) {
            for (j, x) in row.iter_mut().enumerate() {
                *x = mean(j) + variances[j].sqrt() * *x;
            }
        }
        let mut moments = Moments::new(cell.d).expect("d is not 0");
        moments.push_batch(&samples).expect("draws are finite");
        let interval = Ratio::estimate(&moments, 0.95)
            .expect("there are samples")
            .estimates
            .and_then(|e| e.interval)
            .expect("normal draws are noisy");
        covered += usize::from((interval.low..=interval.high).contains(&cell.ratio));
    }
    covered as f64 / REPETITIONS as f64
}

#[test]
fn the_interval_covers_what_the_table_says_and_never_less_than_the_floor() {
    let cell = |d, condition, mean, n, ratio| Cell {
        d,
        condition,
        mean,
        n,
        ratio,
    };
    for cell in [
        cell(1, 1.0, "top", 10, 1.0),
        cell(1, 1.0, "top", 100, 0.01),
        cell(3, 1e8, "even", 30, 0.1),
        cell(10, 1e2, "top", 30, 10.0),
        cell(100, 1.0, "even", 10, 100.0),
        cell(100, 1e4, "top", 100, 0.01),
        cell(1000, 1.0, "top", 10, 0.1),
        cell(3, 1e4, "even", 1000, 0.01),
    ] {
        let (now, then) = (covers(&cell), recorded(&cell));
        let variance = then.clamp(0.9, 0.99) * (1.0 - then.clamp(0.9, 0.99));
        // four standard errors of the difference of two coverages: 1 in 2000 for eight cells
        let tolerance = 4.0 * (variance * (1.0 / REPETITIONS as f64 + 1.0 / RECORDED)).sqrt();
        let place = format!(
            "d {}, condition {:e}, mean {}, n {}, C {}: covers {now}, the table says {then}",
            cell.d, cell.condition, cell.mean, cell.n, cell.ratio
        );
        assert!((now - then).abs() <= tolerance, "{place} +- {tolerance:.3}");
        assert!(now >= FLOOR, "{place}, the floor is {FLOOR}");
    }
}
