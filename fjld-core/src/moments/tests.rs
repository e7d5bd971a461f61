use super::*;
use crate::ranks::on_threads;
use crate::rng::{Seed, standard_normals};
use approx::assert_relative_eq;

fn draws(rows: usize, d: usize, shift: f64) -> Vec<f64> {
    let mut values = standard_normals(&mut Seed::root(11).generator(), rows * d);
    values.iter_mut().for_each(|v| *v += shift);
    values
}

/// Mean and trace by the textbook's two passes.
fn two_pass(samples: &[f64], d: usize) -> (Vec<f64>, f64) {
    let n = (samples.len() / d) as f64;
    let mean: Vec<f64> = (0..d)
        .map(|j| samples.iter().skip(j).step_by(d).sum::<f64>() / n)
        .collect();
    let scatter: f64 = samples
        .chunks(d)
        .flat_map(|row| row.iter().zip(&mean).map(|(x, m)| (x - m).powi(2)))
        .sum();
    (mean, scatter / (n - 1.0))
}

#[test]
fn streaming_moments_equal_the_two_pass_ones() -> Result<()> {
    // rows and columns beyond one block each
    let (rows, d) = (150, 1500);
    let samples = draws(rows, d, 500.0);
    let (mean, trace) = two_pass(&samples, d);
    let mut one_by_one = Moments::new(d)?;
    for row in samples.chunks(d) {
        one_by_one.push(row)?;
    }
    let mut at_once = Moments::new(d)?;
    at_once.push_batch(&samples)?;
    for moments in [one_by_one, at_once] {
        // both sum 150 x 1500 terms about means of 500: 1e-12 is that many roundings of a few 1e-16
        assert_relative_eq!(moments.trace()?, trace, max_relative = 1e-12);
        for (a, b) in moments.mean().iter().zip(&mean) {
            assert_relative_eq!(a, b, max_relative = 1e-13);
        }
    }
    Ok(())
}

#[test]
fn merging_in_any_grouping_and_order_gives_the_whole() -> Result<()> {
    let d = 7;
    let samples = draws(30, d, 3.0);
    let part = |from: usize, to: usize| -> Result<Moments> {
        let mut moments = Moments::new(d)?;
        moments.push_batch(&samples[from * d..to * d])?;
        Ok(moments)
    };
    let whole = part(0, 30)?;
    let (a, b, c) = (part(0, 5)?, part(5, 6)?, part(6, 30)?);
    let mut left = a.clone();
    left.merge(&b)?;
    left.merge(&c)?;
    let mut right = c;
    right.merge(&b)?;
    right.merge(&Moments::new(d)?)?;
    right.merge(&a)?;
    for merged in [left, right] {
        assert_eq!(merged.count(), 30);
        assert_relative_eq!(merged.trace()?, whole.trace()?, max_relative = 1e-13);
        assert_relative_eq!(
            merged.squared_mean_norm(),
            whole.squared_mean_norm(),
            max_relative = 1e-13
        );
    }
    Ok(())
}

/// Rank `r` of `k` holds the rows from `r^2 n / k^2` on: shards of unequal sizes, the first of which may be empty.
fn shard(samples: &[f64], d: usize, rank: usize, size: usize) -> &[f64] {
    let n = samples.len() / d;
    let start = |r: usize| r * r * n / (size * size) * d;
    &samples[start(rank)..start(rank + 1)]
}

#[test]
fn any_number_of_ranks_with_unequal_shards_is_left_with_what_one_rank_would_have() -> Result<()> {
    // a mean of 500 standard deviations; more coordinates than the interval's store has places, and more rows than it has blocks
    for (n, d) in [(30, 7), (600, 2100)] {
        let samples = draws(n, d, 500.0);
        let of = |rows: &[f64]| -> Result<Moments> {
            let mut moments = Moments::new(d)?;
            moments.push_batch(rows)?;
            Ok(moments)
        };
        let whole = of(&samples)?;
        let alone = crate::Ratio::estimate(&whole, 0.95)?;
        for size in [1, 2, 3, 8] {
            let found = on_threads(size, |ranks| {
                let mut moments = of(shard(&samples, d, ranks.rank(), size))?;
                moments.all_reduce(ranks)?;
                Ok::<_, Error>(moments)
            });
            let found: Vec<Moments> = found.into_iter().collect::<Result<_>>()?;
            for moments in &found {
                assert_eq!(moments.count(), n as u64);
                // sums of n terms about means of 500
                assert_relative_eq!(moments.trace()?, whole.trace()?, max_relative = 1e-12);
                let signal = whole.squared_mean_norm();
                assert_relative_eq!(moments.squared_mean_norm(), signal, max_relative = 1e-12);
                assert_eq!(moments.mean(), found[0].mean());
                let ratio = crate::Ratio::estimate(moments, 0.95)?
                    .estimates
                    .expect("noise");
                let (own, one) = (ratio.interval.expect("rows"), alone.estimates.clone());
                let one = one.expect("noise").interval.expect("rows");
                // its blocks are others, so that it is another estimate of the same ends
                assert_relative_eq!(own.low, one.low, max_relative = 0.1);
                assert_relative_eq!(own.high, one.high, max_relative = 0.1);
            }
        }
    }
    Ok(())
}

#[test]
fn ranks_of_different_dimensions_are_refused_and_ranks_without_samples_have_none() -> Result<()> {
    for found in on_threads(2, |ranks| Moments::new(2 + ranks.rank())?.all_reduce(ranks)) {
        assert!(matches!(found, Err(Error::RanksDiffer { .. })));
    }
    for found in on_threads(2, |ranks| {
        let mut moments = Moments::new(2)?;
        moments.all_reduce(ranks)?;
        Ok::<_, Error>(moments.count())
    }) {
        assert_eq!(found?, 0);
    }
    Ok(())
}

#[test]
fn a_large_mean_costs_no_digits() -> Result<()> {
    let mut moments = Moments::new(1)?;
    for i in 0..1000 {
        moments.push(&[1e8 + f64::from(i % 2)])?;
    }
    // half of the samples 1/2 below the mean and half above: 1000/4 over 999
    assert_relative_eq!(moments.trace()?, 250.0 / 999.0, max_relative = 1e-9);
    Ok(())
}

#[test]
fn a_number_that_is_not_finite_is_refused_with_its_place_and_nothing_is_added() -> Result<()> {
    let mut moments = Moments::new(2)?;
    moments.push(&[1.0, 2.0])?;
    let error = moments
        .push_batch(&[1.0, 2.0, 3.0, f64::NAN])
        .expect_err("NaN is no sample");
    assert_eq!(
        error.to_string(),
        "row 2, column 1 is NaN; every entry must be a finite number"
    );
    assert_eq!(moments.count(), 1);
    assert!(moments.push(&[f64::INFINITY, 0.0]).is_err());
    assert!(moments.push(&[1.0]).is_err());
    assert!(Moments::new(0).is_err());
    assert!(moments.trace().is_err());
    Ok(())
}

#[test]
fn tensors_of_every_float_type_are_read() -> Result<()> {
    let device = candle_core::Device::Cpu;
    for dtype in [DType::BF16, DType::F16, DType::F32, DType::F64] {
        let rows = Tensor::new(&[[1f64, 2.], [3., 2.]], &device)?.to_dtype(dtype)?;
        let mut moments = Moments::new(2)?;
        moments.push_tensor(&rows)?;
        moments.push_tensor(&rows.get(0)?)?;
        assert_eq!(moments.count(), 3);
        assert_relative_eq!(moments.mean()[0], 5.0 / 3.0, max_relative = 1e-15);
        assert_eq!(moments.zero_variance_coordinates(), 1);
    }
    Ok(())
}

/// Pushes `samples` in two batches, by pools of one thread and of three, and compares every bit with plain loops over 64 rows at a time.
fn equal_to_plain_loops<T: Sample>(samples: &[T], d: usize) -> Result<()> {
    let (mut mean, mut scatter, mut count) = (vec![0.0; d], vec![0.0; d], 0.0);
    let at = samples.len() / d / 3 * d;
    let (first, second) = samples.split_at(at);
    let chunks = first.chunks(ROWS * d).chain(second.chunks(ROWS * d));
    for rows in chunks {
        let added = (rows.len() / d) as f64;
        for j in 0..d {
            let column = || rows.iter().skip(j).step_by(d).map(|&x| x.into());
            let own = column().fold(0.0, |sum, x| sum + x) / added;
            let squares = column().fold(0.0, |sum, x| sum + (x - own) * (x - own));
            let gap = own - mean[j];
            scatter[j] += squares + gap * gap * (count * added / (count + added));
            mean[j] += gap * (added / (count + added));
        }
        count += added;
    }
    let bits = |numbers: &[f64]| numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    let mut sketches = Vec::new();
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let pool = pool.build().expect("a pool of few threads");
        let mut moments = Moments::new(d)?;
        pool.install(|| moments.push_batch(first))?;
        pool.install(|| moments.push_batch(second))?;
        assert_eq!(moments.count() as f64, count);
        assert_eq!(bits(&moments.mean), bits(&mean));
        assert_eq!(bits(&moments.scatter), bits(&scatter));
        sketches.push(format!("{:?}", moments.blocks));
    }
    // what a sketch is to be is held to in its own file; here, that neither batches nor threads change it
    let mut one_by_one = Blocks::new(d);
    for row in samples.chunks(d) {
        one_by_one.push(one_by_one.fold(row, d));
    }
    sketches.push(format!("{one_by_one:?}"));
    assert!(sketches.windows(2).all(|pair| pair[0] == pair[1]));
    Ok(())
}

#[test]
fn every_bit_is_that_of_plain_loops() -> Result<()> {
    // odd numbers of rows and columns, fewer and more of each than is worked on at a time, also of what comes second
    for (rows, d) in [
        (1, 5),
        (333, 3),
        (70, 2100),
        (7, COLUMNS * 2 + 9),
        (100, LONG + 3),
    ] {
        let samples = draws(rows, d, 1.0);
        equal_to_plain_loops(&samples, d)?;
        let narrow: Vec<f32> = samples.iter().map(|&x| x as f32).collect();
        equal_to_plain_loops(&narrow, d)?;
    }
    Ok(())
}

/// Puts `wrong` into one entry after the other of `places`, and holds [`Moments`] to its place and to adding nothing.
fn refused_without_a_trace<T: Sample>(samples: &[T], d: usize, wrong: T) -> Result<()> {
    let mut moments = Moments::new(d)?;
    moments.push_batch(&samples[..d])?;
    let before = format!("{moments:?}");
    let last = samples.len() - 1;
    for at in [0, d - 1, d, (ROWS - 1) * d, ROWS * d + 1, last] {
        let mut samples = samples.to_vec();
        (samples[last], samples[at]) = (wrong, wrong);
        let error = moments.push_batch(&samples).expect_err("no such sample");
        let place = format!("row {}, column {} ", 1 + at / d, at % d);
        assert!(
            error.to_string().starts_with(&place),
            "{error}, not {place}"
        );
        assert_eq!(format!("{moments:?}"), before);
    }
    Ok(())
}

#[test]
fn an_entry_that_does_not_fit_is_found_among_folded_rows_and_others() -> Result<()> {
    for d in [3, 2100, LONG + 3] {
        let samples = draws(ROWS + 6, d, 0.0);
        for wrong in [f64::NAN, f64::NEG_INFINITY, 4e144] {
            refused_without_a_trace(&samples, d, wrong)?;
        }
        let narrow: Vec<f32> = samples.iter().map(|&x| x as f32).collect();
        for wrong in [f32::NAN, f32::INFINITY] {
            refused_without_a_trace(&narrow, d, wrong)?;
        }
        // the largest of their type are entries like others
        let mut moments = Moments::new(d)?;
        moments.push_batch(&vec![f32::MAX; ROWS * d])?;
    }
    Ok(())
}

#[test]
fn numbers_that_fill_no_whole_row_are_refused_with_how_many_are_left_over() -> Result<()> {
    let mut moments = Moments::new(3)?;
    let error = moments
        .push_batch(&[1.0; 7])
        .expect_err("two rows and a third of one");
    assert_eq!(
        error.to_string(),
        "the last row has length 1; it must have length 3"
    );
    assert_eq!(moments.count(), 0);
    Ok(())
}

#[test]
fn tensors_of_another_rank_or_width_are_refused_even_where_their_numbers_would_fill_rows()
-> Result<()> {
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F64, &candle_core::Device::Cpu);
    let mut moments = Moments::new(3)?;
    // six numbers or three, or none of a width
    for (shape, width) in [(&[2, 1, 3][..], 3), (&[3, 2], 2), (&[6], 6), (&[], 0)] {
        let error = moments.push_tensor(&zeros(shape)?).expect_err("no rows");
        assert_eq!(
            error.to_string(),
            format!(
                "the last axis of the sample tensor (of rank 1 or 2) has length {width}; it must have length 3"
            )
        );
    }
    assert_eq!(moments.count(), 0);
    moments.push_tensor(&zeros(&[2, 3])?)?;
    assert_eq!(moments.count(), 2);
    Ok(())
}

#[test]
fn the_rounding_floor_is_that_of_the_coarsest_number_type() -> Result<()> {
    let device = candle_core::Device::Cpu;
    // the digits after the first that a type has
    for (dtype, digits) in [
        (DType::BF16, 7),
        (DType::F16, 10),
        (DType::F32, 23),
        (DType::F64, 52),
    ] {
        let mut moments = Moments::new(1)?;
        moments.push_tensor(&Tensor::new(&[[1f64], [3.]], &device)?.to_dtype(dtype)?)?;
        // n/(n-1) is 2 and the samples' mean square 5; e is twice the resolution, which the two roundings of f64 for a mean come to as well
        let e = 2.0 * 0.5f64.powi(digits);
        assert_eq!(moments.rounding_floor(), 2.0 * e * e * 5.0);
        // what comes in finer makes it no finer: n/(n-1) is 3/2 for three samples, of which the last is 0
        moments.push(&[0.0])?;
        let e = e.max(3.0 * f64::EPSILON);
        assert_relative_eq!(
            moments.rounding_floor(),
            1.5 * e * e * 10.0 / 3.0,
            max_relative = 1e-15
        );
    }
    Ok(())
}

fn rows_of_blocks(moments: &Moments) -> Vec<u64> {
    let blocks = moments.blocks().deviations();
    blocks.iter().map(|block| block.count).collect()
}

/// As many samples as `rows` says, each in a block of its own while they are not more than 256.
fn counted(rows: usize) -> Result<Moments> {
    let mut moments = Moments::new(1)?;
    moments.push_batch(&draws(rows, 1, 0.0))?;
    Ok(moments)
}

#[test]
fn blocks_are_joined_only_once_there_are_more_than_256() -> Result<()> {
    // a block too many makes pairs of all, and the next time fours of the pairs
    for (rows, size) in [
        (256, 1),
        (257, 2),
        (300, 2),
        (512, 2),
        (513, 4),
        (770, 4),
        (1025, 8),
    ] {
        let mut expected = vec![size as u64; rows / size];
        expected.extend((rows % size > 0).then_some((rows % size) as u64));
        assert_eq!(rows_of_blocks(&counted(rows)?), expected, "{rows} rows");
    }
    // the same of what is merged
    for (rows, size) in [(128, 1), (150, 2)] {
        let mut merged = counted(rows)?;
        merged.merge(&counted(rows)?)?;
        assert_eq!(
            rows_of_blocks(&merged),
            vec![size; 2 * rows / size as usize]
        );
    }
    Ok(())
}

#[test]
fn ranks_join_neighbours_only_where_they_hold_more_than_their_part_of_256_blocks() -> Result<()> {
    let pairs_and_one = |pairs: usize| [vec![2; pairs], vec![1]].concat();
    for (rows, expected) in [
        ([128, 128], vec![1; 256]),
        // one too many on the first rank makes 64 pairs there; the other's row stays as it is
        ([129, 1], [pairs_and_one(64), vec![1]].concat()),
        // no pair is made of two ranks' rows
        ([201, 201], pairs_and_one(100).repeat(2)),
    ] {
        for found in on_threads(2, |ranks| {
            let mut moments = counted(rows[ranks.rank()])?;
            moments.all_reduce(ranks)?;
            Ok::<_, Error>(rows_of_blocks(&moments))
        }) {
            assert_eq!(found?, expected, "{rows:?} rows");
        }
    }
    Ok(())
}
