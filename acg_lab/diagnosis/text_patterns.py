"""Find dates, identifiers, paths and numbers in a text, and remove them.

Dates are found in the forms in which prompts write them, with names of months and weekdays in the languages of most
prompts. Regular expressions find candidates; dateutil decides on English and numeric dates.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache, lru_cache
from typing import NamedTuple

from acg_lab.repairs.text_diff import TextDifference

__all__ = ["DATETIME", "IDENTIFIER", "NUMBER", "PATH", "Pattern", "find_dates"]

# From CLDR, in the form that dates use; each name once.
_MONTHS = (
    "ledna února března dubna května června července srpna září října listopadu prosince "  # Czech
    "januar februar marts april juni juli august september oktober november december "  # Danish
    "januari februari maart augustus "  # Dutch
    "janvier février mars avril juin juillet août septembre octobre novembre décembre "  # French
    "märz dezember "  # German
    "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre dicembre "  # Italian
    "desember "  # Norwegian
    "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia "  # Polish
    "janeiro fevereiro março abril maio junho julho setembro outubro novembro dezembro "  # Portuguese
    "января февраля марта апреля июня июля августа сентября октября ноября декабря "  # Russian
    "enero febrero mayo junio julio septiembre octubre noviembre diciembre "  # Spanish
    "augusti "  # Swedish
    "ocak şubat mart nisan mayıs haziran temmuz ağustos eylül ekim kasım aralık "  # Turkish  # noqa: RUF001
    "січня лютого березня квітня травня червня липня серпня вересня жовтня листопада грудня"  # Ukrainian
)
# Too short to form a date without a year.
_SHORT_MONTHS = (
    "led úno bře dub kvě čvn čvc srp zář říj lis pro jan feb mar apr maj jun jul aug sep okt nov dec mrt mei janv "
    "févr avr mai juil sept oct déc dez gen mag giu lug ago set ott dic des sty lut kwi cze lip sie wrz paź gru fev "
    "abr out янв февр мар апр мая июн июл авг сент окт нояб дек ene may oca şub nis haz tem ağu eyl eki kas ara "
    "січ лют бер квіт "  # noqa: RUF001
    "трав черв лип серп вер жовт лист груд"
)
_WEEKDAYS = (
    "neděle pondělí úterý středa čtvrtek pátek sobota "  # Czech
    "søndag mandag tirsdag onsdag torsdag fredag lørdag "  # Danish, Norwegian
    "zondag maandag dinsdag woensdag donderdag vrijdag zaterdag "  # Dutch
    "dimanche lundi mardi mercredi jeudi vendredi samedi "  # French
    "sonntag montag dienstag mittwoch donnerstag freitag samstag "  # German
    "domenica lunedì martedì mercoledì giovedì venerdì sabato "  # Italian
    "niedziela poniedziałek wtorek środa czwartek piątek "  # Polish
    "domingo segunda-feira terça-feira quarta-feira quinta-feira sexta-feira sábado "  # Portuguese
    "воскресенье понедельник вторник среда четверг пятница суббота "  # Russian
    "lunes martes miércoles jueves viernes "  # Spanish
    "söndag måndag tisdag lördag "  # Swedish
    "pazar pazartesi salı çarşamba perşembe cuma cumartesi "  # Turkish  # noqa: RUF001
    "неділя понеділок вівторок середа четвер пʼятниця субота"  # Ukrainian
)


def _any(words: str) -> str:
    """Return an expression for words, capitalised or not, by their first letters, which rule out most texts fast."""
    found: dict[str, list[str]] = {}
    for word in sorted(words.split(), key=len, reverse=True):
        found.setdefault(word[0], []).append(word[1:])
    return "|".join(f"[{first}{first.upper()}](?:{'|'.join(rests)})" for first, rests in found.items())


_ENGLISH = (
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December|"
    r"(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\b\.?)"
)
_WEEKDAY = r"(?:(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day\b|(?:Mon|Tues?|Wed|Thu(?:rs?)?|Fri|Sat|Sun)\b\.?)"
_ZONE = r"(?:\s?[+-]\d\d:?\d\d\b)?(?:\s?(?:Z|UTC|GMT|[ECMP][SD]T|CES?T)\b)?(?:\s?[+-]\d\d:?\d\d\b)?"
_CLOCK = rf"(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:[.,]\d+)?)?(?:\s?[AaPp]\.?[Mm]\b\.?)?{_ZONE}"
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_MONTH = r"(?:0[1-9]|1[0-2])"
_NAMED = (
    rf"(?:{_DAY}(?:st|nd|rd|th)?\s(?:of\s)?{_ENGLISH}(?:,?\s\d{{4}})?|"
    rf"{_ENGLISH}\s{_DAY}(?:st|nd|rd|th)?\b(?:,?\s\d{{4}})?|{_ENGLISH}\s\d{{4}})"
)
_NUMERIC = (
    rf"(?:\d{{4}}-{_MONTH}-[0-3]\d|\d{{4}}/(?:0?\d|1[0-2])/[0-3]?\d|\d{{1,2}}/\d{{1,2}}/(?:\d\d){{1,2}}|"
    r"\d{1,2}\.\d{1,2}\.\d{4})"
)
_DATE = rf"(?:(?:{_WEEKDAY},?\s)?(?:{_NAMED}|{_NUMERIC}))"
_BY_NUMBERS = (
    rf"{_DAY}[-/]{_ENGLISH}[-/]\d{{2,4}}(?::{_CLOCK})?",
    rf"(?:20\d\d{_MONTH}{_DAY}(?:T?\d{{6}}|T?\d{{4}})?|\d{{8}}T\d{{6}})Z?",
    rf"{_DAY}\.{_MONTH}\.\d\d|\d{{4}}\.{_MONTH}\.\d\d|\d{{4}}\.\s\d{{1,2}}\.\s\d{{1,2}}\.?",
    rf"\d{{4}}-W\d\d(?:-\d)?|{_CLOCK}|\d{{1,2}}\s?[AaPp]\.?[Mm]\b",
    r"\d{1,2}\s?h\s?[0-5]\d|\d{1,2}(?:\.[0-5]\d)?\sUhr",
    # Unix times of the years 2001 to 2033, in seconds, milliseconds, microseconds or nanoseconds.
    r"1\d{9}(?:\d{3}){0,3}(?:\.\d+)?",
    rf"(?:{_DAY}\.?|1er)\s(?:de\s)?(?:{_any(_MONTHS)})(?:\s(?:de\s)?\d{{4}})?",
    rf"(?:{_DAY}\.?|1er)\s(?:de\s)?(?:{_any(_SHORT_MONTHS)})\.?\s(?:de\s)?\d{{4}}",
)
_BY_NAMES = (
    rf"{_WEEKDAY}(?:\s{_CLOCK})?|{_ENGLISH}|Q[1-4][ /-]\d{{4}}",
    rf"(?:{_any(_WEEKDAYS)})|(?:{_any(_MONTHS)})\s(?:de\s)?\d{{4}}",
)
_WITHOUT_SPACES = (
    r"(?:(?:令和\s?|\d\d)\d{1,2}\s?[年년]\s?)?\d{1,2}\s?[月월]\s?\d{1,2}\s?[日일号]",
    r"[月火水木金土日]曜日?|[(\uff08][月火水木金土日][)\uff09]|(?:星期|周|礼拜)[一二三四五六日天]|[월화수목금토일]요일",
    r"(?:(?:午前|午後|上午|下午|오전\s|오후\s)\d{1,2}\s?[时時點点시]|\d{1,2}\s?[時시])(?![間间])(?:\s?\d{1,2}\s?[分분])?",
    r"\d{1,2}\s?[时點点]\s?\d{1,2}\s?分",
)
_DATETIME = (
    rf"(?<![\w.:/-])(?=\w)(?:(?P<date>{_DATE})(?:(?:T|,?\s(?:at\s)?){_CLOCK})?|"
    rf"(?=\d)(?:{'|'.join(_BY_NUMBERS)})|(?=\D)(?:{'|'.join(_BY_NAMES)}))(?![\w/-]|:\S|\.\d)|"
    # Dates as file and directory names write them.
    rf"(?=\d)(?<![\d.:/])(?<!\d-)\d{{4}}-{_MONTH}-{_DAY}(?:[T_ -]\d\d(?:[-_.:]?\d\d){{0,2}})?(?![\d:/]|-\d|\.\d)|"
    rf"(?=[\d(\uff08\u3000-\uffff])(?<!\d)(?:{'|'.join(_WITHOUT_SPACES)})"
)


@cache
def _compiled() -> re.Pattern[str]:
    return re.compile(_DATETIME)  # compiled on first use: it takes longer than importing most of this package


@lru_cache(maxsize=4096)
def _is_date(text: str) -> bool:
    from dateutil import parser  # noqa: PLC0415

    try:
        parser.parse(text)
    except (ValueError, OverflowError):
        return False
    return True


def find_dates(text: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of each date or time in a text, in order."""
    for match in _compiled().finditer(text):
        if match["date"] is None or _is_date(match["date"]):
            yield match.span()


_PLACEHOLDER = "\ue000"
_HEX = r"(?=[0-9a-fA-F]*\d)(?=\d*[a-fA-F])[0-9a-fA-F]{7,}"
_MIXED = r"(?=(?:[A-Za-z_]*\d){2})(?=(?:[\d_]*[A-Za-z]){2})[A-Za-z0-9_]{10,}"
_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_identifier = re.compile(
    rf"(?<![0-9a-fA-F])(?<![0-9a-fA-F]-){_UUID}(?!-?[0-9a-fA-F])|(?<![\w:])(?:[0-9a-fA-F]{{2}}:){{5}}[0-9a-fA-F]{{2}}(?![\w:])|"
    rf"(?<![\w-])(?:eyJ[\w-]+\.[\w-]+\.[\w-]+|(?:[A-Za-z][A-Za-z0-9]*[-_:]){{0,4}}(?:{_HEX}|{_MIXED})(?:=|\b))(?![\w-])|"
    r"(?<![A-Za-z0-9])(?:0x)?(?=\d*[a-fA-F])[0-9a-fA-F]{16,}(?![A-Za-z0-9])|"
    r"(?<![\w.,-])\d{15,}(?![\w.,-])|"
    r"(?<![\w-])(?=[\w-]*\d)(?=[\w-]*[a-z])(?=[\w-]*[A-Z])[A-Za-z0-9_-]{16,}={0,2}(?![\w-])|"
    r"(?<![\w+/])(?=[A-Za-z0-9+/]*\d)(?=[A-Za-z0-9+/]*[a-z])(?=[A-Za-z0-9+/]*[A-Z])[A-Za-z0-9+/]{20,}={0,2}(?![\w+/])"
)
_GROUPS = r"(?:[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){0,6})?"
_IPV6 = rf"(?:[0-9a-fA-F]{{1,4}}:){{7}}[0-9a-fA-F]{{1,4}}|{_GROUPS}::{_GROUPS}"
_path = re.compile(
    r"(?<![\w:/])[a-z][a-z0-9+.-]{1,9}://[^\s\"'<>]+|"
    r"(?<![\w.~<:/\\])(?:~|\.{1,2})?/(?:[\w.@+%-]+/)+[\w.@+%-]*|"
    r"(?<![\w.~<:/\\])/(?:bin|dev|etc|home|mnt|opt|proc|root|srv|tmp|usr|var)/[\w.@+%-]+|"
    r"(?<![\w.@~<:/\\-])(?:[\w.@+-]+/)+[\w@+-]+\.[a-zA-Z]\w{0,4}(?![\w/])|"
    r"(?<![\w:])[A-Za-z]:\\(?:[\w .@+-]+\\)*[\w.@+-]+|(?<![\w\\])\\\\[\w.-]+(?:\\[\w.@$+-]+)+|"
    r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?(?![\w.])|"
    rf"(?<![\w:])(?:{_IPV6})(?![\w:])|(?<![\w.-])localhost:\d+|"
    # Pods of a Kubernetes deployment.
    r"(?<![\w.-])[a-z0-9-]+-[0-9a-f]{8,10}-[b-df-hj-np-tv-xz2-9]{5}(?![\w-])|"
    r"(?<![\w.@-])(?=[\w.-]*[a-z])(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.){2,}[a-z][a-z0-9-]+(?::\d+)?(?![\w@-])|"
    r"(?<![\w.@-])[a-z][a-z0-9-]*\.(?:com|org|net|io|dev|local|internal|lan|cloud|svc)(?::\d+)?(?![\w@-])"
)
_number = re.compile(r"(?:(?<!\w)[-+\u2212])?\d+(?:[.,'\u202f]\d+)*(?:[eE][-+]?\d+)?")


def _matches(expression: re.Pattern[str]) -> Callable[[str], Iterator[tuple[int, int]]]:
    return lambda text: (match.span() for match in expression.finditer(text))


def _remembered(find: Callable[[str], Iterator[tuple[int, int]]]) -> Callable[[str], tuple[tuple[int, int], ...]]:
    """Return a search that remembers its last texts, as few as they may be long: several checks ask about each."""
    return lru_cache(maxsize=4)(lambda text: tuple(find(text)))


class Pattern(NamedTuple):
    """One kind of pattern in texts; ``find`` returns start and end of each match, in order."""

    find: Callable[[str], tuple[tuple[int, int], ...]]

    def remove(self, text: str) -> str:
        """Return the text with a placeholder for each match; texts that differ only in matches become equal."""
        kept: list[str] = []
        end = 0
        for start, stop in self.find(text):
            kept += text[end:start], _PLACEHOLDER
            end = stop
        return "".join([*kept, text[end:]])

    def covers(self, text: str, places: Iterable[TextDifference]) -> list[bool]:
        """Return for each difference in the text whether a match touches it."""
        found = self.find(text)
        ends = [(place.offset, place.offset + max(place.length, 1)) for place in places]
        return [any(first < stop and last > start for first, last in found) for start, stop in ends]


DATETIME = Pattern(_remembered(find_dates))
IDENTIFIER = Pattern(_remembered(_matches(_identifier)))
PATH = Pattern(_remembered(_matches(_path)))
NUMBER = Pattern(_remembered(_matches(_number)))
