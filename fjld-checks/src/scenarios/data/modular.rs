//! Addition modulo `p`: every pair of residues, labelled by its sum.

use super::Examples;

/// All `p^2` pairs `(a, b)` in lexical order, each labelled `a + b mod p`.
pub fn addition(modulus: usize) -> Examples {
    let p = modulus as u32;
    let pairs = (0..p).flat_map(|a| (0..p).map(move |b| (a, b)));
    let (mut inputs, mut labels) = (Vec::new(), Vec::new());
    for (a, b) in pairs {
        inputs.extend([a, b]);
        labels.push((a + b) % p);
    }
    Examples::of_indices(inputs, 2, labels, 1)
}

#[cfg(test)]
mod tests {
    use super::super::Values;
    use super::*;

    #[test]
    fn the_table_of_three_is_that_of_pencil() {
        let table = addition(3);
        assert_eq!(table.labels, [0, 1, 2, 1, 2, 0, 2, 0, 1]);
        let Values::Index(inputs) = &table.inputs else {
            panic!("residues are indices");
        };
        assert_eq!(inputs[6..8], [1, 0]);
    }
}
