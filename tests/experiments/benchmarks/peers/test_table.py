"""Tests of the numbers in tables, fits and figures."""

import numpy as np
import pytest
from conftest import small_problem
from espectra_peers import figures, scaling, table
from espectra_peers.cases import ESPECTRA, Group, Inputs, groups
from espectra_peers.measure import GIB, Espectra, Program, environment
from test_measure import OWN, measured


def record(program="peer", **more):
    return {"case": "a", "group": "g", "title": "A title", "program": program, "label": program.title(), "does": "", "scale": None,
            "seconds": [2.0, 1.0, 4.0], "espectra_seconds": [0.5, 0.25, 1.0], "peak_bytes": 3 * GIB, "loaded_bytes": GIB,
            "prepare_seconds": 7.0, "agreement": {"Hessian": 2.5e-13}, **more}


@pytest.mark.parametrize("seconds, text", [(123.4, "123 s"), (12.34, "12.3 s"), (0.0123, "12.3 ms"), (4.56e-5, "45.6 µs"),
                                           (2e-9, "0.002 µs")])
def test_seconds(seconds, text):
    assert table.seconds_text(seconds) == text


def test_row_of_a_program():
    own = record("espectra", seconds=[0.5], prepare_seconds=0.0, agreement={})
    lines = table.group_table([own, record()]).splitlines()
    assert lines[0] == "**A title**"
    assert lines[4] == "| Espectra | 500 ms | once | 1 | 3.0 GiB |  |  |"
    # medians of 2 and 0.5 s
    assert lines[5] == "| Peer | 2 s | 1 s – 4 s (3) | 4.0 | 3.0 GiB | 7 s | Hessian 2e-13 |"


def test_a_failure_is_a_row():
    failed = record(failed="out of memory (16 GiB)", does="largest eigenvalue")
    assert table.group_table([failed]).splitlines()[-1] == "| Peer: largest eigenvalue only | out of memory (16 GiB) | | | | | |"
    assert table.ratio(failed) is None


def test_long_failures_are_cut():
    assert table.failure_text({"failed": "a|b" + "x" * 100}) == "a/b" + "x" * 76 + "…"


@pytest.mark.parametrize("seconds, text", [(0.5, "1.00"), (0.2, "0.40"), (1.0, "2.0"), (25.0, "50")])
def test_ratio(seconds, text):
    assert table.ratio_text(record(seconds=[seconds])) == text


def test_exponent_of_a_power():
    x = np.array([1.0, 2.0, 4.0, 8.0])
    assert scaling.exponent(x, 3 * x**2.5) == pytest.approx((2.5, 0), abs=1e-12)
    k, error = scaling.exponent(np.exp([0, 1, 2]), np.exp([0, 2, 2]))  # slope 1, residuals −1/3, 2/3, −1/3
    assert k == pytest.approx(1) and error == pytest.approx(np.sqrt(2 / 3 / 1 / 2))
    assert scaling.exponent_text([1, 2], [1, 8]) == "3.00"


def test_figures_show_the_records(tmp_path, monkeypatch):
    kept = {}
    monkeypatch.setattr(figures, "save", lambda figure, folder, name: kept.__setitem__(name, figure))
    fast, lost = Program("peer", "Peer", "fake"), Program("lost", "Lost", "fake")
    shown = [Group("a", "g", "A title", "hessian", None, (OWN, fast, lost))]
    records = {("g", "peer"): record(), ("g", "lost"): record("lost", failed="more than 10 min")}
    points = [Group("f", f"p{v}", "", "hessian", None, (OWN,), scale=("P", v)) for v in (10, 20, 40)]
    for g in points:
        v = g.scale[1]
        records[g.key, "espectra"] = record("espectra", seconds=[v**2 * 1e-3], peak_bytes=v << 20, loaded_bytes=0)
    curves = scaling.curves(points, records)
    figures.draw(tmp_path, shown + points, records, curves)
    axis = kept["ratios"].axes[0]
    assert axis.patches[0].get_x() + axis.patches[0].get_width() == pytest.approx(4.0)
    assert [t.get_text() for t in axis.texts] == ["4.0×", "more than 10 min"]
    line, = kept["scaling_time"].axes[0].lines
    assert line.get_xydata().tolist() == pytest.approx(np.array([[10, 0.1], [20, 0.4], [40, 1.6]]))
    assert line.get_label() == "Espectra, k = 2.00"
    assert scaling.fits(curves)[0]["memory"].startswith("1.00")


def test_groups_have_keys_of_their_own_and_espectra_first(tmp_path):
    for quick in (False, True):
        found = groups(Inputs(tmp_path), quick, 2)
        assert len({g.key for g in found}) == len(found)
        assert all(g.programs[0].key == "espectra" for g in found)
        assert {g.case for g in found} == set("acdef" if quick else "abcdef")


def test_programs_on_a_device_are_those_that_can_work_there(tmp_path):
    found = groups(Inputs(tmp_path), False, 2, "cuda")
    assert {p.module for g in found for p in g.programs} == {"espectra", "jax", "torch", "curvlinops", "pyhessian", "eigenthings"}
    assert not any(g.scale and g.scale[0].startswith("threads") for g in found)
    assert environment(2, "cuda")["JAX_PLATFORMS"] == "cuda"
    problem = tmp_path / "problem.h5"
    small_problem(epochs=30).write(problem)
    command = ESPECTRA.command("training", problem, tmp_path / "out.h5", 2, Espectra(tmp_path, "cuda"))
    assert command[1:3] == ["recorded", "training"] and command[-4:] == ["2", "30", "--device", "cuda"]


def test_table_of_a_measured_group(tmp_path):
    store, group = measured(tmp_path, Program("peer", "Peer", "no_such_module"))
    text = table.tables([group], store.all(), [], None, "heading\n")
    assert "| Espectra | 125 ms | 125 ms – 125 ms (3) | 1 | 3 MiB | 500 ms |" in text
    assert "| Peer | not installed:" in text


def test_groups_of_a_case_side_by_side():
    one, two = (Group("c", k, "", "spectra", None, (OWN, Program("peer", "Peer", "fake")), column=k) for k in ("1", "100"))
    own = record("espectra", seconds=[0.5], espectra_seconds=[])
    records = {("1", "espectra"): own, ("1", "peer"): record(), ("100", "espectra"): own, ("100", "peer"): record(failed="lost")}
    assert table.side_by_side([one, two], records).splitlines() == [
        "| program | 1 | 100 |", "|---|---|---|", "| Espectra | 500 ms | 500 ms |", "| Peer | 2 s (4.0×) | lost |"]


def test_tables_go_between_the_marks_of_a_document():
    text = "a\n" + table.BEGIN + "old\n" + table.END + "\nb\n"
    assert table.written_into(text, "new") == "a\n" + table.BEGIN + "\nnew\n" + table.END + "\nb\n"
    with pytest.raises(ValueError, match="tables"):
        table.written_into("a\n", "new")
