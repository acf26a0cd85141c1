"""How results look; that they are right is reported elsewhere."""

import copy
import pickle
import re
from pathlib import Path

import msgspec
from learned_backend import SECRET, learned_backend

import acg_lab as acg
from acg_lab.snapshot import Results

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
TAGS = "<script>alert(1)</script>\x1b[31m"


def test_results_are_a_dict():
    """They compare, copy, pickle and encode as the dict that they are."""
    results = acg.analyze(acg.load(learned_backend()))
    assert isinstance(results, dict)
    assert results == dict(results) == copy.deepcopy(results) == pickle.loads(pickle.dumps(results))
    assert msgspec.json.encode(results) == msgspec.json.encode(dict(results))


def test_they_show_themselves_in_a_few_lines():
    """A line a profile, the first twenty of many, within 100 columns; where the prefix ends, and with which score."""
    shown = repr(acg.analyze(acg.load(SAMPLE))).splitlines()
    assert shown[0] == "<Results: 204 profiles, 1,855 requests>"
    assert shown[-1] == "  ... and 184 more profiles; acg_lab.frames.scores has all"
    assert len(shown) == 22
    assert max(map(len, shown)) <= 100
    one = acg.analyze(acg.load(SAMPLE, agent_id="claims-triage"))
    assert "100 requests, 10/17 blocks, then user-10 semi_stable 0.92" in repr(one)
    html = one._repr_html_()
    assert all(f">{cell}</td>" in html for cell in ("user-10", "semi_stable", "0.92"))


def test_no_two_rows_look_the_same():
    """A row is named by its agent and the ends of the parts in which the agent's keys differ, models too."""
    results = acg.analyze(acg.load(SAMPLE))
    rows = repr(results).splitlines()[1:-1]
    assert len({re.sub(r"\s+\d+ requests,.*", "", row) for row in rows}) == len(rows) == 20
    assert any(row.startswith("  code-review model…") for row in rows)
    assert any(row.startswith("  sales-analyst tools…") for row in rows)
    named = re.findall(r"<tr><td[^>]*>([^<]*)</td>", results._repr_html_())
    assert len(set(named)) == 20
    assert "coder" in named  # the only profile of its agent


def test_a_key_that_cannot_be_parsed_names_itself():
    """A key that is no learning key is shown as it is, control characters escaped."""
    (result,) = acg.analyze(acg.load(learned_backend())).values()
    assert "  odd \\n key " in repr(Results({"odd \n key": result}))


def test_nothing():
    """No profiles are no profiles; one without a break ends before nothing."""
    assert repr(Results()) == "<Results: 0 profiles, 0 requests>"
    one_run = acg.analyze(acg.load(learned_backend(n_runs=1), limit=1))
    assert "blocks, then nothing" in repr(one_run)


def test_names_are_escaped_and_no_text_is_shown():
    """Agents' names are text in HTML, control characters spelled; no prompt text can be there."""
    results = acg.analyze(acg.load(learned_backend(agent_id=TAGS)))
    for shown in (repr(results), results._repr_html_()):
        assert SECRET not in shown
        assert "\x1b" not in shown
    assert "<script>" not in results._repr_html_()
