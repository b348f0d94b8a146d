"""Tests of the curves of a comparison: the data of the artists are compared with the file and with numbers
worked by hand."""

import warnings

import h5py
import numpy as np
import pytest
from conftest import run_recipe
from synthetic import write_results

from espectra_report import style
from espectra_report.figures import curves
from espectra_report.results import comparisons, open_run

NAMES = ("cost_against_epoch", "accuracy_against_epoch", "zero_residuals_against_epoch", "alpha_against_cost", "gamma_against_cost",
         "gamma_parts", "indices_of_tolerance")


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture
def made(tmp_path):
    """Returns a function that makes comparisons of made-up networks; `change(file)` edits the file before it
    is opened."""

    def make(*networks, change=None):
        path = tmp_path / str(len(list(tmp_path.iterdir()))) / "results.h5"
        write_results(path, [{"widths": [2, 4, 1], **network} for network in networks])
        if change:
            with h5py.File(path, "r+") as file:
                change(file)
        return comparisons([open_run(path)])

    return make


def named(activation, **settings):
    return {"name": f"nonlinear_2-4-1_{activation}", "activation": activation, **settings}


def comparison_of(folder, architecture="2-4-1"):
    return next(one for one in comparisons([open_run(folder)]) if one.networks[0].architecture == architecture)


def file_of(folder):
    return h5py.File(folder / "results.h5", "r", locking=False)


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def band(collection):
    """Returns {x: (lower, upper)} of a filled band."""
    ends = {}
    for x, y in collection.get_paths()[0].vertices:
        low, high = ends.get(x, (y, y))
        ends[x] = (min(low, y), max(high, y))
    return ends


def drawn(figure, tmp_path):
    """Saves the figure and checks that the edge cuts off no text and that none is smaller than 6.5 pt."""
    style.save(figure, tmp_path, "figure", formats=("png",))
    width, height = figure.get_size_inches() * figure.dpi
    for text in figure.findobj(lambda artist: hasattr(artist, "get_fontsize")):
        if text.get_text() and text.get_visible():
            assert text.get_fontsize() >= 6.5
    box = figure.get_tightbbox()
    assert box.x0 >= -0.01 and box.y0 >= -0.01 and box.x1 <= width / figure.dpi + 0.01 and box.y1 <= height / figure.dpi + 0.01


def test_every_figure_has_a_caption():
    assert set(curves.CAPTIONS) == set(NAMES)
    assert all(text.endswith(".") for text in curves.CAPTIONS.values())


@pytest.mark.parametrize("name, column, scale", [("cost_against_epoch", "cost", "log"),
                                                 ("zero_residuals_against_epoch", "zero_residuals", "linear")])
def test_one_replica_against_epoch(single, name, column, scale, tmp_path):
    figure = getattr(curves, name)(comparison_of(single))
    axes, = figure.axes
    assert len(axes.lines) == 3 and not axes.collections
    with file_of(single) as file:
        for line, activation in zip(axes.lines, ("esp", "relu", "sigmoid")):
            np.testing.assert_array_equal(line.get_xdata(), [0, 10, 20, 40, 60])
            np.testing.assert_array_equal(line.get_ydata(), file[f"nonlinear_2-4-1_{activation}"][column][0])
            assert line.get_color() == style.LOOKS[activation].colour and line.get_marker() == style.LOOKS[activation].marker
    assert legend(figure) == ["ESP", "ReLU", "sigmoid"]
    assert axes.get_yscale() == scale and axes.get_xscale() == "linear" and axes.get_xlabel() == "epoch"
    assert axes.get_xlim()[0] < 0 < 60 < axes.get_xlim()[1]
    assert axes.get_title("left") == "nonlinear 2-4-1"
    drawn(figure, tmp_path)


def test_medians_and_quartiles_against_epoch(sweep, tmp_path):
    figure = curves.cost_against_epoch(comparison_of(sweep))
    axes, = figure.axes
    assert len(axes.lines) == len(axes.collections) == 3
    with file_of(sweep) as file:
        for line, filled, activation in zip(axes.lines, axes.collections, ("esp", "relu", "sigmoid")):
            table = file[f"nonlinear_2-4-1_{activation}/statistics/cost"][()]
            np.testing.assert_array_equal(line.get_ydata(), table[:, 0])
            assert band(filled) == dict(zip([0.0, 10, 20, 40, 60], map(tuple, table[:, 1:3])))
    assert axes.get_title("left") == "nonlinear 2-4-1, 6\u00a0replicas"
    drawn(figure, tmp_path)


def test_accuracy_of_both_sets(single, sweep, tmp_path):
    figure = curves.accuracy_against_epoch(comparison_of(single))
    axes, = figure.axes
    train, test = axes.lines[:3], axes.lines[3:]
    with file_of(single) as file:
        for lines, column in ((train, "accuracy_train"), (test, "accuracy_test")):
            assert len(lines) == 3
            for line, activation in zip(lines, ("esp", "relu", "sigmoid")):
                np.testing.assert_array_equal(line.get_ydata(), file[f"nonlinear_2-4-1_{activation}"][column][0])
    assert all(line.get_linewidth() < train[0].get_linewidth() and line.get_markerfacecolor() == "white" for line in test)
    assert legend(figure) == ["ESP", "ReLU", "sigmoid", "train", "test"]
    drawn(figure, tmp_path)
    # bands of the training set
    assert len(curves.accuracy_against_epoch(comparison_of(sweep)).axes[0].collections) == 3


def test_accuracy_without_test_examples_and_of_a_regression(made):
    def no_test(file):
        for group in file.values():
            group["accuracy_test"][...] = np.nan

    figure = curves.accuracy_against_epoch(made(named("esp"), named("relu"), change=no_test)[0])
    assert len(figure.axes[0].lines) == 2 and legend(figure) == ["ESP", "ReLU", "train"]

    def regression(file):
        no_test(file)
        for group in file.values():
            group["accuracy_train"][...] = np.nan

    assert curves.accuracy_against_epoch(made(named("esp"), change=regression)[0]) is None


def test_records_against_cost_in_the_order_of_training(single, tmp_path):
    figure = curves.alpha_against_cost(comparison_of(single))
    axes, = figure.axes
    paths, ends = [line for line in axes.lines if len(line.get_xdata()) > 1], [line for line in axes.lines if len(line.get_xdata()) == 1]
    assert len(paths) == 3 and len(ends) == 6
    with file_of(single) as file:
        for place, activation in enumerate(("esp", "relu", "sigmoid")):
            group = file[f"nonlinear_2-4-1_{activation}"]
            np.testing.assert_array_equal(paths[place].get_xydata(), np.stack([group["cost"][0], group["alpha"][0]], axis=1))
            first, last = ends[2 * place], ends[2 * place + 1]
            assert (first.get_xdata()[0], first.get_ydata()[0]) == (group["cost"][0, 0], group["alpha"][0, 0])
            assert (last.get_xdata()[0], last.get_ydata()[0]) == (group["cost"][0, -1], group["alpha"][0, -1])
            assert first.get_markerfacecolor() == "white" and last.get_markerfacecolor() == style.LOOKS[activation].colour
    assert axes.get_xscale() == "log" and axes.get_yscale() == "linear" and axes.get_xlabel() == "training cost"
    assert legend(figure) == ["ESP", "ReLU", "sigmoid"]
    drawn(figure, tmp_path)


def test_bins_against_cost_equal_those_of_the_file(sweep, tmp_path):
    comparison = comparison_of(sweep)
    alpha, gamma = (getattr(curves, name)(comparison) for name in ("alpha_against_cost", "gamma_against_cost"))
    with file_of(sweep) as file:
        for place, activation in enumerate(("esp", "relu", "sigmoid")):
            # cost, α, its quartiles, γ, number
            table = file[f"nonlinear_2-4-1_{activation}/statistics/alpha_against_cost"][()]
            np.testing.assert_array_equal(alpha.axes[0].lines[place].get_xydata(), table[:, :2])
            ends = band(alpha.axes[0].collections[place])
            assert [ends[cost] for cost in table[:, 0]] == [tuple(row) for row in table[:, 2:4]]
            np.testing.assert_array_equal(gamma.axes[0].lines[2 * place].get_xydata(), table[:, [0, 4]])
    drawn(alpha, tmp_path)


def test_gamma_and_gamma_dead(single, tmp_path):
    figure = curves.gamma_against_cost(comparison_of(single))
    axes, = figure.axes
    lines = [line for line in axes.lines if len(line.get_xdata()) > 1]
    with file_of(single) as file:
        for place, activation in enumerate(("esp", "relu", "sigmoid")):
            group = file[f"nonlinear_2-4-1_{activation}"]
            gamma, dead = lines[2 * place : 2 * place + 2]
            np.testing.assert_array_equal(gamma.get_ydata(), group["gamma"][0])
            np.testing.assert_array_equal(dead.get_ydata(), group["gamma_dead"][0])
            assert gamma.get_color() == dead.get_color() and dead.get_markerfacecolor() == "white"
            # visible where they are equal
            assert dead.get_markersize() > gamma.get_markersize() and dead.get_zorder() < gamma.get_zorder()
    assert legend(figure) == ["ESP", "ReLU", "sigmoid", "γ", "γ dead"]
    drawn(figure, tmp_path)


def parts_by_hand(file):
    """Sets γ = 0.1 + 0.2 + 0.05 + 0.15 in the first replica, twice that in the second, all 0 in the third."""
    group = file["nonlinear_2-4-1_relu"]
    parts = {"gamma_dead_inputs": 0.1, "gamma_dead_units": 0.2, "gamma_symmetry": 0.05, "gamma_numerical": 0.15}
    for name, value in (parts | {"gamma": 0.5}).items():
        group[name][:, -1] = value * np.array([1, 2, 0])[: len(group[name])]


@pytest.mark.parametrize("replicas", [1, 3])
def test_parts_of_gamma(made, replicas, tmp_path):
    figure = curves.gamma_parts(made(named("relu", replicas=replicas), change=parts_by_hand)[0])
    axes, = figure.axes
    bars = [patch for patch in axes.patches]
    np.testing.assert_allclose([bar.get_width() for bar in bars], [0.1, 0.2, 0.05, 0.15], rtol=1e-15)
    np.testing.assert_allclose([bar.get_x() for bar in bars], [0, 0.1, 0.3, 0.35], atol=1e-15)
    assert len({(bar.get_facecolor(), bar.get_hatch()) for bar in bars}) == 4
    assert [text.get_text() for text in axes.texts] == ["0.500"]
    if replicas == 3:
        np.testing.assert_array_equal(axes.lines[0].get_xdata(), [0.25, 0.75])  # quartiles of 0, 0.5, 1
    assert axes.lines[-1].get_xdata()[0] == 0.5
    # two columns, read row by row
    assert legend(figure) == ["dead inputs", "symmetry", "dead units", "numerical"]
    drawn(figure, tmp_path)


def test_indices_of_a_spectrum_by_hand():
    alpha, gamma = curves.indices_of(np.array([-1.0, -1e-8, 0.0, 1e-8, 2.0]))
    assert len(alpha) == len(gamma) == 61
    at = {round(4 * (np.log10(tau) + 16)): place for place, tau in enumerate(curves.TOLERANCES)}
    for tau, expected in ((1e-16, (0.4, 0.2)), (1e-9, (0.4, 0.2)), (1e-8, (0.2, 0.6)), (1e-1, (0.2, 0.6))):
        place = at[round(4 * (np.log10(tau) + 16))]
        assert (alpha[place], gamma[place]) == expected
    assert all(index[0] == value for index, value in zip(curves.indices_of(np.zeros(4)), (0, 1)))


def test_indices_of_tolerance_equal_those_of_the_file(sweep, tmp_path):
    figure = curves.indices_of_tolerance(comparison_of(sweep))
    with file_of(sweep) as file:
        for axes, name in zip(figure.axes, ("alpha_of_tau", "gamma_of_tau")):
            functions, marks = axes.lines[::2], axes.lines[1::2]
            for place, activation in enumerate(("esp", "relu", "sigmoid")):
                group = file[f"nonlinear_2-4-1_{activation}"]
                table = group[f"statistics/{name}"][()]
                np.testing.assert_allclose(functions[place].get_xdata(), group["statistics/tau"][()], rtol=1e-15)
                np.testing.assert_array_equal(functions[place].get_ydata(), table[:, 0])
                assert list(band(axes.collections[place]).values()) == [tuple(row) for row in table[:, 1:]]
                assert set(marks[place].get_xdata()) == {group["tau"][0, -1]}
            assert axes.get_xscale() == "log"
    assert [axes.get_ylabel()[:4] for axes in figure.axes] == ["α(τ)", "γ(τ)"]
    assert legend(figure) == ["ESP", "ReLU", "sigmoid"]
    drawn(figure, tmp_path)


def test_indices_at_the_τ_of_the_run(single):
    """Compares α and γ of the run with α(τ) and γ(τ) at the neighbours of the run's own τ."""
    figure = curves.indices_of_tolerance(comparison_of(single))
    with file_of(single) as file:
        for place, activation in enumerate(("esp", "relu", "sigmoid")):
            group = file[f"nonlinear_2-4-1_{activation}"]
            after = np.searchsorted(curves.TOLERANCES, group["tau"][0, -1])
            for axes, name in zip(figure.axes, ("alpha", "gamma")):
                low, high = sorted(axes.lines[2 * place].get_ydata()[[after - 1, after]])
                assert low <= group[name][0, -1] <= high


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("replicas", [1, 4])
def test_a_single_epoch_is_visible(made, name, replicas, tmp_path):
    comparison, = made(*(named(one, epochs=(0,), replicas=replicas, statistics=True) for one in ("esp", "relu")))
    figure = getattr(curves, name)(comparison)
    axes = figure.axes[0]
    if name.endswith("epoch"):
        assert len(axes.lines) == (4 if name.startswith("accuracy") else 2)
        for line in axes.lines:
            assert line.get_xdata() == [0] and line.get_marker() not in ("", "None", None) and line.get_markevery() is None
    drawn(figure, tmp_path)
    assert axes.bbox.width > 100 and axes.bbox.height > 30


@pytest.mark.parametrize("name", NAMES)
def test_records_of_an_interrupted_run(made, name, tmp_path):
    comparison, = made(named("esp", recorded=1), named("relu", recorded=2), named("sigmoid", recorded=0))
    figure = getattr(curves, name)(comparison)
    axes = figure.axes[0]
    if name == "cost_against_epoch":
        assert [list(line.get_xdata()) for line in axes.lines] == [[0], [0, 10]]
    if name.endswith("cost") or name.endswith("epoch"):
        assert legend(figure)[:2] == ["ESP", "ReLU"] and "sigmoid" not in legend(figure)
    if name == "gamma_parts":
        assert [label.get_text() for label in axes.get_yticklabels()] == ["ESP (epoch 0)", "ReLU (epoch 10)"]
    if name == "indices_of_tolerance":
        assert legend(figure) == ["ESP (epoch 0)", "ReLU (epoch 10)"]
    drawn(figure, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_to_draw(made, name):
    assert getattr(curves, name)(made(named("esp", recorded=0), named("relu", recorded=0))[0]) is None


def test_replicas_without_a_record_are_ignored(made):
    def lose(file):
        group = file["nonlinear_2-4-1_esp"]
        for name in ("cost", "alpha", "gamma"):
            group[name][1, 2] = np.nan
        group["cost"][[0, 2], 2] = [1.0, 3.0]

    line = curves.cost_against_epoch(made(named("esp", replicas=3), change=lose)[0]).axes[0].lines[0]
    assert line.get_ydata()[2] == 2.0


@pytest.mark.parametrize("name", ["cost_against_epoch", "alpha_against_cost", "gamma_against_cost"])
def test_a_cost_of_zero_is_drawn_at_the_smallest_positive_one(made, name, tmp_path):
    def zero(file):
        file["nonlinear_2-4-1_esp"]["cost"][0] = [0.5, 0.03125, 0]

    figure = getattr(curves, name)(made(named("esp"), change=zero)[0])
    axes, which = figure.axes[0], "y" if name == "cost_against_epoch" else "x"
    np.testing.assert_array_equal(getattr(axes.lines[0], f"get_{which}data")(), [0.5, 0.03125, 0.03125])
    assert getattr(axes, f"get_{which}label")() == "training cost\n(0 is drawn at 0.03)"
    drawn(figure, tmp_path)

    def zeros(file):
        file["nonlinear_2-4-1_esp"]["cost"][...] = 0

    figure = getattr(curves, name)(made(named("esp"), change=zeros)[0])
    assert getattr(figure.axes[0], f"get_{which}scale")() == "linear"
    drawn(figure, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_six_activations_and_a_mixed_list(made, name, tmp_path):
    activations = ("esp", "relu", "sigmoid", "tanh", "linear", "softplus", "relu-tanh")
    networks = [{"name": f"linear_2-4-3-1_{one}", "widths": [2, 4, 3, 1], "activation": one, "replicas": 20, "statistics": True}
                for one in activations]
    comparison, = made(*networks)
    figure = getattr(curves, name)(comparison)
    if name == "cost_against_epoch":
        assert [line.get_label() for line in figure.axes[0].lines] == ["ESP", "ReLU", "relu-tanh", "sigmoid", "tanh", "linear", "softplus"]
        # four columns, filled column by column and read row by row
        assert legend(figure) == ["ESP", "tanh", "ReLU", "linear", "relu-tanh", "softplus", "sigmoid"]
    drawn(figure, tmp_path)


def test_a_run_with_esp_and_relu_layers(tmp_path):
    recipe = ('data.source = "linear"\nnetwork.hidden = [3, 2]\ntrain.epochs = 4\nspectrum.epochs = [0, 4]\n'
              '[sweep]\n"network.activation" = [["esp", "relu"], "relu"]\n')
    comparison, = comparisons([open_run(run_recipe(tmp_path, recipe))])
    for name in NAMES:
        figure = getattr(curves, name)(comparison)
        if name == "cost_against_epoch":
            assert legend(figure) == ["esp-relu", "ReLU"]
        drawn(figure, tmp_path)


@pytest.mark.parametrize("low, high, wanted", [(0.62, 0.72, [0.62, 0.64, 0.66, 0.68, 0.7, 0.72]), (0.08, 0.9, [0.1, 0.2, 0.5])])
def test_ticks_of_a_narrow_log_scale(low, high, wanted):
    ticks = curves.narrow_ticks(low, high).tick_values(low, high)
    np.testing.assert_allclose([tick for tick in ticks if low <= tick <= high], wanted)
    assert curves.narrow_ticks(0.001, 0.1) is None


@pytest.mark.parametrize("name", NAMES)
def test_256_replicas(made, name, tmp_path):
    figure = getattr(curves, name)(made(named("relu", replicas=256, statistics=True))[0])
    assert figure.axes[0].get_title("left") == "nonlinear 2-4-1, 256\u00a0replicas"
    drawn(figure, tmp_path)
