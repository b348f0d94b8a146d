"""Writes parameters from NumPy for theta_from_numpy.cpp: python theta_from_numpy.py FILE.h5 (needs numpy and
h5py)."""

import sys

import h5py
import numpy as np

rng = np.random.default_rng(1)
m, n, units, networks = 200, 3, 5, 4
X = rng.normal(size=(m, n))
y = (np.sin(3 * X[:, 0]) > X[:, 1]).astype(np.float64)


def one_network():
    """Returns theta of n-units-1: W1 row by row, b1, beta1, then W2, b2, beta2 of the output, whose logit is
    beta2 * h."""
    w1, b1, beta1 = rng.normal(size=(units, n)) / np.sqrt(n), np.zeros(units), np.ones(units)
    w2, b2, beta2 = rng.normal(size=(1, units)) / np.sqrt(units), np.zeros(1), np.ones(1)
    return np.concatenate([w1.ravel(), b1, beta1, w2.ravel(), b2, beta2])


with h5py.File(sys.argv[1], "w") as file:
    file["X"], file["y"] = X, y
    file["theta"] = np.stack([one_network() for _ in range(networks)])
