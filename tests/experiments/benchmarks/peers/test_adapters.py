"""Tests of every program's Hessian, eigenvalues and training against differences of a hand-written gradient in
NumPy."""

import importlib

import h5py
import numpy as np
import pytest
from conftest import small_problem
from espectra_peers import cases, work_numpy
from espectra_peers.measure import Limits, Worker
from espectra_peers.problem import BETA1, BETA2, EPSILON
from espectra_peers.snapshots import epochs_of_snapshots

NETWORKS = [dict(), dict(widths=(3, 4, 2, 1)), dict(activation="sigmoid"), dict(trainable_beta=False)]


def hessian_by_differences(problem, r=0, h=1e-3):
    """Returns the symmetric (P, P) matrix of sixth-order central differences of the gradient."""
    gradient = lambda theta: work_numpy.gradient(problem.network, theta[None], problem.x, problem.y)[0]
    theta, rows = problem.theta[r], []
    for e in np.eye(len(theta)):
        rows.append(sum(c * (gradient(theta + k * h * e) - gradient(theta - k * h * e))
                        for k, c in ((1, 45), (2, -9), (3, 1))) / (60 * h))
    matrix = np.array(rows)
    return (matrix + matrix.T) / 2


def adapter(module):
    try:
        return importlib.import_module(f"espectra_peers.work_{module}")
    except ImportError as error:
        pytest.skip(str(error))


def done(program, work, problem):
    """Returns the results of one call."""
    call, results = adapter(program.module).prepare(work, problem, 1, **({"method": program.method} if program.method else {}))
    return results(call())


def names(programs):
    return dict(argvalues=programs, ids=[p.key for p in programs])


@pytest.mark.parametrize("network", NETWORKS)
def test_gradient_of_numpy_is_the_slope_of_its_cost(network):
    problem = small_problem(**network)
    theta, h = problem.theta, 1e-3
    cost = lambda t: work_numpy.cost(problem.network, t, problem.x, problem.y)[0]
    slope = [sum(c * (cost(theta + k * h * e) - cost(theta - k * h * e)) for k, c in ((1, 45), (2, -9), (3, 1))) / (60 * h)
             for e in np.eye(theta.shape[1])]
    np.testing.assert_allclose(work_numpy.gradient(problem.network, theta, problem.x, problem.y)[0], slope, atol=1e-12)


def test_cost_by_hand():
    problem = small_problem((1, 1, 1))
    w, b, beta, v, c, gamma = 0.5, -0.25, 2.0, 1.5, 0.125, 0.75
    h = w * 2.0 + b
    z = gamma * (v * h / (1 + np.exp(-beta * h)) + c)
    expected = np.log(1 + np.exp(z)) - z  # of an example with y = 1
    theta = np.array([[w, b, beta, v, c, gamma]])
    assert work_numpy.cost(problem.network, theta, np.array([[2.0]]), np.array([[1.0]]))[0] == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("program", **names(cases.HESSIANS))
def test_hessian(program, network):
    problem = small_problem(**network)
    expected = hessian_by_differences(problem)
    found = done(program, "hessian", problem)["hessian"]
    assert found.shape == (1, *expected.shape)
    assert np.linalg.norm(found[0] - expected) < 1e-10 * np.linalg.norm(expected)


@pytest.mark.parametrize("program", **names(cases.SPECTRA))
def test_eigenvalues_of_several_networks(program):
    problem = small_problem(networks=3)
    expected = [np.linalg.eigvalsh(hessian_by_differences(problem, r)) for r in range(3)]
    np.testing.assert_allclose(done(program, "spectra", problem)["eigenvalues"], expected, atol=1e-10)


@pytest.mark.parametrize("program", **names(cases.LARGEST))
def test_largest_eigenvalue(program):
    if program.key == "pyhessian-density":
        pytest.importorskip("pyhessian")
        with pytest.raises(RuntimeError, match="removed"):  # it calls torch.eig: if this ever works, measure it
            done(program, "top", small_problem())
        return
    problem = small_problem()
    expected = np.linalg.eigvalsh(hessian_by_differences(problem)).max()
    assert done(program, "top", problem)["top"] == pytest.approx(expected, rel=2e-2)


def trained_plainly(problem, epochs):
    """Adam as written in docs/mathematics.md, one network at a time."""
    final = []
    for theta in problem.theta.copy():
        first = second = 0.0
        for t in range(1, epochs + 1):
            g = work_numpy.gradient(problem.network, theta[None], problem.x, problem.y)[0]
            first, second = BETA1 * first + (1 - BETA1) * g, BETA2 * second + (1 - BETA2) * g * g
            rate = 0.01 * 0.9 ** ((t - 1) / 500)
            theta = theta - rate * np.sqrt(1 - BETA2**t) / (1 - BETA1**t) * first / (np.sqrt(second) + EPSILON)
        final.append(theta)
    return np.array(final)


@pytest.mark.parametrize("networks", [1, 20])
@pytest.mark.parametrize("program", **names(cases.TRAINING))
def test_training(program, networks):
    problem = small_problem(networks=networks, epochs=30)
    found = done(program, "training", problem)
    expected = trained_plainly(problem, 30)
    np.testing.assert_allclose(found["theta"], expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found["cost"], work_numpy.cost(problem.network, expected, problem.x, problem.y), rtol=1e-12)
    np.testing.assert_allclose(found["early_theta"], trained_plainly(problem, 100), rtol=0, atol=1e-11)


@pytest.mark.parametrize("program", **names(cases.RUNS))
def test_run(program):
    problem = small_problem(epochs=20)
    found = done(program, "run", problem)
    assert found["epoch"].tolist() == [0, 10, 20]
    for k, epoch in enumerate((0, 10, 20)):
        theta = trained_plainly(problem, epoch)
        np.testing.assert_allclose(found["theta"][k], theta[0], rtol=0, atol=1e-12)
        there = small_problem()
        there.theta[:] = theta
        np.testing.assert_allclose(found["eigenvalues"][k], np.linalg.eigvalsh(hessian_by_differences(there)), atol=1e-10)


def test_schedule_is_that_of_the_recipe():
    epochs = epochs_of_snapshots(2000)
    assert len(epochs) == 56 and epochs[:3] == [0, 10, 20] and epochs[19:22] == [190, 250, 300] and epochs[-1] == 2000


@pytest.mark.parametrize("work", ["hessian", "spectra", "training"])
def test_espectra_works_on_the_same_file(work, espectra, tmp_path):
    problem = small_problem(networks=70, epochs=30)  # more than it takes together
    problem.write(tmp_path / "problem.h5")
    command = cases.ESPECTRA.command(work, tmp_path / "problem.h5", tmp_path / "out.h5", 1, espectra)
    with Worker(command, 1, Limits(seconds=60), tmp_path / "log") as worker:
        first = worker.answer(60)
        assert first["first_seconds"] > 0 and first["peak_bytes"] >= first["loaded_bytes"]
        assert worker.repeat()["seconds"] > 0
    with h5py.File(tmp_path / "out.h5") as f:
        found = {name: f[name][...] for name in f}
    if work == "hessian":
        expected = np.array([hessian_by_differences(problem, r) for r in range(64)])
        np.testing.assert_allclose(found["hessian"], expected, atol=1e-10)
    elif work == "spectra":
        expected = [np.linalg.eigvalsh(hessian_by_differences(problem, r)) for r in range(70)]
        np.testing.assert_allclose(found["eigenvalues"], expected, atol=1e-10)
    else:
        np.testing.assert_allclose(found["theta"], trained_plainly(problem, 30), rtol=0, atol=1e-12)
        assert found["cost"].shape == (70,)
        np.testing.assert_allclose(found["early_theta"], trained_plainly(problem, 100)[:64], rtol=0, atol=1e-11)
