"""The problem that all programs solve: one network shape, examples, and the θ of one or many networks.

It is stored in a file of Espectra's recorded-run format (docs/file-formats.md), with one snapshot for each
network.
"""

import dataclasses
from pathlib import Path

import h5py
import numpy as np

# The same values as in experiments/benchmarks/recorded_work.cpp.
MOST_NETWORKS = 64  # the results of up to so many networks are compared
MOST_ROWS = 64  # number of compared rows of a Hessian of more than WHOLE parameters
WHOLE = 2000
EARLY_EPOCHS = 100  # trajectories diverge later, by rounding alone

RATE, DECAY_RATE, DECAY_STEPS, BETA1, BETA2, EPSILON = 0.01, 0.9, 500, 0.9, 0.999, 1e-8


@dataclasses.dataclass(frozen=True)
class Layer:
    """Positions of the parameters of one layer in θ; `beta` is None if β is not trained (and is 1)."""

    inputs: int
    units: int
    activation: str  # esp, sigmoid, relu, linear
    weights: slice
    bias: slice
    beta: slice | None


@dataclasses.dataclass(frozen=True)
class Network:
    """A fully connected network with sigmoid cross-entropy, the mean over examples and outputs."""

    widths: tuple[int, ...]
    activation: str = "esp"
    trainable_beta: bool = True

    def layers(self):
        layers, offset = [], 0
        trains = self.trainable_beta and self.activation == "esp"
        for l, (inputs, units) in enumerate(zip(self.widths, self.widths[1:])):
            ends = np.cumsum([offset, units * inputs, units, units if trains else 0]).tolist()
            slices = [slice(a, b) for a, b in zip(ends, ends[1:])]
            name = self.activation if l + 2 < len(self.widths) else "linear"
            layers.append(Layer(inputs, units, name, slices[0], slices[1], slices[2] if trains else None))
            offset = ends[-1]
        return tuple(layers)

    @property
    def parameters(self):
        last = self.layers()[-1]
        return (last.beta or last.bias).stop

    def __str__(self):
        return "-".join(map(str, self.widths))


@dataclasses.dataclass(frozen=True)
class Problem:
    """x (m, n_0), y (m, C), theta (R, P): all float64."""

    network: Network
    x: np.ndarray
    y: np.ndarray
    theta: np.ndarray
    epochs: int = 0  # updates of the training, if any

    @property
    def networks(self):
        return len(self.theta)

    def write(self, path: Path):
        with h5py.File(path, "w") as f:
            f.attrs["widths"] = self.network.widths
            f.attrs["hidden_activation"] = self.network.activation
            f.attrs["trainable_beta"] = int(self.network.trainable_beta)
            f.attrs["epochs"] = self.epochs
            f["data/X_train"], f["data/Y_train"], f["theta"] = self.x, self.y, self.theta

    @staticmethod
    def read(path: Path):
        with h5py.File(path) as f:
            network = Network(tuple(int(n) for n in f.attrs["widths"]), str(f.attrs["hidden_activation"]),
                              bool(f.attrs["trainable_beta"]))
            return Problem(network, f["data/X_train"][:], f["data/Y_train"][:], f["theta"][:], int(f.attrs["epochs"]))


def compared_rows(parameters):
    """Returns the indices of the rows of a Hessian that are compared."""
    if parameters <= WHOLE:
        return np.arange(parameters)
    return np.arange(MOST_ROWS) * (parameters - 1) // (MOST_ROWS - 1)


def learning_rate(t):
    """Returns the learning rate of update t = 0, 1, …, including the bias correction of Adam's moments."""
    return RATE * DECAY_RATE ** (t / DECAY_STEPS) * np.sqrt(1 - BETA2 ** (t + 1.0)) / (1 - BETA1 ** (t + 1.0))


def random_theta(network, networks, seed):
    """Returns random θ (R, P): weights as before training (uniform, Glorot and Bengio), generic bias and β."""
    random = np.random.default_rng(seed)
    theta = np.empty((networks, network.parameters))
    for layer in network.layers():
        width = np.sqrt(6 / (layer.inputs + layer.units))
        theta[:, layer.weights] = random.uniform(-width, width, (networks, layer.inputs * layer.units))
        theta[:, layer.bias] = random.normal(0, 0.1, (networks, layer.units))
        if layer.beta:
            theta[:, layer.beta] = random.normal(1, 0.2, (networks, layer.units))
    return theta
