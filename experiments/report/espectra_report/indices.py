"""The paper's indices of a spectrum (docs/mathematics.md, 8)."""

import numpy as np


def indices(eigenvalues, tolerance):
    """Returns two arrays (…), α and γ of spectra (…, P) at a tolerance relative to the largest |λ|."""
    threshold = tolerance * np.abs(eigenvalues).max(axis=-1, keepdims=True)
    return (eigenvalues < -threshold).mean(axis=-1), (np.abs(eigenvalues) <= threshold).mean(axis=-1)
