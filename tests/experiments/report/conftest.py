"""Fixtures of the tests of the report: runs made by the program that $ESPECTRA_PROGRAM names, a miniature of the
authors' repository, and a page and a browser."""

import os
import subprocess
from pathlib import Path

import pytest

pytest.register_assert_rewrite("page_in_browser")  # so that its assertions show their values, as those of the tests do

PROGRAM = os.environ.get("ESPECTRA_PROGRAM", "")
SOURCE = Path(__file__).resolve().parents[3]

SMALL = """
data.source = "nonlinear"
train = { epochs = 60, replicas = %d }
spectrum = { epochs = [0, 10, 20, 40, 60], eigenvectors = %s }
[sweep]
"network.activation" = ["esp", "relu", "sigmoid"]
"network.hidden" = [[4], [3, 2]]
"""


def run_recipe(folder, recipe, *words):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.toml").write_text(recipe)
    subprocess.run([PROGRAM, "run", folder / "recipe.toml", "--output", folder / "out", *words], check=True, stdout=subprocess.DEVNULL)
    return folder / "out"


@pytest.fixture(scope="session")
def single(tmp_path_factory):
    """Returns the folder of a run of three activations × two architectures, one replica each, five snapshots,
    with eigenvectors."""
    return run_recipe(tmp_path_factory.mktemp("single"), SMALL % (1, "true"))


@pytest.fixture(scope="session")
def sweep(tmp_path_factory):
    """Returns the folder of a run of the same networks with six replicas each and statistics, without
    eigenvectors."""
    return run_recipe(tmp_path_factory.mktemp("sweep"), SMALL % (6, "false"))


@pytest.fixture(scope="session")
def miniature(tmp_path_factory):
    """Returns a repository of the authors with four runs of the linear task."""
    from authors_repository import Miniature

    return Miniature(tmp_path_factory.mktemp("authors") / "repository")


@pytest.fixture(scope="session")
def page(tmp_path_factory):
    """Returns a page of six networks with figures, a film and notes, as full_page() describes it."""
    from page_in_browser import full_page

    return full_page(tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="session")
def browser():
    """Returns the driver of a browser without a network, as start_browser() describes it."""
    from page_in_browser import start_browser

    driver = start_browser()
    yield driver
    driver.quit()


@pytest.fixture(scope="session", autouse=True)
def style():
    from espectra_report import style

    style.use()


def pytest_sessionfinish(session, exitstatus):
    """Makes CTest show a file as skipped, not as passed, if all of its tests were skipped."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if exitstatus == 0 and not reporter.stats.get("passed") and reporter.stats.get("skipped"):
        session.exitstatus = 77
