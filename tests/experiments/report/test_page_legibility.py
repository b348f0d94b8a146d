"""Tests in a browser that the texts of the page are legible: size, contrast, and neither cut nor overlapping."""

import pytest
from espectra_report.activations import ACTIVATIONS
from page_in_browser import choose, healthy, make_page, settle, show

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
