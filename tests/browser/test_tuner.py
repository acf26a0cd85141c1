"""The tuner in a real browser, in JupyterLab and in Voilà."""

import re

import pytest
from browser.fixtures import write_notebook
from browser.servers import ROOT, Lab, Voila

import acg_lab as acg

pytestmark = pytest.mark.slow

TUNER = """\
import IPython.display
import acg_lab as acg
from acg_lab.widgets.page import make_header
IPython.display.display(make_header("a source"))
snap = acg.load({sample!r}, agent_id="claims-triage")
acg.ThresholdTuner(snap, acg.replay(snap, progress=False), config="plugins.toml")
"""
ROWS = """() => {
  const rows = {};
  for (const tile of document.querySelectorAll('.acg-number')) rows[tile.offsetTop] = (rows[tile.offsetTop] || 0) + 1;
  return Object.values(rows);
}"""
SHOWN = """() => [...document.querySelectorAll('.acg-picture')].filter(e => getComputedStyle(e).display !== 'none')
  .map(e => e.className.match(/acg-in-[a-z]+/)[0])"""
SLIDERS = ("stable_threshold", "semi_stable_threshold", "observation_window", "min_observations_for_full_confidence")


def open_with(page, server, notebook):
    """Open a notebook in a page, run it, and wait for the tuner."""
    opening = page.open_lab if isinstance(server, Lab) else page.open_voila
    opening(server.address(notebook))
    page.page.wait_for_selector(".acg-tuner .noUi-handle", timeout=120_000)
    page.page.wait_for_function("document.querySelector('.acg-picture')?.naturalWidth > 0", timeout=60_000)


def settle(page):
    """Wait until the picture is sharp and nothing changes."""
    last = None
    for _ in range(100):
        page.page.wait_for_function("document.querySelector('.acg-picture').naturalWidth > 1000", timeout=60_000)
        if (now := state_of(page)) == last:
            return
        last = now
        page.page.wait_for_timeout(600)


def state_of(page):
    """Return what is shown: the picture's address, numbers, and changed lines."""
    return page.page.evaluate(
        "() => ['.acg-picture', '.acg-numbers', '.acg-toml pre'].map(name => {"
        " const found = document.querySelector(name); return found.src || found.innerText; })"
    )


@pytest.mark.parametrize("kind", [Lab, Voila])
def test_notebook_2(kind, folder, serve, new_page):
    """Notebook 2 runs; picture, numbers and file follow sliders, keyboard and export."""
    page, server = new_page(), serve(kind, folder)
    open_with(page, server, "2_tune.ipynb")
    page.page.wait_for_function("document.body.innerText.includes('# acg-lab: claims-triage')", timeout=120_000)
    page.page.locator(".acg-tuner").scroll_into_view_if_needed()
    settle(page)
    for number, name in enumerate(SLIDERS):
        before = state_of(page)
        page.drag(page.handle(number), -25, steps=5)
        page.page.wait_for_function("old => document.querySelector('.acg-toml pre').innerText !== old", arg=before[2])
        settle(page)
        picture, numbers, lines = state_of(page)
        assert re.search(rf"^{name} += [\d.]+ +# was ", lines, re.MULTILINE)
        if number < 3:  # confidence is not in the picture of blocks
            assert picture != before[0]
        assert number or numbers != before[1]
    before = state_of(page)[2]
    page.handle(0).focus()
    page.page.keyboard.press("ArrowLeft")
    page.page.wait_for_function("old => document.querySelector('.acg-toml pre').innerText !== old", arg=before)
    settle(page)
    exact = page.page.locator(".acg-exact input").first
    exact.fill("0.8765")
    exact.press("Enter")
    settle(page)
    assert "stable_threshold                     = 0.8765" in state_of(page)[2], "what is typed is not rounded"
    # The notebook has written the file from code meanwhile: what an export would undo is shown first.
    page.page.locator(".acg-write button").click()
    page.page.wait_for_selector("text=has other settings than were shown as current")
    settle(page)
    assert re.search(r"^stable_threshold +=.*# was 0.74$", state_of(page)[2], re.MULTILINE)
    path = page.page.locator(".acg-write input").input_value()
    lines = dict(re.findall(r"^(\w+) += ([\d.]+)", state_of(page)[2], re.MULTILINE))
    page.page.locator(".acg-write button").click()
    page.page.wait_for_selector("text=is written")
    written = acg.load_config(path).values()
    assert {name: float(value) for name, value in lines.items()} == {name: written[name] for name in lines}
    assert page.page.locator(".acg-write button").is_disabled()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_can_be_read(theme, tmp_path, serve, new_page):
    """At 1280 and 720 px nothing is cut off or overlaps, no tile stands alone, and the picture is in the right theme.

    Handles have names. The page follows a system that is dark. Screenshots are kept.
    """
    acg.export_config(tmp_path / "plugins.toml", acg.AcgSettings())
    write_notebook(tmp_path / "tuner.ipynb", TUNER.format(sample=str(ROOT / "data" / "sample")))
    server = serve(Voila, tmp_path, theme)
    for width in (1280, 720):
        page = new_page(width)
        open_with(page, server, "tuner.ipynb")
        settle(page)
        page.page.screenshot(path=tmp_path / f"{theme}-{width}.png", full_page=True)
        cut = page.page.evaluate(
            "() => [...document.querySelectorAll('.acg-tuner, .acg-tuner .widget-box, .acg-number, .acg-control')]"
            ".filter(e => e.scrollWidth > e.clientWidth + 1)"
            ".map(e => `${e.className.replace(/.*widget-/, '')} ${e.scrollWidth} in ${e.clientWidth}`)"
        )
        assert cut == []
        assert page.page.evaluate("document.documentElement.scrollWidth") <= width
        boxes = [page.page.locator(f".acg-{name}").first.bounding_box() for name in ("controls", "plot")]
        is_beside = boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]
        assert is_beside == (width == 1280)
        assert is_beside or boxes[0]["y"] + boxes[0]["height"] <= boxes[1]["y"]
        rows = page.page.evaluate(ROWS)
        assert rows
        assert min(rows) > 1
        assert boxes[1]["x"] + boxes[1]["width"] > 0.9 * width, "no empty quarter"
        assert page.page.evaluate(SHOWN) == [f"acg-in-{theme}"]
        page.page.wait_for_function(f"document.querySelectorAll('.noUi-handle[aria-label]').length === {len(SLIDERS)}")
        names = page.page.evaluate("[...document.querySelectorAll('.noUi-handle')].map(e => e.ariaLabel)")
        assert names == list(SLIDERS)
    if theme == "light":
        page.page.emulate_media(color_scheme="dark")
        assert page.page.evaluate(SHOWN) == ["acg-in-dark"]
        assert page.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(17, 17, 17)"
