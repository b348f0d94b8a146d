"""Tests experiments/studies/replication: its figures and tables, on made-up networks and, where available, on
recorded runs."""

import importlib.machinery
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from synthetic import parameters_of, write_results

SOURCE = Path(__file__).resolve().parents[3]
SCRIPT = SOURCE / "experiments/studies/replication"
PROGRAM = os.environ.get("ESPECTRA_PROGRAM", "")
RECORDED = Path(os.environ.get("ESPECTRA_RECORDED_RUNS", SOURCE.parent / "shared/oracle"))
NAMES = ("linear_2-3-1_esp", "linear_2-3-1_relu", "linear_2-2-2-1_sigmoid", "nonlinear_2-3-1_esp")
COST = [0.69, 0.4, 0.2]
RESIDUAL = np.array([[0.5, -0.5, 0.5, -0.5], [0.1, -0.2, 2e-5, -0.4], [1e-5, -1e-5, 0.9e-5, 0.1]])


def load():
    loader = importlib.machinery.SourceFileLoader("replication", str(SCRIPT))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    sys.modules["replication"] = module  # dataclasses look the module up there
    loader.exec_module(module)
    return module


replication = load()


def write_recorded(folder, name):
    """Writes a recorded run of three records with known numbers: eigenvalues −1, −1e-15, 0, …, 0, 2 and a
    diagonal Hessian."""
    task, architecture, activation = name.split("_")
    widths = [int(width) for width in architecture.split("-")]
    P = parameters_of(widths, activation)
    random = np.random.default_rng(0)
    with h5py.File(folder / f"{name}.h5", "w") as f:
        f.attrs.update({"widths": widths, "hidden_activation": activation, "trainable_beta": int(activation == "esp"), "epochs_total": 30})
        f["data/X_train"] = random.uniform(size=(4, 2))
        f["data/Y_train"] = np.array([[0.0], [1.0], [0.0], [1.0]])
        f["theta"], f["theta_initial"] = random.normal(size=(3, P)), random.normal(size=P)
        f["epoch"], f["cost"] = np.array([0, 11, 21]), COST
        f["alpha"], f["gamma"] = [0.5, 0.4, 0.3], [0.2, 0.1, 0.1]
        f["accuracy_train"], f["accuracy_test"] = [0.5, 0.75, 1.0], [0.5, 0.5, 1.0]
        eigenvalues = np.zeros(P)
        eigenvalues[0], eigenvalues[1], eigenvalues[-1] = -1, -1e-15, 2
        f["eigenvalues"] = np.tile(eigenvalues, (3, 1))
        f["hessian"] = np.tile(np.diag(eigenvalues), (3, 1, 1))
        f["residual"] = RESIDUAL[:, None, :]


@pytest.fixture
def pairs(tmp_path):
    (tmp_path / "recorded").mkdir()
    for name in NAMES:
        write_recorded(tmp_path / "recorded", name)
    here = [{"name": name, "widths": [int(w) for w in name.split("_")[1].split("-")], "activation": name.split("_")[2]}
            for name in (*NAMES, "nonlinear_2-9-1_relu")]
    write_results(tmp_path / "results.h5", here)
    found, others = replication.open_pairs(tmp_path / "results.h5", tmp_path / "recorded")
    assert [network.name for network in others] == ["nonlinear_2-9-1_relu"]
    return found


def test_pairs_come_in_the_order_of_the_paper(pairs):
    assert [pair.here.name for pair in pairs] == list(NAMES)
    assert list(replication.settings(pairs)) == ["linear 2-3-1", "linear 2-2-2-1", "nonlinear 2-3-1"]


def test_a_recorded_run_without_a_network(tmp_path, pairs):
    write_recorded(tmp_path / "recorded", "digits_2-3-1_esp")
    with pytest.raises(replication.ReportError, match="expected a network digits_2-3-1_esp"):
        replication.open_pairs(tmp_path / "results.h5", tmp_path / "recorded")


def panels(figure):
    return np.array([axis for axis in figure.axes if axis.get_label() != "<colorbar>"]).reshape(-1, 2)


def test_recorded_cost_precedes_the_update(pairs):
    axes = panels(replication.draw_against_epoch(pairs, "cost", "cost"))
    assert [axis.get_title() for axis in axes[0]] == ["recorded by the authors", "Espectra"]
    recorded, here = axes[0, 0].get_lines()[0], axes[0, 1].get_lines()[0]
    assert (recorded.get_xdata().tolist(), recorded.get_ydata().tolist()) == ([0, 11, 21], COST)
    assert here.get_xdata().tolist() == [0, 10, 20]
    assert np.array_equal(here.get_ydata(), pairs[0].here.group["cost"][0])
    for row in axes:  # the same axes and the same scale
        assert row[0].get_xlim() == row[1].get_xlim() and row[0].get_ylim() == row[1].get_ylim() and row[0].get_yscale() == "log"
    assert [len(axis.get_lines()) for axis in axes[0]] == [2, 2]  # ESP and ReLU


def test_zero_residuals_are_counted_from_the_residuals(pairs):
    """Worked by hand: none, none (2e-5 is too large), and three of four, including 1e-5 itself."""
    line = panels(replication.draw_against_epoch(pairs, "zero_residuals", "zero residuals"))[0, 0].get_lines()[0]
    assert line.get_xdata().tolist() == [1, 12, 22]  # they belong to θ after the update
    assert line.get_ydata().tolist() == [0, 0, 0.75]


def test_indices_against_cost(pairs):
    axes = panels(replication.draw_against_cost(pairs, "alpha", "α"))
    line = axes[0, 0].get_lines()[0]
    assert (line.get_xdata().tolist(), line.get_ydata().tolist()) == (COST, [0.5, 0.4, 0.3])
    assert np.array_equal(axes[0, 1].get_lines()[0].get_ydata(), pairs[0].here.group["alpha"][0])
    assert len(axes) == 3


def test_densities(pairs):
    axes = panels(replication.draw_densities(pairs[:1]))
    first, last = (patch.get_data() for patch in axes[0, 0].patches)
    assert np.array_equal(first.values, last.values)
    P, middle = pairs[0].here.parameters, len(replication.BINS) // 2 - 1
    assert replication.BINS[middle] == -1e-8 and replication.BINS[middle + 1] == 1e-8
    assert last.values[middle] == (P - 2) / P
    assert last.values.sum() == pytest.approx(1, abs=1e-15)
    here = axes[0, 1].patches[1].get_data().values
    eigenvalues = pairs[0].here.group["eigenvalues"][0, -1]
    assert here[middle] == np.mean(np.abs(eigenvalues) < 1e-8)


def test_eigenvectors(pairs):
    P = pairs[0].here.parameters
    random = np.random.default_rng(1)
    recorded, here = (np.linalg.qr(random.normal(size=(P, P)))[0] for _ in range(2))
    figure = replication.draw_eigenvectors(pairs[:1], [((np.ones(P), recorded), (np.ones(P), here))])
    axes = panels(figure)
    assert np.array_equal(axes[0, 0].images[0].get_array(), np.abs(recorded))
    assert np.array_equal(axes[0, 1].images[0].get_array(), np.abs(here))
    assert all(image.get_clim() == (0, 1) for axis in axes[0] for image in axis.images)
    assert [label.get_text().strip() for label in axes[0, 0].get_xticklabels()] == ["W₁", "b₁", "β₁", "W₂", "b₂", "β₂"]


def test_indices_at_a_tolerance_by_hand():
    eigenvalues = np.array([-1.0, -1e-7, -1e-15, 0.0, 1e-15, 2.0])
    assert replication.indices(eigenvalues, 1e-12) == (2 / 6, 3 / 6)
    assert replication.indices(eigenvalues, 1e-6) == (1 / 6, 4 / 6)


def test_cost_after_an_update_by_hand(pairs):
    """The cost is −log(1 − |r|): log 2 for residuals of one half, and −log 0.9 for p = 0.9, y = 1."""
    after = replication.cost_after(pairs[0].recorded)
    assert after[0] == pytest.approx(np.log(2), rel=1e-15)
    assert after[2] == pytest.approx(-(np.log(0.9) + 2 * np.log1p(-1e-5) + np.log1p(-0.9e-5)) / 4, rel=1e-12)


def test_forward_by_hand():
    """The network has one ESP unit: h = 2 · 3 − 5 = 1, a = σ(0.5), z = 2 (4 a + 1)."""
    theta = np.array([2.0, -5.0, 0.5, 4.0, 1.0, 2.0])
    assert replication.forward(theta, [1, 1, 1], np.array([[3.0]]))[0, 0] == pytest.approx(2 * (4 / (1 + np.exp(-0.5)) + 1), rel=1e-15)


def test_tables(pairs, capsys):
    replication.networks_table(pairs, [])
    replication.index_table(pairs)
    replication.update_table(pairs)
    replication.spectrum_table(pairs)
    out = capsys.readouterr().out
    cost = pairs[0].here.group["cost"][0, -1]
    assert f"| linear 2-3-1 esp | 22 / 20 | 0.2 / {replication.number(cost)} | 1.000 / " in out
    # −1 and −1e-15 are negative, at rounding only the first one; P − 3 are exactly zero, P − 2 at rounding.
    P = pairs[0].here.parameters
    row = next(line for line in out.splitlines() if line.startswith("| linear 2-3-1 esp |") and f" {2 / P:.3f} / " in line).split(" | ")
    wanted = [2, 1, 1, 1, 1, P - 3, P - 2, P - 2, P - 2, P - 2]
    assert [cell.split(" / ")[0] for cell in row[1:]] == [f"{count / P:.3f}" for count in wanted]
    here = pairs[0].here.group["eigenvalues"][0, -1]
    assert row[2].split(" / ")[1] == f"{np.mean(here < -4 * P * np.finfo(float).eps * np.abs(here).max()):.3f}"
    ends = next(line for line in out.split("### Eigenvalues")[1].splitlines() if line.startswith("| linear 2-3-1 esp |")).split(" | ")
    assert (ends[1], ends[3]) == ("-1 → -1", "2 → 2")
    assert ends[2].endswith(f"→ {replication.number(here[0])}")


@pytest.mark.parametrize("value, text", [(0.0, "0"), (0.0123, "0.0123"), (0.00123, "1.2e-3"), (12345.0, "1.2e4"), (1e-16, "1.0e-16"),
                                         (np.nan, "–")])
def test_numbers(value, text):
    assert replication.number(value) == text


# --- with the program and the recorded runs


@pytest.mark.skipif(not PROGRAM, reason="ESPECTRA_PROGRAM is not set")
def test_pictures_and_tables_of_recorded_runs(tmp_path):
    wanted = ("linear_2-10-1_esp", "linear_2-10-1_relu")
    if not all((RECORDED / f"{name}.h5").is_file() for name in wanted):
        reason = f"{RECORDED}: no recorded runs; ESPECTRA_RECORDED_RUNS names their folder"
        if os.environ.get("ESPECTRA_REQUIRE_RECORDED_RUNS"):
            pytest.fail(reason)
        pytest.skip(reason)
    (tmp_path / "recorded").mkdir()
    for name in wanted:
        (tmp_path / "recorded" / f"{name}.h5").symlink_to(RECORDED / f"{name}.h5")
    subprocess.run([PROGRAM, "run", SOURCE / "experiments/recipes/linear.toml", "--output", tmp_path / "paper", "--set", "train.epochs=60",
                    "--set", 'sweep.network.activation=["esp","relu"]', "--set", "sweep.network.hidden=[[10]]"],
                   check=True, capture_output=True)
    done = subprocess.run([sys.executable, SCRIPT, tmp_path / "paper", tmp_path / "recorded", tmp_path / "out"],
                          capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    pictures = sorted(path.name for path in (tmp_path / "out").iterdir())
    drawn = ("alpha", "cost", "eigenvalues", "eigenvectors-linear", "gamma", "zero-residuals")
    assert pictures == [f"replication-{name}.png" for name in drawn]
    assert all(10_000 < path.stat().st_size <= 200_000 for path in (tmp_path / "out").iterdir())
    section = done.stdout.split("### espectra replay")[1].split("###")[0]
    rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| linear")]
    assert len(rows) == 2
    for row in rows:
        assert float(row[1]) <= 1e-8 and float(row[3]) <= 3e-15 and row[-1] == "0 / 0 |"
    assert done.stdout.count("### ") == 9


def test_wrong_use(tmp_path):
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True)
    assert done.returncode == 1 and "PAPER_RESULTS RECORDED_FOLDER OUTPUT_FOLDER" in done.stderr
    done = subprocess.run([sys.executable, SCRIPT, tmp_path / "none", tmp_path, tmp_path / "out"], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr == f"experiments/studies/replication: {tmp_path}/none: no such file\n"


def test_the_page_shows_the_pictures():
    page = (SOURCE / "docs/replication.md").read_text()
    shown = {line.split("](figures/")[1].rstrip(")") for line in page.splitlines() if line.startswith("![")}
    assert shown == {path.name for path in (SOURCE / "docs/figures").glob("replication-*.png")}
    assert len(shown) == 7 and all((SOURCE / "docs/figures" / name).stat().st_size <= 200_000 for name in shown)
    assert len(page.splitlines()) <= 310
