"""The tuner: settings tried on a snapshot while a slider is dragged.

Belongs here: widgets, their state, and what makes a redraw quick. State is in traits, drawing is done by plots. Imports
all rooms but the command line; ipywidgets only in ``tuner`` and its parts, matplotlib only where pictures are made.

============== ========================================================================================
module         what it holds
============== ========================================================================================
``tuner``      `ThresholdTuner`, the view; ``controls``, ``choosing``, ``exporting``: its parts
``state``      `TunerState`: settings as one frozen value, and what follows from them, without a view
``prefixes``   all profiles' prefixes at any setting; ``profile``: one profile's result and frame
``history``    other observation windows, replayed beside the sliders; ``windows``, ``walking``: its parts
``standing``   the numbers that decide; ``cards``, ``problem``: how they are said
``pictures``   what the tabs show; ``pad``, ``ink``, ``glyphs``, ``png``: pixels without matplotlib's artists
``newest``     when to draw
============== ========================================================================================
"""

from acg_lab.widgets.state import TunerState
from acg_lab.widgets.tuner import ThresholdTuner

__all__ = ["ThresholdTuner", "TunerState"]
