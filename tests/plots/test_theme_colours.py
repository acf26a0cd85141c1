"""Colours that can be read and told apart."""

import pytest

from acg_lab.plots.theme import PALETTES, contrast

FILLS = ("stable", "semi_stable", "variable", "variable_bar", "dominant", "once", "low_confidence", "breaking")


@pytest.mark.parametrize("colours", PALETTES.values(), ids=PALETTES)
def test_contrast(colours):
    """Text has 4.5 to 1 on paper and tints and 4.4 on fills; bars of the classes have 3 to 1 on paper."""
    for text in (colours.ink, colours.text2, colours.breaking):
        for ground in (colours.paper, colours.prefix_tint, colours.breaking_tint):
            assert contrast(text, ground) >= 4.5
    for name in FILLS:
        assert contrast(colours.text_on(getattr(colours, name)), getattr(colours, name)) >= 4.4
    for name in ("stable", "semi_stable", "low_confidence", "breaking"):
        assert contrast(getattr(colours, name), colours.paper) >= 3


def test_contrast_of_extremes():
    """Black on white has 21 to 1, a colour on itself 1 to 1."""
    assert contrast("#000000", "#FFFFFF") == contrast("#FFFFFF", "#000000") == 21
    assert contrast("#14538F", "#14538F") == 1
