#!/usr/bin/env python3
"""Times `espectra-benchmark training` and the same training written with NumPy (and PyTorch where it can be imported).

2-10-1 with ESP and trainable beta, 690 examples, full-batch Adam, 2300 epochs, float64; examples and initial theta follow
the formulas of training_benchmark.cpp. The peer trains one network per process, one process per core, one thread each; Espectra trains
its batch of networks in one process. Both are asked for the gradient only, and for the cost at the end.

    training_numpy.py PATH/TO/espectra-benchmark
"""

import json
import multiprocessing
import os
import subprocess
import sys
import time

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np
from scipy.special import expit

EXAMPLES, UNITS, EPOCHS, COMPARED_EPOCHS, REPETITIONS = 690, 10, 2300, 500, 5
PARAMETERS = 4 * UNITS + UNITS + 2
RATE, DECAY_RATE, DECAY_STEPS, BETA1, BETA2, EPSILON = 0.01, 0.9, 500, 0.9, 0.999, 1e-8


def examples():
    e = np.arange(EXAMPLES)
    x = np.stack([(e * 37 % 101 - 50.0) / 50, (e * 53 % 89 - 44.0) / 44])
    inside = x[0] * x[0] + 2 * x[1] * x[1] < 0.75
    return x, (inside != (e % 11 == 0)).astype(float)


def initial_theta(network=0):
    i = np.arange(network * PARAMETERS, (network + 1) * PARAMETERS)
    return ((i + 1) * 7919 % 1009 - 504.0) / 504


def learning_rate(t):
    """Of update t, with the correction of Adam's bias."""
    return RATE * DECAY_RATE ** (t / DECAY_STEPS) * np.sqrt(1 - BETA2 ** (t + 1)) / (1 - BETA1 ** (t + 1))


def views(theta):
    """Weights, bias and beta of the hidden layer and of the output, in Espectra's order of parameters."""
    k = 2 * UNITS
    return (theta[:k].reshape(UNITS, 2), theta[k:k + UNITS, None], theta[k + UNITS:k + 2 * UNITS, None],
            theta[k + 2 * UNITS:k + 3 * UNITS], theta[k + 3 * UNITS:k + 3 * UNITS + 1], theta[k + 3 * UNITS + 1:])


def cost_of(z, y):
    return float(np.mean(np.maximum(z, 0) - y * z + np.log1p(np.exp(-np.abs(z)))))


def train_numpy(epochs=EPOCHS):
    """Every array is allocated once; the gradient is written in place."""
    x, y = examples()
    theta = initial_theta()
    gradient, first, second, scratch, step = (np.zeros(PARAMETERS) for _ in range(5))
    w, b, beta, v, c, gamma = views(theta)
    g_w, g_b, g_beta, g_v, g_c, g_gamma = views(gradient)
    h, s, h_s, d_h, work = (np.empty((UNITS, EXAMPLES)) for _ in range(5))
    z, delta = np.empty(EXAMPLES), np.empty(EXAMPLES)
    x_transposed = np.ascontiguousarray(x.T)

    def outputs():
        np.matmul(w, x, out=h)
        np.add(h, b, out=h)
        np.multiply(h, beta, out=work)
        expit(work, out=s)
        np.multiply(h, s, out=h_s)
        np.dot(v, h_s, out=z)
        np.add(z, c, out=z)

    for epoch in range(epochs):
        outputs()
        # phi = h s, phi_h = s + x s (1 - s), phi_beta = h^2 s (1 - s) with x = beta h; the output is gamma z.
        np.subtract(1, s, out=d_h)
        np.multiply(d_h, s, out=d_h)  # s (1 - s)
        np.multiply(z, gamma, out=delta)
        expit(delta, out=delta)
        delta -= y
        delta *= 1 / EXAMPLES
        g_gamma[0] = np.dot(z, delta)
        delta *= gamma
        g_c[0] = delta.sum()
        np.dot(h_s, delta, out=g_v)
        np.multiply(work, d_h, out=work)
        work += s  # phi_h
        np.multiply(h, h, out=h)
        np.multiply(h, d_h, out=h)  # phi_beta
        np.multiply(v[:, None], delta, out=d_h)
        np.multiply(work, d_h, out=work)  # delta
        np.einsum("ie,ie->i", h, d_h, out=g_beta[:, 0])
        np.sum(work, axis=1, out=g_b[:, 0])
        np.matmul(work, x_transposed, out=g_w)
        # Adam.
        np.subtract(gradient, first, out=scratch)
        scratch *= 1 - BETA1
        first += scratch
        np.multiply(gradient, gradient, out=scratch)
        scratch -= second
        scratch *= 1 - BETA2
        second += scratch
        np.sqrt(second, out=scratch)
        scratch += EPSILON
        np.multiply(first, learning_rate(epoch), out=step)
        step /= scratch
        theta -= step
    outputs()
    return cost_of(gamma * z, y)


def train_torch(epochs=EPOCHS):
    """Autograd and an update in place."""
    import torch
    torch.set_num_threads(1)
    x, y = (torch.from_numpy(a) for a in examples())
    theta = torch.from_numpy(initial_theta()).requires_grad_()
    first, second = torch.zeros(PARAMETERS, dtype=torch.float64), torch.zeros(PARAMETERS, dtype=torch.float64)

    def cost():
        w, b, beta, v, c, gamma = views(theta)
        h = torch.addmm(b, w, x)
        z = torch.mv((h * torch.sigmoid(beta * h)).T, v) + c
        return torch.nn.functional.binary_cross_entropy_with_logits(gamma * z, y)

    for epoch in range(epochs):
        gradient, = torch.autograd.grad(cost(), theta)
        with torch.no_grad():
            first.lerp_(gradient, 1 - BETA1)
            second.lerp_(gradient * gradient, 1 - BETA2)
            theta.addcdiv_(first, second.sqrt().add_(EPSILON), value=-float(learning_rate(epoch)))
    return float(cost())


def run(peer, epochs=EPOCHS):
    return {"NumPy": train_numpy, "PyTorch": train_torch}[peer](epochs)


def seconds_per_network(peer, pool, cores):
    """One network per core at a time; the least of several repetitions."""
    pool.map(run, [peer] * cores, chunksize=1)
    times = []
    for _ in range(REPETITIONS):
        start = time.perf_counter()
        costs = pool.map(run, [peer] * cores, chunksize=1)
        times.append((time.perf_counter() - start) / cores)
    return min(times), costs[0]


def espectra(program, cores):
    output = subprocess.run([program, "training", "--json", "--device", "cpu", "--benchmark_filter=^training/planar"],
                            check=True, capture_output=True, text=True).stdout
    runs = [r for r in json.loads(output)["benchmarks"]
            if r["run_type"] == "iteration" and f"/threads:{cores}/" in r["name"]]
    def best(name):
        least = min((r for r in runs if r["name"].startswith("training/" + name + "/")), key=lambda r: r["real_time"])
        return least["real_time"] * 1e-3 / least["networks"], least
    return best("planar_fused"), best("planar_by_operations")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    cores = len(os.sched_getaffinity(0))
    threads = 1 << (cores.bit_length() - 1)  # the benchmark counts in powers of two
    peers = ["NumPy"]
    try:
        import torch
        peers.append("PyTorch")
    except ImportError:
        pass
    (fused, fused_run), (operations, _) = espectra(sys.argv[1], threads)
    print(f"{threads} cores; per network of {EPOCHS} epochs on {EXAMPLES} examples, the least of {REPETITIONS} repetitions:")
    print(f"Espectra, fused          {fused * 1e3:8.2f} ms   {fused * 1e9 / (EPOCHS * EXAMPLES):.1f} ns per example and epoch")
    print(f"Espectra, by operations  {operations * 1e3:8.2f} ms   {operations / fused:.1f} times as long")
    with multiprocessing.get_context("spawn").Pool(threads) as pool:
        for peer in peers:
            seconds, cost = seconds_per_network(peer, pool, threads)
            # Rounding errors grow with the epochs: the work is the same where the costs still agree early on.
            early = abs(pool.apply(run, (peer, COMPARED_EPOCHS)) / fused_run["early_cost"] - 1)
            print(f"{peer + ', a process per core':24} {seconds * 1e3:8.2f} ms   {seconds / fused:.1f} times as long;"
                  f" cost differs by {early:.0e} after {COMPARED_EPOCHS} epochs,"
                  f" {abs(cost / fused_run['cost'] - 1):.0e} at the end")
            if not early < 1e-10:
                sys.exit(f"{peer} has not done the same work")


if __name__ == "__main__":
    main()
