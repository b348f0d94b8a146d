"""The self-contained page of a report: one HTML file that shows tables, plots and figures without a network
or other files."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import plotly

from espectra_report.figures import Drawing
from espectra_report.page import content, explorer

LIMIT = 14_000_000  # largest page, in bytes
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Made:
    """A drawn figure and its files: {"pdf": …, "svg": …, "png": …}."""

    drawing: Drawing
    files: dict


def write_page(path, runs, comparisons, figures, animations, notes):
    """Writes the page to a temporary name and renames it, so that it is either complete or absent.

    runs, comparisons: of results.py. figures: list of Made. animations: list of (title, {"mp4": path, "gif":
    path}). notes: sentences for the top of the page. Files that do not fit within LIMIT are linked, relative
    to the page.
    """
    parts = {
        "title": content.escape(content.title(runs)),
        "header": content.header(runs, notes),
        "summary": content.summary(comparisons),
        "settings": content.settings(runs, comparisons),
        "links": " ".join(f'<a href="#{name.lower()}">{name}</a>' for name in ("Networks", "Explorer", "Figures", "Settings")
                          if name != "Figures" or figures or animations),
        "reading": content.reading(runs),
        "css": (HERE / "page.css").read_text(encoding="utf-8"),
        "js": script((HERE / "page.js").read_text(encoding="utf-8")),
        "plotly": script((Path(plotly.__file__).parent / "package_data" / "plotly.min.js").read_text(encoding="utf-8")),
    }
    template = (HERE / "page.html").read_text(encoding="utf-8")
    free = LIMIT - len(template.encode()) - sum(len(part.encode()) for part in parts.values())
    images = content.Images(figures, free // 3)
    free -= images.size
    data = explorer.prepare(comparisons, free - min(images.size_of_files(animations), free // 3))
    free -= len(json_text(data).encode())
    parts["figures"] = images.html(path.parent, animations, free)
    free -= len(parts["figures"].encode()) - images.size
    explorer.add_replicas(data, comparisons, free)
    parts["explorer_note"] = content.explorer_note(data)
    parts["data"] = json_text(data)
    page = re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(page, encoding="utf-8")
    partial.replace(path)


def script(text):
    """Returns JavaScript without text that would end its <script> element."""
    return text.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def json_text(data):
    """Returns JSON for a <script> element: without `<`. Raises ValueError for NaN and infinity, which JSON
    lacks."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
