"""Figures, animations and a self-contained HTML page from the results of `espectra run`."""
