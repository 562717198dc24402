//! Eigenvalues of a symmetric matrix, by Householder tridiagonalisation and implicit QL (Golub and Van Loan, chapter 8).

use ndarray::Array2;

/// Eigenvalues of a symmetric matrix, largest first. Only the lower triangle is read.
///
/// # Panics
/// If the matrix is not square.
pub fn symmetric_eigenvalues(matrix: &Array2<f64>) -> Vec<f64> {
    assert!(matrix.is_square(), "a symmetric matrix is square");
    let (mut diagonal, mut beside) = tridiagonal(matrix.clone());
    implicit_ql(&mut diagonal, &mut beside);
    diagonal.sort_by(|a, b| b.total_cmp(a));
    diagonal
}

/// Singular values of a matrix, largest first, from the eigenvalues of its smaller Gram matrix: good to about 1e-8 of the largest.
pub fn singular_values(matrix: &Array2<f64>) -> Vec<f64> {
    let gram = if matrix.nrows() < matrix.ncols() { matrix.dot(&matrix.t()) } else { matrix.t().dot(matrix) };
    symmetric_eigenvalues(&gram).into_iter().map(|value| value.max(0.0).sqrt()).collect()
}

/// Diagonal, and what stands beside it (entry i couples i - 1 and i; entry 0 is 0).
fn tridiagonal(mut a: Array2<f64>) -> (Vec<f64>, Vec<f64>) {
    let n = a.nrows();
    let mut beside = vec![0.0; n];
    for row in (1..n).rev() {
        // Reflect row[0..row] onto its last entry.
        let x: Vec<f64> = (0..row).map(|column| a[[row, column]]).collect();
        let norm = x.iter().map(|x| x * x).sum::<f64>().sqrt();
        let tail = x[row - 1];
        beside[row] = if tail > 0.0 { -norm } else { norm };
        let mut v = x;
        v[row - 1] -= beside[row];
        let vv: f64 = v.iter().map(|v| v * v).sum();
        if vv <= f64::MIN_POSITIVE {
            continue;
        }
        // p = 2 A v / v.v;  w = p - (p.v / v.v) v;  A <- A - v w^T - w v^T
        let mut p = vec![0.0; row];
        for i in 0..row {
            let line = a.row(i);
            let mut sum = line[i] * v[i];
            for j in 0..i {
                sum += line[j] * v[j];
                p[j] += line[j] * v[i];
            }
            p[i] += sum;
        }
        p.iter_mut().for_each(|p| *p *= 2.0 / vv);
        let along = p.iter().zip(&v).map(|(p, v)| p * v).sum::<f64>() / vv;
        let w: Vec<f64> = p.iter().zip(&v).map(|(p, v)| p - along * v).collect();
        for i in 0..row {
            let mut line = a.row_mut(i);
            for j in 0..=i {
                line[j] -= v[i] * w[j] + w[i] * v[j];
            }
        }
    }
    (a.diag().to_vec(), beside)
}

/// Turns `diagonal` into the eigenvalues.
fn implicit_ql(diagonal: &mut [f64], beside: &mut Vec<f64>) {
    let n = diagonal.len();
    if n == 0 {
        return;
    }
    beside.remove(0);
    beside.push(0.0);
    for first in 0..n {
        loop {
            let small = |i: usize| beside[i].abs() <= f64::EPSILON * (diagonal[i].abs() + diagonal[i + 1].abs());
            let last = (first..n - 1).find(|&i| small(i)).unwrap_or(n - 1);
            if last == first {
                break;
            }
            // Wilkinson's shift.
            let mut g = (diagonal[first + 1] - diagonal[first]) / (2.0 * beside[first]);
            let mut r = g.hypot(1.0);
            g = diagonal[last] - diagonal[first] + beside[first] / (g + r.copysign(g));
            let (mut sine, mut cosine, mut shifted) = (1.0, 1.0, 0.0);
            let mut split = None;
            for i in (first..last).rev() {
                let (f, b) = (sine * beside[i], cosine * beside[i]);
                r = f.hypot(g);
                beside[i + 1] = r;
                if r == 0.0 {
                    split = Some(i);
                    break;
                }
                sine = f / r;
                cosine = g / r;
                g = diagonal[i + 1] - shifted;
                r = (diagonal[i] - g) * sine + 2.0 * cosine * b;
                shifted = sine * r;
                diagonal[i + 1] = g + shifted;
                g = cosine * r - b;
            }
            if let Some(i) = split {
                diagonal[i + 1] -= shifted;
            } else {
                diagonal[first] -= shifted;
                beside[first] = g;
            }
            beside[last] = 0.0;
        }
    }
}
