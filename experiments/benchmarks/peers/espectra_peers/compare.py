"""Comparison of a program's results with those of Espectra: differences, each with its limit."""

import h5py
import numpy as np

from .measure import Failure


def same_shape(a, b):
    if np.shape(a) != np.shape(b):
        raise Failure(f"wrong: a result of shape {np.shape(a)}, expected {np.shape(b)}")


def relative(a, b):
    same_shape(a, b)
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def of_largest(values, expected):
    """Returns the largest difference of eigenvalues (…, P) relative to the largest magnitude of their matrix."""
    same_shape(values, expected)
    return float(np.max(np.abs(values - expected).max(axis=-1) / np.abs(expected).max(axis=-1)))


def differences(work, own, espectra):
    """Returns {name: (difference, limit)}; the limit is None for a number that is only reported."""
    if work == "hessian":
        return {"Hessian, Frobenius": (relative(own["hessian"], espectra["hessian"]), 1e-10)}
    if work == "spectra":
        return {"eigenvalues": (of_largest(own["eigenvalues"], espectra["eigenvalues"]), 1e-10)}
    if work == "top":  # the iterations stop at a change of 1e-3 between two steps
        top = espectra["eigenvalues"].max()
        return {"largest eigenvalue": (float(abs(own["top"] - top) / top), 2e-2)}
    if work == "training":
        early = relative(own["early_theta"], espectra["early_theta"])
        cost = np.abs(own["cost"] / espectra["cost"] - 1)
        return {"θ after 100 epochs": (early, 1e-9),
                "cost at the end, median": (float(np.median(cost)), None)}
    early = own["epoch"] <= 100
    return {"eigenvalues up to epoch 100": (of_largest(own["eigenvalues"][early], espectra["eigenvalues"][early]), 1e-8),
            "cost at the end": (float(abs(own["cost"][-1] / espectra["cost"][-1] - 1)), None)}


def check(work, own_path, espectra_path):
    """Returns the differences; raises Failure with the first one that exceeds its limit."""
    def read(path):
        with h5py.File(path) as f:
            return {name: f[name][...] for name in f}
    found = differences(work, read(own_path), read(espectra_path))
    for name, (difference, limit) in found.items():
        if limit is not None and not difference <= limit:
            raise Failure(f"wrong: {name} differs by {difference:.1e}")
    return {name: difference for name, (difference, _) in found.items()}
