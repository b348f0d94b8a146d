"""A whole run: training with the exact Hessian and its eigenvalues at each snapshot."""

import numpy as np


def epochs_of_snapshots(epochs, dense_until=200, dense_step=10, step=50):
    """Returns Espectra's schedule (docs/recipes.md): 56 snapshots for 2000 epochs."""
    dense = range(0, min(dense_until, epochs), dense_step)
    sparse = range(epochs, min(dense_until, epochs), -step)
    return sorted({0, *dense, *sparse, epochs})


def run_results(problem, state, advance, analyze):
    """Returns the call and the conversion of its results. `advance(state, begin, end)` trains;
    `analyze(state)` returns θ (P), cost, and eigenvalues (P)."""
    schedule = epochs_of_snapshots(problem.epochs)

    def call():
        now, done, records = state, 0, []
        for epoch in schedule:
            if epoch > done:
                now, done = advance(now, done, epoch), epoch
            records.append(analyze(now))
        return records

    def results(records):
        theta, cost, eigenvalues = (np.array(c) for c in zip(*records))
        return {"epoch": np.array(schedule), "theta": theta, "cost": cost, "eigenvalues": eigenvalues}

    return call, results
