"""The common look of all figures: readable in print (8 pt at the width of one or two columns), in grey (each
activation has its own line style, marker and lightness), and by colour-blind readers (Okabe and Ito's
colours, jfly.uni-koeln.de/color)."""

import atexit
import re
import shutil
import tempfile
import warnings
from pathlib import Path

import matplotlib
from fontTools import subset
from matplotlib import font_manager, ticker
from PIL import Image

from espectra_report.activations import LOOKS, MIXED, Look

matplotlib.use("Agg")

COLUMN = 3.5  # inches: one column of a journal
PAGE = 7.2  # two columns


def look(activation):
    """Returns the Look of an activation, or of several joined by `-`; the same name always has the same
    one."""
    if activation in LOOKS:
        return LOOKS[activation]
    places = [list(LOOKS).index(name) if name in LOOKS else 0 for name in activation.split("-")]
    return Look(MIXED[places[0]][0], MIXED[places[-1]][1], MIXED[sum(places) % len(MIXED)][2], activation)


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
    "pdf.fonttype": 42,  # text stays text, editable and searchable
    "svg.fonttype": "none",
    "svg.hashsalt": "espectra",  # the same data give the same file
    "axes.formatter.useoffset": False,
}


# Characters of the figures: Latin, Greek, Cyrillic, sub- and superscripts, dashes, arrows, mathematical
# operators.
CHARACTERS = [*range(0x20, 0x17F), *range(0x370, 0x530), *range(0x2010, 0x2060), *range(0x2070, 0x20A0), *range(0x2190, 0x21D5),
              *range(0x2200, 0x2300), *range(0x25A0, 0x2600), 0x1D62, 0x2713, 0x2717]


def use(folder=None):
    """Sets the style, before the first figure. matplotlib embeds into every PDF the part of a font that it
    needs, and searches the whole font for it, which takes longer than drawing; so it is given a font with
    only these characters. The font is written into `folder`, which must exist until the last figure is saved;
    by default into a temporary folder of the process."""
    matplotlib.rcParams.update(RC)
    warnings.filterwarnings("ignore", message="Glyph")  # characters that the font lacks are drawn as boxes
    if any(Path(entry.fname).name == _FONT for entry in font_manager.fontManager.ttflist):
        return
    whole = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"
    if folder is None:
        folder = Path(tempfile.mkdtemp(prefix="espectra-report-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    options = subset.Options(layout_features=[], name_IDs=["*"], notdef_outline=True, glyph_names=True, legacy_kern=True)
    options.drop_tables += ["FFTM", "GDEF", "GPOS", "GSUB", "MATH"]
    font = subset.load_font(whole, options)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=CHARACTERS)
    subsetter.subset(font)
    subset.save_font(font, folder / _FONT, options)
    font.close()
    manager = font_manager.fontManager
    manager.ttflist[:] = [entry for entry in manager.ttflist if (entry.name, entry.style, entry.weight) != ("DejaVu Sans", "normal", 400)]
    manager.addfont(folder / _FONT)


_FONT = "DejaVuSans-figures.ttf"
_POWER = re.compile(r"\$\\mathdefault\{(-?)(?:([0-9.]+)\\times)?10\^\{([^}]*)\}\}\$")
RAISED = str.maketrans("0123456789-−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁻")


def power_of_ten(text):
    """Converts matplotlib's label of a logarithmic axis to plain text such as 10⁻³, which looks the same and
    can be found by a search of the file."""
    def plain(match):
        sign, factor, exponent = match.groups()
        return f"{'−' if sign else ''}{factor + '·' if factor else ''}10{exponent.translate(RAISED)}"

    return re.sub(r"\$\\mathdefault\{(.*)\}\$", r"\1", _POWER.sub(plain, text))


class PowerOfTen(ticker.LogFormatterSciNotation):
    def __call__(self, x, pos=None):
        return power_of_ten(super().__call__(x, pos))


def _label_powers(axis):
    """Labels a logarithmic axis with plain text, and removes the ticks between the powers if it spans more
    than three decades."""
    for which in ("major", "minor"):
        formatter = getattr(axis, f"get_{which}_formatter")()
        if type(formatter) is ticker.LogFormatterSciNotation:
            getattr(axis, f"set_{which}_formatter")(
                PowerOfTen(formatter._base, formatter.labelOnlyBase, formatter.minor_thresholds, formatter._linthresh))
    low, high = axis.get_view_interval()
    if low > 0 and high > 1e3 * low:
        axis.set_minor_locator(ticker.NullLocator())


def _reduce(path):
    """Reduces a PNG to 256 colours, which halves the file without a visible change of a figure."""
    with Image.open(path) as image:
        reduced = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    reduced.save(path, dpi=(RC["savefig.dpi"],) * 2)


FORMATS = ("pdf", "svg", "png")


def save(figure, folder, name, formats=FORMATS):
    """Writes the figure as folder/name.pdf and so on; returns {format: path}. The same figure gives the same
    bytes."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if axis.get_scale() == "log":
                _label_powers(axis)
    if figure.get_layout_engine() is not None:
        figure.get_layout_engine().execute(figure)  # once for all formats
    paths = {form: folder / f"{name}.{form}" for form in formats}
    dates = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}
    # The default of a figure whose layout engine is None, as set here and by savefig.
    with matplotlib.rc_context({"figure.constrained_layout.use": False}):
        figure.set_layout_engine(None)
        for form, path in paths.items():
            figure.savefig(path, metadata=dates.get(form))
            if form == "png":
                _reduce(path)
    return paths
