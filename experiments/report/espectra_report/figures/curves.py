"""Curves of one comparison: cost, accuracy and zero residuals against the epoch; α and γ against cost and
tolerance; the parts of γ.

Each function draws the networks of a Comparison into one Figure, or returns None if no record has the data.
With several replicas a curve is the median and its band the quartiles over the replicas that have a record.
Sizes as in results.py.
"""

from textwrap import fill

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, ScalarFormatter

from espectra_report.indices import indices
from espectra_report.style import COLUMN, look

BINS = 20  # for the records by cost, as in statistics/alpha_against_cost
TOLERANCES = 10.0 ** (-16 + np.arange(61) / 4)  # as in statistics/tau

_QUARTILES = "With several replicas, lines are medians and bands reach from the first to the third quartile."
_ORDER = "With one replica, points are joined in the order of training, from the large open marker to the large filled one."
_BINS = ("With several replicas, the records of all replicas and epochs are divided by cost into twenty bins "
         "of equal numbers; points are the medians of a bin, bands the quartiles of")

CAPTIONS = {
    "cost_against_epoch": f"Training cost (log scale) against the number of updates. {_QUARTILES}",
    "accuracy_against_epoch":
        "Fraction of correctly classified examples against the number of updates: training set (thick lines, "
        f"filled markers) and test set (thin lines, open markers). {_QUARTILES} The test set has no band.",
    "zero_residuals_against_epoch":
        "Fraction of the training residuals of magnitude up to 1e-5, against the number of updates. "
        f"{_QUARTILES}",
    "alpha_against_cost":
        "α, the fraction of negative eigenvalues of the Hessian, against the training cost (log scale; training goes from right to left). "
        f"{_ORDER} {_BINS} α.",
    "gamma_against_cost":
        "γ, the fraction of zero eigenvalues of the Hessian (filled markers), and γ_dead, the fraction of parameters whose row of the "
        "Hessian is exactly zero (thin lines, open markers), against the training cost (log scale; training goes from right to left). "
        f"{_ORDER} {_BINS} γ.",
    "gamma_parts":
        "γ at the last record, divided by the origin of the zero eigenvalues: weights of inputs that are "
        "always 0, dead ReLU units, scaling symmetries, and the rest. The vertical stroke and the number "
        "are γ. With several replicas, parts and γ are separate medians, which need not add up; the whisker "
        "spans the quartiles of γ.",
    "indices_of_tolerance":
        "Fractions of negative (α) and of zero (γ) eigenvalues at the last record, against the tolerance τ, relative to the largest "
        f"magnitude of an eigenvalue. Thin vertical lines: the τ that the run used. {_QUARTILES}",
}


def replicas(networks):
    """Returns the number of replicas for the end of a title, such as `, 32 replicas`; empty if all networks
    have one."""
    counts = sorted({network.replicas for network in networks})
    return "" if counts == [1] else f", {'–'.join(map(str, dict.fromkeys((counts[0], counts[-1]))))}\u00a0replicas"


def legend_above(figure, handles):
    """Adds a legend above all axes, read row by row, in as few and as even rows as the width of the figure
    allows."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    for rows in range(1, len(handles) + 1):
        columns = -(-len(handles) // rows)
        by_columns = [handle for column in range(columns) for handle in handles[column::columns]]
        legend = figure.legend(handles=by_columns, loc="outside upper left", ncols=columns, columnspacing=1.2, handlelength=2.6)
        if columns == 1 or legend.get_window_extent(renderer).width <= figure.bbox.width:
            return legend
        legend.remove()


def smallest_positive(values):
    """Returns the smallest positive value of an array, at which a log axis shows zeros; NaN if no value is
    positive."""
    positive = values[values > 0]
    return positive.min() if positive.size else np.nan


def narrow_ticks(low, high):
    """Returns a locator of ticks with plain numbers for a log scale of less than two decades; None for a
    longer one, where powers of ten suffice."""
    if high >= 100 * low:
        return None
    return LogLocator(subs=(1, 2, 5)) if high >= 5 * low else MaxNLocator(6, steps=[1, 2, 5, 10])


def log_scale(axes, which, label, values, floor):
    """Sets a log scale on the axis `which` (x or y), with a label that states where zeros are drawn; a linear
    scale if no value is positive."""
    if np.isnan(floor):
        axes.set(**{f"{which}label": label})
        return
    axes.set(**{f"{which}scale": "log", f"{which}label": f"{label}\n(0 is drawn at {floor:.1g})" if (values == 0).any() else label})
    locator = narrow_ticks(floor, np.nanmax(values))
    if locator:
        axis = {"x": axes.xaxis, "y": axes.yaxis}[which]
        axis.set_major_locator(locator)
        axis.set_major_formatter(ScalarFormatter())
        axis.set_minor_locator(NullLocator())


def last_snapshot(network):
    """Returns the index of the last snapshot of which any replica has a record; None if there is none."""
    there = np.flatnonzero(network.recorded.any(axis=0))
    return int(there[-1]) if len(there) else None


def _named(network, snapshot):
    """Returns the name of the activation, with the epoch if that is not the last one."""
    name = look(network.activation).name
    return name if snapshot == network.snapshots - 1 else f"{name} (epoch {network.epoch[snapshot]})"


def _axes(comparison, rows=1, height=2.6):
    figure = Figure(figsize=(COLUMN, height))
    axes = figure.subplots(rows, sharex=True, squeeze=False)[:, 0]
    axes[0].set_title(fill(comparison.title + replicas(comparison.networks), 46), loc="left")
    return figure, axes


def _style(network, points, place):
    """Returns the style of a curve: markers at each of up to twelve points, else at equal distances, shifted
    by the curve's place among the others."""
    own = look(network.activation)
    every = None if points <= 12 else (0.03 * (place + 1), 0.18)
    return {"color": own.colour, "linestyle": own.line, "marker": own.marker, "markevery": every}


THIN = {"linewidth": 0.7, "markerfacecolor": "white", "markeredgewidth": 0.7}
AROUND = THIN | {"markersize": 5.2, "zorder": 1.9}  # rings around the marker of an equal value


def _against_epoch(axes, networks, name, floor=None, thin=False):
    """Draws the medians and, unless thin, the quartiles of a series; `floor` replaces smaller values. Returns
    the lines."""
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1, steps=[1, 2, 2.5, 5, 10]))
    lines = []
    for place, network in enumerate(networks):
        table = network.statistics(name)[:, :3]
        there = np.isfinite(table[:, 0])
        if not there.any():
            continue
        epoch, (median, first, third) = network.epoch[there], np.fmax(table[there], -np.inf if floor is None else floor).T
        own = look(network.activation)
        lines += axes.plot(epoch, median, label=own.name, **_style(network, len(epoch), place), **(AROUND if thin else {}))
        if network.replicas > 1 and not thin:
            axes.fill_between(epoch, first, third, color=own.colour, alpha=0.2, linewidth=0)
    return lines


def cost_against_epoch(comparison):
    figure, (axes,) = _axes(comparison)
    values = np.concatenate([network.statistics("cost")[:, :3].ravel() for network in comparison.networks])
    floor = smallest_positive(values)
    lines = _against_epoch(axes, comparison.networks, "cost", floor)
    if not lines:
        return None
    log_scale(axes, "y", "training cost", values, floor)
    legend_above(figure, lines)
    return figure


def accuracy_against_epoch(comparison):
    figure, (axes,) = _axes(comparison)
    train = _against_epoch(axes, comparison.networks, "accuracy_train")
    test = _against_epoch(axes, comparison.networks, "accuracy_test", thin=True)
    if not train and not test:
        return None
    axes.set_ylabel("accuracy")
    sets = [Line2D([], [], color="0.3", marker="o", label="train")] if train else []
    if test:
        sets.append(Line2D([], [], color="0.3", marker="o", label="test", **AROUND))
    legend_above(figure, (train or test) + sets)
    return figure


def zero_residuals_against_epoch(comparison):
    figure, (axes,) = _axes(comparison)
    lines = _against_epoch(axes, comparison.networks, "zero_residuals")
    if not lines:
        return None
    axes.set(ylabel="fraction of residuals ≤ 1e-5", ylim=(-0.03, 1.03))
    legend_above(figure, lines)
    return figure


def in_bins_of_cost(network, name):
    """Divides the records of all replicas and epochs by cost into up to BINS bins of equal numbers; returns
    (bins, 4): median cost, then median and quartiles of the series."""
    cost, values = network.series("cost").ravel(), network.series(name).ravel()
    there = np.isfinite(cost) & np.isfinite(values) & network.recorded.ravel()
    cost, values = cost[there], values[there]
    order = np.argsort(cost, kind="stable")
    edges = np.arange(BINS + 1) * len(order) // BINS
    bins = [order[begin:end] for begin, end in zip(edges, edges[1:]) if begin < end]
    return np.array([[np.median(cost[one]), *np.quantile(values[one], [0.5, 0.25, 0.75])] for one in bins]).reshape(-1, 4)


def _points_against_cost(network, name):
    """Returns (n, 4) as in_bins_of_cost; for a single replica its records, in the order of training."""
    if network.replicas > 1:
        return in_bins_of_cost(network, name)
    cost, values = network.series("cost")[0], network.series(name)[0]
    there = np.isfinite(cost) & np.isfinite(values)
    return np.stack([cost, values, values, values], axis=1)[there]


def _against_cost(axes, comparison, names):
    """Draws series against the cost, the first with bands, the others thin. Returns the lines of the first,
    in order."""
    points = {(place, name): _points_against_cost(network, name) for place, network in enumerate(comparison.networks) for name in names}
    costs = np.concatenate([one[:, 0] for one in points.values()])
    floor = smallest_positive(costs)
    lines = []
    for (place, name), one in points.items():
        if not len(one):
            continue
        network, thin = comparison.networks[place], name != names[0]
        cost, median, first, third = np.fmax(one[:, 0], floor), *one[:, 1:].T
        own = look(network.activation)
        style = {"color": own.colour, "linestyle": own.line, "marker": own.marker, "label": own.name, "linewidth": 0.9, "markersize": 2.5}
        rings = AROUND | {"markevery": 1 if len(cost) <= 25 else 4}
        line, = axes.plot(cost, median, **style | (rings if thin else {}))
        if network.replicas > 1:
            if not thin:
                axes.fill_between(cost, first, third, color=own.colour, alpha=0.2, linewidth=0)
        elif not thin:
            for end, face in ((0, "white"), (-1, own.colour)):
                axes.plot(cost[end], median[end], color=own.colour, linestyle="none", marker=own.marker, markersize=6, markerfacecolor=face,
                          zorder=3)
        if not thin:
            lines.append(line)
    if lines:
        log_scale(axes, "x", "training cost", costs, floor)
    return lines


def alpha_against_cost(comparison):
    figure, (axes,) = _axes(comparison)
    lines = _against_cost(axes, comparison, ["alpha"])
    if not lines:
        return None
    axes.set_ylabel("α, fraction of eigenvalues < 0")
    legend_above(figure, lines)
    return figure


def gamma_against_cost(comparison):
    figure, (axes,) = _axes(comparison)
    lines = _against_cost(axes, comparison, ["gamma", "gamma_dead"])
    if not lines:
        return None
    axes.set_ylabel("γ, fraction of eigenvalues = 0")
    parts = [Line2D([], [], color="0.3", marker="o", markersize=2.5, linewidth=0.9, label="γ")]
    if len(axes.lines) > len(lines):
        parts.append(Line2D([], [], color="0.3", marker="o", label="γ dead", **AROUND))
    legend_above(figure, lines + parts)
    return figure


PARTS = {  # parts of γ: name in the legend, grey and hatch
    "gamma_dead_inputs": ("dead inputs", "0.35", ""),
    "gamma_dead_units": ("dead units", "0.8", ""),
    "gamma_symmetry": ("symmetry", "white", "......"),
    "gamma_numerical": ("numerical", "white", "//////"),
}


def gamma_parts(comparison):
    rows = []
    for network in comparison.networks:
        snapshot = last_snapshot(network)
        if snapshot is None:
            continue
        values = np.stack([network.series(name)[:, snapshot] for name in (*PARTS, "gamma")])
        values = values[:, np.isfinite(values).all(axis=0)]
        if values.size:
            rows.append((network, snapshot, np.median(values, axis=1), np.quantile(values[-1], [0.25, 0.75])))
    if not rows:
        return None
    figure, (axes,) = _axes(comparison, height=1.1 + 0.3 * len(rows))
    end = max(max(medians[:-1].sum(), medians[-1], quartiles[1]) for _, _, medians, quartiles in rows) or 1.0
    for y, (network, snapshot, medians, quartiles) in enumerate(rows):
        left = 0.0
        for value, (_, colour, hatch) in zip(medians, PARTS.values()):
            axes.barh(y, value, 0.55, left=left, facecolor=colour, hatch=hatch, edgecolor="black", linewidth=0.6 if value else 0.0)
            left += value
        if network.replicas > 1:
            axes.plot(quartiles, [y, y], color="black", linewidth=0.8)
        axes.plot(medians[-1], y, color="black", marker="|", markersize=11, markeredgewidth=1.2)
        axes.text(max(left, quartiles[1]) + 0.02 * end, y, f"{medians[-1]:.3f}", va="center", fontsize=7)
    axes.set_yticks(range(len(rows)), [_named(network, snapshot) for network, snapshot, *_ in rows])
    axes.set(xlabel="γ, fraction of eigenvalues = 0", xlim=(0, 1.17 * end), ylim=(len(rows) - 0.5, -0.5))
    axes.tick_params(axis="y", length=0)
    legend_above(figure, [Patch(facecolor=colour, hatch=hatch, edgecolor="black", linewidth=0.6, label=name)
                          for name, colour, hatch in PARTS.values()])
    return figure


def indices_of(eigenvalues):
    """Returns α(τ) and γ(τ) at the 61 TOLERANCES for one spectrum (P)."""
    return np.array([indices(eigenvalues, tolerance) for tolerance in TOLERANCES]).T


def indices_of_tolerance(comparison):
    figure, axes = _axes(comparison, rows=2, height=4.2)
    lines = []
    for place, network in enumerate(comparison.networks):
        snapshot = last_snapshot(network)
        if snapshot is None or not network.has_spectra:
            continue
        spectra = [network.eigenvalues(replica, snapshot) for replica in np.flatnonzero(network.recorded[:, snapshot])]
        found = np.array([indices_of(spectrum) for spectrum in spectra if np.isfinite(spectrum).all()])
        if not len(found):
            continue
        own, tau = look(network.activation), network.series("tau")[:, snapshot]
        tau = tau[np.isfinite(tau)]
        for axis, values in zip(axes, found.swapaxes(0, 1)):
            median, first, third = np.quantile(values, [0.5, 0.25, 0.75], axis=0)
            line, = axis.plot(TOLERANCES, median, label=_named(network, snapshot), **_style(network, len(median), place))
            if network.replicas > 1:
                axis.fill_between(TOLERANCES, first, third, color=own.colour, alpha=0.2, linewidth=0)
            if tau.size and tau[0] > 0:
                axis.axvline(tau[0], color=own.colour, linestyle=own.line, linewidth=0.6, zorder=1)
        lines.append(line)
    if not lines:
        return None
    axes[0].set(ylabel="α(τ), fraction < 0", xscale="log")
    axes[1].set(ylabel="γ(τ), fraction = 0", xlabel="tolerance τ, relative to |λ|ₘₐₓ")
    legend_above(figure, lines)
    return figure
