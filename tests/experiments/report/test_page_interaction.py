"""Tests the page under slider, mouse, keys and menus in a browser: values shown are compared with the files."""

import re
import time

import numpy as np
import pytest
from espectra_report import style
from page_in_browser import EPOCHS, choose, data_of, healthy, histogram, numbers_of, parse, settle, show, shown_histogram, slide, traces


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
