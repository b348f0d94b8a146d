"""Pages of the report made from synthetic results, and what a browser without a network shows of them."""

import json
import os
import re
import time
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from espectra_report import results, style
from espectra_report.figures import Drawing
from espectra_report.page import Made, write_page
from matplotlib.figure import Figure
from PIL import Image
from synthetic import write_results

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
TITLE = "</script><b>bold</b> & 'title'"
EPOCHS = (0, 10, 20, 40, 80)


# --- pages


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


def full_page(folder):
    """Returns a page of two architectures × three activations, one of them with three replicas; two figures
    and a film; all texts of a user contain markup."""
    (folder / "figures").mkdir()
    networks = [{"name": f"linear_{architecture}_{activation}", "widths": [int(n) for n in architecture.split("-")],
                 "activation": activation, "epochs": EPOCHS, "seed": seed, "replicas": 3 if architecture == "2-4-3-1" else 1}
                for seed, (architecture, activation) in enumerate((a, b) for a in ("2-10-1", "2-4-3-1")
                                                                  for b in ("esp", "relu", "sigmoid"))]
    figures = [draw(folder / "figures", "first"), draw(folder / "figures", "second", style.PAGE)]
    film = folder / "figures" / "film.gif"
    Image.new("P", (40, 30)).save(film)
    made = make_page(folder, networks, figures, [("film", {"gif": film})], [f"note {TITLE}"], title=TITLE, recipe=f"# {TITLE}\n")
    made.figures = figures
    return made


# --- the browser


def start_browser():
    """Returns a driver of Chromium without a network, which records errors of pages in window.failures; skips
    the test without Chromium, or fails if $ESPECTRA_REQUIRE_REPORT is set."""
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
    return driver


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


# --- numbers of the page and of the files


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
