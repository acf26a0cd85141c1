"""A real browser shows the HTML of notebooks safely and readably."""

import msgspec
import pytest
from changing_windows import NAMES, TRUE
from small_snapshots import a_minute_apart, snapshot_of_window
from strategies import make_ir

import acg_lab as acg
from acg_lab.diagnosis import Kind

pytestmark = pytest.mark.slow

TAGS = "<script>document.title = 'run'</script><img src=x onerror=\"document.title = 'run'\">"


def tagged(values):
    """Return a snapshot whose names and texts all hold tags."""
    key = f"{TAGS}::model={TAGS}::seed=no-seed::system=no-system::tools=no-tools"
    texts = [(f"{TAGS} {'Known. ' * 40} {value}{TAGS} {'Known. ' * 40}", TAGS * 9) for value in values]
    window = [make_ir((f"user-0{TAGS}", TAGS), (f"user-1{TAGS}", a), (f"user-2{TAGS}", b)) for a, b in texts]
    tools = [
        msgspec.structs.replace(b, role="system", content_type="tool_schema") for b in make_ir((TAGS, TAGS)).blocks
    ]
    return snapshot_of_window(
        a_minute_apart(msgspec.structs.replace(ir, blocks=(*tools, *ir.blocks)) for ir in window), key=key
    )


@pytest.mark.parametrize(
    "values", [NAMES, TRUE[Kind.DATETIME][0], TRUE[Kind.VARIANTS][0]], ids=["names", "dates", "two"]
)
def test_tags_show_as_text(browser, values):
    """Script and image tags in names and texts are shown as text, and neither run nor fetched."""
    snap = tagged(values)
    findings = acg.explain(snap, text=True)
    mended = acg.what_if(snap, findings[0].repairs[0].repairs)
    shown = [findings, acg.explain(snap), snap, mended, acg.analyze(snap), acg.analyze(mended)]
    page = browser.new_page()
    page.set_content("<title>idle</title>" + "<hr>".join(value._repr_html_() for value in shown))
    page.wait_for_timeout(200)
    assert page.title() == "idle"
    assert page.locator("script, img").count() == 0
    assert "<script>document.title" in page.inner_text("body")
    page.close()


def test_both_themes_can_be_read(browser):
    """Text contrasts with its background in JupyterLab's dark and light themes."""
    html = acg.explain(tagged(NAMES))._repr_html_()
    for paper, ink in (("rgb(17, 17, 17)", "rgb(230, 230, 230)"), ("rgb(255, 255, 255)", "rgb(33, 33, 33)")):
        page = browser.new_page()
        page.set_content(f"<style>:root {{ --jp-ui-font-color1: {ink} }} body {{ background: {paper} }}</style>{html}")
        cell = page.locator("td").first
        assert cell.evaluate("cell => getComputedStyle(cell).color") == ink
        assert cell.evaluate("cell => getComputedStyle(cell).backgroundColor") == "rgba(0, 0, 0, 0)"
        page.close()
