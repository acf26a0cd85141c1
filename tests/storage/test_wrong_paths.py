"""What is no source is refused in words that say what to do instead."""

import pandas as pd
import pytest

import acg_lab as acg


@pytest.mark.parametrize("name", ["request.jsonl", "requests.json", "request"])
def test_typos_get_the_nearest_name(tmp_path, name):
    """A file that is missing is named with the one that is nearly called so."""
    (tmp_path / "requests.jsonl").touch()
    with pytest.raises(acg.SourceError, match=r"no such file or folder\. Did you mean '.*/requests\.jsonl'\?"):
        acg.load(tmp_path / name)


def test_typos_of_samples_get_their_names(tmp_path, monkeypatch):
    """The samples' names count too, where there is no folder in the path."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(acg.SourceError, match="Did you mean 'sample-log'"):
        acg.load("sample-lgo")


def test_nothing_near_is_proposed(tmp_path):
    """Without a near name the message ends."""
    with pytest.raises(acg.SourceError, match=r"no such file or folder\.$"):
        acg.load(tmp_path / "requests.jsonl")


def test_a_folder_is_not_proposed_for_itself(tmp_path):
    """An export that lacks a table is named with the table, and not as what was meant."""
    snap = acg.from_requests([{"model": "gpt-5.1", "messages": [{"role": "user", "content": "hello"}]}])
    acg.append_history(snap, tmp_path / "history")
    for part in (tmp_path / "history" / "calls").rglob("*.parquet"):
        part.unlink()
    with pytest.raises(acg.SourceError, match=r"table 'calls': there is no such file or folder\.$"):
        acg.load(tmp_path / "history")


@pytest.mark.parametrize("address", ["file:///nowhere/requests.jsonl", "memory://nowhere/requests.jsonl"])
def test_addresses_of_nothing(address):
    """A URI of a file that is not there is no error of the file system's client."""
    with pytest.raises(acg.SourceError, match="there is no such file or folder"):
        acg.load(address)


@pytest.mark.parametrize(("name", "reader"), [("rows.csv", "read_csv"), ("rows.TSV", "read_table")])
def test_tables_are_sent_to_pandas(tmp_path, name, reader):
    """A table of another kind is refused with the call that reads it."""
    (tmp_path / name).write_text("input,output\na,b\n")
    with pytest.raises(acg.SourceError, match=rf"acg_lab\.from_requests\(pandas\.{reader}\(\.\.\.\)\)"):
        acg.load(tmp_path / name)


def test_parquet_of_requests_is_sent_to_pandas(tmp_path):
    """A Parquet table without keys and values names its columns, and the call that reads rows of requests."""
    pd.DataFrame({"request": ["{}"], "usage": ["{}"]}).to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(acg.SourceError, match=r"got columns 'request', 'usage'\..*pandas\.read_parquet"):
        acg.load(tmp_path / "rows.parquet")


@pytest.mark.parametrize("rows", [[{"messages": []}], {"messages": []}, pd.DataFrame({"a": [1]})])
def test_requests_in_memory_are_sent_to_their_function(rows):
    """A list, a dict or a DataFrame is no source; the message names the function for it."""
    with pytest.raises(acg.UsageError, match=r"acg_lab\.from_requests reads one in memory"):
        acg.load(rows)
