"""All figures of a report: which there are, of which networks, under which names."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from matplotlib.figure import Figure

from espectra_report.figures import curves, eigenvectors, spectra, sweeps

MOST_SETTINGS = 6  # drawn in full: ten figures and an animation each, so that a report takes seconds, not minutes


@dataclass(frozen=True)
class Drawing:
    """One figure of a report. `draw` makes it, or returns None where there is nothing to draw: it is called once."""

    name: str  # of its files, without ending
    title: str
    caption: str  # what is drawn, in one or two sentences: axes, lines, bands
    draw: Callable[[], Figure | None]


def file_name(*parts):
    """`nonlinear 2-10-1`, `cost` → nonlinear-2-10-1-cost."""
    return "-".join(re.sub(r"[^A-Za-z0-9.=+-]+", "-", part).strip("-.") for part in parts if part)


def shown_in_full(comparisons):
    """The settings with figures of their own: all, or the first few."""
    return comparisons[:MOST_SETTINGS]
