"""The parts of scripts/gpu-check and scripts/gpu-bundle. Python 3.8, standard library alone."""
