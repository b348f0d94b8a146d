"""scripts/findings on miniatures of its four recipes: findings_test.py ESPECTRA SOURCE_DIR. Without h5py and matplotlib it exits with 77
(skipped), or fails if $ESPECTRA_REQUIRE_FINDINGS is set."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import h5py  # noqa: F401
    import matplotlib  # noqa: F401
except ImportError as missing:
    print(f"skipped: {missing}; needs python3-h5py and python3-matplotlib")
    sys.exit(1 if os.environ.get("ESPECTRA_REQUIRE_FINDINGS") else 77)

SMALL = {
    "consistency": ["train.epochs=30", "train.replicas=3"],
    "speed": ["train.replicas=2", 'sweep=[{"train.epochs"=[20], "data.source"=["linear"], "network.activation"=["esp","relu"]}]'],
    "noise": ["train.replicas=2", "train.epochs=20", "spectrum.epochs=[0,20]"],
    "critical-points": ["train.replicas=2", "train.epochs=20", "spectrum.epochs=[0,20]", "critical_points.iterations=20"],
}


def main():
    program, source = sys.argv[1], Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        for name, settings in SMALL.items():
            words = [program, "run", source / f"experiments/recipes/{name}.toml", "--output", Path(folder) / name]
            for setting in settings:
                words += ["--set", setting]
            subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        figure = Path(folder) / "gamma.svg"
        out = subprocess.run([sys.executable, source / "scripts/findings", folder, figure], check=True, text=True,
                             stdout=subprocess.PIPE).stdout
        for part in ("## Speed", "## Flat directions", "## Consistency", "## Noise", "## Critical points",
                     "| 2-10-10-1 | relu |", "| 2-8-2-1 | esp, β = 100 |", "| esp | "):
            assert part in out, f"{part!r} is not in\n{out}"
        assert "is not there" not in out, out
        assert figure.read_text().count("<path") > 20, "the figure is empty"


main()
