"""The paper's indices of a spectrum (docs/mathematics.md, 8)."""

import numpy as np


def indices(eigenvalues, tolerance):
    """α and γ at a tolerance relative to the largest |λ|, of spectra (…, P): two arrays (…)."""
    threshold = tolerance * np.abs(eigenvalues).max(axis=-1, keepdims=True)
    return (eigenvalues < -threshold).mean(axis=-1), (np.abs(eigenvalues) <= threshold).mean(axis=-1)
