"""Tests of the figures of eigenvectors, by the data of their artists."""

import h5py
import numpy as np
import pytest
from matplotlib.text import Text
from synthetic import write_results

from espectra_report.eigenvalue_axis import EigenvalueAxis, resolved
from espectra_report.figures import eigenvectors
from espectra_report.results import comparisons, open_run
from espectra_report.style import look

# P = 600 + 24 + 24 + 1 = 649
WIDE = {"name": "digits_25-24-1_relu", "widths": (25, 24, 1), "activation": "relu", "epochs": (0,)}


def vertical(axes):
    """Returns the positions of the separators of columns."""
    return [line.get_xdata()[0] for line in axes.lines if list(line.get_ydata()) == [0, 1]]


def horizontal(axes):
    return [line.get_ydata()[0] for line in axes.lines if list(line.get_xdata()) == [0, 1]]


def labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def test_map_is_the_magnitude_of_the_vectors(single):
    for network in open_run(single).networks:
        axes = eigenvectors.eigenvector_map(network).axes[0]
        image = axes.images[0]
        np.testing.assert_array_equal(image.get_array().filled(np.nan), np.abs(network.group["eigenvectors"][0, -1]))
        assert image.origin == "lower"  # eigenvector 0, of the smallest eigenvalue, is the lowest row
        assert image.get_extent() == [0, network.parameters, 0, network.parameters]
        first = eigenvectors.eigenvector_map(network, snapshot=1)
        np.testing.assert_array_equal(first.axes[0].images[0].get_array().filled(np.nan), np.abs(network.group["eigenvectors"][0, 1]))
        assert first.axes[0].get_title() == f"{look(network.activation).name}, epoch 10, P = {network.parameters}"


def test_blocks_of_parameters_are_separated_and_named(single):
    networks = {network.name: network for network in open_run(single).networks}
    axes = eigenvectors.eigenvector_map(networks["nonlinear_2-4-1_relu"]).axes[0]
    assert vertical(axes) == [8, 12, 16]  # 2 · 4 weights, 4 biases, 4 weights, 1 bias
    assert labels(axes.xaxis) == ["W₁", "b₁", "W₂", "b₂"]
    axes = eigenvectors.eigenvector_map(networks["nonlinear_2-3-2-1_esp"]).axes[0]
    assert vertical(axes) == [6, 9, 12, 18, 20, 22, 24, 25]
    assert labels(axes.xaxis) == ["W₁", "b₁", "β₁", "W₂", "b₂", "β₂", "W₃", "b₃", "β₃"]


def test_rows_are_divided_by_the_sign_of_the_eigenvalue(single):
    for network in open_run(single).networks:
        axes = eigenvectors.eigenvector_map(network).axes[0]
        P = network.parameters
        negative, zero = round(P * network.series("alpha")[0, -1]), round(P * network.series("gamma")[0, -1])
        spans = [(name, number) for name, number in (("λ < 0", negative), ("λ = 0", zero), ("λ > 0", P - negative - zero)) if number]
        assert labels(axes.yaxis) == [f"{name}: {number}" for name, number in spans]
        assert horizontal(axes) == np.cumsum([number for _, number in spans])[:-1].tolist()


def check_labels(figure):
    """Checks that labels do not overlap, are large enough and lie within the figure."""
    figure.draw_without_rendering()
    assert min(text.get_fontsize() for text in figure.findobj(Text) if text.get_text()) >= 6.5
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert box.x0 > -0.01 and box.y0 > -0.01 and box.x1 < width + 0.01 and box.y1 < height + 0.01
    for axis, low, high in ((figure.axes[0].xaxis, "x0", "x1"), (figure.axes[0].yaxis, "y0", "y1")):
        boxes = [label.get_window_extent() for label in axis.get_ticklabels()]
        assert all(getattr(first, high) < getattr(second, low) for first, second in zip(boxes, boxes[1:]))


@pytest.mark.parametrize("widths", [(2, 1, 1), (2, 10, 1), (20, 1, 1, 1, 1, 1, 1, 1), (1, 2, 2, 2, 2, 2, 2, 2, 2, 60)])
def test_labels_of_small_blocks_do_not_overlap(tmp_path, widths):
    name = f"linear_{'-'.join(map(str, widths))}_esp"
    network = {"name": name, "widths": widths, "activation": "esp", "vectors": True, "epochs": (0,)}
    run = open_run(write_results(tmp_path / "results.h5", [network]))
    figure = eigenvectors.eigenvector_map(run.networks[0])
    check_labels(figure)
    assert len(labels(figure.axes[0].xaxis)) == 3 * (len(widths) - 1)


def test_labels_are_moved_apart_in_their_order():
    assert eigenvectors.apart([5, 50, 51, 99], 10, 5, 95).tolist() == [5, 45.5, 55.5, 95]
    assert eigenvectors.apart([1, 97, 98, 99], 10, 5, 95).tolist() == [5, 75, 85, 95]
    assert eigenvectors.apart([1, 2, 3], 10, 5, 95).tolist() == [5, 15, 25]


def test_cells_of_a_coarse_map_are_maxima():
    values = np.array([[1, 2, 3], [4, 9, 5], [7, 0, 6]])
    assert eigenvectors.coarse(values, 2).tolist() == [[9, 5], [7, 6]]
    assert eigenvectors.coarse(values, 1).tolist() == values.tolist()


def test_many_parameters_are_drawn_coarsely_and_small(tmp_path):
    network = open_run(write_results(tmp_path / "results.h5", [WIDE | {"vectors": True}])).networks[0]
    figure = eigenvectors.eigenvector_map(network)
    axes = figure.axes[0]
    v = np.abs(network.group["eigenvectors"][0, 0])
    v = np.pad(v, (0, 1))  # to an even size
    np.testing.assert_array_equal(axes.images[0].get_array().filled(np.nan), v.reshape(325, 2, 325, 2).max(axis=(1, 3)))
    assert axes.images[0].get_extent() == [0, 650, 0, 650]
    assert (axes.get_xlim(), axes.get_ylim()) == ((0, 649), (0, 649))
    assert axes.get_title() == "ReLU, epoch 0, P = 649; each cell shows the largest of 2 × 2 components"
    assert vertical(axes) == [600, 624, 648]  # in parameters, not in cells
    check_labels(figure)
    figure.savefig(tmp_path / "map.svg")
    text = (tmp_path / "map.svg").read_text()
    assert text.count("<image ") == 2  # the map and its colour bar
    assert text.count("<path") < 200


def test_participation_ratios_are_those_of_the_file(single):
    for comparison in comparisons([open_run(single)]):
        axes = eigenvectors.participation_ratios(comparison).axes[0]
        eigenvalues = [resolved(network, 0)[-1] for network in comparison.networks]
        axis = EigenvalueAxis.over(eigenvalues, 1)
        for network, values, line in zip(comparison.networks, eigenvalues, axes.lines):
            ratios = network.group["inverse_participation_ratio"][0, -1]
            np.testing.assert_array_equal(line.get_ydata(), ratios)
            x = line.get_xdata()
            np.testing.assert_array_equal(x[values != 0], axis.position(values[values != 0]))
            assert (np.abs(x[values == 0]) < axis.half_slot).all()
            assert (np.diff(ratios[values == 0][np.argsort(x[values == 0])]) >= 0).all()
            assert len(set(x[values == 0])) == (values == 0).sum()  # no point hides another


def test_bounds_of_participation_ratios(single):
    by_size = {comparison.title: comparison for comparison in comparisons([open_run(single)])}
    axes = eigenvectors.participation_ratios(by_size["nonlinear 2-4-1"]).axes[0]
    heights = sorted(line.get_ydata()[0] for line in axes.lines if list(line.get_xdata()) == [0, 1])
    # ESP has 22 parameters, the others 17
    np.testing.assert_allclose(heights, [1 / 22, 1 / 17, 3 / 22, 3 / 17, 1], rtol=1e-15)
    low, high = axes.get_ylim()
    assert low < 1 / 22 and high > 1


def test_networks_without_vectors_or_records(sweep, tmp_path):
    (first, *_) = comparisons([open_run(sweep)])
    assert eigenvectors.eigenvector_map(first.networks[0]) is None
    assert eigenvectors.participation_ratios(first) is None
    networks = [{"name": f"linear_2-2-1_{activation}", "widths": (2, 2, 1), "activation": activation, "vectors": True, "recorded": recorded}
                for activation, recorded in (("esp", 3), ("relu", 2), ("tanh", 0))]
    run = open_run(write_results(tmp_path / "results.h5", networks, state="interrupted"))
    esp, relu, tanh = run.networks
    assert eigenvectors.eigenvector_map(tanh) is None
    assert eigenvectors.eigenvector_map(relu, snapshot=2) is None
    assert eigenvectors.eigenvector_map(relu).axes[0].get_title() == "ReLU, epoch 10, P = 9"
    (comparison,) = comparisons([run])
    drawn = [line for line in eigenvectors.participation_ratios(comparison).axes[0].lines if len(line.get_xdata()) > 2]
    assert len(drawn) == 2
    assert len([line for line in eigenvectors.participation_ratios(comparison, snapshot=2).axes[0].lines if len(line.get_xdata()) > 2]) == 1


def test_all_zero_spectrum(tmp_path, recwarn):
    network = {"name": "linear_2-2-1_tanh", "widths": (2, 2, 1), "activation": "tanh", "vectors": True}
    path = write_results(tmp_path / "results.h5", [network])
    with h5py.File(path, "r+") as file:
        file["linear_2-2-1_tanh/eigenvalues"][...] = 0
        file["linear_2-2-1_tanh/eigenvectors"][...] = np.eye(9)
        file["linear_2-2-1_tanh/inverse_participation_ratio"][...] = 1
    run = open_run(path)
    figure = eigenvectors.eigenvector_map(run.networks[0])
    check_labels(figure)
    assert labels(figure.axes[0].yaxis) == ["λ = 0: 9"]
    figure = eigenvectors.participation_ratios(*comparisons([run]))
    figure.draw_without_rendering()
    assert figure.axes[0].lines[0].get_ydata().tolist() == [1] * 9
    assert not recwarn.list


def test_each_figure_has_a_caption():
    assert set(eigenvectors.CAPTIONS) == {"eigenvector_map", "participation_ratios"}
