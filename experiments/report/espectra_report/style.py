"""One look for all figures: readable in print (8 pt at the width of one or two columns), in grey (each activation has its own line style,
marker and lightness) and by colour-blind readers (Okabe and Ito's colours, jfly.uni-koeln.de/color)."""

from dataclasses import dataclass

import matplotlib

matplotlib.use("Agg")

COLUMN = 3.5  # inches: one column of a journal
PAGE = 7.2  # two columns

# Grey values of the colours differ: 0.36, 0.50, 0.58, 0.24 … ; where they are close, line styles are not.
@dataclass(frozen=True)
class Look:
    colour: str
    line: object
    marker: str
    name: str


LOOKS = {
    "esp": Look("#0072B2", "-", "o", "ESP"),
    "relu": Look("#D55E00", (0, (5, 1.5)), "s", "ReLU"),
    "sigmoid": Look("#009E73", (0, (5, 1.5, 1, 1.5)), "^", "sigmoid"),
    "tanh": Look("#555555", (0, (1, 1)), "D", "tanh"),
    "linear": Look("#CC79A7", (0, (8, 2)), "v", "linear"),
    "softplus": Look("#E69F00", (0, (3, 1, 1, 1, 1, 1)), "P", "softplus"),
}
OTHER = Look("#000000", (0, (2, 1, 6, 1)), "X", "")


def look(activation):
    """Of an activation, or of several joined by `-` (then its first one's colour is not taken: black)."""
    found = LOOKS.get(activation)
    return found if found else Look(OTHER.colour, OTHER.line, OTHER.marker, activation)


RC = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.3,
    "lines.markersize": 3.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "figure.constrained_layout.use": True,
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "pdf.fonttype": 42,  # text stays text: editable, and found by search
    "svg.fonttype": "none",
    "svg.hashsalt": "espectra",  # the same file for the same data
    "axes.formatter.use_mathtext": True,
}


def use():
    """Sets the style; called once, before the first figure."""
    matplotlib.rcParams.update(RC)


FORMATS = ("pdf", "svg", "png")


def save(figure, folder, name, formats=FORMATS):
    """Writes the figure as folder/name.pdf and so on; returns {format: path}. The same figure gives the same bytes."""
    paths = {}
    for form in formats:
        paths[form] = folder / f"{name}.{form}"
        dates = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}
        figure.savefig(paths[form], metadata=dates.get(form))
    return paths
