"""Tests of the figures over the architectures of a sweep, by the data of their artists: cells, points,
intervals and boxes."""

import warnings

import h5py
import matplotlib
import numpy as np
import pytest
from synthetic import write_results

from espectra_report import style
from espectra_report.figures import sweeps
from espectra_report.results import comparisons, open_run

ACTIVATIONS = ("esp", "relu", "sigmoid")


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture
def made(tmp_path):
    """Returns a function that makes comparisons of networks (hidden widths, activation, other settings);
    `change(file)` edits the file before it is opened."""

    def make(*networks, change=None):
        path = tmp_path / str(len(list(tmp_path.iterdir()))) / "results.h5"
        write_results(path, [{"name": f"nonlinear_{'-'.join(map(str, (2, *hidden, 1)))}_{activation}", "widths": [2, *hidden, 1],
                              "activation": activation, **settings} for hidden, activation, settings in networks])
        if change:
            with h5py.File(path, "r+") as file:
                change(file)
        return comparisons([open_run(path)])

    return make


def group_of(file, architecture, activation):
    return file[f"nonlinear_{architecture}_{activation}"]


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def rows(axes):
    return [label.get_text() for label in axes.get_yticklabels()]


def columns(axes):
    return [label.get_text() for label in axes.get_xticklabels()]


def cells(axes):
    """Returns {(row, column): text}."""
    return {(round(text.get_position()[1]), round(text.get_position()[0])): text.get_text() for text in axes.texts}


def drawn(figure, tmp_path):
    """Saves the figure and checks that the edge cuts off nothing and that no text is smaller than 6.5 pt."""
    style.save(figure, tmp_path, "figure", formats=("png",))
    for text in figure.findobj(matplotlib.text.Text):
        if text.get_text() and text.get_visible():
            assert text.get_fontsize() >= 6.5
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert box.x0 >= -0.01 and box.y0 >= -0.01 and box.x1 <= width + 0.01 and box.y1 <= height + 0.01


def test_every_figure_has_a_caption():
    assert set(sweeps.CAPTIONS) == {"consistency_map", "paired_differences", "final_costs"}


@pytest.mark.parametrize("column", ["cost", "accuracy_train", "alpha", "gamma"])
def test_cells_of_the_map_are_the_medians(sweep, column, tmp_path):
    figure = sweeps.consistency_map(comparisons([open_run(sweep)]), column)
    axes, *bar = figure.axes
    assert rows(axes) == ["2-4-1", "2-3-2-1"] and columns(axes) == ["ESP", "ReLU", "sigmoid"]
    with h5py.File(sweep / "results.h5", "r", locking=False) as file:
        medians = np.array([[group_of(file, architecture, one)[f"statistics/{column}"][-1, 0] for one in ACTIVATIONS]
                            for architecture in rows(axes)])
    np.testing.assert_array_equal(axes.collections[0].get_array(), medians)
    for place, text in cells(axes).items():
        assert text == (sweeps._text("cost", medians[place]) if column == "cost" else f"{medians[place]:.3f}")
        if column == "cost":
            assert float(text) == pytest.approx(medians[place], rel=0.05)
    assert len(cells(axes)) == 6
    norm = axes.collections[0].norm
    assert isinstance(norm, matplotlib.colors.LogNorm) == (column == "cost")
    assert (norm.vmin, norm.vmax) == (medians.min(), medians.max())
    assert bar[0].get_xlabel() == {"cost": "median training cost", "accuracy_train": "median training accuracy", "alpha": "median α",
                                   "gamma": "median γ"}[column] + " at epoch 60"
    assert axes.get_title("left") == "nonlinear, 6\u00a0replicas"
    drawn(figure, tmp_path)


def test_numbers_of_the_map_have_enough_contrast(sweep):
    colours = matplotlib.colormaps["viridis"]
    assert sweeps.ink_on(colours(0.0)) == "white" and sweeps.ink_on(colours(1.0)) == "black"
    for place in np.linspace(0, 1, 101):
        below = sweeps._luminance(colours(place)) + 0.05
        ratio = below / 0.05 if sweeps.ink_on(colours(place)) == "black" else 1.05 / below
        assert ratio >= 4.5  # WCAG 2.2, level AA
    lightness = [sweeps._luminance(colours(place)) for place in np.linspace(0, 1, 256)]
    assert np.all(np.diff(lightness) > 0)  # in grey: the larger the lighter
    axes = sweeps.consistency_map(comparisons([open_run(sweep)])).axes[0]
    for text in axes.texts:
        column, row = text.get_position()
        value = axes.collections[0].get_array()[row, column]
        assert text.get_color() == sweeps.ink_on(colours(axes.collections[0].norm(value)))


@pytest.mark.parametrize("value, text", [(0, "0"), (4.63e-5, "4.6·10⁻⁵"), (0.001, "0.0010"), (0.0199, "0.020"), (0.28, "0.28"),
                                         (1.04, "1.0"), (25.3, "2.5·10¹")])
def test_two_digits_of_a_cost(value, text):
    assert sweeps._text("cost", value) == text


def test_missing_cells_are_hatched(made, tmp_path):
    """The second architecture has no sigmoid network; the relu network of the first has no record at the last
    epoch."""
    narrow = [((3,), "esp", {}), ((3,), "relu", {"recorded": 2}), ((3,), "sigmoid", {})]
    figure = sweeps.consistency_map(made(*narrow, ((5,), "esp", {}), ((5,), "relu", {})))
    axes = figure.axes[0]
    hatched = {(patch.get_y() + 0.5, patch.get_x() + 0.5) for patch in axes.patches if patch.get_hatch()}
    assert hatched == {(0, 1), (1, 2)}
    assert set(cells(axes)) == {(0, 0), (0, 2), (1, 0), (1, 1)}
    np.testing.assert_array_equal(np.ma.getmaskarray(axes.collections[0].get_array()), [[False, True, False], [False, False, True]])
    drawn(figure, tmp_path)


def test_a_map_needs_two_architectures_with_a_last_record(made, sweep):
    assert sweeps.consistency_map(comparisons([open_run(sweep)])[:1]) is None
    assert sweeps.consistency_map([]) is None
    assert sweeps.consistency_map(made(((3,), "esp", {"recorded": 1}), ((5,), "esp", {"recorded": 1}))) is None


def test_rows_are_ordered_by_depth_and_width(made):
    given = [((10, 2), "esp", {}), ((10,), "esp", {}), ((5,), "esp", {}), ((8, 5, 2), "esp", {}), ((8, 5), "esp", {})]
    assert rows(sweeps.consistency_map(made(*given)).axes[0]) == ["2-5-1", "2-10-1", "2-8-5-1", "2-10-2-1", "2-8-5-2-1"]


@pytest.mark.parametrize("costs", [(0, 0), (0, 0.25), (0.25, 0.25)])
def test_costs_of_zero_and_equal_costs_in_the_map(made, costs, tmp_path):
    def change(file):
        for cost, architecture in zip(costs, ("2-3-1", "2-5-1")):
            group_of(file, architecture, "esp")["cost"][:, -1] = cost

    figure = sweeps.consistency_map(made(((3,), "esp", {}), ((5,), "esp", {}), change=change))
    assert cells(figure.axes[0]) == {(row, 0): {0: "0", 0.25: "0.25"}[cost] for row, cost in enumerate(costs)}
    assert "median training cost at epoch 20" in [axes.get_xlabel() for axes in figure.axes]
    drawn(figure, tmp_path)


def test_the_first_forty_of_more_architectures(made, tmp_path):
    hidden = [(first, second) for first in range(2, 9) for second in range(2, 8)]
    found = made(*((widths, one, {"spectra": False, "replicas": 2}) for widths in hidden for one in ("esp", "relu")))
    assert len(found) == 42
    figure = sweeps.consistency_map(found)
    axes = figure.axes[0]
    assert len(rows(axes)) == 40 and len(cells(axes)) == 80 and rows(axes)[-1] == "2-8-5-1"
    assert axes.get_title("left").replace("\n", " ") == "nonlinear, 2\u00a0replicas, first 40 of 42 architectures"
    drawn(figure, tmp_path)
    pitch = axes.bbox.height / 40 / figure.dpi * 72
    assert pitch >= 10  # points, for numbers of 7
    assert figure.get_size_inches()[1] <= 9.9
    figure = sweeps.final_costs(found)
    shown = len(rows(figure.axes[0]))
    assert shown < 42 and f"first {shown} of 42 architectures" in figure.axes[0].get_title("left").replace("\n", " ")
    drawn(figure, tmp_path)


def segments(axes):
    """Returns (y, low, high) of all intervals, in the order of drawing."""
    return [(start[1], start[0], end[0]) for collection in axes.collections for start, end in collection.get_segments()]


@pytest.mark.parametrize("column", ["cost", "alpha"])
def test_paired_differences_equal_those_of_the_file(sweep, column, tmp_path):
    figure = sweeps.paired_differences(comparisons([open_run(sweep)]), column)
    left, right = figure.axes
    assert rows(left) == ["2-4-1", "2-3-2-1"]
    assert legend(figure) == ["ESP − ReLU", "ESP − sigmoid"]  # one direction of each pair; esp is the first
    wanted = {}
    with h5py.File(sweep / "results.h5", "r", locking=False) as file:
        for other in ("relu", "sigmoid"):
            stored = [group_of(file, one, "esp")[f"statistics/paired/nonlinear_{one}_{other}"] for one in rows(left)]
            wanted[other] = [table[list(table.attrs["statistic"]).index(column)] for table in stored]
    for axes, begin in ((left, 0), (right, 3)):
        points = [line for line in axes.lines if line.get_linestyle() == "None"]
        assert len(points) == 2
        for line, (other, table) in zip(points, wanted.items()):
            np.testing.assert_array_equal(line.get_xdata(), [row[begin] for row in table])
            assert line.get_color() == style.LOOKS[other].colour and line.get_marker() == style.LOOKS[other].marker
            assert [round(y) for y in line.get_ydata()] == [0, 1]
        intervals = [row[begin + 1 : begin + 3] for table in wanted.values() for row in table]
        np.testing.assert_array_equal([segment[1:] for segment in segments(axes)], intervals)
        np.testing.assert_array_equal([segment[0] for segment in segments(axes)], np.concatenate([line.get_ydata() for line in points]))
    zero = [line for line in left.lines if list(line.get_xdata()) == [0, 0]]
    half = [line for line in right.lines if list(line.get_xdata()) == [0.5, 0.5]]
    assert len(zero) == len(half) == 1
    low, high = left.get_xlim()
    assert all(low < end < high for _, *ends in segments(left) for end in ends)
    assert right.get_xlabel() == "fraction of seeds where ESP is lower"
    drawn(figure, tmp_path)


def pairs(differences):
    """Returns a function that puts made-up statistics/paired into a file: the difference in cost of each
    architecture."""

    def change(file):
        for architecture, difference in differences.items():
            values = np.full((7, 6), 0.25)
            values[0] = [difference, 2 * difference, 0.5 * difference, 0.8, 0.6, 1.0]
            group_of(file, architecture, "esp")[f"statistics/paired/nonlinear_{architecture}_relu"] = values
            group_of(file, architecture, "relu")[f"statistics/paired/nonlinear_{architecture}_esp"] = -values

    return change


@pytest.mark.parametrize("differences, scale", [((-0.5, -0.01), "linear"), ((-0.5, 0.002), "symlog"),
                                                ((0, 0), "linear"), ((-2, 1e-12), "symlog")])
def test_costs_far_apart_are_on_a_symmetric_log_scale(made, differences, scale, tmp_path):
    found = made(*((hidden, one, {"replicas": 3, "statistics": True}) for hidden in ((3,), (5,)) for one in ("esp", "relu")),
                 change=pairs(dict(zip(("2-3-1", "2-5-1"), differences))))
    figure = sweeps.paired_differences(found)
    left = figure.axes[0]
    assert left.get_xscale() == scale
    low, high = left.get_xlim()
    assert all(low < end < high for _, *ends in segments(left) for end in ends) and low < 0 < high
    drawn(figure, tmp_path)
    assert sweeps.paired_differences(found, "alpha").axes[0].get_xscale() == "linear"


def test_missing_pairs(made, single):
    assert sweeps.paired_differences(comparisons([open_run(single)])) is None
    without = made(*((hidden, one, {"replicas": 3, "statistics": True}) for hidden in ((3,), (5,)) for one in ("esp", "relu")),
                   change=pairs({"2-5-1": 0.5}))
    assert rows(sweeps.paired_differences(without).axes[0]) == ["2-5-1"]
    unfinished = made(((3,), "esp", {"replicas": 3, "statistics": True}), ((3,), "relu", {"replicas": 3, "statistics": True}),
                      change=pairs({"2-3-1": np.nan}))
    assert sweeps.paired_differences(unfinished) is None


def test_boxes_and_points_of_the_final_costs(sweep, tmp_path):
    figure = sweeps.final_costs(comparisons([open_run(sweep)]))
    axes, = figure.axes
    assert rows(axes) == ["2-4-1", "2-3-2-1"] and legend(figure) == ["ESP", "ReLU", "sigmoid"]
    assert axes.get_xscale() == "log" and axes.get_xlabel() == "training cost at epoch 60"
    boxes = axes.patches
    dots, medians = ([line for line in axes.lines if line.get_marker() == "."],
                     [line for line in axes.lines if line.get_marker() in "os^" and len(line.get_xdata()) == 1])
    assert len(boxes) == len(dots) == len(medians) == 6
    places = [(architecture, activation) for architecture in rows(axes) for activation in ACTIVATIONS]
    with h5py.File(sweep / "results.h5", "r", locking=False) as file:
        for (architecture, activation), box, points, median in zip(places, boxes, dots, medians):
            group = group_of(file, architecture, activation)
            np.testing.assert_array_equal(points.get_xdata(), group["cost"][:, -1])
            middle, first, third = group["statistics/cost"][-1, :3]
            assert median.get_xdata()[0] == middle and box.get_x() == first
            assert box.get_x() + box.get_width() == pytest.approx(third, rel=1e-14)
            low, high = box.get_y(), box.get_y() + box.get_height()
            assert all(low < y < high for y in points.get_ydata()) and low < median.get_ydata()[0] < high
            assert round(median.get_ydata()[0]) == rows(axes).index(architecture)
    drawn(figure, tmp_path)


def test_boxes_do_not_overlap(sweep):
    boxes = sweeps.final_costs(comparisons([open_run(sweep)])).axes[0].patches
    ends = [(box.get_y(), box.get_y() + box.get_height()) for box in boxes]
    assert all(one[1] < other[0] for one, other in zip(ends, ends[1:]))


def test_final_costs_of_incomplete_runs(made, single, tmp_path):
    assert sweeps.final_costs(comparisons([open_run(single)])) is None
    assert sweeps.final_costs(made(((3,), "esp", {"replicas": 4, "recorded": 2}))) is None

    def change(file):
        group = group_of(file, "2-3-1", "esp")
        group["cost"][:, -1] = [0.5, 0, 0.25, 0.125]
        group["alpha"][3, -1] = np.nan  # no record of the last replica

    figure = sweeps.final_costs(made(((3,), "esp", {"replicas": 4}), ((3,), "relu", {"replicas": 4, "recorded": 1}), change=change))
    axes, = figure.axes
    assert legend(figure) == ["ESP"]
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), [0.5, 0.25, 0.25])
    assert axes.get_xlabel() == "training cost at epoch 20\n(0 is drawn at 0.2)"
    drawn(figure, tmp_path)


def test_final_costs_of_256_replicas_and_six_activations(made, tmp_path):
    found = made(*(((4,), one, {"replicas": 256, "spectra": False}) for one in (*ACTIVATIONS, "tanh", "linear", "softplus")))
    figure = sweeps.final_costs(found)
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "."]
    assert [len(line.get_xdata()) for line in dots] == [256] * 6
    drawn(figure, tmp_path)


def test_one_epoch(made, tmp_path):
    settings = {"replicas": 3, "epochs": (0,), "statistics": True}
    found = made(*((hidden, one, settings) for hidden in ((3,), (5,)) for one in ("esp", "relu")))
    for figure in (sweeps.consistency_map(found), sweeps.final_costs(found)):
        drawn(figure, tmp_path)
        assert "at epoch 0" in " ".join(axes.get_xlabel() for axes in figure.axes)


def test_several_tasks_are_named_in_the_rows(tmp_path):
    networks = [{"name": f"{task}_2-3-1_esp", "widths": [2, 3, 1], "activation": "esp"} for task in ("linear", "nonlinear")]
    path = write_results(tmp_path / "results.h5", networks)
    axes = sweeps.consistency_map(comparisons([open_run(path)])).axes[0]
    assert rows(axes) == ["linear 2-3-1", "nonlinear 2-3-1"] and axes.get_title("left") == ""
