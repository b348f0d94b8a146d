"""Tests of experiments/benchmarks/peers, run in its environment:

    build/environments/peers/bin/python -m pytest tests/experiments/benchmarks/peers
"""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[4]
sys.path.insert(0, str(ROOT / "experiments/benchmarks/peers"))
os.environ.update(JAX_PLATFORMS="cpu", CUDA_VISIBLE_DEVICES="", TF_CPP_MIN_LOG_LEVEL="3")

from espectra_peers.problem import Network, Problem, random_theta  # noqa: E402


def small_problem(widths=(3, 4, 2), activation="esp", trainable_beta=True, networks=1, epochs=0):
    random = np.random.default_rng(0)
    network = Network(widths, activation, trainable_beta)
    x, y = random.normal(size=(20, widths[0])), (random.random((20, widths[-1])) < 0.5).astype(float)
    return Problem(network, x, y, random_theta(network, networks, 1), epochs)


@pytest.fixture(scope="session")
def espectra():
    """The built programs, from build/release/bin or the folder ESPECTRA_BIN."""
    from espectra_peers.measure import Espectra
    folder = Path(os.environ.get("ESPECTRA_BIN", ROOT / "build/release/bin"))
    if not (folder / "espectra-benchmark").exists():
        pytest.skip(f"{folder}: no espectra-benchmark")
    return Espectra(folder)
