"""Tests of reading results: complete, incomplete and invalid files."""

import re

import h5py
import numpy as np
import pytest
from conftest import SOURCE, run_recipe
from synthetic import write_results

from espectra_report import figures, older_files, style
from espectra_report.activations import ACTIVATIONS
from espectra_report.page import explorer
from espectra_report.results import ReportError, comparisons, open_run, open_runs

ESP = {"name": "nonlinear_2-3-1_esp", "widths": [2, 3, 1], "activation": "esp"}
RELU = {"name": "nonlinear_2-3-1_relu", "widths": [2, 3, 1], "activation": "relu"}


def test_a_run_of_the_program(single):
    run = open_run(single)
    assert run.state == "complete" and len(run.networks) == 6
    network = next(one for one in run.networks if one.name == "nonlinear_2-3-2-1_esp")
    assert (network.task, network.architecture, network.activation, network.variant) == ("nonlinear", "2-3-2-1", "esp", "")
    assert [(b.label, b.start, b.stop) for b in network.blocks] == [
        ("W₁", 0, 6), ("b₁", 6, 9), ("β₁", 9, 12), ("W₂", 12, 18), ("b₂", 18, 20), ("β₂", 20, 22), ("W₃", 22, 24), ("b₃", 24, 25), ("β₃", 25, 26)]
    assert network.parameters == 26 == network.group["theta"].shape[-1]
    assert network.eigenvalues(0).shape == (5, 26) and network.eigenvectors(0, 4).shape == (26, 26)
    assert network.recorded.all() and network.last_recorded() == 4


def test_comparisons_hold_the_activations_of_one_setting(single):
    groups = comparisons([open_run(single)])
    assert [(group.title, [n.activation for n in group.networks]) for group in groups] == [
        ("nonlinear 2-3-2-1", ["esp", "relu", "sigmoid"]), ("nonlinear 2-4-1", ["esp", "relu", "sigmoid"])]


def test_swept_keys_are_variants(tmp_path):
    run = open_run(write_results(tmp_path / "results.h5", [
        ESP | {"name": "nonlinear_2-3-1_esp_seed=1_rate=0.1"}, RELU | {"name": "nonlinear_2-3-1_relu_seed=1_rate=0.1"},
        ESP | {"name": "nonlinear_2-3-1_esp_seed=2_rate=0.1"}]))
    assert [(group.title, len(group.networks)) for group in comparisons([run])] == [
        ("nonlinear 2-3-1 seed=1, rate=0.1", 2), ("nonlinear 2-3-1 seed=2, rate=0.1", 1)]


@pytest.mark.parametrize("suffix, variant", [
    ("", ""), ("_2", "2"), ("_loss=sigmoid_cross_entropy_seed=3", "loss=sigmoid_cross_entropy, seed=3"),
    ("_learning_rate=0.1_test_fraction=0.2", "learning_rate=0.1, test_fraction=0.2"),
    ("_negative_slope=0.1_seed=3", "negative_slope=0.1, seed=3")])
def test_keys_of_a_name(tmp_path, suffix, variant):
    network = open_run(write_results(tmp_path / "results.h5", [ESP | {"name": ESP["name"] + suffix}])).networks[0]
    assert network.variant == variant


def test_attributes_of_a_run(sweep, tmp_path):
    """Attributes of the file give its swept keys, and the axes, meanings and statistics of its datasets."""
    network = open_run(sweep).networks[0]
    attributes = network.group.attrs
    assert list(attributes["swept_keys"]) == ["network.activation", "network.hidden"]
    assert list(attributes["swept_values"]) == ["'esp'", "[ 3, 2 ]"]
    assert network.variant == attributes["variant"] == ""
    cost = network.group["cost"]
    assert list(cost.attrs["axes"]) == ["replica", "snapshot"] and cost.attrs["statistics"] == 1
    assert cost.attrs["meaning"] == "training loss" and "statistics" not in network.group["trace"].attrs
    assert network.axes.items() >= older_files.AXES.items()
    paired = next(iter(network.group["statistics/paired"].values()))
    assert tuple(older_files.paired_rows(paired)) == older_files.STATISTICS
    assert set(next(iter(network.paired().values()))) == set(older_files.STATISTICS)


def test_seeds_of_a_sweep_have_different_names(tmp_path):
    folder = run_recipe(tmp_path, """
data.source = "linear"
network.hidden = [2]
train.epochs = 1
[sweep]
"train.seed" = [1, 2]
"data.seed" = [1, 2]
""")
    networks = open_run(folder).networks
    assert {network.variant.replace(", ", "_") for network in networks} == {network.name.split("esp_")[1] for network in networks}
    assert {tuple(sorted(network.variant.split(", "))) for network in networks} == {
        (f"data_seed={data}", f"seed={seed}") for data in (1, 2) for seed in (1, 2)}


def test_statistics_with_and_without_those_of_the_file(sweep, tmp_path):
    network = open_run(sweep).networks[0]
    stored = network.group["statistics/cost"][()]
    assert np.array_equal(network.statistics("cost"), stored)
    del stored
    unfinished = open_run(write_results(tmp_path / "results.h5", [ESP | {"replicas": 4, "recorded": 1}], state="running")).networks[0]
    table = unfinished.statistics("cost")
    assert table[0, 0] == pytest.approx(np.median(unfinished.series("cost")[:, 0]))
    assert np.isnan(table[0, 3:]).all() and np.isnan(table[1:]).all()


def test_recorded_run(tmp_path):
    with h5py.File(tmp_path / "linear_2-3-1_relu.h5", "w") as f:
        f.attrs.update({"widths": [2, 3, 1], "hidden_activation": "relu"})
        f["theta"] = np.zeros((4, 13))
        f["epoch"] = [0, 10, 20, 30]
        f["cost"], f["alpha"] = np.arange(4.0), np.full(4, 0.5)
        f["eigenvalues"] = np.arange(52.0).reshape(4, 13)
    network = open_run(tmp_path / "linear_2-3-1_relu.h5").networks[0]
    assert (network.replicas, network.snapshots, network.parameters) == (1, 4, 13)
    assert network.series("cost").tolist() == [[0, 1, 2, 3]] and network.eigenvalues(0, 2)[0] == 26
    assert np.isnan(network.series("tau")).all() and network.recorded.all()


def test_the_folder_of_a_run_in_progress(tmp_path):
    write_results(tmp_path / "results.h5.partial", [ESP | {"recorded": 2}], state="running")
    run = open_run(tmp_path)
    assert run.state == "running" and run.networks[0].last_recorded() == 1


def test_several_runs_have_prefixes(tmp_path):
    for name in ("a", "b"):
        write_results(tmp_path / name / "results.h5", [ESP])
    assert [run.prefix for run in open_runs([tmp_path / "a", tmp_path / "b"])] == ["a", "b"]
    assert [group.title for group in comparisons(open_runs([tmp_path / "a", tmp_path / "b"]))] == ["a nonlinear 2-3-1", "b nonlinear 2-3-1"]


def test_file_names_are_unique():
    assert figures.unique_names(["a", "b", "a", "a-2", "a"]) == ["a", "b", "a-2", "a-2-2", "a-3"]
    assert figures.file_name("my_data 2-3-1", "cost") != figures.file_name("my-data 2-3-1", "cost")
    assert figures.file_name("数据 2-3-1", "cost") != figures.file_name("测试 2-3-1", "cost")


def test_activations_are_the_same_as_in_recipes():
    row = next(line for line in (SOURCE / "docs/recipes.md").read_text().splitlines() if line.startswith("| `network.activation`"))
    assert tuple(re.findall(r'`"(\w+)"`', row.split("|")[2])) == ACTIVATIONS


def test_looks_of_activations():
    looks = [style.look(name) for name in ACTIVATIONS]
    looks += [style.look(f"{a}-{b}") for a in ACTIVATIONS for b in ACTIVATIONS if a != b]
    assert len({(look.colour, look.line, look.marker) for look in looks}) == len(ACTIVATIONS) ** 2
    assert {look.marker for look in [*looks, *style.LOOKS.values()]} <= set(explorer.SYMBOLS)
    paths = (SOURCE / "experiments/report/espectra_report/page/page.js").read_text().split("const PATHS = {")[1].split("};")[0]
    for symbol in explorer.SYMBOLS.values():
        assert re.search(rf'^  "?{symbol}"?: ', paths, re.MULTILINE), symbol


def wrong(path, part):
    with pytest.raises(ReportError) as error:
        open_run(path)
    assert part in str(error.value) and "\n" not in str(error.value) and str(path) in str(error.value)


def test_files_that_are_no_results(tmp_path):
    wrong(tmp_path / "absent.h5", "no such file")
    wrong(tmp_path, "no results.h5 in this folder")
    (tmp_path / "empty.h5").write_bytes(b"")
    wrong(tmp_path / "empty.h5", "empty")
    (tmp_path / "text.h5").write_text("epoch,cost\n")
    wrong(tmp_path / "text.h5", "cannot be read as HDF5")
    with h5py.File(tmp_path / "other.h5", "w") as f:
        f["x"] = 1
    wrong(tmp_path / "other.h5", "neither")
    whole = write_results(tmp_path / "whole.h5", [ESP]).read_bytes()
    (tmp_path / "half.h5").write_bytes(whole[: len(whole) // 2])
    wrong(tmp_path / "half.h5", "cannot be read as HDF5")
    with h5py.File(write_results(tmp_path / "none.h5", [ESP]), "a") as f:
        del f[ESP["name"]]
    wrong(tmp_path / "none.h5", "no networks")


@pytest.mark.parametrize("dataset", ["cost", "alpha", "eigenvalues", "theta"])
def test_wrong_shapes(tmp_path, dataset):
    path = write_results(tmp_path / "results.h5", [ESP])
    with h5py.File(path, "a") as f:
        values = f[ESP["name"]][dataset][()][..., :-1]
        del f[ESP["name"]][dataset]
        f[ESP["name"]][dataset] = values
    wrong(path, f"{ESP['name']}: {dataset}: expected shape")


def test_wrong_kinds(tmp_path):
    path = write_results(tmp_path / "results.h5", [ESP])
    with h5py.File(path, "a") as f:
        f[ESP["name"]].attrs["widths"] = "2-3-1"
    wrong(path, "attribute widths")
    path = write_results(tmp_path / "second.h5", [ESP])
    with h5py.File(path, "a") as f:
        del f[ESP["name"]]["epoch"]
        f[ESP["name"]]["epoch"] = ["a", "b", "c"]
    wrong(path, "epoch")
