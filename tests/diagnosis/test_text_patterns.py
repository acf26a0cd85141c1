"""The names of months and weekdays are those of Unicode CLDR in each language."""

import pytest
from babel.dates import get_day_names, get_month_names

from acg_lab.diagnosis.text_patterns import find_dates

LANGUAGES = ["cs", "da", "nl", "fr", "de", "it", "nb", "pl", "pt", "ru", "es", "sv", "tr", "uk"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_names(language):
    """Dates with each month of a language are found, and so are its weekdays."""
    months = get_month_names("wide", "format", language).values()
    texts = [f"{day} {month} 2026" for month in months for day in ("7", "07.", "28")]
    texts += [f"7 {month}" for month in months if len(month) > 4]
    texts += get_day_names("wide", "format", language).values()
    found = {text: list(find_dates(text)) for text in texts}
    assert found == {text: [(0, len(text))] for text in texts}


@pytest.mark.parametrize("text", ["7 janv. 2026", "7. Dez. 2026", "7 de ago de 2026", "7 мая 2026", "7 mag 2026"])
def test_short_names(text):
    """A month's short name forms a date only if a year follows, since it may be a word."""
    assert list(find_dates(text)) == [(0, len(text))]
    assert not list(find_dates(text[:-5].replace(" de ", " ").removesuffix(" de")))
