"""Tests the files that the page contains or links to, and the size of the page with many results."""

import base64
import os
import re
import shutil
import time

import pytest
from espectra_report.page import content
from page_in_browser import choose, data_of, draw, healthy, histogram, make_page, numbers_of, show, shown_histogram, slide


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
