"""Figures of the eigenvectors of the Hessian: on which parameters they are concentrated, and on how many."""

from math import ceil

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from scipy.optimize import isotonic_regression

from espectra_report.eigenvalue_axis import EigenvalueAxis, resolved
from espectra_report.figures.spectra import legend
from espectra_report.style import PAGE, look

CAPTIONS = {
    "eigenvector_map":
        "Magnitude of the components of the unit eigenvectors of the Hessian: a row is an eigenvector, in order of its eigenvalue, a "
        "column a parameter, in order of θ. A vector on one parameter is a single dark cell, one that is spread evenly has |v| = 1/√P "
        "throughout; white is exactly 0.",
    "participation_ratios":
        "Inverse participation ratio Σ vᵢ⁴ of each unit eigenvector against its eigenvalue: 1 for a vector on one parameter, 1/P for one "
        "that is spread evenly, about 3/P for a random one. Those of zero eigenvalues fill the grey slot, in order of the ratio.",
}

MOST_CELLS = 640  # along a side of the map, as many as a page can show


def last_snapshot(network, snapshot, replica):
    return network.last_recorded(replica) if snapshot is None else snapshot


def coarse(values, cell):
    """Reduces (n, m) to (⌈n/cell⌉, ⌈m/cell⌉): maxima of squares of cell × cell."""
    n, m = values.shape
    return np.maximum.reduceat(np.maximum.reduceat(values, np.arange(0, n, cell), axis=0), np.arange(0, m, cell), axis=1)


def apart(wanted, gap, low, high):
    """Returns the positions nearest to the wanted ones (ascending), by least squares, that are at least `gap`
    apart and within low … high; they exceed `high` if there is not enough space."""
    steps = gap * np.arange(len(wanted))
    places = isotonic_regression(np.asarray(wanted) - steps).x
    return np.maximum(np.minimum(places, high - steps[-1]), low) + steps


def eigenvector_map(network, snapshot=None, replica=0):
    if not network.has_eigenvectors:
        return None
    snapshot = last_snapshot(network, snapshot, replica)
    if snapshot is None or not network.recorded[replica, snapshot]:
        return None
    P = network.parameters
    cell = ceil(P / MOST_CELLS)
    magnitude = coarse(np.abs(network.eigenvectors(replica, snapshot)), cell)
    eigenvalues = resolved(network, replica)[snapshot]

    figure = Figure(figsize=(PAGE, 5.6))
    axes = figure.subplots()
    image = axes.imshow(magnitude, origin="lower", aspect="auto", interpolation="nearest",
                        extent=(0, cell * len(magnitude), 0, cell * len(magnitude)),
                        norm=LogNorm(0.1 / np.sqrt(P), 1), cmap=colormaps["magma_r"].with_extremes(bad="white"))
    axes.set_xlim(0, P)
    axes.set_ylim(0, P)
    bar = figure.colorbar(image, ax=axes, label="magnitude of the component, |v|", pad=0.02, extend="min", aspect=35)
    bar.ax.axhline(1 / np.sqrt(P), color="black", linewidth=1)
    bar.ax.annotate("1/√P", (0, 1 / np.sqrt(P)), (-3, 0), bar.ax.get_yaxis_transform(), textcoords="offset points", ha="right", va="center",
                    fontsize=6.5)

    blocks = network.blocks
    for block in blocks[1:]:
        axes.axvline(block.start, color="black", linewidth=0.6)
    mark_spans(axes, axes.xaxis, [(block.start, block.stop, block.label) for block in blocks], P)
    signs = [("λ < 0", int((eigenvalues < 0).sum())), ("λ = 0", int((eigenvalues == 0).sum())), ("λ > 0", int((eigenvalues > 0).sum()))]
    spans, start = [], 0
    for label, number in signs:
        if number:
            spans.append((start, start + number, f"{label}: {number}"))
            start += number
    for begin, _, _ in spans[1:]:
        axes.axhline(begin, color="black", linewidth=0.6)
    mark_spans(axes, axes.yaxis, spans, P)
    axes.set_xlabel("parameter")
    axes.set_ylabel("eigenvector, in order of its eigenvalue")
    reduced = f"; each cell shows the largest of {cell} × {cell} components" if cell > 1 else ""
    axes.set_title(f"{look(network.activation).name}, epoch {network.epoch[snapshot]}, P = {P}{reduced}")
    return figure


def mark_spans(axes, axis, spans, P):
    """Labels spans of an axis of the map, outside the map: a bracket over each, and a leader from its middle
    to its label."""
    across = axis is axes.xaxis
    # Approximate size of the map in points.
    room, depth = axes.figure.get_size_inches() * 60 if across else axes.figure.get_size_inches()[::-1] * 60
    gap = P * (13 if across else 9) / room  # width and height of a label
    middles = [(start + stop) / 2 for start, stop, _ in spans]
    places = apart(middles, gap, gap / 2, P - gap / 2)
    bracket, leader = -4 / depth, -11 / depth
    transform = axes.get_xaxis_transform() if across else axes.get_yaxis_transform()
    for (start, stop, _), middle, place in zip(spans, middles, places):
        inset = min(0.15 * (stop - start), 0.002 * P)
        for along, away in (([start + inset, stop - inset], [bracket, bracket]), ([middle, place], [bracket, leader])):
            axes.plot(*((along, away) if across else (away, along)), color="black", linewidth=0.7, transform=transform, clip_on=False)
    axis.set_ticks(places, [label for _, _, label in spans])
    axis.set_tick_params(length=0, pad=12)


def participation_ratios(comparison, snapshot=None, replica=0):
    points = []
    for network in comparison.networks:
        if not network.has_eigenvectors:
            continue
        at = last_snapshot(network, snapshot, replica)
        if at is not None and network.recorded[replica, at]:
            points.append((network, resolved(network, replica)[at], network.eigenvalues(replica, at, name="inverse_participation_ratio")))
    if not points:
        return None
    axis = EigenvalueAxis.over([eigenvalues for _, eigenvalues, _ in points], 1)
    figure = Figure(figsize=(PAGE, 3.2))
    axes = figure.subplots()
    for network, eigenvalues, ratios in points:
        style = look(network.activation)
        x, zero = axis.position(eigenvalues), np.flatnonzero(eigenvalues == 0)
        zero = zero[np.argsort(ratios[zero], kind="stable")]
        x[zero] = axis.half_slot * np.linspace(-0.9, 0.9, len(zero)) if len(zero) > 1 else 0
        many = len(x) > 500
        axes.plot(x, ratios, style.marker, color=style.colour, markerfacecolor="none", markeredgewidth=0.4 if many else 0.8,
                  markersize=2 if many else 4, label=style.name, rasterized=many)
    axes.set_yscale("log")
    axis.apply(axes.xaxis, most=12)
    sizes = sorted({network.parameters for network, _, _ in points})
    for numerator, label in ((1, "1/P: even"), (3, "3/P: random")):
        for P in sizes:
            axes.axhline(numerator / P, color="0.4", linewidth=0.7, linestyle="-" if numerator == 1 else (0, (4, 2)), zorder=0)
        remark(axes, numerator / np.sqrt(sizes[0] * sizes[-1]), label)
    axes.axhline(1, color="0.4", linewidth=0.7, zorder=0)
    remark(axes, 1, "1: one parameter")
    axes.set_ylim(0.7 / sizes[-1], 1.5)
    axes.set_xlabel("eigenvalue λ")
    axes.set_ylabel("inverse participation ratio Σ vᵢ⁴")
    legend(figure, [network for network, _, _ in points], markers=True)
    return figure


def remark(axes, y, text):
    """Writes a remark at height y, to the right of the axes."""
    axes.annotate(text, (1, y), (3, 0), axes.get_yaxis_transform(), textcoords="offset points", va="center", fontsize=7)
