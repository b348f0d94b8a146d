"""Tests of the page in a browser without a network: values read back from the browser are compared with the
files."""

import base64
import io
import json
import os
import re
import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from espectra_report import results, style
from espectra_report.activations import ACTIVATIONS
from espectra_report.figures import Drawing
from espectra_report.page import Made, content, explorer, write_page
from matplotlib.figure import Figure
from PIL import Image
from synthetic import write_results

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
TITLE = "</script><b>bold</b> & 'title'"


def make_page(folder, networks, figures=(), animations=(), notes=(), **attributes):
    write_results(folder / "results.h5", networks, **attributes)
    return page_of([folder / "results.h5"], folder / "index.html", figures, animations, notes)


def page_of(files, path, figures=(), animations=(), notes=()):
    runs = results.open_runs(files)
    begin = time.monotonic()
    write_page(path, runs, results.comparisons(runs), list(figures), list(animations), list(notes))
    seconds = time.monotonic() - begin
    for run in runs:
        run.close()
    assert not path.with_name(path.name + ".partial").exists()
    return SimpleNamespace(path=path, file=files[0], text=path.read_text(encoding="utf-8"), bytes=path.stat().st_size, seconds=seconds)


def data_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page.text, re.S)[1])


def draw(folder, name, width=style.COLUMN):
    figure = Figure(figsize=(width, 2.4))
    axes = figure.add_subplot()
    axes.plot([0, 1], [1, 0])
    return Made(Drawing(name, f"{name} {TITLE}", "A line that falls.", None), style.save(figure, folder, name))


EPOCHS = (0, 10, 20, 40, 80)


@pytest.fixture(scope="session")
def page(tmp_path_factory):
    """Returns a page of two architectures × three activations, one of them with three replicas; two figures
    and a film; all texts of a user contain markup."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "figures").mkdir()
    networks = [{"name": f"linear_{architecture}_{activation}", "widths": [int(n) for n in architecture.split("-")],
        "activation": activation,
                 "epochs": EPOCHS, "seed": seed, "replicas": 3 if architecture == "2-4-3-1" else 1}
                for seed, (architecture, activation) in enumerate((a, b) for a in ("2-10-1", "2-4-3-1")
                                                          for b in ("esp", "relu", "sigmoid"))]
    figures = [draw(folder / "figures", "first"), draw(folder / "figures", "second", style.PAGE)]
    film = folder / "figures" / "film.gif"
    Image.new("P", (40, 30)).save(film)
    made = make_page(folder, networks, figures, [("film", {"gif": film})], [f"note {TITLE}"], title=TITLE, recipe=f"# {TITLE}\n")
    made.figures = figures
    return made


@pytest.fixture(scope="session")
def browser():
    if not (CHROMIUM.exists() and DRIVER.exists()):
        message = f"no {CHROMIUM} and {DRIVER}: the page is not tested in a browser"
        (pytest.fail if os.environ.get("ESPECTRA_REQUIRE_REPORT") else pytest.skip)(message)
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(service=Service(str(DRIVER)), options=options)
    driver.execute_cdp_cmd("Network.enable", {})
    driver.execute_cdp_cmd("Network.emulateNetworkConditions", {"offline": True, "latency": 0, "downloadThroughput": 0,
        "uploadThroughput": 0})
    driver.execute_cdp_cmd("Page.enable", {})
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument",
                           {"source": "window.failures = []; window.addEventListener('error', (e) => window.failures.push(String(e.message)), true);"})
    yield driver
    driver.quit()


def show(browser, page, width=1280, height=900):
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1,
        "mobile": False})
    browser.get_log("browser")
    browser.get(page.path.as_uri())
    settle(browser)


def settle(browser):
    """Waits until the requested drawing is done."""
    browser.execute_async_script("const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 50)));")


def healthy(browser):
    assert browser.execute_script("return window.failures") == []
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
    requested = browser.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert [name for name in requested if not name.startswith(("data:", "blob:"))] == []


def choose(browser, menu, value):
    browser.execute_script("const e = document.getElementById(arguments[0]); e.value = arguments[1]; e.dispatchEvent(new Event('change'));",
        menu, value)
    settle(browser)


def slide(browser, step):
    browser.execute_script("const e = document.getElementById('slider'); e.value = arguments[0]; e.dispatchEvent(new Event('input'));",
        step)
    settle(browser)


def traces(browser, plot, meta):
    return browser.execute_script(
        "return document.getElementById(arguments[0]).data.filter((t) => t.meta === arguments[1])"
        ".map((t) => ({name: t.name, x: Array.from(t.x), y: Array.from(t.y), text: t.text, colour: (t.line ?? t.marker).color}))", plot, meta)


def place(browser, plot, x, y):
    """Returns the place on the screen of these data coordinates of the plot's first axes."""
    browser.execute_script("document.getElementById(arguments[0]).scrollIntoView({block: 'center'})", plot)
    settle(browser)
    return browser.execute_script("""
        const gd = document.getElementById(arguments[0]), box = gd.getBoundingClientRect(), layout = gd._fullLayout, size = layout._size;
        return [box.left + size.l + layout.xaxis.d2p(arguments[1]), box.top + size.t + layout.yaxis.d2p(arguments[2])];""", plot, x, y)


def mouse_events(browser, where, kinds, count=1):
    for kind in kinds:
        button = {"button": "none"} if kind == "mouseMoved" else {"button": "left", "clickCount": count}
        browser.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": kind, "x": where[0], "y": where[1], **button})
        time.sleep(0.1)


def mouse(browser, plot, x, y, click=False):
    """Moves the mouse to data coordinates of the plot's first axes and clicks there if `click`."""
    mouse_events(browser, place(browser, plot, x, y), ["mouseMoved", "mouseMoved"] + (["mousePressed", "mouseReleased"] if click else []))
    time.sleep(0.4)
    settle(browser)


def hover_text(browser):
    return browser.execute_script("return Array.from(document.querySelectorAll('.hoverlayer .hovertext')).map((e) => e.textContent).join(' ')")


def parse(shown):
    """Returns the number that is shown as `−1.2·10⁻³`."""
    digits = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹−", "-0123456789-")
    return float(shown.translate(digits).replace("·10", "e"))


def numbers_of(file, group):
    with h5py.File(file) as f:
        return {name: f[group][name][()] for name in ("eigenvalues", "cost", "alpha", "gamma", "tau", "epoch")}


def histogram(eigenvalues, tau, axis):
    """Returns the counts of the axis' bins by np.histogram, then that of zeros."""
    zero = np.abs(eigenvalues) <= tau * np.abs(eigenvalues).max()
    upward = axis["unit"] * (10 ** (axis["width"] * np.arange(axis["positive"])) - 1)
    downward = axis["unit"] * (10 ** (axis["width"] * np.arange(axis["negative"])) - 1)
    positive = np.histogram(eigenvalues[~zero & (eigenvalues > 0)], np.append(upward, np.inf))[0]
    negative = np.histogram(-eigenvalues[~zero & (eigenvalues < 0)], np.append(downward, np.inf))[0]
    return [*negative[::-1], *positive, int(zero.sum())]


def shown_histogram(browser, index, P, axis):
    """Returns the same from the traces: heights in the bins and of the bar at zero."""
    trace, zeros = traces(browser, "spectrum", "bins")[index], traces(browser, "spectrum", "zeros")[index]
    centres = np.concatenate([-(axis["gap"] + (np.arange(axis["negative"]) + 0.5)[::-1] * axis["width"]),
                              axis["gap"] + (np.arange(axis["positive"]) + 0.5) * axis["width"]])
    heights = [trace["y"][int(np.argmin(np.abs(np.array(trace["x"]) - centre)))] for centre in centres]
    return [round(height * P) for height in heights] + [round((zeros["y"][0] or 0) * P)]


def test_no_errors_and_no_requests(browser, page):
    for width in (1280, 400):
        show(browser, page, width)
        healthy(browser)
        assert browser.execute_script("return document.documentElement.scrollWidth") == width
    assert browser.execute_script("return Array.from(document.images).every((image) => image.complete && image.naturalWidth > 0)")
    assert "https://" not in re.sub(r"<script>.*?</script>", "", page.text, flags=re.S).replace("https://arxiv.org/abs/1805.08786", "")


def test_markup_of_a_user_is_text(browser, page):
    show(browser, page)
    assert browser.execute_script("return document.querySelector('h1').textContent") == TITLE
    assert browser.execute_script("return document.title") == f"{TITLE} – Espectra"
    assert browser.execute_script("return document.querySelector('.notes').textContent") == f"note {TITLE}"
    assert browser.execute_script("return document.querySelector('pre').textContent") == f"# {TITLE}\n"
    assert browser.execute_script("return document.querySelector('#figures h3').textContent") == f"first {TITLE}"
    assert browser.execute_script("return document.querySelectorAll('b').length") == 0


def test_slider_moves_the_spectrum(browser, page):
    show(browser, page)
    axis = data_of(page)["comparisons"][0]["axis"]
    choose(browser, "comparison", "0")
    for step in (0, len(EPOCHS) - 1):
        slide(browser, step)
        assert browser.execute_script("return document.getElementById('epoch').textContent") == f"epoch {EPOCHS[step]}"
        for index, activation in enumerate(("esp", "relu", "sigmoid")):
            numbers = numbers_of(page.file, f"linear_2-10-1_{activation}")
            values, tau = numbers["eigenvalues"][0, step], numbers["tau"][0, step]
            expected = histogram(values, tau, axis)
            assert sum(expected) == len(values)
            assert shown_histogram(browser, index, len(values), axis) == expected
            ranks = traces(browser, "ranks", "ranks")[index]
            assert ranks["name"] == style.look(activation).name and ranks["colour"] == style.look(activation).colour
            shown = [parse(re.search(r"λ = (\S+)", text)[1]) for text in ranks["text"]]
            np.testing.assert_allclose(shown, values, rtol=1e-6, atol=0)
            gamma = traces(browser, "tolerance", "γ")[index]
            expected = [(np.abs(values) <= t * np.abs(values).max()).mean() for t in gamma["x"]]
            np.testing.assert_allclose(gamma["y"], expected, atol=1e-12)
            alpha = traces(browser, "tolerance", "α")[index]
            expected = [(values < -t * np.abs(values).max()).mean() for t in alpha["x"]]
            np.testing.assert_allclose(alpha["y"], expected, atol=1e-12)
    healthy(browser)


def test_ranges_stay_while_the_slider_moves(browser, page):
    show(browser, page)
    ranges = "return ['spectrum', 'ranks', 'tolerance', 'curves'].map((id) => ['xaxis', 'yaxis'].map((axis) => document.getElementById(id)._fullLayout[axis].range))"
    slide(browser, 0)
    before = browser.execute_script(ranges)
    slide(browser, 3)
    assert browser.execute_script(ranges) == before
    browser.execute_script("Plotly.relayout('spectrum', {'xaxis.range': [-2, 2]})")
    slide(browser, 1)
    assert browser.execute_script(ranges)[0][0] == [-2, 2]
    browser.execute_script("document.querySelector('#spectrum [data-title=\"Whole range\"]').click()")
    settle(browser)
    assert browser.execute_script(ranges) == before


def test_zoom_by_mouse(browser, page):
    show(browser, page)
    ranges = "return ['xaxis', 'yaxis'].map((axis) => document.getElementById('ranks')._fullLayout[axis].range)"
    before = browser.execute_script(ranges)
    corner = place(browser, "ranks", 0.2, 0)
    mouse_events(browser, corner, ["mouseMoved", "mousePressed"])
    mouse_events(browser, [corner[0] + 120, corner[1] + 80], ["mouseMoved", "mouseReleased"])
    (left, right), (low, high) = browser.execute_script(ranges)
    assert left == pytest.approx(0.2, abs=0.01) and right < 0.6 and high == pytest.approx(0, abs=0.1) and low > before[1][0]
    slide(browser, 1)
    assert browser.execute_script(ranges) == [[left, right], [low, high]]
    mouse_events(browser, corner, ["mouseMoved", "mousePressed", "mouseReleased"])
    mouse_events(browser, corner, ["mousePressed", "mouseReleased"], count=2)
    time.sleep(0.5)
    assert browser.execute_script(ranges) == before


def test_click_on_a_curve_moves_the_slider(browser, page):
    show(browser, page)
    cost = numbers_of(page.file, "linear_2-10-1_relu")["cost"][0]
    mouse(browser, "curves", EPOCHS[3], cost[3], click=True)
    assert browser.execute_script("return Number(document.getElementById('slider').value)") == 3
    marks = traces(browser, "curves", "mark")
    np.testing.assert_allclose([marks[1]["x"][0], marks[1]["y"][0]], [EPOCHS[3], cost[3]], rtol=1e-6)
    healthy(browser)


def test_arrow_keys_and_play(browser, page):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    show(browser, page)
    value = "return Number(document.getElementById('slider').value)"
    body = browser.find_element(By.TAG_NAME, "body")
    assert browser.execute_script(value) == len(EPOCHS) - 1
    body.send_keys(Keys.ARROW_LEFT)
    body.send_keys(Keys.ARROW_LEFT)
    settle(browser)
    assert browser.execute_script(value) == len(EPOCHS) - 3
    browser.execute_script("document.getElementById('play').click()")
    time.sleep(1.5)
    assert browser.execute_script(value) == len(EPOCHS) - 1
    assert browser.execute_script("return document.getElementById('play').textContent") == "▶"


def test_hover_has_the_exact_values(browser, page):
    show(browser, page)
    slide(browser, 2)
    numbers = numbers_of(page.file, "linear_2-10-1_relu")
    mouse(browser, "curves", EPOCHS[2], numbers["cost"][0, 2])
    text = hover_text(browser)
    assert "ReLU" in text and f"epoch {EPOCHS[2]}" in text
    assert parse(re.search(r"[Cc]ost (\S+)", text)[1]) == pytest.approx(numbers["cost"][0, 2], rel=1e-6)
    _, ranks, other = traces(browser, "ranks", "ranks")
    # A point without other markers nearby: ReLU and sigmoid have the same ranks.
    index = int(np.argmax(np.abs(np.subtract(ranks["y"], other["y"]))))
    mouse(browser, "ranks", ranks["x"][index], ranks["y"][index])
    text = hover_text(browser)
    assert f"eigenvalue {index + 1} of {len(ranks['x'])}" in text
    assert parse(re.search(r"λ = ([−.·⁻\d⁰¹²³⁴⁵⁶⁷⁸⁹]+)", text)[1]) == pytest.approx(numbers["eigenvalues"][0, 2, index], rel=1e-6)


def test_menus(browser, page):
    show(browser, page)
    choose(browser, "comparison", "1")
    numbers = numbers_of(page.file, "linear_2-4-3-1_esp")
    np.testing.assert_allclose(traces(browser, "curves", "curve")[0]["y"], np.median(numbers["cost"], axis=0), rtol=1e-6)
    choose(browser, "replica", "2")
    np.testing.assert_allclose(traces(browser, "curves", "curve")[0]["y"], numbers["cost"][2], rtol=1e-6)
    axis = data_of(page)["comparisons"][1]["axis"]
    values = numbers["eigenvalues"][2, -1]
    assert shown_histogram(browser, 0, len(values), axis) == histogram(values, numbers["tau"][2, -1], axis)
    choose(browser, "curve", "alpha")
    choose(browser, "against", "cost")
    shown = traces(browser, "curves", "curve")[0]
    np.testing.assert_allclose(shown["x"], numbers["cost"][2], rtol=1e-6)
    np.testing.assert_allclose(shown["y"], numbers["alpha"][2], rtol=1e-6)
    choose(browser, "curve", "cost")
    assert browser.execute_script("return document.getElementById('against').value") == "epoch"
    choose(browser, "against", "cost")
    assert browser.execute_script("return document.getElementById('curve').value") == "alpha"
    healthy(browser)


def test_readout(browser, page):
    show(browser, page)
    slide(browser, 1)
    rows = browser.execute_script("return Array.from(document.querySelectorAll('#readout tbody tr')).map((r) => Array.from(r.cells).map((c) => c.textContent))")
    for row, activation in zip(rows, ("esp", "relu", "sigmoid"), strict=True):
        numbers = numbers_of(page.file, f"linear_2-10-1_{activation}")
        assert row[0] == style.look(activation).name
        expected = [numbers["cost"][0, 1], numbers["alpha"][0, 1], numbers["gamma"][0, 1], *numbers["eigenvalues"][0, 1, [0, -1]]]
        np.testing.assert_allclose([parse(row[i]) for i in (1, 2, 3, 5, 6)], expected, rtol=6e-4)


def test_summary_sorts(browser, page):
    show(browser, page)
    cells = "return Array.from(document.querySelectorAll('#summary tbody tr')).map((row) => row.cells[{0}].textContent)"
    heads = browser.execute_script("return Array.from(document.querySelectorAll('#summary th')).map((head) => head.textContent)")
    column = heads.index("cost")
    browser.execute_script(f"document.querySelectorAll('#summary th button')[{column}].click()")
    costs = [parse(text) for text in browser.execute_script(cells.replace("{0}", str(column)))]
    assert costs == sorted(costs) and len(set(costs)) > 1
    browser.execute_script(f"document.querySelectorAll('#summary th button')[{column}].click()")
    assert [parse(text) for text in browser.execute_script(cells.replace("{0}", str(column)))] == costs[::-1]


def test_screenshot_has_the_curves(browser, page):
    show(browser, page)
    for plot in ("curves", "spectrum", "ranks", "tolerance"):
        box = browser.execute_script("const e = document.getElementById(arguments[0]); const b = e.getBoundingClientRect(); return [b.left + scrollX, b.top + scrollY, b.width, b.height]", plot)
        shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True,
            "clip": dict(zip(("x", "y", "width", "height"), box), scale=1)})
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(shot["data"]))).convert("RGB"), int)
        assert pixels.std() > 5
        for activation in ("esp", "relu", "sigmoid"):
            colour = [int(style.look(activation).colour[i : i + 2], 16) for i in (1, 3, 5)]
            assert (np.abs(pixels - colour).max(axis=-1) <= 4).sum() > 60, (plot, activation)


TEXTS = """
const shown = [], wide = document.documentElement.clientWidth;
const luminance = (rgb) => rgb.slice(0, 3).map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const parts = (text) => text.match(/[\\d.]+/g).map(Number);
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const node = walker.currentNode, element = node.parentElement;
  if (!node.data.trim() || element.closest("script, style, option") || !element.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
  const range = document.createRange(); range.selectNodeContents(node);
  const box = range.getBoundingClientRect(), look = getComputedStyle(element), drawing = element.closest("svg");
  if (box.width === 0) continue;
  let ground = element, back = [0, 0, 0, 0];
  for (; ground; ground = ground.parentElement) {
    const found = parts(getComputedStyle(ground).backgroundColor);
    if (found.length === 3 || found[3] > 0) { back = found; break; }
  }
  const [a, b] = [luminance(parts(look.color)), luminance(back)];
  const plot = element.closest(".plot")?.getBoundingClientRect();
  shown.push({ text: node.data.trim(), size: parseFloat(look.fontSize), drawing: drawing !== null,
               inside: element.closest(".scroll, pre") !== null || (box.left >= 0 && box.right <= wide + 0.5),
               unclipped: !plot || (box.left >= plot.left - 1 && box.right <= plot.right + 1 && box.top >= plot.top - 1 && box.bottom <= plot.bottom + 1),
               contrast: (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) });
}
return shown;
"""
OVERLAPS = """
const found = [];
let labels = 0;
for (const plot of document.querySelectorAll(".plot")) for (const kind of ["xtick", "ytick", "x2tick", "y2tick"]) {
  const boxes = Array.from(plot.querySelectorAll("g." + kind + " text"), (e) => [e.textContent, e.getBoundingClientRect()]).filter(([, b]) => b.width);
  labels += boxes.length;
  boxes.forEach(([text, a], i) => boxes.slice(i + 1).forEach(([other, b]) => {
    if (a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom) found.push([plot.id, kind, text, other]);
  }));
}
for (const plot of document.querySelectorAll(".plot")) {
  const boxes = Array.from(plot.querySelectorAll(".legendtext, .xtitle, .ytitle, g.xtick text"), (e) => [e.textContent, e.getBoundingClientRect()]);
  boxes.forEach(([text, a], i) => boxes.slice(i + 1).forEach(([other, b]) => {
    if (a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom) found.push([plot.id, "text", text, other]);
  }));
}
return { labels, found };
"""


def legible(browser, width):
    assert browser.execute_script("return document.documentElement.scrollWidth") == width
    texts = browser.execute_script(TEXTS)
    assert len(texts) > 50 and sum(text["drawing"] for text in texts) > 20
    for text in texts:
        assert text["size"] >= 12, text
        assert text["inside"] and text["unclipped"], text
        assert text["drawing"] or text["contrast"] >= 4.5, text
    overlaps = browser.execute_script(OVERLAPS)
    assert overlaps["labels"] > 15 and overlaps["found"] == []


@pytest.mark.parametrize("width", [1280, 400])
def test_text_is_legible(browser, page, width):
    show(browser, page, width)
    browser.execute_script("for (const one of document.querySelectorAll('details')) one.open = true")
    for comparison in ("0", "1"):
        choose(browser, "comparison", comparison)
        for against in ("cost", "epoch"):
            choose(browser, "against", against)
            legible(browser, width)
    browser.execute_script("Plotly.relayout('spectrum', {'xaxis.range': [1, 2.5], 'yaxis.range': [-1, -0.5]})")
    settle(browser)
    legible(browser, width)


@pytest.mark.parametrize("count", [4, 6])
@pytest.mark.parametrize("width", [1280, 400])
def test_many_activations_are_legible(browser, tmp_path, width, count):
    networks = [{"name": f"linear_2-10-1_{name}", "widths": [2, 10, 1], "activation": name, "seed": i}
                for i, name in enumerate(ACTIVATIONS[:count])]
    page = make_page(tmp_path, networks)
    show(browser, page, width)
    legible(browser, width)
    healthy(browser)


def test_links_have_the_files(browser, page):
    show(browser, page)
    links = dict(browser.execute_script("return Array.from(document.querySelectorAll('.links a'), (a) => [a.download, a.getAttribute('href')])"))
    assert len(links) == 7
    for made in page.figures:
        for path in made.files.values():
            assert base64.b64decode(links[path.name].split("base64,", 1)[1]) == path.read_bytes()
            assert links[path.name].startswith(f"data:{content.MIME[path.suffix[1:]]};base64,")
    section = browser.execute_script("return document.getElementById('figures').textContent")
    assert "Not all files fit" not in section


def test_files_that_do_not_fit_are_linked(tmp_path):
    (tmp_path / "figures").mkdir()
    made = draw(tmp_path / "figures", "large")
    with made.files["pdf"].open("ab") as file:
        file.write(bytes(12_000_000))
    page = make_page(tmp_path, [{"name": "linear_2-3-1_relu", "widths": [2, 3, 1], "activation": "relu"}], [made])
    assert 'href="figures/large.pdf"' in page.text and 'href="figures/large.png"' not in page.text
    assert "Not all files fit into this page" in page.text
    assert page.bytes < 14e6


def test_a_film_is_inlined_once(browser, tmp_path):
    film = tmp_path / "film.mp4"
    if not shutil.which("ffmpeg"):
        pytest.skip("no ffmpeg: no film to show")
    os.system(f"ffmpeg -loglevel error -f lavfi -i color=red:size=64x48:duration=0.2 -pix_fmt yuv420p {film}")
    page = make_page(tmp_path, [{"name": "linear_2-3-1_relu", "widths": [2, 3, 1], "activation": "relu"}],
        animations=[("film", {"mp4": film})])
    assert page.text.count(base64.b64encode(film.read_bytes()).decode()) == 1
    show(browser, page)
    link = browser.execute_script("return document.querySelector('a.film').href")
    assert base64.b64decode(link.split("base64,", 1)[1]) == film.read_bytes()
    healthy(browser)


def test_without_spectra(browser, tmp_path):
    page = make_page(tmp_path, [{"name": f"linear_2-3-1_{name}", "widths": [2, 3, 1], "activation": name, "spectra": False}
        for name in ("esp", "relu")])
    show(browser, page)
    assert "There are no spectra in the results" in browser.execute_script("return document.getElementById('explorer').innerText")
    assert len(traces(browser, "curves", "curve")) == 2
    assert not browser.execute_script("return document.getElementById('spectrum').checkVisibility()")
    healthy(browser)


def test_one_epoch(browser, tmp_path):
    page = make_page(tmp_path, [{"name": "linear_2-3-1_relu", "widths": [2, 3, 1], "activation": "relu", "epochs": (5,)}])
    show(browser, page)
    assert not browser.execute_script("return document.getElementById('slider').checkVisibility()")
    numbers = numbers_of(page.file, "linear_2-3-1_relu")
    axis = data_of(page)["comparisons"][0]["axis"]
    values = numbers["eigenvalues"][0, 0]
    assert shown_histogram(browser, 0, len(values), axis) == histogram(values, numbers["tau"][0, 0], axis)
    legible_width = browser.execute_script("return document.documentElement.scrollWidth")
    assert legible_width == 1280
    healthy(browser)


def test_missing_records_are_gaps(browser, tmp_path):
    page = make_page(tmp_path, [{"name": f"linear_2-3-1_{name}", "widths": [2, 3, 1], "activation": name, "epochs": EPOCHS,
        "recorded": there}
                                for name, there in (("esp", 2), ("relu", 5), ("sigmoid", 0))], state="interrupted")
    show(browser, page)
    esp, relu = traces(browser, "curves", "curve")[:2]
    assert [v is None for v in esp["y"]] == [False, False, True, True, True] and None not in relu["y"]
    assert traces(browser, "ranks", "ranks")[0]["y"] == [] and len(traces(browser, "ranks", "ranks")[1]["y"]) == 13
    slide(browser, 1)
    assert len(traces(browser, "ranks", "ranks")[0]["y"]) == len(numbers_of(page.file, "linear_2-3-1_esp")["eigenvalues"][0, 1])
    assert "no room" not in browser.execute_script("return document.getElementById('explorer').innerText")
    assert "interrupted" in browser.execute_script("return document.querySelector('header').innerText")
    healthy(browser)


def test_recorded_runs(browser, tmp_path):
    """Recorded runs have neither τ nor certificates nor attributes of a run."""
    files = []
    for activation in ("relu", "tanh"):
        path = tmp_path / f"linear_2-3-1_{activation}.h5"
        random = np.random.default_rng(len(files))
        with h5py.File(path, "w") as f:
            f.attrs.update({"widths": [2, 3, 1], "hidden_activation": activation})
            f["theta"], f["epoch"] = random.normal(size=(4, 13)), [0, 11, 21, 31]
            f["cost"], f["alpha"], f["gamma"] = np.array([4.0, 3, 2, 1]), np.zeros(4), np.zeros(4)
            f["eigenvalues"] = np.sort(random.normal(size=(4, 13)))
        files.append(path)
    page = page_of(files, tmp_path / "index.html")
    show(browser, page)
    assert browser.execute_script("return document.querySelector('h1').textContent") == "2 recorded runs"
    assert len(traces(browser, "ranks", "ranks")[1]["y"]) == 13
    assert "4 · P · ε" in browser.execute_script("return document.getElementById('spectra-note').textContent")
    assert "✗" not in browser.execute_script("return document.querySelector('#summary tbody').textContent")
    healthy(browser)


def test_certificates_are_judged_as_the_program_does(tmp_path):
    networks = [{"name": f"linear_2-3-1_{name}", "widths": [2, 3, 1], "activation": name} for name in ("relu", "sigmoid", "tanh", "linear")]
    path = write_results(tmp_path / "results.h5", networks)
    limit = 100 * 13 * 2.0**-52
    with h5py.File(path, "r+") as f:
        f["linear_2-3-1_relu/trace_error"][0, 1] = limit
        f["linear_2-3-1_tanh/trace_error"][0, 1] = limit * (1 + 1e-12)
        f["linear_2-3-1_linear/symmetry_residual"][0, 2] = np.nan
        searches = f.create_group("linear_2-3-1_relu/critical_points")
        searches["converged"] = [[1.0, 0.0, np.nan]]
        searches["trace_error"], searches["symmetry_residual"] = [[1e-16, 2 * limit, np.nan]], [[0.0, 0.0, np.nan]]
    run = results.open_run(path)
    judged = {network.activation: content.judge(network) for network in run.networks}
    shown = re.search(r"<td>linear 2-3-1 relu, critical points</td>.*?</tr>", content.settings([run], results.comparisons([run])))[0]
    run.close()
    assert "2 of 3" in shown and "✗ above limit" in shown
    assert judged == {"relu": True, "sigmoid": True, "tanh": False, "linear": False}


def test_single_precision_keeps_zeros_and_signs():
    values = np.array([0.0, 1e-300, -1e-300, 1.5, -1e-44, 1e300, np.nan])
    short = explorer.single(values)
    assert short[0] == 0 and short[1] > 0 and short[2] < 0 and short[3] == 1.5 and short[4] < 0 and np.isfinite(short[5]) and np.isnan(short[6])


def test_tiny_spectra_keep_their_digits(browser, tmp_path):
    """Covers eigenvalues of 1e-300 and below those of single precision: the unit is a power of two near the
    largest."""
    path = write_results(tmp_path / "results.h5",
        [{"name": "linear_2-3-1_tanh", "widths": [2, 3, 1], "activation": "tanh", "epochs": (0, 1)}])
    with h5py.File(path, "r+") as f:
        f["linear_2-3-1_tanh/eigenvalues"][()] *= 1e-290
        expected = f["linear_2-3-1_tanh/eigenvalues"][0, 1]
    page = page_of([path], tmp_path / "index.html")
    show(browser, page)
    shown = [parse(re.search(r"λ = (\S+)", text)[1]) for text in traces(browser, "ranks", "ranks")[0]["text"]]
    np.testing.assert_allclose(shown, expected, rtol=1e-6, atol=0)
    healthy(browser)


def test_large_spectra_fit(browser, tmp_path):
    """Makes a page of 2000 eigenvalues × 100 epochs × 3 networks."""
    networks = [{"name": f"digits_64-26-10_{name}", "widths": [64, 26, 10], "activation": name, "epochs": tuple(range(0, 1000, 10))}
        for name in ("esp", "relu", "tanh")]
    page = make_page(tmp_path, networks)
    assert page.bytes < 15e6 and page.seconds < 30
    assert [one["spectra"]["kind"] for one in data_of(page)["comparisons"][0]["networks"]] == ["values"] * 3
    show(browser, page)
    begin = time.monotonic()
    slide(browser, 50)
    assert time.monotonic() - begin < 2
    healthy(browser)


def test_many_networks_fit(browser, tmp_path):
    """Makes a page of 500 networks × 60 epochs: some are histograms, which are those of the file and are
    named as such."""
    networks = [{"name": f"linear_2-{10 + i % 50}-1_{name}_seed={i // 50}", "widths": [2, 10 + i % 50, 1], "activation": name,
        "epochs": tuple(range(60)), "seed": i}
                for i in range(250) for name in ("relu", "sigmoid")]
    page = make_page(tmp_path, networks)
    assert page.bytes < 15e6 and page.seconds < 30
    data = data_of(page)
    kinds = [one["spectra"]["kind"] for comparison in data["comparisons"] for one in comparison["networks"]]
    assert set(kinds) == {"values", "histogram"}
    show(browser, page)
    assert "only a histogram" in browser.execute_script("return document.getElementById('explorer').innerText")
    index = next(i for i, comparison in enumerate(data["comparisons"]) if comparison["networks"][0]["spectra"]["kind"] == "histogram")
    comparison = data["comparisons"][index]
    choose(browser, "comparison", str(index))
    slide(browser, 7)
    architecture, variant = re.fullmatch(r"linear (\S+) (seed=\d+)", comparison["title"]).groups()
    numbers = numbers_of(page.file, f"linear_{architecture}_relu_{variant}")
    values = numbers["eigenvalues"][0, 7]
    assert shown_histogram(browser, 0, len(values), comparison["axis"]) == histogram(values, numbers["tau"][0, 7], comparison["axis"])
    begin = time.monotonic()
    browser.execute_script("const f = document.getElementById('filter'); f.value = 'relu 2-10-1'; f.dispatchEvent(new Event('input'));")
    assert browser.execute_script("return document.getElementById('filtered').textContent") == "5 of 500 networks"
    browser.execute_script("document.querySelectorAll('#summary th button')[5].click()")
    assert time.monotonic() - begin < 2
    healthy(browser)
