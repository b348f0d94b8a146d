"""Figures: ratios as bars, scaling as curves. Text and markers make them readable in grey and for colour-blind
readers."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import LogLocator, NullFormatter

from .scaling import exponent
from .table import ratio

COLOURS = {"espectra": "#0072B2", "jax": "#D55E00"}  # Okabe and Ito
plt.rcParams.update({"font.size": 8, "axes.titlesize": 8, "axes.spines.top": False, "axes.spines.right": False,
                     "legend.frameon": False, "figure.constrained_layout.use": True, "savefig.dpi": 200})


def save(figure, folder, name):
    for ending in ("png", "pdf"):
        figure.savefig(folder / f"{name}.{ending}")
    plt.close(figure)


def draw_ratios(folder, groups, records):
    """Draws one panel for each group: the times relative to Espectra, or the reason for a missing number."""
    shown = [(g, [records[g.key, p.key] for p in g.programs[1:] if (g.key, p.key) in records])
             for g in groups if not g.scale and g.key != "a-top"]
    shown = [(g, rows) for g, rows in shown if rows]
    if not shown:
        return
    heights = [len(rows) + 0.6 for _, rows in shown]
    figure, axes = plt.subplots(len(shown), 1, figsize=(7.2, 0.21 * sum(heights) + 0.28 * len(shown) + 0.3), squeeze=False,
                                sharex=True, gridspec_kw={"height_ratios": heights})
    largest = max([ratio(r) or 1 for _, rows in shown for r in rows])
    for axis, (group, rows) in zip(axes[:, 0], shown):
        axis.axvline(1, color="#0072B2", linewidth=1.2)
        for y, r in enumerate(rows):
            value = ratio(r)
            if value is None:
                axis.text(1.08, y, r.get("failed", "no ratio"), va="center", fontsize=7, style="italic")
            else:
                axis.barh(y, value - 1, left=1, height=0.66, color="#999999")
                axis.text(max(value, 1) * 1.08, y, f"{value:.0f}×" if value >= 20 else f"{value:.1f}×", va="center", fontsize=7)
        axis.set_xscale("log")
        axis.set_xlim(min(0.8, *[0.8 * (ratio(r) or 1) for r in rows]), largest * 3)
        axis.set_ylim(len(rows) - 0.4, -0.6)
        axis.set_yticks(range(len(rows)), [r["label"] for r in rows])
        axis.tick_params(axis="y", length=0)
        axis.set_title(group.title, loc="right", fontweight="bold")  # the title may be longer than the axis
    axes[-1, 0].set_xlabel("time relative to Espectra, in the same minutes (line: Espectra)")
    save(figure, folder, "ratios")


def draw_scaling(folder, curves):
    axes_names = list(dict.fromkeys(axis for axis, _ in curves))
    axes_names = [a for a in axes_names if not a.startswith("threads")]
    if not axes_names:
        return
    columns = 3
    lines = -(-len(axes_names) // columns)
    for name, column, unit in (("scaling_time", 2, "seconds"), ("scaling_memory", 3, "MiB beyond the loaded program")):
        figure, panels = plt.subplots(lines, columns, figsize=(7.2, 2.3 * lines), squeeze=False)
        for panel in panels.flat[len(axes_names):]:
            panel.set_visible(False)
        for panel, axis in zip(panels.flat, axes_names):
            for (a, program), curve in curves.items():
                if a != axis:
                    continue
                x, y = curve[1], [v / (1 << 20 if column == 3 else 1) for v in curve[column]]
                own = program == "espectra"
                k = f", k = {exponent(x, y)[0]:.2f}" if len(x) > 1 else ""
                panel.loglog(x, y, "-o" if own else "--s", color=COLOURS["espectra" if own else "jax"], markersize=3.5,
                             linewidth=1.2, label=("Espectra" if own else "JAX") + k)
            points = sorted({v for (a, _), c in curves.items() if a == axis for v in c[1]})
            shown = points if len(points) < 6 else points[::2]
            panel.set_xticks(shown, [f"{v:g}" for v in shown])
            panel.xaxis.set_minor_formatter(NullFormatter())
            panel.yaxis.set_minor_formatter(NullFormatter())
            panel.yaxis.set_major_locator(LogLocator(numticks=5))
            panel.set_ylim(panel.get_ylim()[0] / 2, panel.get_ylim()[1] * 2)  # at least one decade, so that it has a label
            panel.set_xlabel(axis)
            panel.legend(fontsize=7, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)
        for row in panels:
            row[0].set_ylabel(unit)
        save(figure, folder, name)


def draw(folder, groups, records, curves):
    draw_ratios(folder, groups, records)
    draw_scaling(folder, curves)
