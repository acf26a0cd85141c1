"""Names of months and weekdays are those of the languages that they are said to be of."""

import pytest
from babel.dates import get_day_names, get_month_names

from acg_lab.diagnosis.text_patterns import find_dates

LANGUAGES = ["cs", "da", "nl", "fr", "de", "it", "nb", "pl", "pt", "ru", "es", "sv", "tr", "uk"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_names(language):
    """A date with any month of a language is one, and so is any weekday by itself."""
    months = get_month_names("wide", "format", language).values()
    texts = [f"{day} {month} 2026" for month in months for day in ("7", "07.", "28")]
    texts += [f"7 {month}" for month in months if len(month) > 4]
    texts += get_day_names("wide", "format", language).values()
    found = {text: list(find_dates(text)) for text in texts}
    assert found == {text: [(0, len(text))] for text in texts}


@pytest.mark.parametrize("text", ["7 janv. 2026", "7. Dez. 2026", "7 de ago de 2026", "7 мая 2026", "7 mag 2026"])
def test_short_names(text):
    """A short name of a month makes a date if the year follows, and else none: it may be a word."""
    assert list(find_dates(text)) == [(0, len(text))]
    assert not list(find_dates(text[:-5].replace(" de ", " ").removesuffix(" de")))
