"""The parts of the page that are plain HTML: header, summary, figures and settings."""

import base64
import html
import io
import math
from urllib.parse import quote

import numpy as np
from PIL import Image

from espectra_report import style
from espectra_report.page.explorer import base64_size

MIME = {"pdf": "application/pdf", "svg": "image/svg+xml", "png": "image/png", "mp4": "video/mp4", "gif": "image/gif"}
PREVIEW_WIDTH = 1440  # pixels
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def escape(text):
    return html.escape(str(text), quote=True)


def number(value, digits=3):
    """Formats a number as `0.0123` or `1.2·10⁻⁸`; None, NaN and infinity as an en dash."""
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.{digits}g}".replace("-", "−") if abs(value) < 10**digits else f"{value:.0f}".replace("-", "−")
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa}·10{str(int(exponent)).translate(SUPERSCRIPTS)}".replace("-", "−", 1)


def median(values):
    """Returns the median of the values that are not NaN; NaN if there are none."""
    values = np.asarray(values, float)
    values = values[~np.isnan(values)]
    return float(np.median(values)) if len(values) else math.nan


def largest(values):
    values = np.asarray(values, float)
    values = values[~np.isnan(values)]
    return float(values.max()) if len(values) else math.nan


def title(runs):
    if len(runs) == 1:
        return runs[0].title
    if all(run.state == "recorded" for run in runs):
        return f"{len(runs)} recorded runs"
    return " · ".join(dict.fromkeys(run.title for run in runs if run.state != "recorded"))


STATES = {"complete": "complete", "interrupted": "interrupted", "running": "still running",
    "diverged": "diverged: at least one replica failed",
          "recorded": "recorded run"}


def facts(run):
    """Returns pairs (name, value) about one run; the values are text that has to be escaped."""
    seconds = run.attribute("wall_seconds", math.nan)
    known = [("state", STATES.get(run.state, run.state or "unknown")),
             ("started", str(run.attribute("start")).replace("T", " ").replace("Z", " UTC")),
             ("wall time", duration(float(seconds)) if isinstance(seconds, (int, float)) and math.isfinite(seconds) else ""),
             ("device", run.attribute("device")), ("networks", len(run.networks)),
             ("recipe", run.attribute("recipe_path")), ("file", run.path), ("versions", run.attribute("versions"))]
    return [(name, value) for name, value in known if value != ""]


def duration(seconds):
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, hours = seconds / 60, seconds / 3600
    return f"{minutes:.1f} min" if hours < 2 else f"{hours:.1f} h"


def header(runs, notes):
    parts = [f"<h1>{escape(title(runs))}</h1>"]
    if notes:
        parts.append('<ul class="notes">' + "".join(f"<li>{escape(note)}</li>" for note in notes) + "</ul>")
    if len(runs) == 1:
        items = "".join(f'<div><dt>{name}</dt><dd>{_state(runs[0]) if name == "state" else escape(value)}</dd></div>'
                        for name, value in facts(runs[0]))
        parts.append(f'<dl class="facts">{items}</dl>')
    else:
        names = [(run.path.stem,) if run.state == "recorded" else (run.prefix, run.title) for run in runs]
        known = [{"run": " – ".join(dict.fromkeys(filter(None, name))), **dict(facts(run))} for name, run in zip(names, runs)]
        names = [name for name in ("run", "state", "started", "wall time", "device", "networks", "recipe", "file", "versions")
            if any(name in one for one in known)]
        rows = "".join("<tr>" + "".join(f"<td>{escape(one.get(name, '–'))}</td>" for name in names) + "</tr>" for one in known)
        heads = "".join(f"<th>{name}</th>" for name in names)
        table = f'<div class="scroll" tabindex="0"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
        parts.append(f"<details><summary>The {len(runs)} files of this report</summary>{table}</details>" if len(runs) > 4 else table)
    return "\n".join(parts)


def _state(run):
    kind = {"complete": "good", "recorded": "plain"}.get(run.state, "bad")
    return f'<span class="state {kind}">{escape(STATES.get(run.state, run.state or "unknown"))}</span>'


def certificate_limit(network):
    """Returns the limit of the program, 100 P ε (docs/mathematics.md, 9)."""
    return 100 * network.parameters * np.finfo(float).eps


def judge(network):
    """Returns true if all certificates of the network's records are within the limit, false if not, None if
    the file has none.

    A NaN is not within the limit, except that a network without any symmetry residual has no scaling
    symmetry.
    """
    return within(network.series("trace_error")[network.recorded], network.series("symmetry_residual")[network.recorded],
        certificate_limit(network))


def within(trace, symmetry, limit):
    if np.isnan(trace).all():
        return None
    return bool((trace <= limit).all() and (np.isnan(symmetry).all() or (symmetry <= limit).all()))


def judgement(found):
    if found is None:
        return '<td data-v="2">–</td>'
    return '<td class="good" data-v="1">✓</td>' if found else '<td class="bad" data-v="0">✗ above limit</td>'


def last_values(network):
    """Returns {name: median over the replicas, each at its last record}, and the last epoch of any
    replica."""
    last = [(replica, network.last_recorded(replica)) for replica in range(network.replicas)]
    last = [(replica, snapshot) for replica, snapshot in last if snapshot is not None]
    values = {name: median([network.series(name)[at] for at in last])
              for name in ("cost", "accuracy_train", "accuracy_test", "zero_residuals", "alpha", "gamma", "gamma_dead")}
    spectra = [network.eigenvalues(*at)[[0, -1]] for at in last] if network.has_spectra else []
    values["lambda_min"] = median([ends[0] for ends in spectra])
    values["lambda_max"] = median([ends[1] for ends in spectra])
    values["epoch"] = max((int(network.epoch[snapshot]) for _, snapshot in last), default=None)
    return values


SUMMARY = (("cost", "cost"), ("accuracy_train", "accuracy training"), ("accuracy_test", "accuracy test"), ("alpha", "α"), ("gamma", "γ"),
           ("gamma_dead", "γ dead"), ("lambda_min", "λ\u00a0min"), ("lambda_max", "λ\u00a0max"))


def cell(value, digits=3):
    sort = "" if value is None or not math.isfinite(value) else f"{value:.6g}"
    return f'<td class="n" data-v="{sort}">{number(value, digits)}</td>'


def count(value):
    return '<td class="n" data-v="">–</td>' if value is None else f'<td class="n" data-v="{value}">{value}</td>'


def summary(comparisons):
    networks = [network for comparison in comparisons for network in comparison.networks]
    first = ["task", "architecture", "activation", "variant", "replicas", "P", "last epoch"]
    prefixes = any(network.run.prefix for network in networks)
    variants = any(network.variant for network in networks)
    first = (["run"] if prefixes else []) + [name for name in first if name != "variant" or variants]
    certificates = ["trace error", "symmetry residual", "within limit"]
    heads = first + [name for _, name in SUMMARY] + certificates
    text = {"run", "task", "architecture", "activation", "variant", "within limit"}
    rows = []
    for network in networks:
        last = last_values(network)
        look = style.look(network.activation)
        cells = {"run": escape(network.run.prefix), "task": escape(network.task), "architecture": escape(network.architecture),
                 "activation": f'<span class="swatch" style="background:{look.colour}"></span>{escape(look.name)}', "variant": escape(network.variant)}
        row = "".join(f"<td>{cells[name]}</td>" for name in first if name in cells)
        row += "".join(count(value) for value in (network.replicas, network.parameters, last["epoch"]))
        row += "".join(cell(last[name]) for name, _ in SUMMARY)
        row += "".join(cell(largest(network.series(name)), 2) for name in ("trace_error", "symmetry_residual")) + judgement(judge(network))
        rows.append(f"<tr>{row}</tr>")
    head = "".join(f'<th{"" if name in text else " class=n"} aria-sort="none"><button type="button">{name}</button></th>' for name in heads)
    box = ('<p class="filter"><label for="filter">Filter</label> <input id="filter" type="search" placeholder="relu 2-8-2-1"> '
           f'<span id="filtered">{len(rows)} of {len(rows)} networks</span></p>') if len(rows) > 15 else ""
    several = any(network.replicas > 1 for network in networks)
    text = ("Values are those of the last record" + (", medians over the replicas" if several else "")
        + ". α: fraction of negative eigenvalues of the "
            "Hessian; γ: fraction that is zero within τ; γ\u00a0dead: fraction of parameters whose row of "
            "the Hessian is exactly zero. "
            "Click the head of a column to sort by it.")
    return (f'<p>{text}</p>{box}<div class="scroll tall" tabindex="0"><table id="summary"><thead><tr>{head}</tr></thead>'
            f'<tbody>{"".join(rows)}</tbody></table></div>'
            '<p class="small">Trace error and symmetry residual: the largest of all records. ✓: both are '
            "within the limit of the program itself, 100 · P · ε, ε\u00a0=\u00a02⁻⁵². Rounding gives 10⁻¹⁶ "
            "to 10⁻¹⁴. A dash: not in the file, or the network has no scaling symmetry.</p>")


# Figures and animations


def data_uri(path):
    return f"data:{MIME[path.suffix[1:].lower()]};base64,{base64.b64encode(path.read_bytes()).decode()}"


def preview(path):
    """Returns (data URI, width, height) of a PNG reduced to PREVIEW_WIDTH pixels and 256 colours, or of the
    file itself if that is smaller."""
    original = path.read_bytes()
    with Image.open(io.BytesIO(original)) as image:
        size = image.size
        if image.mode == "P" and image.width <= PREVIEW_WIDTH:
            return f"data:image/png;base64,{base64.b64encode(original).decode()}", *size
        picture = Image.new("RGB", image.size, "white")
        rgba = image.convert("RGBA")
        picture.paste(rgba, mask=rgba.getchannel("A"))
    if picture.width > PREVIEW_WIDTH:
        picture = picture.resize((PREVIEW_WIDTH, round(picture.height * PREVIEW_WIDTH / picture.width)), Image.Resampling.LANCZOS)
    packed = io.BytesIO()
    picture.quantize(256, dither=Image.Dither.NONE).save(packed, "PNG")
    smaller = min(original, packed.getvalue(), key=len)
    return f"data:image/png;base64,{base64.b64encode(smaller).decode()}", *size


class Images:
    """Previews of all figures in up to `room` bytes; the page shows those that do not fit from the files next
    to it."""

    def __init__(self, figures, room):
        self.figures = figures
        self.previews = []
        self.size = 0
        for made in figures:
            found = preview(made.files["png"])
            if self.size + len(found[0]) > room:
                found = (None, *found[1:])
            self.size += len(found[0] or "")
            self.previews.append(found)

    def files(self, animations):
        return [path for files in [*(made.files for made in self.figures), *(files for _, files in animations)] for path in files.values()]

    def size_of_files(self, animations):
        return sum(base64_size(path.stat().st_size, 1) for path in self.files(animations))

    def html(self, folder, animations, room):
        """Returns the section of figures and animations. Files are inlined, the smallest first, while they
        fit in `room` bytes; the others are linked."""
        if not self.figures and not animations:
            return ""
        room -= 1500 * len(self.figures) + 1000 * len(animations) + 500
        inlined = {}
        for path in sorted(self.files(animations), key=lambda path: path.stat().st_size):
            size = base64_size(path.stat().st_size, 1) + 100
            if size > room:
                break
            room -= size
            inlined[path] = data_uri(path)
        linked = False

        def address(path):
            nonlocal linked
            if path in inlined:
                return inlined[path]
            linked = True
            return escape(quote(path.relative_to(folder).as_posix()))

        def link(path, name):
            return f'<a href="{address(path)}" download="{escape(path.name)}">{name}</a>'

        cards = []
        for made, (image, width, height) in zip(self.figures, self.previews):
            links = " · ".join(link(made.files[form], form.upper()) for form in ("pdf", "svg", "png") if form in made.files)
            wide = " wide" if width > PREVIEW_WIDTH * 0.7 else ""  # drawn for two columns, unreadable in one
            name = escape(made.drawing.title)
            cards.append(f'<figure class="card{wide}"><h3>{name}</h3><div class="picture"><img src="{image or address(made.files["png"])}" '
                         f'width="{width}" height="{height}" alt="{name}"></div><figcaption>{escape(made.drawing.caption)}</figcaption><p class="links">{links}</p></figure>')
        films = []
        for name, files in animations:
            if "mp4" in files:
                picture = f'<video src="{address(files["mp4"])}" controls loop muted playsinline preload="auto"></video>'
            else:
                picture = f'<img src="{address(files["gif"])}" alt="{escape(name)}">'
            # The link takes the address of the film, so that an inlined film is in the page once.
            links = [f'<a class="film" download="{escape(files["mp4"].name)}">MP4</a>'] if "mp4" in files else []
            links += [link(files["gif"], "GIF")] if "gif" in files else []
            films.append(f'<figure class="card"><h3>{escape(name)}</h3>{picture}<p class="links">{" · ".join(links)}</p></figure>')
        note = ("<p>Not all files fit into this page: some links and pictures lead to the folders "
                "<code>figures</code> and <code>animations</code> next to it. Keep them together.</p>"
                ) if linked else ""
        return ('<section id="figures"><h2>Figures</h2>' + note + f'<div class="grid">{"".join(cards)}</div>'
                + (f'<h2>Animations</h2><div class="grid">{"".join(films)}</div>' if films else "") + "</section>")


def explorer_note(data):
    """Returns notes on the spectra and curves that are not in the page, or only as histograms."""
    networks = [one for comparison in data["comparisons"] for one in comparison["networks"]]
    kinds = {kind: [one["label"] for one in networks if one["spectra"]["kind"] == kind]
             for kind in ("values", "histogram", "none", "left out")}
    sentences = []
    if len(kinds["none"]) == len(networks):
        sentences.append("There are no spectra in the results: only the curves are shown.")
    elif kinds["none"]:
        sentences.append(f"The results have no spectra of: {listing(kinds['none'], networks)}.")
    if kinds["histogram"]:
        sentences.append("To keep the page small, it has only a histogram for one replica, without the "
                         "eigenvalues, of: "
                         f"{listing(kinds['histogram'], networks)}.")
    if kinds["left out"]:
        sentences.append(f"There is no room in the page for spectra of: {listing(kinds['left out'], networks)}; the results have them.")
    if not all(one["whole"] for one in networks):
        sentences.append("There is no room in the page for the curves of all networks; the results have them.")
    return "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)


def listing(labels, networks):
    if len(labels) == len(networks) and len(labels) > 6:
        return "all networks"
    if len(labels) <= 6:
        return "; ".join(labels)
    return f"{len(labels)} of {len(networks)} networks, among them {'; '.join(labels[:3])}"


# Settings


def shown(value):
    """Returns an attribute as text."""
    if isinstance(value, np.ndarray):
        return ", ".join(shown(one) for one in value.tolist())
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def reading(runs):
    """Explains the numbers of the page, for the kinds of files that it is made from."""
    recorded = [run.state == "recorded" for run in runs]
    sentences = ["All numbers of this page are in its input files, in double precision."]
    if not all(recorded):
        sentences.append("In results.h5 all values of a record belong to the parameters after that many "
                         "updates.")
    if any(recorded):
        sentences.append("In recorded runs the epoch is the 0-based index of the update after which θ was recorded; the cost is that before this update.")
    return " ".join(sentences)


def certificates(network):
    """Yields (name, mask of the records, trace error, symmetry residual) for the snapshots and, if there are
    any, for the critical points."""
    yield network.label, network.recorded, network.series("trace_error"), network.series("symmetry_residual")
    found = network.group.get("critical_points")
    if found is not None:
        there = ~np.isnan(found["converged"][()])
        yield f"{network.label}, critical points", there, found["trace_error"][()], found["symmetry_residual"][()]


def settings(runs, comparisons):
    parts = []
    for run in runs:
        recipe = str(run.attribute("recipe"))
        if recipe:
            name = f"Recipe of {run.prefix}" if run.prefix else "Recipe"
            parts.append(f"<details><summary>{escape(name)}</summary><pre>{escape(recipe)}</pre></details>")
    networks = [network for comparison in comparisons for network in comparison.networks]
    attributes = [{name: shown(value) for name, value in network.group.attrs.items() if name not in ("records",)} for network in networks]
    names = sorted({name for one in attributes for name in one})
    common = [name for name in names if len(networks) > 1 and len({one.get(name) for one in attributes}) == 1]
    own = [name for name in names if name not in common]
    if common:
        rows = "".join(f"<tr><th scope=row>{escape(name)}</th><td>{escape(attributes[0][name])}</td></tr>" for name in common)
        parts.append(f'<details><summary>Attributes that all {len(networks)} networks share</summary><div class="scroll" tabindex="0"><table>{rows}</table></div></details>')
    head = "".join(f"<th>{escape(name)}</th>" for name in ["network", *own])
    rows = "".join("<tr>" + "".join(f"<td>{escape(value)}</td>" for value in [network.label, *(one.get(name, "–") for name in own)])
        + "</tr>"
                   for network, one in zip(networks, attributes))
    parts.append(f"<details><summary>{'Other attributes' if common else 'Attributes'} of each network</summary>"
                 f'<div class="scroll tall" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></details>')
    heads = "".join(f'<th{"" if name in ("network", "within limit") else " class=n"}>{name}</th>' for name in
                    ("network", "records", "median trace error", "largest trace error", "median symmetry residual",
                        "largest symmetry residual",
                     "limit 100 P ε", "within limit"))
    rows = []
    for network in networks:
        limit = certificate_limit(network)
        for name, recorded, trace, symmetry in certificates(network):
            rows.append(f'<tr><td>{escape(name)}</td><td class="n">{int(recorded.sum())} of {recorded.size}</td>'
                        + "".join(cell(value, 2) for value in (median(trace), largest(trace), median(symmetry), largest(symmetry), limit))
                        + judgement(within(trace[recorded], symmetry[recorded], limit)) + "</tr>")
    parts.append('<details><summary>Certificates of each network</summary><div class="scroll tall" tabindex="0"><table><thead><tr>'
                 f'{heads}</tr></thead><tbody>{"".join(rows)}</tbody></table></div></details>')
    return "\n".join(parts)
