"""Snapshots to plot, and what a figure shows of them."""

from datetime import UTC, datetime, timedelta
from itertools import combinations

from matplotlib.text import Text
from msgspec.structs import replace
from strategies import make_block, make_ir

import acg_lab as acg
from acg_lab.storage.memory import MemoryBackend

FLOW, RELAY = "nemo-flow-0.2", "nemo-relay-0.8"
CANARY = "canary text of a prompt"
_START = datetime(2026, 11, 2, 8, 2, tzinfo=UTC)
_TYPES = {"system": "text", "tools": "tool_schema", "user": "text", "assistant": "text", "tool": "tool_result"}


def key_of(number=0, agent_id="agent", model="model"):
    return f"{agent_id}::model={model}::seed=user:sha256:{number:04x}::system=sha256:0b1f::tools=no-tools"


def request(number, *blocks):
    """Return a request, an hour after the one before; a block is a span id and its content."""
    made = []
    for index, (span_id, content) in enumerate(blocks):
        role = span_id.partition("-")[0]
        known = {"role": "system" if role == "tools" else role, "content_type": _TYPES[role]}
        made.append(make_block(span_id, f"{CANARY} {content}" * 9, index, **known))
    at = (_START + timedelta(hours=number)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return replace(make_ir(), blocks=tuple(made), source_request_hash=f"sha256:{number}", created_at=at)


def window(n, *spans):
    """Return a window; a span is its id and a function from a request's number to its content, None for absent."""
    wholes = [[(span_id, content(i)) for span_id, content in spans] for i in range(n)]
    return [request(i, *(block for block in blocks if block[1] is not None)) for i, blocks in enumerate(wholes)]


def same(_):
    return "same"


def new(i):
    return f"new {i}"


def once_changed(i):
    return "before" if i < 38 else "after"


def snapshot_of(*windows, rules=FLOW, keys=None):
    """Return a snapshot of windows, each of its own profile, with default or given keys."""
    backend = MemoryBackend()
    for number, observations in enumerate(windows):
        backend.store_observations(keys[number] if keys else key_of(number), tuple(observations))
    return acg.load(backend, rules=rules, progress=False)


def of_one(n, *spans, rules=FLOW):
    return snapshot_of(window(n, *spans), rules=rules)


# --- what a figure shows ---


def figure_of(axes):
    return axes.get_figure(root=True)


def by_gid(axes, gid):
    """Return the one artist of a figure with a gid."""
    (found,) = figure_of(axes).findobj(lambda artist: artist.get_gid() == gid)
    return found


def gids(axes, start=""):
    """Return the gids of a figure that start with a text, in drawing order."""
    found = (artist.get_gid() for artist in figure_of(axes).findobj())
    return [gid for gid in found if gid and gid.startswith(start)]


def text_of(axes, gid):
    return by_gid(axes, gid).get_text()


def texts(axes):
    """Return all visible texts; labels of ticks outside the axes are left out."""
    figure = figure_of(axes)
    panels = [place for page in figure.axes for place in (page, *page.child_axes)]
    ticks = {text for panel in panels for axis in (panel.xaxis, panel.yaxis) for text in axis.findobj(Text)}
    seen = {label for panel in panels for axis in (panel.xaxis, panel.yaxis) for label in _labels(panel, axis)}
    found = figure.findobj(lambda artist: isinstance(artist, Text) and (artist in seen or artist not in ticks))
    return [text for text in found if text.get_text() and text.get_visible()]


def _labels(panel, axis):
    """Return the labels of the ticks that are drawn."""
    return [tick.label1 for tick in axis._update_ticks()] if panel.axison else []


def nameless(axes):
    """Return the artists without a gid, apart from those that all axes have."""
    lost = []
    for page in figure_of(axes).axes:
        for place in (page, *page.child_axes):
            own = {place.patch, place.xaxis, place.yaxis, place.title, place._left_title, place._right_title}
            lost += [artist for artist in (place, *place.get_children()) if artist not in own and not artist.get_gid()]
    return lost


def outside(axes):
    """Return the texts that extend beyond the figure by more than a pixel."""
    figure = figure_of(axes)
    figure.draw_without_rendering()
    width, height = figure.bbox.size
    found = []
    for text in texts(axes):
        box = text.get_window_extent()
        if box.x0 < -1 or box.y0 < -1 or box.x1 > width + 1 or box.y1 > height + 1:
            found.append(text.get_text())
    return found


def overlapping(axes):
    """Return the pairs of texts that overlap by more than two pixels."""
    figure_of(axes).draw_without_rendering()
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts(axes)]
    found = []
    for (one, a), (other, b) in combinations(boxes, 2):
        width, height = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        if width > 2 and height > 2:
            found.append((one, other))
    return found
