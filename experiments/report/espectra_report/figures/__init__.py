"""All figures of a report: which there are, of which networks, under which names."""

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure


@dataclass(frozen=True)
class Drawing:
    """One figure of a report. `draw` makes it: it is called once, and nothing is kept of it but the files."""

    name: str  # of its files, without ending
    title: str
    caption: str  # what is drawn, in one or two sentences: axes, lines, bands, how many networks
    draw: Callable[[], Figure]
