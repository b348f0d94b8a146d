"""Tests the content of the page: values read back from a browser without a network are compared with the
files."""

import base64
import io
import re

import h5py
import numpy as np
from espectra_report import results, style
from espectra_report.page import content, explorer
from page_in_browser import (EPOCHS, TITLE, data_of, healthy, histogram, make_page, numbers_of, page_of, parse, show, shown_histogram,
                             slide, traces)
from PIL import Image
from synthetic import write_results


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


def test_readout(browser, page):
    show(browser, page)
    slide(browser, 1)
    rows = browser.execute_script("return Array.from(document.querySelectorAll('#readout tbody tr')).map((r) => Array.from(r.cells).map((c) => c.textContent))")
    for row, activation in zip(rows, ("esp", "relu", "sigmoid"), strict=True):
        numbers = numbers_of(page.file, f"linear_2-10-1_{activation}")
        assert row[0] == style.look(activation).name
        expected = [numbers["cost"][0, 1], numbers["alpha"][0, 1], numbers["gamma"][0, 1], *numbers["eigenvalues"][0, 1, [0, -1]]]
        np.testing.assert_allclose([parse(row[i]) for i in (1, 2, 3, 5, 6)], expected, rtol=6e-4)


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
