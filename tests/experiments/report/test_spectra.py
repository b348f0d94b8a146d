"""Tests of the eigenvalue axis and of the figures of spectra, by the data of their artists."""

import h5py
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import StepPatch
from matplotlib.text import Text
from synthetic import write_results

from espectra_report.eigenvalue_axis import EigenvalueAxis, pooled_fractions, resolved
from espectra_report.figures import spectra
from espectra_report.results import ReportError, comparisons, open_run
from espectra_report.style import look

NETWORK = {"name": "linear_2-2-1_tanh", "widths": (2, 2, 1), "activation": "tanh"}  # P = 9


def results_with(path, eigenvalues, network=NETWORK, **series):
    """Opens a results.h5 of one network with these eigenvalues (R, E, P) and other series."""
    eigenvalues = np.asarray(eigenvalues, float)
    replicas, snapshots, _ = eigenvalues.shape
    write_results(path, [network | {"replicas": replicas, "epochs": tuple(range(0, 10 * snapshots, 10))}])
    with h5py.File(path, "r+") as file:
        group = file[network["name"]]
        for name, values in {"eigenvalues": eigenvalues, **series}.items():
            group[name][...] = values
    return open_run(path)


def outlines(panel):
    return [patch for patch in panel.patches if isinstance(patch, StepPatch)]


def bars(panel):
    return [patch for container in panel.containers for patch in container]


def check_texts(figure):
    """Checks that all texts are large enough and within the figure, and that the labels of an axis do not
    overlap."""
    figure.draw_without_rendering()
    assert min(text.get_fontsize() for text in figure.findobj(Text) if text.get_text()) >= 6.5
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert box.x0 > -0.01 and box.y0 > -0.01 and box.x1 < width + 0.01 and box.y1 < height + 0.01
    for axes in figure.axes:
        for axis, low, high in ((axes.xaxis, "x0", "x1"), (axes.yaxis, "y0", "y1")):
            shown = [tick.label1 for tick in axis._update_ticks() if tick.label1.get_visible() and tick.label1.get_text()]
            boxes = [label.get_window_extent() for label in shown]
            boxes.sort(key=lambda box: getattr(box, low))
            assert all(getattr(first, high) < getattr(second, low) for first, second in zip(boxes, boxes[1:]))


# --- the axis

def test_bins_of_a_handful_of_eigenvalues():
    axis = EigenvalueAxis(lowest=-2, negative=-1, positive=1, bins_per_decade=1)
    # −0.1 … −0.01 | 0 | 0.01 … 0.1 … 1 … 10
    assert axis.edges.tolist() == [-1.5, -0.5, 0.5, 1.5, 2.5, 3.5]
    values = np.array([-0.05, -0.01, 0.0, 0.0, 0.0, 0.01, 0.0999, 0.1, 10.0, np.nan])
    assert axis.counts(values).tolist() == [2, 3, 2, 1, 1]
    assert axis.counts(np.stack([values, np.full(10, np.nan)])).tolist() == [[2, 3, 2, 1, 1], [0, 0, 0, 0, 0]]


def test_bins_agree_with_positions():
    axis = EigenvalueAxis(lowest=-9, negative=-3, positive=2, bins_per_decade=4)
    random = np.random.default_rng(4)
    values = np.concatenate([10 ** random.uniform(-9, 2, 1000), -(10 ** random.uniform(-9, -3, 500)), np.zeros(70)])
    assert axis.counts(values).tolist() == np.histogram(axis.position(values), axis.edges)[0].tolist()


def test_positions_in_decades():
    axis = EigenvalueAxis(lowest=-3, negative=-1, positive=2, bins_per_decade=2)
    assert axis.half_slot == 0.5
    np.testing.assert_allclose(axis.position(np.array([-0.1, -0.001, 0, 0.001, 1, 100])), [-2.5, -0.5, 0, 0.5, 3.5, 5.5], rtol=1e-15)
    assert np.isnan(axis.position(np.array([np.nan])))[0]


def test_axis_covers_all_in_whole_decades():
    axis = EigenvalueAxis.over([np.array([-0.02, 0.0, 3e-5]), np.array([np.nan]), np.array([40.0])], 9)
    assert (axis.lowest, axis.negative, axis.positive, axis.bins_per_decade) == (-5, -1, 2, 2)
    positive = EigenvalueAxis.over([np.array([0.01, 5.0])], 9)
    assert (positive.lowest, positive.negative, positive.positive) == (-2, -2, 1)
    assert positive.zero == 0
    zeros = EigenvalueAxis.over([np.zeros(9)], 9)
    assert zeros.edges.tolist() == [-0.5, 0.5]
    assert zeros.counts(np.zeros(9)).tolist() == [9]


def test_eigenvalues_below_the_axis_are_in_the_innermost_bins():
    axis = EigenvalueAxis.over([np.array([1e-200, -1e-30, 0.5])], 9)
    assert (axis.lowest, axis.negative, axis.positive) == (-20, -19, 0)
    counts = axis.counts(np.array([1e-200, -1e-30, 0.5]))
    assert counts[axis.zero - 1: axis.zero + 2].tolist() == [1, 0, 1]
    assert counts[-1] == 1
    assert counts.sum() == 3


def test_axis_ticks_are_powers_of_ten_at_their_positions():
    axis = EigenvalueAxis(lowest=-12, negative=-2, positive=2, bins_per_decade=2)
    positions, labels = axis.ticks(7)
    for position, label in zip(positions, labels):
        value = 0.0 if label == "0" else float(label.replace("10", "1e", 1).translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻−", "0123456789--")))
        assert axis.position(np.array(value)) == pytest.approx(position, abs=1e-12)
    assert 5 <= len(labels) <= 8


# --- zero at τ

def test_zero_is_within_tau_of_the_largest_magnitude(tmp_path):
    values = [-200, -2e-10, -2e-11, 0, 1e-11, 1e-10, 3, 4, 5]
    run = results_with(tmp_path / "results.h5", [[values]], tau=1e-12)  # τ|λ|max = 2e-10
    assert resolved(run.networks[0], 0)[0].tolist() == [-200, 0, 0, 0, 0, 0, 3, 4, 5]


def test_the_default_tau_is_that_of_the_program(tmp_path):
    edge = 4 * 9 * 2.0**-52
    values = [-1, -2 * edge, -edge, 0, edge / 2, 1.5 * edge, 0.1, 0.2, 0.3]
    run = results_with(tmp_path / "results.h5", [[values]], tau=np.nan)
    assert resolved(run.networks[0], 0)[0].tolist() == [-1, -2 * edge, 0, 0, 0, 1.5 * edge, 0.1, 0.2, 0.3]


def test_zeros_are_the_recorded_gamma(sweep):
    for network in open_run(sweep).networks:
        for replica in range(network.replicas):
            assert ((resolved(network, replica) == 0).mean(axis=1) == network.series("gamma")[replica]).all()
            assert ((resolved(network, replica) < 0).mean(axis=1) == network.series("alpha")[replica]).all()


def test_a_record_that_is_not_finite_is_named(tmp_path):
    values = np.ones((1, 2, 9))
    values[0, 1, 8] = np.inf
    run = results_with(tmp_path / "results.h5", values)
    with pytest.raises(ReportError, match="results.h5: linear_2-2-1_tanh: eigenvalues of replica 0: expected finite"):
        resolved(run.networks[0], 0)


# --- densities

def test_densities_pool_the_replicas_and_add_up_to_one(sweep):
    for comparison in comparisons([open_run(sweep)]):
        figure = spectra.eigenvalue_densities(comparison)
        panels = figure.axes
        assert [panel.get_title() for panel in panels] == ["epoch 0", "epoch 10", "epoch 40", "epoch 60"]
        for e, panel in zip((0, 1, 3, 4), panels):
            assert len(outlines(panel)) == len(bars(panel)) == 3
            for network, outline, bar in zip(comparison.networks, outlines(panel), bars(panel)):
                assert to_hex(outline.get_edgecolor()) == look(network.activation).colour.lower()
                zero = network.series("gamma")[:, e].mean()
                negative = network.series("alpha")[:, e].mean()
                values, edges, _ = outline.get_data()
                assert bar.get_height() == pytest.approx(zero, rel=1e-13)
                assert np.nansum(values) + bar.get_height() == pytest.approx(1, rel=1e-13)
                assert np.nansum(values[edges[1:] < 0]) == pytest.approx(negative, rel=1e-13)
                assert edges[np.isnan(values).argmax()] < bar.get_x() < edges[np.isnan(values).argmax() + 1]


def test_densities_of_hand_made_spectra(tmp_path):
    values = [[[-0.5, -0.5, 0, 0, 0, 0.02, 0.2, 0.5, 0.9]], [[-0.05, 0, 0, 0, 0, 0, 0.2, 0.5, 0.9]]]
    run = results_with(tmp_path / "results.h5", values, tau=1e-10)
    (panel,) = spectra.eigenvalue_densities(*comparisons([run])).axes
    fractions, edges, _ = outlines(panel)[0].get_data()
    # two decades on either side, two bins each, divided at 10^-1.5 = 0.0316 and 10^-0.5 = 0.316
    np.testing.assert_allclose(edges, [-2.5, -2, -1.5, -1, -0.5, 0.5, 1, 1.5, 2, 2.5], rtol=1e-15)
    np.testing.assert_allclose(fractions * 18, [2, 0, 1, 0, np.nan, 1, 0, 2, 4], rtol=1e-14)
    assert bars(panel)[0].get_height() == 8 / 18
    assert [text.get_text() for text in panel.texts] == ["zero:", "tanh 44 %"]


def test_densities_at_chosen_epochs(sweep):
    comparison = comparisons([open_run(sweep)])[0]
    assert [panel.get_title() for panel in spectra.eigenvalue_densities(comparison, [20, 60]).axes] == ["epoch 20", "epoch 60"]
    with pytest.raises(ReportError, match="epoch 7: expected a recorded epoch"):
        spectra.eigenvalue_densities(comparison, [7])


def test_partial_runs_show_their_records(tmp_path):
    networks = [NETWORK | {"replicas": 2, "epochs": (0, 10, 20), "recorded": 1},
                {"name": "linear_2-2-1_relu", "widths": (2, 2, 1), "activation": "relu", "epochs": (0, 10, 20)},
                {"name": "linear_2-2-1_sigmoid", "widths": (2, 2, 1), "activation": "sigmoid", "epochs": (0, 10, 20), "recorded": 0}]
    run = open_run(write_results(tmp_path / "results.h5", networks, state="interrupted"))
    (comparison,) = comparisons([run])
    panels = spectra.eigenvalue_densities(comparison).axes
    # tanh has only the first record, sigmoid none
    assert [len(outlines(panel)) for panel in panels] == [2, 1, 1]
    by_name = {network.activation: network for network in run.networks}
    assert spectra.spectrum_over_time(by_name["sigmoid"]) is None
    assert spectra.spectrum_over_time(by_name["tanh"]).axes[0].collections[0].get_array().shape[1] == 1
    lines = spectra.extreme_eigenvalues(comparison).axes[0].lines
    assert [len(line.get_xdata()) for line in lines] == [3, 1]


def test_nothing_to_draw(tmp_path):
    run = open_run(write_results(tmp_path / "results.h5", [NETWORK | {"spectra": False}]))
    (comparison,) = comparisons([run])
    assert spectra.eigenvalue_densities(comparison) is None
    assert spectra.extreme_eigenvalues(comparison) is None
    assert spectra.spectrum_over_time(run.networks[0]) is None


@pytest.mark.parametrize("values", [np.zeros(9), np.geomspace(1e-3, 10, 9), -np.geomspace(10, 1e-3, 9)], ids=["zero", "positive", "negative"])
def test_spectra_of_one_kind_are_drawn(tmp_path, values, recwarn):
    run = results_with(tmp_path / "results.h5", [[values, values]])
    (comparison,) = comparisons([run])
    panel = spectra.eigenvalue_densities(comparison).axes[0]
    assert np.nansum(outlines(panel)[0].get_data().values) + bars(panel)[0].get_height() == pytest.approx(1, rel=1e-14)
    low, high = panel.get_xlim()
    # a half of the axis exists if it has eigenvalues
    assert (low < -0.6, high > 0.6) == ((values < 0).any(), (values > 0).any())
    largest, smallest = spectra.extreme_eigenvalues(comparison).axes
    assert [text.get_text() for text in largest.texts] == ([] if (values > 0).any() else ["none is positive"])
    assert [text.get_text() for text in smallest.texts] == ([] if (values < 0).any() else ["none is negative"])
    for figure in (panel.figure, largest.figure, spectra.spectrum_over_time(run.networks[0])):
        check_texts(figure)
    assert not recwarn.list


# --- over time

def test_spectrum_over_time_has_the_counts_of_each_epoch(single):
    for network in open_run(single).networks:
        axes = spectra.spectrum_over_time(network).axes[0]
        mesh = axes.collections[0]
        columns = mesh.get_array().filled(0).T
        np.testing.assert_allclose(columns.sum(axis=1), 1, rtol=1e-14)
        edges = mesh.get_coordinates()
        assert edges[0, :, 0].tolist() == [0, 5, 15, 30, 50, 60]  # halfway between 0, 10, 20, 40, 60
        axis = EigenvalueAxis.over([resolved(network, 0)], network.parameters)
        np.testing.assert_array_equal(edges[:, 0, 1], axis.edges)
        assert columns[:, axis.zero].tolist() == network.series("gamma")[0].tolist()
        largest, smallest = (line.get_ydata() for line in axes.lines)
        np.testing.assert_array_equal(largest, axis.position(network.eigenvalues(0)[:, -1]))
        np.testing.assert_array_equal(smallest, axis.position(network.eigenvalues(0)[:, 0]))
        assert mesh.get_rasterized()


def test_extremes_are_the_quartiles_over_the_replicas(sweep):
    for comparison in comparisons([open_run(sweep)]):
        panels = spectra.extreme_eigenvalues(comparison).axes
        for n, network in enumerate(comparison.networks):
            eigenvalues = network.group["eigenvalues"][()]
            for panel, values in zip(panels, (eigenvalues[..., -1], -eigenvalues[..., 0])):
                line, band = panel.lines[n], panel.collections[n]
                assert line.get_xdata().tolist() == [0, 10, 20, 40, 60]
                np.testing.assert_allclose(line.get_ydata(), np.median(values, axis=0), rtol=1e-15)
                corners = band.get_paths()[0].vertices
                for epoch, column in zip((0, 10, 20, 40, 60), values.T):
                    heights = corners[corners[:, 0] == epoch, 1]
                    np.testing.assert_allclose([heights.min(), heights.max()], np.quantile(column, [0.25, 0.75]), rtol=1e-14)


def test_edge_of_stability_for_gradient_descent(tmp_path):
    run = results_with(tmp_path / "results.h5", np.tile(np.geomspace(1e-3, 10, 9), (1, 2, 1)))
    (comparison,) = comparisons([run])
    assert len(spectra.extreme_eigenvalues(comparison).axes[0].lines) == 1
    run.close()
    with h5py.File(tmp_path / "results.h5", "r+") as file:
        file[NETWORK["name"]].attrs.update({"optimizer": "gradient_descent", "learning_rate": 0.5, "decay_rate": 0.25, "decay_steps": 20.0})
    (comparison,) = comparisons([open_run(tmp_path / "results.h5")])
    edge = spectra.extreme_eigenvalues(comparison).axes[0].lines[-1]
    assert edge.get_ydata().tolist() == [4.0, 8.0]  # 2 / 0.5; after 10 of 20 steps the rate is 0.5 · √0.25


# --- looks

def test_texts_are_large_enough_and_inside_the_figure(sweep):
    run = open_run(sweep)
    for comparison in comparisons([run]):
        figures = [spectra.eigenvalue_densities(comparison), spectra.extreme_eigenvalues(comparison)]
        for figure in figures + [spectra.spectrum_over_time(network) for network in comparison.networks]:
            check_texts(figure)


def test_each_figure_has_a_caption():
    assert set(spectra.CAPTIONS) == {"eigenvalue_densities", "spectrum_over_time", "extreme_eigenvalues"}


def test_percent():
    assert [spectra.percent(f) for f in (0, 1e-5, 0.0407, 0.66, 0.999, 1)] == ["0.0 %", "< 0.1 %", "4.1 %", "66 %", "> 99 %", "100 %"]


def test_replicas_without_a_record_are_not_pooled(tmp_path):
    values = np.tile(np.r_[np.zeros(3), np.full(6, 0.5)], (3, 2, 1))
    alpha = np.array([[0, 0], [0, np.nan], [0, np.nan]])
    values[0, 1] = 0.0
    run = results_with(tmp_path / "results.h5", values, alpha=alpha)
    axis, (fractions,) = pooled_fractions(run.networks, np.array([0, 10]))
    assert fractions[:, axis.zero].tolist() == [1 / 3, 1]
