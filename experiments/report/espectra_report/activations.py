"""The activations in the order of figures and tables, and the look of each."""

from dataclasses import dataclass


# The colours differ in grey value: 0.36, 0.50, 0.58, 0.24 …; where these are close, line styles differ.
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
    "gelu": Look("#6A3D9A", (0, (4, 1, 1, 1)), ">", "GELU"),
    "elu": Look("#56B4E9", (0, (7, 1, 2, 1)), "<", "ELU"),
    "leaky_relu": Look("#8C510A", (0, (2, 1)), "h", "leaky ReLU"),
}
ACTIVATIONS = tuple(LOOKS)


def rank(activation):
    """Returns a key that sorts activations in the order of LOOKS, lists of them by the first one, unknown
    ones last."""
    first = activation.split("-")[0]
    return (ACTIVATIONS.index(first) if first in LOOKS else len(ACTIVATIONS), activation)


# Looks of lists of activations such as `esp-relu`: the first one gives the colour, the last one the line, all
# of them the marker.
MIXED = [("#000000", (0, (2, 1, 6, 1)), "X"), ("#56B4E9", (0, (6, 1)), "<"), ("#B8860B", (0, (4, 1, 1, 1)), ">"),
         ("#8B1A1A", (0, (2, 2)), "p"), ("#4B0082", (0, (10, 1)), "*"), ("#708090", (0, (1, 2)), "h"),
         ("#A6761D", (0, (3, 2, 1, 2)), "o"), ("#E7298A", (0, (9, 1, 1, 1)), "s"), ("#66A61E", (0, (5, 1, 5, 3)), "^")]
