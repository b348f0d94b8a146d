"""The catalogue of a report's figures: their functions, networks and names."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from espectra_report.eigenvalue_axis import recorded_epochs
from espectra_report.figures import curves, eigenvectors, spectra, sweeps

# Networks with figures of their own, so that a report takes seconds, not minutes (the paper has fifteen).
MOST_NETWORKS = 15


@dataclass(frozen=True)
class Drawing:
    """A figure of a report. `draw` is called once; it returns the figure, or None if there is nothing to
    draw."""

    name: str  # of its files, without extension
    title: str
    caption: str  # describes axes, lines and bands in one or two sentences
    draw: Callable[[], Figure | None]


def file_name(*parts):
    """Joins parts to a file name: `nonlinear 2-10-1`, `cost` → nonlinear-2-10-1-cost."""
    return "-".join(re.sub(r"[^\w.=+-]+", "-", part).strip("-.") for part in parts if part)


def unique_names(names):
    """Returns the names, with -2, -3 … appended to those that repeat an earlier one."""
    unique = []
    for name in names:
        number, candidate = 1, name
        while candidate in unique:
            number += 1
            candidate = f"{name}-{number}"
        unique.append(candidate)
    return unique


def film_names(comparisons):
    """Returns the names, without extension, of the animations of the settings that are shown in full."""
    titles = [comparison.title for comparison in shown_in_full(comparisons)]
    return unique_names([file_name(title, "spectrum") for title in titles])


def shown_in_full(comparisons):
    """Returns the settings with figures and an animation of their own: all if they have few networks, else
    the first two."""
    networks = sum(len(comparison.networks) for comparison in comparisons)
    return comparisons if networks <= MOST_NETWORKS else comparisons[:2]


def catalogue(comparisons, epochs=None):
    """Returns all figures of these settings in reading order: the overview of a sweep, then setting by
    setting. `epochs`: those of the eigenvalue densities, or None for the default of
    spectra.eigenvalue_densities."""
    drawings = []

    def add(module, function, about, subject, *arguments, suffix=""):
        """Adds the figure of this function, which is called with `about`; its files and its title name the
        subject."""
        kind = function.replace("_", " ")
        drawings.append(Drawing(file_name(subject, kind, suffix), " – ".join(part for part in (subject, kind, suffix) if part),
                                module.CAPTIONS[function], partial(getattr(module, function), about, *arguments)))

    for task, group in by_task(comparisons).items():
        several = len(group) > 1 and any(len(comparison.networks) > 1 for comparison in group)
        if several:
            for column in ("cost", "accuracy_train", "alpha", "gamma"):
                add(sweeps, "consistency_map", group, task, column, suffix=column.replace("_", " "))
        if any(network.replicas > 1 for comparison in group for network in comparison.networks):
            add(sweeps, "final_costs", group, task)
            for column in ("cost", "zero_residuals"):
                add(sweeps, "paired_differences", group, task, column, suffix=column.replace("_", " "))
    for comparison in shown_in_full(comparisons):
        for function in ("cost_against_epoch", "accuracy_against_epoch", "alpha_against_cost", "gamma_against_cost", "gamma_parts",
                         "zero_residuals_against_epoch", "indices_of_tolerance"):
            add(curves, function, comparison, comparison.title)
        chosen = None if epochs is None else np.intersect1d(epochs, recorded_epochs(comparison.networks))
        if chosen is None or len(chosen):
            add(spectra, "eigenvalue_densities", comparison, comparison.title, chosen)
        add(spectra, "extreme_eigenvalues", comparison, comparison.title)
        for network in comparison.networks:
            add(spectra, "spectrum_over_time", network, comparison.title, suffix=network.activation)
        if any(network.has_eigenvectors for network in comparison.networks):
            add(eigenvectors, "participation_ratios", comparison, comparison.title)
        for network in comparison.networks:
            if network.has_eigenvectors:
                add(eigenvectors, "eigenvector_map", network, comparison.title, suffix=network.activation)
    names = unique_names([drawing.name for drawing in drawings])
    return [replace(drawing, name=name) for drawing, name in zip(drawings, names)]


def by_task(comparisons):
    """Returns {task: settings}; the task is preceded by the prefix of the run if a report has several
    runs."""
    groups = {}
    for comparison in comparisons:
        network = comparison.networks[0]
        groups.setdefault(" ".join(part for part in (network.run.prefix, network.task) if part), []).append(comparison)
    return groups
