"""Espectra beside other programs on the same work: exact Hessians, eigenvalues, training."""
