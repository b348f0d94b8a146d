"""Figures of the eigenvalues of the Hessian: densities, spectrum over time, and the extreme eigenvalues."""

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator

from espectra_report.eigenvalue_axis import EigenvalueAxis, pooled_fractions, recorded_epochs, resolved, with_spectra
from espectra_report.results import ReportError
from espectra_report.style import COLUMN, PAGE, look

CAPTIONS = {
    "eigenvalue_densities":
        "Fraction of all eigenvalues of the Hessian per bin (2, 4 or 8 bins per decade), at several epochs of training, over a "
        "logarithmic axis for either sign; all replicas are pooled. Bars in the grey slot: fraction of zero eigenvalues, |λ| ≤ τ|λ|max; "
        "bins and bar of a network add up to 1.",
    "spectrum_over_time":
        "Eigenvalues of one replica during training: each column is a recorded epoch, its colour the fraction of the eigenvalues per bin "
        "(white: none), the grey slot those that are zero, |λ| ≤ τ|λ|max. Lines: the largest and the smallest eigenvalue.",
    "extreme_eigenvalues":
        "The largest eigenvalue and the magnitude of the most negative one during training; with several "
        "replicas the median and, shaded, the quartiles. A line ends where no eigenvalue has that sign; 2/η "
        "is drawn for gradient descent with learning rate η.",
}


def percent(fraction):
    """Formats a fraction: 0.0407 as `4.1 %`. Only exact 0 and 1 become `0.0 %` and `100 %`."""
    text = f"{100 * fraction:.1f}" if fraction < 0.0995 else f"{100 * fraction:.0f}"
    if fraction < 1 and text == "100":
        text = "> 99"
    return ("< 0.1" if 0 < fraction < 0.0005 else text) + " %"


def default_epochs(networks):
    """Returns four recorded epochs, evenly spaced in the list of records from first to last (early records
    are closer together)."""
    epochs = recorded_epochs(networks)
    return epochs[np.unique(np.linspace(0, len(epochs) - 1, 4).round().astype(int))]


def eigenvalue_densities(comparison, epochs=None):
    networks = with_spectra(comparison)
    if not networks:
        return None
    epochs = default_epochs(networks) if epochs is None else np.asarray(epochs)
    for epoch in epochs[~np.isin(epochs, recorded_epochs(networks))]:
        place = f"{networks[0].run.path}: {comparison.title}"
        raise ReportError(f"{place}: epoch {epoch}: expected a recorded epoch")
    axis, fractions = pooled_fractions(networks, epochs)
    rows, columns = (2, 2) if len(epochs) == 4 else (1, len(epochs))
    figure = Figure(figsize=(COLUMN if columns == 1 else PAGE, 2.1 * rows + 0.5))
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for e, (epoch, panel) in enumerate(zip(epochs, panels.flat)):
        zeros = []
        for n, network in enumerate(networks):
            if np.isnan(fractions[n][e, 0]):
                continue
            style = look(network.activation)
            draw_fractions(panel, axis, fractions[n][e], style, n, len(networks))
            if fractions[n][e, axis.zero]:
                zeros.append((f"{style.name} {percent(fractions[n][e, axis.zero])}", style.colour))
        panel.set_yscale("log")
        panel.set_ylim(fraction_floor(fractions), 1.5)
        axis.apply(panel.xaxis, most=7 if columns < 3 else 5)
        panel.set_title(f"epoch {epoch}")
        for line, (text, colour) in enumerate([("zero:", "black"), *zeros] if zeros else []):
            in_corner(panel, line, text, colour, 6.5)
    for panel in panels[-1]:
        panel.set_xlabel("eigenvalue λ")
    for panel in panels[:, 0]:
        panel.set_ylabel("fraction per bin")
    legend(figure, networks)
    return figure


def in_corner(axes, line, text, colour, size):
    """Writes a line of text, counted from 0, in the upper left corner."""
    place = (3, -2 - 1.35 * size * line)
    return axes.annotate(text, (0, 1), place, "axes fraction", textcoords="offset points", va="top", fontsize=size, color=colour)


def legend(figure, networks, markers=False):
    """Adds a legend of the activations above all panels."""
    looks = [look(network.activation) for network in networks]
    figure.legend([Line2D([], [], color=style.colour, linestyle="" if markers else style.line, marker=style.marker if markers else "",
                          markerfacecolor="none") for style in looks], [style.name for style in looks],
                  loc="outside upper center", ncols=len(looks), handlelength=3)


def fraction_floor(fractions):
    """Returns the lower end of a logarithmic axis of the fractions, below all positive ones."""
    values = np.concatenate([part.ravel() for part in fractions])
    return 0.5 * values[values > 0].min()


def draw_fractions(axes, axis, fractions, style, n, of):
    """Draws the outline of one network's fractions and, in the slot of the zeros, its bar, number n of
    several. Returns (StepPatch, Rectangle)."""
    line = {"color": style.colour, "linestyle": style.line, "linewidth": 1.1}
    outline = axes.stairs(outside_slot(axis, fractions), axis.edges, baseline=1e-12, **line)
    width = 1.6 * axis.half_slot / of
    (bar,) = axes.bar((n - (of - 1) / 2) * width, fractions[axis.zero], 0.85 * width, color=style.colour, bottom=0)
    return outline, bar


def outside_slot(axis, fractions):
    """Returns the fractions with NaN in place of that of the zeros, so that the outline ends at the slot."""
    values = fractions.copy()
    values[axis.zero] = np.nan
    return values


def epoch_edges(epochs):
    """Returns the edges of the columns of an image over recorded epochs: halfway between neighbours; the
    outer ones are the first and the last epoch."""
    if len(epochs) == 1:
        return np.array([epochs[0] - 0.5, epochs[0] + 0.5])
    return np.concatenate([epochs[:1], (epochs[1:] + epochs[:-1]) / 2, epochs[-1:]])


def spectrum_over_time(network, replica=0):
    if not network.has_spectra or not network.recorded[replica].any():
        return None
    recorded = network.recorded[replica]
    spectra, epochs = resolved(network, replica)[recorded], network.epoch[recorded]
    axis = EigenvalueAxis.over([spectra], network.parameters)
    fractions = axis.counts(spectra) / network.parameters
    figure = Figure(figsize=(COLUMN, 3.0))
    axes = figure.subplots()
    colours = colormaps["viridis_r"].with_extremes(bad="none")  # the slot of the zeros shows through
    axis.apply(axes.yaxis, most=9)
    mesh = axes.pcolormesh(epoch_edges(epochs), axis.edges, np.ma.masked_equal(fractions.T, 0), cmap=colours, rasterized=True,
                           norm=LogNorm(1 / network.parameters, 1))
    bar = figure.colorbar(mesh, ax=axes, label="fraction of eigenvalues per bin", pad=0.02)
    bar.outline.set_linewidth(0.6)
    times = epochs if len(epochs) > 1 else epoch_edges(epochs)
    for values, line, label in ((spectra[:, -1], "-", "λₘₐₓ"),
                                (spectra[:, 0], (0, (3, 1.5)), "λₘᵢₙ")):
        axes.plot(times, np.broadcast_to(axis.position(values), len(times)), color="black", linestyle=line, linewidth=0.8, label=label)
    if len(epochs) == 1:
        axes.set_xticks(epochs)
    axes.set_xlabel("epoch")
    axes.set_ylabel("eigenvalue λ")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2,
                  title=f"{look(network.activation).name}, P = {network.parameters}", title_fontsize=8)
    return figure


def quartiles_of_extremes(network):
    """Returns the quartiles (2, 3, E) over the replicas of λmax and of −λmin at the recorded epochs."""
    extremes = np.full((2, network.replicas, network.snapshots), np.nan)
    for replica in range(network.replicas):
        spectra = resolved(network, replica)
        extremes[:, replica] = spectra[:, -1], -spectra[:, 0]
    return np.nanquantile(extremes[:, :, network.recorded.any(axis=0)], [0.25, 0.5, 0.75], axis=1).swapaxes(0, 1)


def extreme_eigenvalues(comparison):
    networks = with_spectra(comparison)
    if not networks:
        return None
    figure = Figure(figsize=(PAGE, 2.6))
    panels = figure.subplots(1, 2)
    for panel, label in zip(panels, ("largest eigenvalue, λₘₐₓ", "most negative, −λₘᵢₙ")):
        panel.set(yscale="log", xlabel="epoch", ylabel=label)
    shown = [False, False]
    for network in networks:
        style, epochs = look(network.activation), network.epoch[network.recorded.any(axis=0)]
        for e, (low, median, high) in enumerate(quartiles_of_extremes(network)):
            there = median > 0
            shown[e] |= bool(there.any())
            panels[e].plot(epochs, np.where(there, median, np.nan), color=style.colour, linestyle=style.line,
                           marker=style.marker if there.sum() == 1 else "")
            if network.replicas > 1:
                panels[e].fill_between(epochs, np.maximum(low, 0), high, where=there, color=style.colour, alpha=0.2, linewidth=0)
    if all(network.attribute("optimizer") == "gradient_descent" for network in networks):
        epochs = recorded_epochs(networks)
        panels[0].plot(epochs, 2 / learning_rate(networks[0], epochs), color="0.4", linewidth=0.8)
        panels[0].annotate("2/η", (epochs[0], 2 / learning_rate(networks[0], epochs[0])), (2, 2), textcoords="offset points", fontsize=7)
    for panel, any_there, sign in zip(panels, shown, ("positive", "negative")):
        if not any_there:
            panel.text(0.5, 0.5, f"none is {sign}", transform=panel.transAxes, ha="center", color="0.3")
            panel.set_yticks([])
            panel.set_yticks([], minor=True)
            continue
        low, high = panel.get_ylim()
        if high < 100 * low:  # too few powers of ten for a scale
            panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            panel.yaxis.set_minor_formatter("")
    legend(figure, networks)
    return figure


def learning_rate(network, epoch):
    """Returns η of the update after `epoch`."""
    defaults = {"learning_rate": 0.01, "decay_rate": 0.9, "decay_steps": 500.0}
    rate, decay, steps = (network.attribute(name, default) for name, default in defaults.items())
    return rate * decay ** (epoch / steps)
