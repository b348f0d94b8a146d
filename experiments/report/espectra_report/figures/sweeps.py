"""Figures over several comparisons: one row for each architecture, at the last epoch.

Each function takes a list of comparisons and returns a Figure, or None if there is nothing to draw. Rows that
do not fit on a page are left out, which the title states. Values at the last epoch are those of the replicas
that have a record there.
"""

from textwrap import fill

import matplotlib
import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, ScalarFormatter

from espectra_report.activations import rank
from espectra_report.figures.curves import legend_above, log_scale, narrow_ticks, replicas, smallest_positive
from espectra_report.style import COLUMN, PAGE, look

MOST_ROWS = 40
HEIGHT = 8.4  # inches for the rows of a page

QUANTITIES = {
    "cost": "training cost",
    "accuracy_train": "training accuracy",
    "accuracy_test": "test accuracy",
    "zero_residuals": "fraction of residuals ≤ 1e-5",
    "alpha": "α",
    "gamma": "γ",
    "gamma_dead": "γ dead",
}

CAPTIONS = {
    "consistency_map":
        "Medians over the replicas at the last epoch, for each architecture (rows) and activation (columns). The shade is on the scale "
        "below, logarithmic for the cost. Hatched: no record at the last epoch, or no such network.",
    "paired_differences":
        "Left: median difference, over the same seeds at the last epoch, between the first activation and "
        "each of the others (below zero: the first one is lower). Right: fraction of the seeds where the "
        "first one is lower, ties count half; dotted: one half. Bars are 95 % intervals: bootstrap for "
        "medians, Wilson's for fractions.",
    "final_costs":
        "Training cost at the last epoch (log scale) of each replica (dots; their height within a row has no meaning), with boxes from "
        "the first to the third quartile and a marker at the median.",
}


def _by_size(comparisons):
    """Returns the comparisons in order: shallow networks first, then narrow ones."""
    return sorted(comparisons, key=lambda comparison: (len(comparison.networks[0].widths), comparison.networks[0].widths))


def _shown(comparisons, row_height):
    """Returns the comparisons whose rows fit on a page, and a note about the others for the title."""
    most = min(MOST_ROWS, int(HEIGHT / row_height))
    return comparisons[:most], f", first {most} of {len(comparisons)} architectures" if len(comparisons) > most else ""


def _common(comparisons):
    """Returns the task and the names of the rows; the task is empty if the comparisons have several."""
    tasks = list(dict.fromkeys(comparison.networks[0].task for comparison in comparisons))
    if len(tasks) > 1:
        return "", [fill(comparison.title, 30) for comparison in comparisons]
    firsts = [comparison.networks[0] for comparison in comparisons]
    rows = [f"{network.architecture} {network.variant}".strip() for network in firsts]
    return tasks[0], [fill(row, 30) for row in rows]


def _title(task, networks, left_out):
    return (task + replicas(networks) + left_out).lstrip(", ")


def _at_the_end(networks):
    epochs = {int(network.epoch[-1]) for network in networks if network.snapshots}
    return f"at epoch {epochs.pop()}" if len(epochs) == 1 else "at the last epoch"


def _text(column, value):
    """Formats the value of a cell: a cost with two digits, a fraction with three decimals."""
    if column != "cost":
        return f"{value:.3f}"
    if value == 0:
        return "0"
    if 0.001 <= value < 10:
        return f"{value:#.2g}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}·10{str(int(exponent)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def _luminance(colour):
    """Returns the relative luminance of an sRGB colour, 0 to 1 (WCAG 2.2)."""
    channels = np.asarray(colour[:3])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def ink_on(colour):
    """Returns black or white, whichever has the larger contrast ratio on that colour."""
    luminance = _luminance(colour)
    return "black" if (luminance + 0.05) / 0.05 >= 1.05 / (luminance + 0.05) else "white"


def _norm(column, values):
    """Returns the norm of the colours: logarithmic for a cost, unless that is 0 everywhere."""
    if column == "cost" and (values > 0).any():
        return LogNorm(smallest_positive(values), values.max())
    return Normalize(values.min(), values.max())


def consistency_map(comparisons, column="cost"):
    """Draws a cell for each architecture and activation; needs two comparisons or more."""
    if len(comparisons) < 2:
        return None
    comparisons = _by_size(comparisons)
    task, rows = _common(comparisons)
    row_height = 0.32 if any("\n" in row for row in rows) else 0.2
    comparisons, left_out = _shown(comparisons, row_height)
    networks = [network for comparison in comparisons for network in comparison.networks]
    activations = sorted({network.activation for network in networks}, key=rank)
    medians = np.full((len(comparisons), len(activations)), np.nan)
    for row, comparison in enumerate(comparisons):
        for network in comparison.networks:
            if network.snapshots:
                medians[row, activations.index(network.activation)] = network.statistics(column)[-1, 0]
    there = np.isfinite(medians)
    if not there.any():
        return None

    figure = Figure(figsize=(COLUMN if len(activations) <= 4 else PAGE, 1.35 + row_height * len(comparisons)))
    axes = figure.subplots()
    norm, colours = _norm(column, medians[there]), matplotlib.colormaps["viridis"]
    floor = smallest_positive(medians[there]) if isinstance(norm, LogNorm) else -np.inf
    cells = np.ma.masked_invalid(np.fmax(medians, floor, where=there, out=np.full_like(medians, np.nan)))
    image = axes.pcolormesh(np.arange(len(activations) + 1) - 0.5, np.arange(len(comparisons) + 1) - 0.5, cells, norm=norm, cmap=colours,
                            edgecolors="white", linewidth=0.8)
    shades = colours(norm(cells))
    for (row, place), value in np.ndenumerate(medians):
        if there[row, place]:
            axes.text(place, row, _text(column, value), ha="center", va="center", fontsize=7, color=ink_on(shades[row, place]))
        else:
            axes.add_patch(Rectangle((place - 0.5, row - 0.5), 1, 1, facecolor="white", edgecolor="0.6", hatch="//////", linewidth=0))
    axes.set(xlim=(-0.5, len(activations) - 0.5), ylim=(len(comparisons) - 0.5, -0.5))
    axes.set_xticks(range(len(activations)), [look(activation).name.replace("-", "-\n") for activation in activations])
    axes.set_yticks(range(len(comparisons)), rows[: len(comparisons)])
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)
    axes.set_title(fill(_title(task, networks, left_out), 46 if len(activations) <= 4 else 90), loc="left")
    label = f"median {QUANTITIES[column]} {_at_the_end(networks)}"
    if norm.vmin == norm.vmax:  # one colour
        axes.set_xlabel(label)
        return figure
    ticks = narrow_ticks(norm.vmin, norm.vmax) if isinstance(norm, LogNorm) else None
    bar = figure.colorbar(image, ax=axes, location="bottom", aspect=30 if len(activations) <= 4 else 60, pad=0.02, label=label,
                          ticks=ticks, format=ScalarFormatter() if ticks else None)
    bar.outline.set_visible(False)
    if ticks:
        bar.minorticks_off()
    return figure


def _ladder(axes, labels, series, row_height):
    """Lays out rows of equally many series, the first at the top, with thin lines between rows; returns the
    heights (rows, series)."""
    inner = (np.arange(series) + 0.5) / series - 0.5
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    for y in range(1, len(labels)):
        axes.axhline(y - 0.5, color="0.85", linewidth=0.5, zorder=0)
    return np.arange(len(labels))[:, None] + inner * (1 - 0.06 / row_height)


def _symmetric_log(axes, medians, ends):
    """Sets a symmetric log scale if the medians span two decades or more. It is linear up to the power of ten
    below the smallest median, or six decades below the largest if that is greater. `ends`: all values that
    must be within the axis."""
    sizes = np.abs(medians[medians != 0])
    if not sizes.size or sizes.max() < 100 * sizes.min():
        return
    high = int(np.floor(np.log10(sizes.max())))
    low = max(int(np.floor(np.log10(sizes.min()))), high - 6)
    axes.set_xscale("symlog", linthresh=10.0**low, linscale=0.5)
    magnitudes = 10.0 ** np.arange(high, low - 1, -max(1, -(-(high - low) // 3)))
    axes.xaxis.set_major_locator(FixedLocator(sorted({0.0, *magnitudes, *-magnitudes})))
    axes.xaxis.set_minor_locator(FixedLocator([]))
    scale = axes.xaxis.get_transform()
    low, high = scale.transform(np.array([ends.min(initial=0.0), ends.max(initial=0.0)]))
    axes.set_xlim(scale.inverted().transform(np.array([low, high]) + 0.05 * (high - low) * np.array([-1, 1])))


def paired_differences(comparisons, column="cost"):
    """Draws the first activation minus each of the others, from statistics/paired; returns None if no file
    has them."""
    activations = sorted({network.activation for comparison in comparisons for network in comparison.networks}, key=rank)
    table = []  # (comparison, {activation: (6)})
    for comparison in _by_size(comparisons):
        names = {network.name: network.activation for network in comparison.networks}
        first = [network for network in comparison.networks if network.activation == activations[0]]
        paired = {name: rows[column] for network in first for name, rows in network.paired().items()}
        rows = {names[name]: row for name, row in paired.items() if name in names}
        rows = {activation: row for activation, row in rows.items() if np.isfinite(row[0])}
        if rows:
            table.append((comparison, rows))
    if not table:
        return None
    others = [activation for activation in activations if any(activation in rows for _, rows in table)]
    row_height = max(0.2, 0.06 + 0.1 * len(others))
    task, labels = _common([comparison for comparison, _ in table])
    table, left_out = _shown(table, row_height)
    networks = [network for comparison, _ in table for network in comparison.networks]

    figure = Figure(figsize=(PAGE, 1.2 + row_height * len(table)))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
    heights = _ladder(left, labels[: len(table)], len(others), row_height)
    _ladder(right, labels[: len(table)], len(others), row_height)
    right.tick_params(labelleft=False)
    handles, shown = [], []
    for place, other in enumerate(others):
        own = look(other)
        there = [index for index, (_, rows) in enumerate(table) if other in rows]
        rows = np.array([table[index][1][other] for index in there]).reshape(-1, 6)
        y = heights[there, place]
        for axes, (value, low, high) in ((left, rows[:, :3].T), (right, rows[:, 3:].T)):
            axes.hlines(y, low, high, color=own.colour, linewidth=1)
            points, = axes.plot(value, y, color=own.colour, marker=own.marker, linestyle="none", markersize=3.5,
                                label=f"{look(activations[0]).name} − {own.name}")
        handles.append(points)
        shown.append(rows[:, :3])
    left.axvline(0, color="black", linewidth=0.6, zorder=0.5)
    right.axvline(0.5, color="black", linewidth=0.6, linestyle=":", zorder=0.5)
    if column == "cost":  # the others are fractions
        shown = np.concatenate(shown)
        _symmetric_log(left, shown[:, 0], shown)
    left.set_title(fill(_title(task, networks, left_out), 60), loc="left")
    left.set_xlabel(f"difference of {QUANTITIES[column]}")
    right.set(xlabel=f"fraction of seeds where {look(activations[0]).name} is lower", xlim=(-0.03, 1.03))
    legend_above(figure, handles)
    return figure


def final_costs(comparisons):
    """Draws the distributions over the replicas; returns None if no network has several."""
    table = []  # (comparison, {activation: costs})
    for comparison in _by_size(comparisons):
        costs = {network.activation: network.series("cost")[network.recorded[:, -1], -1]
                 for network in comparison.networks if network.replicas > 1 and network.snapshots}
        costs = {activation: values[np.isfinite(values)] for activation, values in costs.items()}
        if any(values.size for values in costs.values()):
            table.append((comparison, {activation: values for activation, values in costs.items() if values.size}))
    if not table:
        return None
    activations = sorted({activation for _, costs in table for activation in costs}, key=rank)
    row_height = 0.08 + 0.11 * len(activations)
    task, labels = _common([comparison for comparison, _ in table])
    table, left_out = _shown(table, row_height)
    networks = [network for comparison, _ in table for network in comparison.networks]

    figure = Figure(figsize=(COLUMN, 1.2 + max(row_height * len(table), 0.6)))
    axes = figure.subplots()
    heights = _ladder(axes, labels[: len(table)], len(activations), row_height)
    thickness = 0.8 * (1 - 0.08 / row_height) / len(activations)
    everything = np.concatenate([values for _, costs in table for values in costs.values()])
    floor = smallest_positive(everything)
    for index, (_, costs) in enumerate(table):
        for activation, values in costs.items():
            place = activations.index(activation)
            own, y = look(activation), heights[index, place]
            values = np.fmax(values, floor)
            first, median, third = np.quantile(values, [0.25, 0.5, 0.75])
            # spread by the golden ratio, the same in every figure of these data
            scatter = ((np.arange(len(values)) * 0.6180339887) % 1 - 0.5) * 0.8 * thickness
            axes.plot(values, y + scatter, color=own.colour, marker=".", markersize=2.5, markeredgewidth=0, linestyle="none", alpha=0.6,
                      rasterized=len(everything) > 5000)
            axes.barh(y, third - first, thickness, left=first, facecolor="none", edgecolor=own.colour, linewidth=0.7)
            axes.plot(median, y, color=own.colour, marker=own.marker, markersize=3.5, markeredgecolor="white", markeredgewidth=0.4)
    looks = [look(activation) for activation in activations]
    handles = [Line2D([], [], color=own.colour, marker=own.marker, linestyle="none", label=own.name) for own in looks]
    log_scale(axes, "x", f"training cost {_at_the_end(networks)}", everything, floor)
    axes.set_title(fill(_title(task, networks, left_out), 46), loc="left")
    legend_above(figure, handles)
    return figure
