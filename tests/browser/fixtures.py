"""A real browser for tests; without one, tests are skipped with a reason, but fail in CI."""

import importlib.util
import json
import os
import shutil
from pathlib import Path

import pytest

from acg_lab.cli.notebook import copy_notebooks

ROOT = Path(__file__).parents[2]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)


@pytest.fixture(scope="module")  # not the session's: while Playwright is there, an event loop runs in this thread
def browser():
    missing = [name for name in ("playwright", "jupyterlab", "voila") if importlib.util.find_spec(name) is None]
    missing += [] if CHROMIUM else ["chromium"]
    if missing and os.environ.get("CI", "").lower() not in {"1", "true"}:
        pytest.skip(f"there is no {' and no '.join(missing)} here")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS.split())
        yield browser
        browser.close()


@pytest.fixture
def new_page(browser):
    """Return a function that opens a page of a given size."""
    from browser.pages import Page  # noqa: PLC0415

    contexts = []

    def new(width=1280, height=1400):
        contexts.append(browser.new_context(viewport={"width": width, "height": height}))
        return Page(contexts[-1].new_page())

    yield new
    for context in contexts:
        context.close()


@pytest.fixture
def folder(tmp_path):
    """Return a folder with the notebooks, set to the sample."""
    copy_notebooks(ROOT / "notebooks", tmp_path, "")
    return tmp_path


@pytest.fixture
def serve():
    """Return a function that starts a server of a given class on a folder."""
    servers = []

    def start(kind, *args):
        servers.append(kind(*args))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def write_notebook(path, *cells):
    """Write a notebook of code cells."""
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    code = [
        {"cell_type": "code", "id": f"c{i}", "metadata": {}, "outputs": [], "execution_count": None, "source": cell}
        for i, cell in enumerate(cells)
    ]
    text = json.dumps({"cells": code, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5})
    path.write_text(text, encoding="utf-8")
