"""Find artists and texts in a drawn figure, and read the profile behind it."""

import io

from matplotlib.text import Text

from acg_lab import frames
from acg_lab.core import StabilityThresholds
from acg_lab.plots.prefix_profile import read_profile


def key_of(snap, agent_id):
    return next(key for key in frames.profiles(snap)["learning_key"] if key.startswith(f"{agent_id}::"))


def find(axes, gid):
    """Return the artists of a figure whose gid starts with ``gid``."""
    return axes.get_figure().findobj(lambda artist: (artist.get_gid() or "").startswith(gid))


def texts(axes, gid=""):
    return [artist.get_text() for artist in find(axes, gid) if isinstance(artist, Text) and artist.get_text()]


def render(axes, dpi=96):
    axes.get_figure().savefig(io.BytesIO(), dpi=dpi)


def blocks_of(snap, limits=None):
    limits = limits or StabilityThresholds()
    return read_profile(frames.scores(snap, thresholds=limits), limits)
