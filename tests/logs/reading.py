"""What the tests of readers share: fixture files to documents, and what a reader yields sorted by kind."""

import json
from pathlib import Path

from acg_lab.logs.entries import Document, LoggedCall, LoggedRun, LogProblem, ReadOptions

FIXTURES = Path(__file__).parent / "fixtures"


def lines(*names):
    """Return the lines of fixtures as documents."""
    return [document for name in names for document in documents((FIXTURES / name).read_text().splitlines(), name)]


def whole(name):
    """Return a fixture as one document."""
    return [Document((FIXTURES / name).read_bytes(), name, 1)]


def documents(texts, file="log"):
    """Return texts, or JSON values, as documents of one file."""
    raws = [text if isinstance(text, str) else json.dumps(text) for text in texts]
    return [Document(raw.encode(), file, line) for line, raw in enumerate(raws, 1)]


class Read:
    """All that a reader yields of documents.

    Attributes
    ----------
    calls, runs, problems : list
    """

    def __init__(self, reader, given, options=None):
        found = list(reader(iter(given), options or ReadOptions()))
        self.calls, self.runs, self.problems = (
            [one for one in found if isinstance(one, kind)] for kind in (LoggedCall, LoggedRun, LogProblem)
        )

    @property
    def bodies(self):
        """Return the bodies of the calls."""
        return [json.loads(call.request) for call in self.calls]

    @property
    def notes(self):
        """Return the texts of all notes."""
        return {note.text for call in self.calls for note in call.notes}
