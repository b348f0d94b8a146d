"""Restarts a script in the environment of the report. Imports the standard library only."""

import os
import sys
from pathlib import Path

PYTHON = Path(__file__).resolve().parents[3] / "build/environments/report/bin/python"


def enter():
    """Restarts the script with the Python of the environment that scripts/setup creates, if it exists and is
    not the one in use."""
    if PYTHON.exists() and Path(sys.prefix) != PYTHON.parents[1]:
        os.execv(PYTHON, [str(PYTHON), *sys.argv])
