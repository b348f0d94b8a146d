"""Comparison of Espectra with other programs on the same work: exact Hessians, eigenvalues, training."""
