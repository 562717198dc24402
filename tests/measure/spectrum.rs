//! Eigenvalues, singular values and ranks.

use super::*;

#[test]
fn eigenvalues_of_two_by_two_by_hand() {
    let values = symmetric_eigenvalues(&ndarray::array![[2.0, 1.0], [1.0, 2.0]]);
    near(values[0], 3.0);
    near(values[1], 1.0);
}

#[test]
fn eigenvalues_of_the_path_graph_are_cosines() {
    // Adjacency of a path of n vertices, its rows permuted: 2 cos(k pi / (n + 1)).
    let n = 24;
    let place = |i: usize| i * 7 % n;
    let mut matrix = Array2::<f64>::zeros((n, n));
    for i in 0..n - 1 {
        matrix[[place(i), place(i + 1)]] = 1.0;
        matrix[[place(i + 1), place(i)]] = 1.0;
    }
    for (k, value) in symmetric_eigenvalues(&matrix).into_iter().enumerate() {
        let wanted = 2.0 * ((k + 1) as f64 * std::f64::consts::PI / (n + 1) as f64).cos();
        assert!((value - wanted).abs() < 1e-12, "{value} {wanted}");
    }
}

#[test]
fn singular_values_keep_the_norm_and_find_the_rank() {
    let mut stream = random::stream(3, "tests/rank", 0);
    let left = Array2::from_shape_fn((20, 3), |_| normal(&mut stream));
    let right = Array2::from_shape_fn((3, 12), |_| normal(&mut stream));
    let product = left.dot(&right);
    let values = singular_values(&product);
    assert_eq!(values.len(), 12);
    near(values.iter().map(|value| value * value).sum::<f64>(), product.iter().map(|x| x * x).sum());
    assert!(values[2] > 0.1 && values[3] < 1e-6 * values[0]);
    near(effective_rank(&[2.0, 2.0, 2.0, 0.0]).unwrap(), 3.0);
    near(stable_rank(&[2.0, 1.0]).unwrap(), 1.25);
    assert_eq!(effective_rank(&[0.0, 0.0]), None);
}

#[test]
fn memories_fill_up_one_direction_a_step() {
    let report = spectrum(
        &vec![(0, factors(Rule::LinearAttention, SMALL, 1))],
        &SpectrumOptions { points: 12, statistics: quick(), ..SpectrumOptions::default() },
    )
    .unwrap();
    assert_eq!(report.steps, (0..12).collect::<Vec<_>>());
    let head = &report.heads[2].steps;
    near(head[0].effective_rank.unwrap().estimate, 1.0);
    near(head[0].stable_rank.unwrap().estimate, 1.0);
    assert!(head[3].effective_rank.unwrap().estimate > 2.0);
    assert_eq!(head[11].singular_values.len(), 6);
    assert!(report.headline().contains("of 6"));
}
