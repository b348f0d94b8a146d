"""Tests of the command as its users run it: espectra report, espectra run --report."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import PROGRAM, run_recipe
from synthetic import write_results

TINY = """
data.source = "nonlinear"
network.hidden = [3]
train.epochs = 20
spectrum.epochs = [0, 10, 20]
"""
ESP = {"name": "nonlinear_2-3-1_esp", "widths": [2, 3, 1], "activation": "esp"}
RELU = {"name": "nonlinear_2-3-1_relu", "widths": [2, 3, 1], "activation": "relu"}


def espectra(*words, **environment):
    """Runs the program to its end; returns status, standard output and standard error."""
    ended = subprocess.run([PROGRAM, *map(str, words)], env=os.environ | environment, capture_output=True, text=True, timeout=300)
    return ended.returncode, ended.stdout, ended.stderr


def fails(ended, status, *parts):
    """Checks the status, that standard error is one line with these parts, and that standard output is
    empty."""
    assert ended[0] == status, ended
    assert ended[1] == "" and ended[2].count("\n") == 1, ended
    for part in parts:
        assert str(part) in ended[2], ended[2]


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


def stand_in(tmp_path, status):
    """Makes a program that replaces Python and writes down the words that it is called with."""
    path = tmp_path / "python"
    path.write_text(f'#!/bin/sh\n[ "$3" = --version ] && exit 0\necho "$@" > {tmp_path}/words\necho spoken\nexit {status}\n')
    path.chmod(0o755)
    return path


def test_a_run_ends_with_the_command_of_its_report(tmp_path, recipe):
    status, out, err = espectra("run", recipe, "--output", tmp_path / "out")
    assert status == 0 and out.splitlines()[-1] == f"figures and a page to explore: espectra report {tmp_path / 'out'}"
    assert "espectra report" not in espectra("run", recipe, "--output", tmp_path / "json", "--json")[1]


def test_run_with_a_report(tmp_path, recipe):
    status, out, err = espectra("run", recipe, "--output", tmp_path / "out", "--report")
    page = tmp_path / "out/report/index.html"
    assert status == 0, err
    assert out.splitlines()[-1].startswith(f"report: {page} (") and page.is_file()
    assert {entry.name for entry in page.parent.iterdir()} == {"index.html", "figures", "animations"}
    assert {entry.suffix for entry in (page.parent / "figures").iterdir()} == {".pdf", ".svg", ".png"}
    assert {entry.suffix for entry in (page.parent / "animations").iterdir()} == {".mp4", ".gif"}


@pytest.mark.parametrize("status", [0, 2, 4])
def test_status_and_output_of_the_report_are_passed_on(tmp_path, recipe, status):
    fake = stand_in(tmp_path, status)
    code, out, err = espectra("run", recipe, "--output", tmp_path / "out", "--report", "--json", ESPECTRA_REPORT_PYTHON=str(fake))
    assert code == status and "spoken" in err
    assert json.loads(out)["results"] == str(tmp_path / "out/results.h5")
    assert (tmp_path / "words").read_text().split() == ["-m", "espectra_report", str(tmp_path / "out")]


def test_a_dry_run_makes_no_report(tmp_path, recipe):
    fake = stand_in(tmp_path, 0)
    assert espectra("run", recipe, "--output", tmp_path / "out", "--report", "--dry-run", ESPECTRA_REPORT_PYTHON=str(fake))[0] == 0
    assert not (tmp_path / "words").exists()


def test_without_the_program_nothing_is_computed(tmp_path, recipe):
    alone = shutil.copy(PROGRAM, tmp_path / "espectra")
    ended = subprocess.run([alone, "run", recipe, "--output", tmp_path / "out", "--report"], capture_output=True, text=True,
                           env={"PATH": "/usr/bin:/bin"})
    fails((ended.returncode, ended.stdout, ended.stderr), 2, "--report", "espectra-report")
    assert not (tmp_path / "out").exists()
    assert "espectra report" not in subprocess.run([alone, "run", recipe, "--output", tmp_path / "out"], capture_output=True, text=True,
                                                   env={"PATH": "/usr/bin:/bin"}).stdout
    ended = subprocess.run([alone, "report", "x"], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"})
    fails((ended.returncode, ended.stdout, ended.stderr), 2, 'unknown command "report"')


def test_without_its_packages(tmp_path, recipe):
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys.base_prefix}/bin/python3 -I -S -c "import sys, runpy; sys.path.insert(0, \'$PYTHONPATH\'); '
                    'sys.argv = [\'x\']; runpy.run_module(\'espectra_report\', run_name=\'__main__\')"\n')
    bare.chmod(0o755)
    fails(espectra("report", tmp_path, ESPECTRA_REPORT_PYTHON=str(bare), PYTHONPATH=""), 4, "is not installed; scripts/setup")
    status, out, err = espectra("run", recipe, "--output", tmp_path / "out", "--report", ESPECTRA_REPORT_PYTHON=str(bare), PYTHONPATH="")
    assert status == 4 and "does not start" in err and not (tmp_path / "out").exists()
    fails(espectra("report", tmp_path, ESPECTRA_REPORT_PYTHON="/absent/python"), 4, "/absent/python: no such program")


def test_modules_in_the_current_folder_are_not_run(tmp_path):
    (tmp_path / "plotly.py").write_text("raise SystemExit('this is another plotly')")
    ended = subprocess.run([PROGRAM, "report", "--version"], cwd=tmp_path, capture_output=True, text=True,
                           env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"})
    assert (ended.returncode, ended.stderr) == (0, "")


def test_report_as_json_and_in_another_folder(tmp_path, recipe):
    for name in ("a", "b"):
        assert espectra("run", recipe, "--output", tmp_path / name)[0] == 0
    fails(espectra("report", tmp_path / "a", tmp_path / "b"), 2, "several results need --output")
    status, out, err = espectra("report", tmp_path / "a", tmp_path / "b/results.h5", "--output", tmp_path / "new/both", "--json",
                                "--no-animation")
    outcome = json.loads(out)
    assert status == 0 and err == "" and outcome["animations"] == 0 and outcome["notes"] == []
    assert outcome["report"] == str(tmp_path / "new/both/index.html") and outcome["bytes"] == Path(outcome["report"]).stat().st_size
    assert outcome["figures"] == len(list((tmp_path / "new/both/figures").glob("*.pdf"))) > 10
    assert {name.name.split("-")[0] for name in (tmp_path / "new/both/figures").iterdir()} == {"a", "b"}


def test_equal_runs_give_equal_figures(tmp_path):
    write_results(tmp_path / "results.h5", [RELU])
    for name in ("one", "two"):
        assert espectra("report", tmp_path, "--output", tmp_path / name, "--no-animation")[0] == 0
    names = sorted(path.name for path in (tmp_path / "one/figures").iterdir())
    assert len(names) > 20
    for name in names:
        assert (tmp_path / "one/figures" / name).read_bytes() == (tmp_path / "two/figures" / name).read_bytes(), name


def test_wrong_use(tmp_path):
    write_results(tmp_path / "results.h5", [ESP])
    fails(espectra("report"), 2, "DIR|RESULTS.h5")
    fails(espectra("report", tmp_path, "--colour"), 2, "--colour")
    fails(espectra("report", tmp_path, "--epochs", "1,two"), 2, "--epochs 1,two")
    fails(espectra("report", tmp_path, "--epochs", "5"), 2, "--epochs 5", "0, 10, 20")
    fails(espectra("report", tmp_path, "--networks", "digits*"), 2, "--networks digits*")
    assert espectra("report", "--help")[0] == 0
    assert not list(tmp_path.glob("report*"))


def test_wrong_files(tmp_path):
    fails(espectra("report", tmp_path), 2, tmp_path, "no results.h5")
    (tmp_path / "results.h5").write_bytes(b"")
    fails(espectra("report", tmp_path), 2, tmp_path / "results.h5", "empty")
    whole = write_results(tmp_path / "whole/results.h5", [ESP]).read_bytes()
    (tmp_path / "results.h5").write_bytes(whole[:3000])
    fails(espectra("report", tmp_path), 2, tmp_path / "results.h5", "cannot be read as HDF5")
    # Damage at places all over the file results in a page or a line, never in a traceback.
    random = np.random.default_rng(1)
    statuses = set()
    for position in range(2000, len(whole), len(whole) // 5):
        broken = bytearray(whole)
        broken[position : position + 400] = random.bytes(400)
        (tmp_path / "results.h5").write_bytes(broken)
        status, out, err = espectra("report", tmp_path, "--no-animation")
        statuses.add(status)
        assert status in (0, 2) and err.count("\n") == (1 if status else 0), err
    assert 2 in statuses


def test_only_a_report_is_replaced(tmp_path):
    write_results(tmp_path / "results.h5", [ESP])
    (tmp_path / "report").mkdir()
    (tmp_path / "report/letter.txt").write_text("mine")
    fails(espectra("report", tmp_path), 2, tmp_path / "report", "is not a report")
    assert (tmp_path / "report/letter.txt").read_text() == "mine"
    (tmp_path / "report/letter.txt").unlink()
    (tmp_path / "report/index.html").write_text("older")
    assert espectra("report", tmp_path, "--no-animation")[0] == 0
    assert len((tmp_path / "report/index.html").read_text()) > 1e6
    assert not list(tmp_path.glob("report.*"))


def children(pid):
    """Returns the process ids of the children of a process."""
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit() and path.joinpath("stat").exists()
            and int(path.joinpath("stat").read_text().rsplit(")", 1)[1].split()[1]) == pid]


@pytest.mark.parametrize("number, status", [(signal.SIGKILL, -9), (signal.SIGINT, 130), (signal.SIGTERM, 130)])
def test_an_interruption_leaves_the_old_report(tmp_path, number, status):
    write_results(tmp_path / "results.h5", [ESP, RELU])
    (tmp_path / "report").mkdir()
    (tmp_path / "report/index.html").write_text("older")
    process = subprocess.Popen([PROGRAM, "report", str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               start_new_session=True)
    while not list(tmp_path.glob("report.partial/figures/*.png")):
        time.sleep(0.01)
        assert process.poll() is None
    workers = children(process.pid)
    assert len(workers) == min(8, len(os.sched_getaffinity(0)))
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)
    out, err = process.communicate()
    assert process.returncode == status
    assert not any(Path(f"/proc/{worker}").exists() and worker in children(process.pid) for worker in workers)
    assert (tmp_path / "report/index.html").read_text() == "older"
    if number != signal.SIGKILL:
        assert err == "espectra-report: interrupted; nothing was written\n"
    else:  # the remaining folder does no harm
        time.sleep(1)
        assert espectra("report", tmp_path, "--no-animation")[0] == 0
    assert not list(tmp_path.glob("report.*"))


def test_a_terminated_run_ends_its_report(tmp_path, recipe):
    process = subprocess.Popen([PROGRAM, "run", recipe, "--output", tmp_path / "out", "--report"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.glob("out/report.partial/figures/*.png")):
        time.sleep(0.01)
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and err.splitlines()[-1] == "espectra-report: interrupted; nothing was written"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"results.h5", "summary.txt"}


def test_folders_next_to_the_report(tmp_path):
    write_results(tmp_path / "results.h5", [ESP])
    (tmp_path / "report.old").mkdir()
    (tmp_path / "report.old/notes.txt").write_text("mine")
    fails(espectra("report", tmp_path), 2, tmp_path / "report.old", "is not a report")
    # Now it is an older report, moved by a process that was killed.
    (tmp_path / "report.old/notes.txt").rename(tmp_path / "report.old/index.html")
    fails(espectra("report", tmp_path, "--networks", "absent*"), 2, "absent*")
    assert (tmp_path / "report/index.html").read_text() == "mine"


def test_networks_of_one_name_have_files_of_their_own(tmp_path):
    for folder in ("a", "c"):
        with h5py.File(write_results(tmp_path / folder / "made.h5", [ESP]), "r") as made:
            network = made[ESP["name"]]
            with h5py.File(tmp_path / folder / "linear_2-3-1_esp.h5", "w") as f:
                for name, value in network.attrs.items():
                    f.attrs[name] = value
                for name in ("epoch", "theta", "cost", "eigenvalues"):  # no α, which recorded runs may lack
                    f[name] = network[name][()] if name == "epoch" else network[name][0]
    status, out, err = espectra("report", *(tmp_path / folder / "linear_2-3-1_esp.h5" for folder in ("a", "c")), "--output", tmp_path / "new",
                                "--no-animation", "--json")
    assert status == 0 and json.loads(out)["notes"] == [], err
    names = {path.name for path in (tmp_path / "new/figures").glob("*.pdf")}
    assert {f"{folder}-linear-2-3-1-{kind}.pdf" for folder in ("a", "c")
            for kind in ("cost-against-epoch", "spectrum-over-time-esp", "eigenvalue-densities")} <= names


def test_a_full_disk(tmp_path):
    write_results(tmp_path / "results.h5", [ESP])
    ended = subprocess.run(f"ulimit -f 8; exec {PROGRAM} report {tmp_path}", shell=True, capture_output=True, text=True)
    assert ended.returncode == 4 and ended.stderr.count("\n") == 1, ended
    assert not list(tmp_path.glob("report*"))


def test_interrupted_run(tmp_path):
    write_results(tmp_path / "results.h5.partial", [ESP | {"recorded": 1, "replicas": 3}, RELU | {"recorded": 0, "replicas": 3}], state="running")
    status, out, err = espectra("report", tmp_path)
    assert status == 0, err
    assert "note: the run is running: it has 3 of 18 records." in out


def test_without_spectra(tmp_path):
    write_results(tmp_path / "results.h5", [ESP | {"spectra": False}])
    status, out, err = espectra("report", tmp_path)
    assert status == 0 and "note: there are no spectra" in out, err


@pytest.mark.parametrize("networks", [
    [ESP | {"epochs": [0]}],  # one epoch
    [ESP],  # one replica, one activation
    [ESP | {"replicas": 3, "statistics": True, "epochs": [0]}, RELU | {"replicas": 3, "statistics": True, "epochs": [0]}],
    [{"name": f"digits_4-3-2-2_{a}", "widths": [4, 3, 2, 2], "activation": a} for a in ("esp-relu", "relu-esp", "softplus")],
], ids=["one epoch", "one network", "replicas at one epoch", "mixed activations"])
def test_odd_shapes(tmp_path, networks):
    write_results(tmp_path / "results.h5", networks)
    status, out, err = espectra("report", tmp_path)
    assert status == 0 and err == "", err


LARGE = {
    # 2000 eigenvalues at 100 epochs, three activations
    "large": [{"name": f"digits_64-26-10_{a}", "widths": [64, 26, 10], "activation": a, "epochs": range(0, 1000, 10)}
              for a in ("esp", "relu", "sigmoid")],
    "sweep": [{"name": f"nonlinear_2-{n}-1_{a}", "widths": [2, n, 1], "activation": a, "replicas": 2, "epochs": range(0, 600, 10), "seed": n,
               "statistics": True} for n in range(1, 126) for a in ("esp", "relu", "sigmoid", "tanh")],
}


@pytest.mark.parametrize("name", LARGE)
def test_size_and_time(tmp_path, name):
    write_results(tmp_path / "results.h5", LARGE[name])
    begin, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    status, out, err = espectra("report", tmp_path, "--json")
    wall, after = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    outcome = json.loads(out)
    assert status == 0 and outcome["bytes"] < 15e6, out
    # 30 s on two cores; if other programs use these too, judged by CPU time.
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert min(wall, spent / 2) < 30, (wall, spent)
    if name == "sweep":
        assert "Figures of single settings are drawn for 2 of 125" in outcome["notes"][0]


def test_eigenvalues_of_a_real_run_reach_the_figures(tmp_path):
    """The run's largest eigenvalue is in the text of the page's summary table."""
    folder = run_recipe(tmp_path, TINY)
    with h5py.File(folder / "results.h5") as f:
        largest = float(np.max(f["nonlinear_2-3-1_esp/eigenvalues"][0, -1]))
    assert espectra("report", folder, "--no-animation")[0] == 0
    assert f"{largest:.3g}" in (folder / "report/index.html").read_text()
