"""Tests of limits, comparison before timing, alternation and resuming, with small fake programs."""

import dataclasses
import sys
import textwrap
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import small_problem
from espectra_peers import compare
from espectra_peers.cases import Group
from espectra_peers.measure import GIB, Espectra, Failure, Limits, Program, Worker, stopped
from espectra_peers.problem import compared_rows
from espectra_peers.store import Store
from espectra_peers.suite import Suite

ANSWER = 'print(json.dumps(dict(first_seconds=0.1, calls=1, loaded_bytes=1 << 20, peak_bytes=2 << 20, prepare_seconds=0.5,' \
         ' versions={"fake": "1"})), flush=True)\n'
REPEAT = 'for n, _ in enumerate(sys.stdin): print(json.dumps(dict(seconds=%s, peak_bytes=3 << 20)), flush=True)\n'
HEADER = "import json, sys, time, h5py, numpy as np\nnote = open(sys.argv[2] + '.calls', 'a').write('called\\n')\n"


@dataclasses.dataclass(frozen=True)
class Fake(Program):
    script: str = ""

    def command(self, work, problem, output, threads, espectra):
        return [sys.executable, "-c", HEADER + textwrap.dedent(self.script), str(problem), str(output)]


def hessian_script(factor=1.0, seconds="0.25 + n"):
    return f"h5py.File(sys.argv[2], 'w')['hessian'] = {factor} * np.eye(5)[None]\n" + ANSWER + REPEAT % seconds


OWN = Fake("espectra", "Espectra", "fake", script=hessian_script(seconds="0.125"))
LIMITS = Limits(seconds=20, prepare_seconds=20, repetitions=3, bytes=2 * GIB)


def measured(tmp_path, *programs, limits=LIMITS, **more):
    group = Group("a", "fake", "A title", "hessian", small_problem, (OWN, *programs), limits, threads=1, **more)
    store = Store(tmp_path)
    Suite(store, Espectra(tmp_path), say=lambda line: None).measure(group)
    return store, group


def calls(store, program):
    path = store.output("fake", program).with_name(f"fake--{program}.h5.calls")
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_programs_are_timed_alternately(tmp_path):
    store, _ = measured(tmp_path, Fake("peer", "Peer", "fake", script=hessian_script(1 + 1e-12)))
    own, peer = store.get("fake", "espectra"), store.get("fake", "peer")
    assert own["seconds"] == [0.125] * 3
    assert peer["seconds"] == [0.25, 1.25, 2.25]
    assert peer["espectra_seconds"] == [0.125] * 3  # of the alternating repetitions, not of those before
    assert peer["agreement"]["Hessian, Frobenius"] == pytest.approx(1e-12, rel=1e-3)
    assert peer["peak_bytes"] == 3 << 20 and peer["versions"] == {"fake": "1"}


def test_a_program_with_another_result_has_no_time(tmp_path):
    store, _ = measured(tmp_path, Fake("peer", "Peer", "fake", script=hessian_script(1 + 1e-9)))
    record = store.get("fake", "peer")
    assert record["failed"] == "wrong: Hessian, Frobenius differs by 1.0e-09" and "seconds" not in record


@pytest.mark.parametrize("own, limit, passes", [(1 + 0.9e-10, 1e-10, True), (1 + 1.1e-10, 1e-10, False), (np.nan, 1e-10, False)])
def test_limit_of_the_hessians_difference(own, limit, passes, tmp_path):
    for name, factor in (("own", own), ("espectra", 1.0)):
        with h5py.File(tmp_path / name, "w") as f:
            f["hessian"] = factor * np.ones((1, 2, 2))
    if passes:
        assert compare.check("hessian", tmp_path / "own", tmp_path / "espectra")["Hessian, Frobenius"] < limit
    else:
        with pytest.raises(Failure, match="wrong"):
            compare.check("hessian", tmp_path / "own", tmp_path / "espectra")


def test_differences_by_hand():
    spectra = compare.differences("spectra", {"eigenvalues": np.array([[-4.0, 2.0], [0.0, 1.0]])},
                                  {"eigenvalues": np.array([[-4.0, 1.0], [0.0, 0.5]])})
    assert spectra["eigenvalues"][0] == 1.0  # (1 − 0.5) / 0.5 of the second network
    training = compare.differences("training", {"early_theta": np.array([[3.0, 4.0]]), "cost": np.array([1.0, 2.0, 4.0])},
                                   {"early_theta": np.array([[3.0, 3.0]]), "cost": np.array([1.0, 1.0, 1.0])})
    assert training["θ after 100 epochs"][0] == pytest.approx(1 / np.sqrt(18))
    assert training["cost at the end, median"] == (1.0, None)


@pytest.mark.parametrize("work, name", [("hessian", "hessian"), ("spectra", "eigenvalues"), ("training", "early_theta")])
def test_a_result_of_another_shape_is_wrong(work, name):
    results = [{name: np.ones((rows, 3)), "cost": np.ones(rows)} for rows in (2, 4)]
    with pytest.raises(Failure, match=r"wrong: a result of shape \(2, 3\), expected \(4, 3\)"):
        compare.differences(work, *results)


def test_out_of_memory_by_resident_size(tmp_path):
    script = "hold = [np.ones(1 << 24) for _ in range(100)]\n"  # 12.5 GiB in steps of 128 MiB
    limits = dataclasses.replace(LIMITS, bytes=GIB // 2)
    store, _ = measured(tmp_path, Fake("peer", "Peer", "fake", script=script), limits=limits)
    assert store.get("fake", "peer")["failed"] == "out of memory (0.5 GiB)"


def test_out_of_memory_reported_by_a_program(tmp_path):
    reported = Fake("peer", "Peer", "fake", script='print(json.dumps(dict(failed="out of memory")), flush=True)')
    died = Fake("other", "Other", "fake", script="sys.exit('terminate called: std::bad_alloc')")
    store, _ = measured(tmp_path, reported, died)
    assert store.get("fake", "peer")["failed"] == store.get("fake", "other")["failed"] == "out of memory (2 GiB)"


def test_python_worker_reports_that_memory_is_exhausted(tmp_path, monkeypatch):
    """Allocates more than the limit of the process."""
    problem = small_problem()
    problem.write(tmp_path / "problem.h5")
    (tmp_path / "work_greedy.py").write_text(
        "import numpy as np\ndef prepare(work, problem, threads):\n    return (lambda: np.ones(1 << 34)), None\n")
    monkeypatch.setenv("GREEDY", str(tmp_path))
    command = [sys.executable, "-c", "import os, sys; import espectra_peers; espectra_peers.__path__.append(os.environ['GREEDY']);"
               "from espectra_peers import worker; sys.argv = sys.argv[:1] + sys.argv[1:]; worker.main()",
               "greedy", "", "hessian", str(tmp_path / "problem.h5"), str(tmp_path / "out.h5"), "1"]
    with Worker(command, 1, LIMITS, tmp_path / "log") as worker, pytest.raises(Failure, match=r"out of memory \(2 GiB\)"):
        worker.answer(60)


def test_too_slow_at_first_and_later(tmp_path):
    first = Fake("peer", "Peer", "fake", script="time.sleep(60)")
    later = Fake("other", "Other", "fake", script=hessian_script(seconds="time.sleep(60) or 1"))
    limits = dataclasses.replace(LIMITS, seconds=1, prepare_seconds=2)
    store, _ = measured(tmp_path, first, later, limits=limits)
    assert store.get("fake", "peer")["failed"] == "more than 3 s"
    assert store.get("fake", "other")["failed"] == "more than 1 s"


def test_a_missing_program_is_a_row_and_is_tried_again(tmp_path):
    missing = Program("peer", "Peer", "no_such_module")
    store, group = measured(tmp_path, missing)
    record = store.all()["fake", "peer"]
    assert record["failed"].startswith("not installed: No module named 'espectra_peers.work_no_such_module'")
    assert store.get("fake", "peer") is None


def test_resuming_measures_only_what_is_missing(tmp_path):
    peer, other = (Fake(k, k, "fake", script=hessian_script()) for k in ("peer", "other"))
    store, _ = measured(tmp_path, peer)
    assert (calls(store, "espectra"), calls(store, "peer")) == (1, 1)
    before = store.get("fake", "espectra")
    measured(tmp_path, peer)
    assert (calls(store, "espectra"), calls(store, "peer")) == (1, 1)
    measured(tmp_path, peer, other)
    assert (calls(store, "espectra"), calls(store, "peer"), calls(store, "other")) == (2, 1, 1)
    assert store.get("fake", "espectra") == before  # its second times belong to the new program
    assert store.get("fake", "other")["espectra_seconds"] == [0.125] * 3


def test_without_alternation_the_earlier_times_are_used(tmp_path):
    store, _ = measured(tmp_path, Fake("peer", "Peer", "fake", script=hessian_script()), together=False)
    assert store.get("fake", "peer")["espectra_seconds"] == [0.125] * 3
    assert store.get("fake", "peer")["agreement"] == {"Hessian, Frobenius": 0.0}


def test_a_long_first_call_counts(tmp_path):
    script = hessian_script().replace("first_seconds=0.1", "first_seconds=25")
    store, _ = measured(tmp_path, Fake("peer", "Peer", "fake", script=script))
    assert store.get("fake", "peer")["seconds"] == [25, 0.25, 1.25]
    store, _ = measured(tmp_path / "limited", Fake("peer", "Peer", "fake", script=script),
                        limits=dataclasses.replace(LIMITS, total_seconds=20))
    assert store.get("fake", "peer")["seconds"] == [25]


def test_a_paused_program_has_stopped(tmp_path):
    script = "import threading\nspin = lambda: [None for _ in iter(int, 1)]\n" \
             "for _ in range(3): threading.Thread(target=spin, daemon=True).start()\nprint('{}', flush=True)\nspin()"
    with Worker([sys.executable, "-c", script], 2, LIMITS, tmp_path / "log") as worker:
        worker.answer(30)
        assert not stopped(worker.process.pid)
        worker.pause()
        assert stopped(worker.process.pid)


def test_compared_rows():
    assert compared_rows(2000).tolist() == list(range(2000))
    rows = compared_rows(39760)
    assert len(rows) == 64 and rows[0] == 0 and rows[-1] == 39759 and rows[1] == 39759 // 63


def test_a_paused_worker_is_stopped_until_its_next_repetition(tmp_path):
    script = HEADER + ANSWER + REPEAT % "0.5"
    with Worker([sys.executable, "-c", script, "problem", str(tmp_path / "out")], 1, LIMITS, tmp_path / "log") as worker:
        worker.answer(20)
        worker.pause()
        state = lambda: Path(f"/proc/{worker.process.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        deadline = time.monotonic() + 5
        while state() != "T" and time.monotonic() < deadline:
            time.sleep(0.01)
        assert state() == "T"
        assert worker.repeat()["seconds"] == 0.5
