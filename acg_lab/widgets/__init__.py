"""The tuner: settings tried on a snapshot while a slider is dragged.

State is in traits; plots draw the pictures. ipywidgets is imported only by ``tuner`` and the parts of its view.

================= ============================================================================================
module            what it holds
================= ============================================================================================
``tuner``         `ThresholdTuner`, the view; ``controls``, ``numbers``, ``export_panel``: its parts
``state``         `TunerState`: settings as one frozen value, and what follows from them, without a view
``prefixes``      the stable prefixes of all profiles at any setting; ``profile``: one profile in full
``matches``       how many requests repeated their prefix
``background``    other observation windows, replayed in a thread; ``windows``: one observation window
``money``         what settings cost, priced in a thread; ``cost_tiles``: the same as HTML
``questions``     what is asked of the advice; ``background_results``: its answers, found in a thread
``recommendation_card``: the card that says which settings to run
``advice``        what breaks a prefix, and which threshold would include the block
``views``         the tabs and their pictures; ``raster_canvas``, ``raster``: pixels without matplotlib's artists
``picture_panel`` one image per theme; ``page``: the head of the page of ``acg-lab app``
``debounce``      when to draw
================= ============================================================================================
"""

from acg_lab.widgets.state import TunerState
from acg_lab.widgets.tuner import ThresholdTuner

__all__ = ["ThresholdTuner", "TunerState"]
