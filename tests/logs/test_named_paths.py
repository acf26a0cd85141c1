"""Paths of fields that a caller names, and formats and APIs that are mistyped."""

import json

import pytest

import acg_lab as acg
from acg_lab.core import UsageError

SECRET = "hunter2"
BODY = {"model": "gpt-5.1", "messages": [{"role": "user", "content": SECRET}]}
LINE = {"request": BODY, "metadata": {"team": {"name": SECRET}}, "started_at": "2026-11-01T10:00:00Z"}


def test_a_path_that_no_line_has_is_refused():
    """The message names the nearest paths that are there, no value, and nothing inside the request."""
    with pytest.raises(UsageError, match=r"'metadata\.team\.nam'.*the nearest are metadata\.team\.name") as caught:
        acg.from_requests([LINE], fields={"agent": "metadata.team.nam"})
    assert SECRET not in str(caught.value)
    assert "messages" not in str(caught.value)


def test_a_path_that_one_line_has_counts():
    """A path that only the last of many lines has is accepted; the others have the fallback."""
    rows = [{"request": BODY}] * 60 + [LINE]
    assert acg.from_requests(rows, fields={"agent": "metadata.team.name"}).agent_ids == (SECRET, "requests")


def test_paths_are_for_formats_that_take_them():
    """An event file says itself where the agent stands, so a path for it is refused."""
    with pytest.raises(UsageError, match="'agent' can't be named for logs of the format 'atof'"):
        acg.from_requests([{"atof_version": "0.1"}], fields={"agent": "a.b"})


def test_a_request_under_another_name():
    """A body that stands under an unknown name is pointed out, and read when it is named."""
    row = {"sent": {"inner": BODY}}
    with pytest.warns(acg.snapshot.LoadWarning, match=r"'sent\.inner' looks like a request"):
        snap = acg.from_requests([row])
    assert not len(snap.runs)
    assert len(acg.from_requests([row], fields={"request": "sent.inner"}).runs) == 1


@pytest.mark.parametrize(
    ("options", "nearest"),
    [({"format": "atoff"}, "atof"), ({"api": "antropic"}, "anthropic"), ({"fields": {"agnt": "x"}}, "agent")],
)
def test_mistyped_names(options, nearest):
    """Of a mistyped format, API or field the nearest is named."""
    with pytest.raises(UsageError, match=f"Did you mean '{nearest}'"):
        acg.from_requests([BODY], **options)


def test_times_that_are_none_are_named_by_their_path():
    """A problem has the path of the time as it stands in the line."""
    with pytest.warns(acg.snapshot.LoadWarning, match=r"\$\.metadata\.ts: expected a time"):
        acg.from_requests([{"request": BODY, "metadata": {"ts": "yesterday"}}])


def test_requests_without_a_time(tmp_path):
    """Where a time was asked for, requests without one are left out, and counted."""
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in [LINE, BODY, BODY]))
    snap = acg.load(path, since="2026-11-01")
    assert len(snap.runs) == 1
    assert "2 requests without a time left out, since a time was asked for" in snap.caveats


@pytest.mark.parametrize("name", ["log", "log.csv", "log.2026-11-01"])
def test_files_of_other_names(tmp_path, name):
    """A file that begins like JSON is a log, whatever its name."""
    path = tmp_path / name
    path.write_text(json.dumps(LINE) + "\n")
    assert len(acg.load(path).runs) == 1


def test_hidden_files_of_a_glob(tmp_path):
    """A glob leaves out names that begin with an underscore or a dot."""
    for name in ("a.jsonl", "_b.jsonl"):
        (tmp_path / name).write_text(json.dumps(LINE) + "\n")
    assert len(acg.load(str(tmp_path / "*.jsonl")).runs) == 1
