"""For scripts that need the report's packages. Imports nothing but the standard library."""

import importlib.util
import os
import sys
from pathlib import Path

PYTHON = Path(__file__).resolve().parents[3] / "build/environments/report/bin/python"


def enter():
    """Starts the script anew in the environment that scripts/setup makes, if this Python lacks the packages and the environment is there."""
    if importlib.util.find_spec("h5py") is None and PYTHON.exists() and Path(sys.executable) != PYTHON:
        os.execv(PYTHON, [str(PYTHON), *sys.argv])
