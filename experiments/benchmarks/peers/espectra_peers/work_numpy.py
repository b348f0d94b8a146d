"""NumPy: a hand-written gradient, with all networks of a chunk in one array operation and chunks on threads."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy.special import expit

from .problem import BETA1, BETA2, EPSILON, EARLY_EPOCHS, MOST_NETWORKS, learning_rate

CHUNK = 8  # networks in one operation: their arrays fit into the caches


def versions():
    import scipy
    return {"numpy": np.__version__, "scipy": scipy.__version__}


def forward(network, theta, x):
    """Returns the values of all layers for θ (R, P): a list of (input, h, gate, output), each (R, units, m)."""
    values, a = [], np.broadcast_to(x.T, (len(theta), *x.T.shape))
    for layer in network.layers():
        weights = theta[:, layer.weights].reshape(-1, layer.units, layer.inputs)
        h = weights @ a + theta[:, layer.bias, None]
        beta = theta[:, layer.beta, None] if layer.beta else 1.0
        gate = expit(beta * h) if layer.activation in ("esp", "sigmoid") else None
        output = {"esp": lambda: h * gate, "sigmoid": lambda: gate, "relu": lambda: np.maximum(h, 0),
                  "linear": lambda: beta * h}[layer.activation]()
        values.append((a, h, gate, output))
        a = output
    return values


def cost(network, theta, x, y):
    z = forward(network, theta, x)[-1][-1]
    return (np.logaddexp(0, z) - y.T * z).mean(axis=(1, 2))


def gradient(network, theta, x, y):
    """Returns the gradient (R, P)."""
    values = forward(network, theta, x)
    result = np.empty_like(theta)
    delta = (expit(values[-1][-1]) - y.T) / y.size  # with respect to the output a of a layer
    for layer, (a, h, gate, _) in reversed(list(zip(network.layers(), values))):
        beta = theta[:, layer.beta, None] if layer.beta else 1.0
        if layer.activation == "linear":
            d_h, d_beta = beta, h
        elif layer.activation == "relu":
            d_h, d_beta = (h > 0).astype(float), None
        else:
            slope = gate * (1 - gate)
            d_h, d_beta = (gate + beta * h * slope, h * h * slope) if layer.activation == "esp" else (slope, None)
        if layer.beta:
            result[:, layer.beta] = (delta * d_beta).sum(axis=2)
        delta = delta * d_h
        result[:, layer.bias] = delta.sum(axis=2)
        result[:, layer.weights] = (delta @ a.transpose(0, 2, 1)).reshape(len(theta), -1)
        delta = theta[:, layer.weights].reshape(-1, layer.units, layer.inputs).transpose(0, 2, 1) @ delta
    return result


def train(network, theta, x, y, epochs):
    theta = theta.copy()
    first, second = np.zeros_like(theta), np.zeros_like(theta)
    for t in range(epochs):
        g = gradient(network, theta, x, y)
        first += (1 - BETA1) * (g - first)
        second += (1 - BETA2) * (g * g - second)
        theta -= learning_rate(t) * first / (np.sqrt(second) + EPSILON)
    return theta, cost(network, theta, x, y)


def prepare(work, problem, threads):
    if work != "training":
        raise NotImplementedError(work)
    network, x, y = problem.network, problem.x, problem.y
    pool = ThreadPoolExecutor(threads)

    def trained(networks, epochs):
        chunks = [problem.theta[i:i + CHUNK] for i in range(0, networks, CHUNK)]
        parts = list(pool.map(lambda theta: train(network, theta, x, y, epochs), chunks))
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])

    def results(value):
        return {"theta": value[0], "cost": value[1],
                "early_theta": trained(min(problem.networks, MOST_NETWORKS), EARLY_EPOCHS)[0]}

    return lambda: trained(problem.networks, problem.epochs), results
