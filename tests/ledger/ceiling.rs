//! The ceiling: leverages against a dense inverse, and its bounds.

use ndarray::{Array2, s};
use pentimento::ledger::{NOISE_GRID, ceiling};
use proptest::prelude::*;

/// Rows of uneven size, some nearly in one direction.
fn left(n_writes: usize, d_k: usize, seed: u64) -> Array2<f64> {
    let sample = crate::memory::sample::Sample {
        dims: pentimento::memory::Dims { batch: 1, step: 1, key_head: 1, head: 1, d_k, d_v: 1 },
        seed,
        starts_filled: false,
    };
    let uneven = sample.uniform("size", &[n_writes, 1], -4.0, 0.0).mapv(f64::exp);
    (sample.uniform("left", &[n_writes, d_k], -1.0, 1.0) * uneven).into_dimensionality().unwrap()
}

/// Gauss and Jordan on a small matrix.
fn inverse(mut a: Array2<f64>) -> Array2<f64> {
    let n = a.nrows();
    let mut inverse = Array2::eye(n);
    for k in 0..n {
        let pivot = (k..n).max_by(|&x, &y| a[[x, k]].abs().total_cmp(&a[[y, k]].abs())).unwrap();
        for j in 0..n {
            a.swap([k, j], [pivot, j]);
            inverse.swap([k, j], [pivot, j]);
        }
        let by = a[[k, k]];
        a.row_mut(k).mapv_inplace(|x| x / by);
        inverse.row_mut(k).mapv_inplace(|x| x / by);
        for i in (0..n).filter(|&i| i != k) {
            let by = a[[i, k]];
            let (row, other) = (a.row(k).to_owned(), inverse.row(k).to_owned());
            a.row_mut(i).scaled_add(-by, &row);
            inverse.row_mut(i).scaled_add(-by, &other);
        }
    }
    inverse
}

proptest! {
    #[test]
    fn leverages_are_those_of_the_dense_inverse(n_writes in 1..20_usize, d_k in 1..7_usize, seed: u64) {
        let left = left(n_writes, d_k, seed);
        let noise = [1e-3, 1e-1, 3.0];
        let found = ceiling(left.view(), &noise);
        let gram = left.t().dot(&left);
        for (place, noise) in noise.iter().enumerate() {
            let lambda = noise * gram.diag().sum() / d_k as f64;
            let middle = inverse(&gram + &(Array2::<f64>::eye(d_k) * lambda));
            for write in 0..n_writes {
                let u = left.row(write);
                prop_assert!((found.r2[[write, place]] - u.dot(&middle.dot(&u))).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn degrees_of_freedom_never_exceed_the_key_channels(n_writes in 1..60_usize, d_k in 1..9_usize, seed: u64) {
        let left = left(n_writes, d_k, seed);
        let found = ceiling(left.view(), &NOISE_GRID);
        for (degrees, noise) in found.degrees_of_freedom().iter().zip(NOISE_GRID) {
            prop_assert!(*degrees <= d_k.min(n_writes) as f64 + 1e-9, "{degrees} at {noise}");
        }
        prop_assert!(found.r2.iter().all(|r2| (0.0..=1.0 + 1e-9).contains(r2)));
        // Less noise never reads worse.
        for row in found.r2.rows() {
            prop_assert!(row.windows(2).into_iter().all(|pair| pair[0] >= pair[1] - 1e-12));
        }
        let all = found.share(|_| true);
        prop_assert!(all.iter().all(|share| (share.unwrap() - 1.0).abs() < 1e-12));
    }
}

/// Writes at axes of their own are all read back; two at one axis share it by their energies.
#[test]
fn writes_that_share_an_axis_share_its_degree_of_freedom() {
    let mut left = Array2::zeros((4, 3));
    for (write, channel, size) in [(0, 0, 1.0), (1, 1, 3.0), (2, 1, 4.0)] {
        left[[write, channel]] = size;
    }
    let found = ceiling(left.view(), &[1e-12]);
    for (write, wanted) in [(0, 1.0), (1, 9.0 / 25.0), (2, 16.0 / 25.0), (3, 0.0)] {
        assert!((found.r2[[write, 0]] - wanted).abs() < 1e-9);
    }
    assert!((found.degrees_of_freedom()[0] - 2.0).abs() < 1e-9);
    let empty = ceiling(left.slice(s![3.., ..]), &[1e-3]);
    assert_eq!((empty.r2[[0, 0]], empty.share(|_| true)[0]), (0.0, None));
}
