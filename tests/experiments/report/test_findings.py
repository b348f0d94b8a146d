"""Tests experiments/studies/findings on miniatures of its four recipes."""

import subprocess
import sys

from conftest import PROGRAM, SOURCE

SMALL = {
    "consistency": ["train.epochs=30", "train.replicas=3"],
    "speed": ["train.replicas=2", 'sweep=[{"train.epochs"=[20], "data.source"=["linear"], "network.activation"=["esp","relu"]}]'],
    "noise": ["train.replicas=2", "train.epochs=20", "spectrum.epochs=[0,20]"],
    "critical-points": ["train.replicas=2", "train.epochs=20", "spectrum.epochs=[0,20]", "critical_points.iterations=20"],
}


def test_tables_and_figure(tmp_path):
    for name, settings in SMALL.items():
        words = [PROGRAM, "run", SOURCE / f"experiments/recipes/{name}.toml", "--output", tmp_path / name]
        for setting in settings:
            words += ["--set", setting]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    figure = tmp_path / "gamma.svg"
    out = subprocess.run([sys.executable, SOURCE / "experiments/studies/findings", tmp_path, figure], check=True, text=True,
                         stdout=subprocess.PIPE).stdout
    for part in ("## Speed", "## Flat directions", "## Consistency", "## Noise", "## Critical points",
                 "| 2-10-10-1 | relu |", "| 2-8-2-1 | esp, β = 100 |", "| esp | "):
        assert part in out, f"{part!r} is not in\n{out}"
    assert "does not exist" not in out, out
    assert figure.read_text().count("<path") > 20, "the figure is empty"
