"""The report: one file that needs nothing else, says what the tables say, and shows nothing that was not asked for."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import acg_lab as acg
from acg_lab.reporting import Report

HOSTILE = '"><script>alert(1)</script>\x1b[31m'
GUIDE = " ".join(f"Rule {i}: answer case {i} by the secret handbook." for i in range(400))


class Page(HTMLParser):
    """What a page is made of: its tags, and its texts outside of styles."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.images, self.texts, self._in_style = [], [], [], False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self._in_style = tag == "style"
        if tag in ("img", "source"):
            self.images.append(dict(attrs))

    def handle_data(self, data):
        if not self._in_style:
            self.texts.append(data.strip())


def ask(i, agent_id):
    body = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 100,
        "system": [
            {"type": "text", "text": f"Now: 2026-11-02 09:{i:02}. {GUIDE}", "cache_control": {"type": "ephemeral"}}
        ],
        "messages": [{"role": "user", "content": f"Where is order {i}?"}],
    }
    return {"request": body, "start_time": 1_793_491_200 + 60 * i, "session_id": f"s{i}", "agent_id": agent_id}


@pytest.fixture(scope="module")
def hostile():
    """Return the report of a log whose agent has a name of markup and escape sequences."""
    return acg.report(acg.from_requests([ask(i, HOSTILE) for i in range(20)]), advice=False, progress=False)


@pytest.fixture(scope="module")
def page(sample):
    return acg.report(sample, advice=False, progress=False)


def test_it_says_what_is_paid_and_what_is_lost_first(page):
    """The first sentence has cost, loss and cause of the sample, and the table each agent's, dearest first."""
    assert page.summary.startswith("$19.73 of input in 14 days, $7.92 of it (40%) for nothing, most by support-chat:")
    texts = Page(page.html).texts
    assert texts.index("support-chat") < texts.index("sales-analyst") < texts.index("handbook-search")
    assert {"$4.82", "$3.15", "$1.67"} <= set(texts)


def test_it_needs_nothing_else(page):
    """No script, no link, and every image is in the file, in both themes, with its words; below 2 MB."""
    parsed = Page(page.html)
    assert not {"script", "link", "iframe", "object"} & set(parsed.tags)
    assert not re.search(r'(src|srcset|href)="(?!data:)', page.html)
    assert "url(" not in page.html
    assert len(parsed.images) == 6
    assert all(image.get("alt") or "srcset" in image for image in parsed.images)
    assert "is paid for nothing" in parsed.images[1]["alt"]
    assert len(page.html.encode()) < 2e6


def test_it_says_how_it_was_computed(page):
    """Rules, the date of the price list, versions, and how far the simulation can be trusted are on the page."""
    texts = " ".join(Page(page.html).texts)
    for fact in (
        "nemo-relay-0.8",
        "Anthropic Claude API",
        "genai-prices",
        f"acg-lab {acg.__version__}",
        "against bills",
    ):
        assert fact in texts


def test_names_are_not_markup(hostile):
    """An agent's name is shown with its characters escaped, in the page, in its repr and in a notebook."""
    assert "script" not in Page(hostile.html).tags
    assert "<script>alert" not in hostile._repr_html_()
    for text in (hostile.html, repr(hostile), hostile._repr_html_()):
        assert "\x1b" not in text


def test_no_prompt_text_unless_asked(hostile):
    """Texts of prompts are on the page with text=True only, and then only excerpts."""
    assert "handbook" not in hostile.html
    shown = acg.report(acg.from_requests([ask(i, "a") for i in range(20)]), advice=False, text=True, progress=False)
    assert "at 19" in shown.html
    assert "at 19" not in hostile.html


@pytest.mark.slow
def test_advice_is_the_recommendation(sample):
    """With advice the page has the lines of `acg.recommend`."""
    snap = acg.load(sample.source, agent_id="claims-triage")
    lines = acg.recommend(snap, progress=False).lines
    texts = Page(acg.report(snap, progress=False).html).texts
    assert lines[0] in texts


def test_windows_without_requests(sample):
    """A snapshot without recorded requests has no costs, and the page says so instead of zeros."""
    backend = acg.MemoryBackend()
    for key in list(sample.windows)[:2]:
        backend.store_observations(key, sample.windows[key])
    made = acg.report(acg.load(backend), progress=False)
    assert made.summary == "No requests are recorded."
    assert "$" not in made.html.partition("<body>")[2].partition("What causes it")[0]


def test_a_theme_that_is_set_stays(sample):
    """Drawing both themes leaves the theme of the notebook as it was."""
    acg.plots.set_theme("dark")
    try:
        acg.report(acg.load(sample.source, agent_id="support-legacy"), advice=False, progress=False)
        assert acg.plots.theme() == "dark"
    finally:
        acg.plots.set_theme("light")


def test_a_file_that_cannot_be_written(tmp_path):
    """A folder that does not exist is an error of the source, with the path."""
    with pytest.raises(acg.SourceError, match=r"can't be written to .*missing"):
        Report("<p>", "s").save(tmp_path / "missing" / "report.html")


def test_what_is_no_snapshot():
    """Something else than a snapshot is refused by name."""
    with pytest.raises(acg.UsageError, match="Snapshot"):
        acg.report([1, 2])


@pytest.mark.slow
def test_the_command_writes_the_file(tmp_path, sample):
    """``acg-lab report`` writes what Python writes, as private as asked for, and prints its first sentence."""
    path = tmp_path / "report.html"
    command = [sys.executable, "-m", "acg_lab", "report", str(sample.source), "--agent", "support-legacy"]
    done = subprocess.run(
        [*command, "--no-advice", "--out", str(path), "--mode", "640"], capture_output=True, text=True, check=True
    )
    snap = acg.load(sample.source, agent_id="support-legacy")
    made = acg.report(snap, advice=False, progress=False)
    assert done.stdout.splitlines()[0] == made.summary
    assert Page(Path(path).read_text(encoding="utf-8")).texts == Page(made.html).texts
    assert os.name != "posix" or path.stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_report_is_for_its_owner_alone(tmp_path):
    """A new file is private; one that is replaced keeps its permissions; ``mode`` sets others."""
    made, path = Report("<p>", "s"), tmp_path / "report.html"
    made.save(path)
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    made.save(path)
    assert path.stat().st_mode & 0o777 == 0o640
    made.save(path, mode=0o604)
    assert path.stat().st_mode & 0o777 == 0o604
    assert path.read_text() == "<p>"


@pytest.mark.parametrize("fault", ["all failed", "no bill and no rules"])
def test_what_is_not_known_is_called_so(fault):
    """Where every request failed, or nothing speaks of reads, the report says so, and shows no number that is none."""
    rows = [ask(i, "a") for i in range(6)]
    for row in rows:
        if fault == "all failed":
            row["status"], row["error"] = 529, "overloaded"
        else:
            row["request"] = {"model": "house-model", "messages": [{"role": "user", "content": GUIDE}]}
    made = acg.report(acg.from_requests(rows), advice=False, progress=False)
    texts = Page(made.html).texts
    assert not any("nan" in text for text in texts if "$" in text or "tokens" in text)
    assert "unknown" in texts
    assert made.summary.startswith(
        "No request was answered" if fault == "all failed" else "6 requests of models without"
    )
