"""Tests what experiments/studies/import-recorded-runs writes: from a miniature of the authors' repository and,
where available, from the recorded runs."""

import json
import os
import pickle
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from authors_repository import EPOCHS, GRADIENTS, IMPORTER, Training, object_array, run, write_npy, write_run
from conftest import PROGRAM, SOURCE

RECORDED = Path(os.environ.get("ESPECTRA_RECORDED_RUNS", SOURCE.parent / "shared/oracle"))


@pytest.fixture(scope="module")
def imported(miniature):
    output = miniature.folder.parent / "imported"
    return run(miniature.folder, output), output


# --- results of the import


def test_the_gradient_of_the_tests_is_right():
    """Compares the gradient, on which these tests rely, with differences of the cost."""
    random = np.random.default_rng(0)
    for activation in ("esp", "relu", "sigmoid"):
        training = Training([2, 4, 3, 2], activation, 1)
        theta, x, y = training.start() + 0.3, random.normal(size=(2, 9)), random.integers(0, 2, (2, 9))
        gradient = training.gradient(theta, x, y)[1]
        costs = [(training.gradient(theta + s, x, y)[0] - training.gradient(theta - s, x, y)[0]) / 2e-6 for s in 1e-6 * np.eye(len(theta))]
        assert np.allclose(gradient, costs, rtol=0, atol=1e-9)


def test_all_runs_are_written(miniature, imported):
    outcome, output = imported
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert sorted(path.stem for path in output.iterdir()) == sorted(miniature.first)
    assert len(outcome.stdout.splitlines()) == 4
    assert "ftmp_10 -> linear_2-10-1_esp.h5: 36 snapshots of 52 parameters; residuals within" in outcome.stdout


def test_records_are_those_of_the_training(miniature, imported):
    for name, kept in miniature.kept.items():
        with h5py.File(imported[1] / f"{name}.h5") as f:
            assert f["epoch"][:].tolist() == EPOCHS
            gradient = np.array([np.concatenate([g.ravel() for g, _ in pairs]) for pairs in kept["pairs"]])
            theta = np.array([np.concatenate([value.ravel() for _, value in pairs]) for pairs in kept["pairs"]])
            eigen = np.array([np.sort(values.real) for values in kept["eigen"]])
            for dataset, values in (("theta", theta), ("gradient", gradient), ("eigenvalues", eigen), ("cost", kept["cost"]),
                                    ("alpha", kept["index"]), ("gamma", kept["zeros"]), ("accuracy_train", kept["train"]),
                                    ("accuracy_test", kept["test"]), ("hessian", kept["hessians"]), ("residual", kept["residual"])):
                assert f[dataset].dtype == float
                assert np.array_equal(f[dataset][:], values), f"{name} {dataset}"


def test_initial_theta_is_that_of_the_training(miniature, imported):
    """Allows two spacings of the largest θ: θ₁ is rounded, and undoing the step of up to 0.01 takes a few
    roundings of its own size."""
    for name, first in miniature.first.items():
        with h5py.File(imported[1] / f"{name}.h5") as f:
            assert np.abs(f["theta_initial"][:] - first).max() <= 2 * np.spacing(np.abs(first).max())
    first_gradients = [gradient for gradient, _ in miniature.kept["linear_2-10-1_relu"]["pairs"][0]]
    assert any((gradient == 0).any() for gradient in first_gradients)  # covers zero gradients


def test_split(miniature, imported):
    with h5py.File(imported[1] / "linear_2-10-1_esp.h5") as f:
        assert np.array_equal(f["data/X_train"][:], miniature.x[miniature.train])
        assert np.array_equal(f["data/X_test"][:], miniature.x[miniature.test])
        assert np.array_equal(f["data/Y_train"][:], miniature.y[miniature.train])
        assert f["data/X_test"].shape == (13, 2)  # ⌈51 / 4⌉


def test_split_by_hand():
    """RandomState(0).permutation(5) is 2 0 1 3 4; the first ⌈0.2 · 5⌉ are the test examples."""
    x = np.arange(5)[:, None]
    train, test, *_ = IMPORTER.split(x, x, 0.2, 0)
    assert (test.ravel().tolist(), train.ravel().tolist()) == ([2], [0, 1, 3, 4])


def test_digits_have_the_authors_targets():
    x_train, x_test, y_train, y_test = IMPORTER.digits_data()
    assert (x_train.shape, x_test.shape, y_train.shape) == ((1437, 64), (360, 64), (1437, 10))
    assert x_train.max() == 16 / 255
    empty = (np.concatenate([y_train, y_test]).sum(axis=1) == 0).sum()
    assert empty == 178  # the images of the digit 0, 178 of 1797
    assert np.concatenate([y_train, y_test])[:, 9].sum() == 0  # no image is of class 10


@pytest.mark.skipif(not PROGRAM, reason="ESPECTRA_PROGRAM is not set")
def test_replay(miniature, imported):
    for name in miniature.first:
        out = subprocess.run([PROGRAM, "replay", imported[1] / f"{name}.h5", "--json"], check=True, capture_output=True, text=True).stdout
        report = json.loads(out)
        assert report["hessian_relative_error_max"] <= 1e-8
        assert report["residual_error_max"] <= 1e-12
        assert report["eigenvalue_error_max"] <= 1e-8
        assert report["gamma_dead_mismatches"] == 0
        assert report["theta_error_max"] <= 1e-3


def test_bytes_that_python_3_pickles_with_protocol_2(tmp_path):
    values = np.arange(24.0).reshape(1, 2, 2, 6) / 7
    objects = object_array(values)
    write_npy(tmp_path / GRADIENTS, "{'descr': '|O', 'fortran_order': False, 'shape': (1, 2, 2), }", pickle.dumps(objects, protocol=2))
    assert b"_codecs" in (tmp_path / GRADIENTS).read_bytes()
    assert np.array_equal(IMPORTER.gradients_and_variables(tmp_path / GRADIENTS, 1), values)


# --- the authors' own runs


def recorded_files():
    found = sorted(RECORDED.glob("*.h5")) if RECORDED.is_dir() else []
    if not found:
        reason = f"{RECORDED}: no recorded runs; ESPECTRA_RECORDED_RUNS names their folder"
        if os.environ.get("ESPECTRA_REQUIRE_RECORDED_RUNS"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def authors_layout(repository, paths):
    """Writes the authors' repository as far as its recorded runs determine it."""
    (repository / "TF").mkdir(parents=True)
    random = np.random.default_rng(0)
    for path in paths:
        task, widths, activation = path.stem.split("_")
        with h5py.File(path) as f:
            name = {"linear": "Lin", "nonlinear": "NL"}.get(task)
            hidden = widths.split("-")[1:-1]
            place = f"TF/Artificial_class/{''.join(hidden)}_{name}" if name else "TF/mnist"
            folder = repository / place / f"{activation}_{''.join(hidden)}"
            layers = list(zip(f.attrs["widths"], f.attrs["widths"][1:]))
            shapes = [shape for k, n in layers for shape in ((n, k), (n, 1), (n, 1))[:2 + f.attrs["trainable_beta"]]]
            ends = np.cumsum([n * k for n, k in shapes])
            cut = lambda flat: [  # noqa: E731
                part.reshape(shape) for part, shape in zip(np.split(flat, ends[:-1]), shapes)]
            kept = {"cost": f["cost"][:].astype(np.float32), "index": f["alpha"][:], "zeros": f["gamma"][:],
                    "eigen": random.permuted(f["eigenvalues"][:], axis=1) + (0j if activation == "esp" else 0),
                    "train": f["accuracy_train"][:].astype(np.float32), "test": f["accuracy_test"][:].astype(np.float32),
                    "pairs": [list(zip(cut(g), cut(t))) for g, t in zip(f["gradient"][:], f["theta"][:])]}
            if name:
                kept |= {"hessians": f["hessian"][:], "residual": f["residual"][:]}
                fraction, seed = (0.25, 5) if task == "linear" else (0.2, 0)
                n = len(f["data/X_train"]) + len(f["data/X_test"])
                order = np.random.RandomState(seed).permutation(n)
                x, y = np.empty((n, 2)), np.empty((n, 1))
                x[order] = np.concatenate([f["data/X_test"], f["data/X_train"]])
                y[order] = np.concatenate([f["data/Y_test"], f["data/Y_train"]])
                scipy.io.savemat(repository / f"TF/{name}data.mat", {"X": x, "y": y})
                assert np.ceil(fraction * n) == len(f["data/X_test"])
            write_run(folder, f"{activation}{''.join(hidden)}", kept, spectra=bool(name))


def test_recorded_runs_come_back(tmp_path):
    paths = recorded_files()
    authors_layout(tmp_path / "repository", paths)
    outcome = run(tmp_path / "repository", tmp_path / "out")
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert len(list((tmp_path / "out").iterdir())) == len(paths)
    for path in paths:
        with h5py.File(path) as wanted, h5py.File(tmp_path / "out" / path.name) as found:
            names = {}
            for file, key in ((wanted, 0), (found, 1)):
                file.visititems(lambda name, item, key=key: names.setdefault(key, {}).update({name: item}))
            assert set(names[0]) == set(names[1])
            for name, item in names[0].items():
                if not isinstance(item, h5py.Dataset):
                    continue
                assert (item.shape, item.dtype) == (found[name].shape, found[name].dtype), f"{path.name} {name}"
                if name == "theta_initial":
                    assert np.abs(found[name][:] - item[:]).max() <= 2 * np.spacing(np.abs(item[:]).max())
                else:
                    assert np.array_equal(found[name][:], item[:]), f"{path.name} {name}"
            assert set(wanted.attrs) == set(found.attrs)
            for name in wanted.attrs:
                assert np.array_equal(wanted.attrs[name], found.attrs[name])
                assert wanted.attrs.get_id(name).dtype == found.attrs.get_id(name).dtype
