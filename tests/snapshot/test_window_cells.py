"""The cells of a window: which blocks agree with the others."""

from collections import Counter, defaultdict

from hypothesis import given
from strategies import make_ir, windows

import acg_lab as acg
from acg_lab import frames
from acg_lab.snapshot.window_cells import CellContent, find_cells
from acg_lab.storage.memory import MemoryBackend

KEY = "a::model=m::seed=no-seed::system=no-system::tools=no-tools"


def snapshot_of(window):
    backend = MemoryBackend()
    backend.store_observations(KEY, tuple(window))
    return acg.load(backend)


def told(window):
    """Return (request, position, kind, differs) of every block, the plain way."""
    contents, places = defaultdict(Counter), defaultdict(Counter)
    for ir in window:
        for position, block in enumerate(ir.blocks):
            contents[block.span_id][block.content] += 1
            places[position][block.span_id, block.content] += 1
    for request, ir in enumerate(window):
        agrees = True
        for position, block in enumerate(ir.blocks):
            dominant = contents[block.span_id].most_common(1)[0][0] == block.content
            kind = CellContent.dominant if dominant else CellContent.repeated
            kind = CellContent.once if contents[block.span_id][block.content] == 1 else kind
            (commonest, count), *_ = places[position].most_common(1)
            shared = count > 1 or places[position].total() == 1
            leads = shared and commonest == (block.span_id, block.content)
            yield request, position, kind, agrees and not leads
            agrees = agrees and leads


@given(windows())
def test_cells(window):
    """Each block is reported as a plain count tells it, ties going to what was seen first."""
    found = find_cells(snapshot_of(window), KEY)
    columns = (found.requests, found.positions, found.kinds, found.differs)
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == list(told(window))


def test_always_new():
    """Where every request has another block, all of them differ there, the oldest too."""
    found = find_cells(snapshot_of([make_ir(("s", "x"), ("u", str(i))) for i in range(3)]), KEY)
    assert found.positions[found.differs].tolist() == [1, 1, 1]


def test_shorter_request():
    """A request that merely ends earlier differs nowhere."""
    found = find_cells(snapshot_of([make_ir(("s", "x"), ("u", "y"))] * 2 + [make_ir(("s", "x"))]), KEY)
    assert not found.differs.any()


@given(windows())
def test_frame(window):
    """The frame holds the same, a row a block, with the blocks' own names."""
    snap = snapshot_of(window)
    frame, found = frames.cells(snap, KEY), find_cells(snap, KEY)
    assert frame["span_id"].tolist() == [block.span_id for ir in window for block in ir.blocks]
    assert frame["content"].tolist() == [CellContent(kind).name for kind in found.kinds]
    assert frame["first_difference"].tolist() == found.differs.tolist()
    empty = frames.cells(snapshot_of([]), KEY)
    assert frame.dtypes.map(str).to_dict() == empty.dtypes.map(str).to_dict()
