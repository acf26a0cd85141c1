"""Tests of what stands in a slot: a person, a locale, the state of a list, of a memory or of a working directory.

Each test takes the history of a slot and is true only if the slot, or its label, carries the evidence in nearly all of
the requests. Labels are those of the languages of most prompts.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence

from acg_lab.diagnosis.finding import Timing
from acg_lab.diagnosis.slot_history import SlotHistory
from acg_lab.diagnosis.text_patterns import PATH

__all__ = [
    "RELATIVE_TIME",
    "is_checklist",
    "is_directory",
    "is_directory_state",
    "is_locale",
    "is_memory",
    "is_optional",
    "is_person",
    "is_relative_time",
]

_MOSTLY = 0.9
_NEAR, _HEADING = 48, 1_200  # characters before the slot
_MIN_WORDS = 2  # of a sentence
_MIN_RECURRING = 3  # lines; fewer are variants


def _mostly(slot: SlotHistory, test: Callable[[int], bool]) -> bool:
    """Return whether a test holds in nearly all requests; it is given the code of a content."""
    holds = sum(count for code, count in slot.counts.items() if test(code))
    return len(slot.counts) > 1 and holds >= _MOSTLY * slot.present


_mail = re.compile(r"(?<![\w.%+-])[\w.%+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}")
# What stands between a label and its value: a colon or a verb, the end of an XML tag, or marks of Markdown, and quotes.
_IS = (
    r"(?:\"?\s*(?:is|ist|est|es|è|heißt|se llama|s'appelle|[:=\uff1a])|[:\uff1a]?[*_]{1,2}[:\uff1a]?|"
    r"(?:\s[\w-]+=\"[^\"]*\")*>|\s*\|)\s*[\"'*_`(]*$"
)
_WHO = (
    r"user|account[ _-](?:owner|holder)|(?:policy|card)holder|recipient|requester|"
    r"(?:signed|logged)[ -]in(?: user)?|customer|client|"
    r"caller|employee|patient|student|guest|member|contact|tenant|passenger|applicant|candidate|"
    r"driver|resident|buyer|subscriber|visitor|nutzer(?:in)?|kunden?|kundin|benutzer(?:in)?|gast|patient(?:in)?|"
    r"mitarbeiter(?:in)?|ansprechpartner(?:in)?|bewerber(?:in)?|utilisateur|utilisatrice|cliente?|hôte|voyageur|"
    r"passager|salariée?|usuario|usuaria|huésped|pasajero|paciente|empleado|alumno|utente|ospite|paziente|"
    r"dipendente|hóspede|usuário|funcionário|klant|gebruiker|patiënt|klient|kund|gäst|användare|bruger|"
    r"gjest|asiakas|käyttäjä|kullanıcı|müşteri|użytkownik|клиент|пользователь|"  # noqa: RUF001
    r"гость|用户|客户|顾客|住客|お客様|ユーザー|顧客|고객|사용자"
)
_NAME_OF = (
    r"name|nom|prénom|nombre|apellidos?|nome|cognome|naam|navn|namn|nimi|imi[eę]|nazwisko|isim|adı|"  # noqa: RUF001
    r"имя|фио|姓名|名前|氏名|이름"
)
_OF = r"(?:of(?: the)?|de[rsnl]|d[eu]|de la|van de)\s"
_person_label = re.compile(
    # A name of a file, of a product or of a project is not a person's.
    rf"(?:\b(?:{_WHO}|agent|operator|owner|author|first|last|full|given|family|display|account)s?(?:['\u2019]s)?[\s_-]?|"
    rf"(?:\A|[\n,;.({{<>|*\"'-])\s*)(?:{_NAME_OF}){_IS}|"
    # The language of a customer is not the customer.
    rf"(?:(?:{_NAME_OF})\s{_OF}|(?<!\bof )(?<!\bof the )(?<!\b(?-i:de[rsnl]) )(?<!\b(?-i:d[ue]) )(?<!\bde la ))"
    rf"(?:\b|(?<=[\u3000-\uffff]))(?:{_WHO}){_IS}|"
    r"\b(?:helping|assisting|assist|help|talking to|speaking (?:with|to)|chatting with|on behalf of|logged in as|"
    r"signed in as|dear|hello|hi|hola|bonjour|hallo|guten tag|ciao|olá)\s+(?:the (?:user|customer|client)\s+)?"
    r"(?:mrs?\.?\s|ms\.?\s|dr\.?\s)?$|"
    r"\b(?:mr|mrs|ms|dr|herr|frau|monsieur|madame|señor|señora|signora?|senhora?)\.?\s*$",
    re.IGNORECASE,
)
_name = re.compile(r"[^\W\d_][^\W\d_'\u2019.-]*(?:[\s'\u2019.-]{1,2}[^\W\d_]+){0,4}\.?")


def is_person(slot: SlotHistory) -> bool:
    """Return whether a name or an e-mail address of a person stands there."""
    if any(len(slot.value(code)) > _HEADING for code in slot.counts):
        return False
    if _mostly(slot, lambda code: _touches(_mail, slot, code)):
        return True
    return _mostly(
        slot,
        lambda code: bool(
            _is_name(slot.value(code).strip(" \t\"'*,.")) and _person_label.search(slot.before(code, _NEAR))
        ),
    )


def _is_name(value: str) -> bool:
    return _name.fullmatch(value) is not None and _tag.fullmatch(value) is None


def _touches(expression: re.Pattern[str], slot: SlotHistory, code: int) -> bool:
    """Return whether a match in the text around the slot covers a part of it."""
    value, text = slot.value(code), slot.text(code)
    start = text.find(value)
    return any(
        match.start() < start + max(len(value), 1) and match.end() > start for match in expression.finditer(text)
    )


_tag = re.compile(r"[a-z]{2,3}(?:[-_][A-Z][a-z]{3})?(?:[-_](?:[A-Z]{2}|\d{3}))|[A-Z][a-z]+/[A-Z][A-Za-z_]+")
_short_tag = re.compile(
    r"[a-zA-Z]{2,3}(?:[-_]\w{2,8})*(?:, ?[a-z]{2,3}(?:[-_]\w{2,8})?)*(?:;q=[\d.]+)?|[^\W\d]+(?: \([^\W\d]+\))?|"
    r"[A-Z][a-z]+/[A-Z][A-Za-z_]+"
)
_locale_label = re.compile(
    r"(?:locale|languages?|lang|sprachen?|langues?|idiomas?|lingua|língua|taal|språk|sprog|kieli|dil|język|язык|"
    r"time ?zone|zeitzone|fuseau(?: horaire)?|zona horaria|country|land|pays|país|paese|kraj|страна|region|语言|"
    r"言語|언어|国家|地区)"
    rf"(?:\s*code)?(?:\s{_OF}(?:l[ae]s?\s)?\w+)?(?:{_IS}|\s+[\"'*`(]*$)|"
    r"\b(?:(?:answer|reply|respond|write|speak|converse|antworte|schreibe?|réponds|écris|responde|rispondi|"
    r"antwoord|odpowiadaj)\b(?: \w+){0,2} (?:in|auf|en|em|po|op|na))\s*$",
    re.IGNORECASE,
)


def is_locale(slot: SlotHistory) -> bool:
    """Return whether a language, a country or a time zone stands there: by its form, or by its label."""

    def holds(code: int) -> bool:
        value = slot.value(code).strip(" \"'*`.,()")
        if len(value) > _NEAR:
            return False
        if _locale_label.search(slot.before(code, _NEAR)):
            return _short_tag.fullmatch(value) is not None
        return any(_touches_whole(match, slot, code) for match in _tag.finditer(slot.text(code)))

    return _mostly(slot, holds)


def _touches_whole(match: re.Match[str], slot: SlotHistory, code: int) -> bool:
    """Return whether a match covers all of the slot and ends where words end."""
    value, text = slot.value(code).strip(), slot.text(code)
    start = text.find(value)
    around = text[max(match.start() - 1, 0) : match.start()] + text[match.end() : match.end() + 1]
    return (
        bool(value)
        and match.start() <= start
        and match.end() >= start + len(value)
        and not re.search(r"[\w/-]", around)
    )


_STATE = r"(?:done|todo|pending|in[ _-]progress|completed|open|blocked|cancelled)"
_box = re.compile(
    rf"^\s*(?:[-*\u2022]|\d+[.)])?\s*(?:\[(?:[ xX~/\u2713\u2714-]?|{_STATE})\]|"
    r"[\u2610-\u2612\u2705\u2b1c\u2713\u2714\u274c\u23f3\U0001f532]|"
    rf"\(?{_STATE}\)?\s*[:\u2013\u2014-])|[\"']?(?:status|state)[\"']?\s*[:=]\s*[\"']?{_STATE}|[(\[]{_STATE}[)\]]\s*$",
    re.IGNORECASE,
)


def is_checklist(slot: SlotHistory) -> bool:
    """Return whether items that are done or to be done stand there."""
    return _has_lines(slot, _box)


def _has_lines(slot: SlotHistory, expression: re.Pattern[str]) -> bool:
    """Return whether all lines that the slot touches match, in nearly all requests in which it has any."""
    lines = {code: slot.lines(code) for code in slot.counts}
    return any(lines.values()) and _mostly(slot, lambda code: all(map(expression.search, lines[code])))


_bullet = re.compile(r"^\s*(?:[-*\u2022\u00b7]|\d{1,3}[.)]|<\w+>)\s*\S")
_memory_cue = re.compile(
    r"\b(?:memor(?:y|ies)|remember(?:ed)?|recall(?:ed)?|(?:user|known|saved|learned) (?:facts?|preferences?|notes?)|"
    r"(?:facts?|preferences?) (?:about|of) the user|what (?:you|we) know|erinnerung(?:en)?|ged\u00e4chtnis|"
    r"m\u00e9moires?|"
    r"souvenirs?|"
    r"notizen (?:zu[mr]?|\u00fcber)|notes? (?:on|about)|memorias?|recuerdos?|ricordi|воспоминания|память)\b|记忆|"
    r"記憶|메모리|기억",
    re.IGNORECASE,
)


def is_memory(slot: SlotHistory) -> bool:
    """Return whether remembered facts come and go there: bullets, or lines that recur, under a heading that says so."""
    if not (_has_lines(slot, _bullet) or _has_recurring_lines(slot)):
        return False
    return slot.form.provenance == "memory" or _mostly(
        slot, lambda code: bool(_memory_cue.search(slot.before(code, _HEADING) + slot.value(code)))
    )


def _has_recurring_lines(slot: SlotHistory) -> bool:
    """Return whether the contents are made of the same few lines, of which each has some."""
    lines = [{line.strip() for line in slot.lines(code)} for code in slot.counts]
    found = Counter(line for of_content in lines for line in of_content)
    recurring = sum(count for count in found.values() if count > 1)
    return len(found) >= _MIN_RECURRING and recurring >= _MOSTLY * found.total()


_directory = re.compile(
    r"\bbranch\s*[:=]|"
    r"\b(?:(?:on|current|git) branch|working (?:directory|tree)|cwd|pwd|git status|untracked|unstaged|staged|"
    r"modified|uncommitted|"
    r"(?:ahead|behind)(?: of)?|commits?|HEAD|current (?:file|directory)|open (?:files?|tabs?)|renamed|deleted|"
    r"new file|clean|dirty|last commit)\b|^\s?(?:[MADRCU?!]{1,2})\s+\S+\.?\w*|^\s*[\w./@+-]+\.\w{1,5}\s*$|"
    r"^\s*[0-9a-f]{7,40}\s",
    re.IGNORECASE,
)
_directory_cue = re.compile(
    r"git[ _-]?status|\b(?:git|working[ _-](?:directory|tree)|cwd|untracked|uncommitted|(?:current|on|git) branch|"
    r"recent commits|repo(?:sitory)?|workspace|modified:|ahead|behind)\b|branch:",
    re.IGNORECASE,
)


def is_directory_state(slot: SlotHistory) -> bool:
    """Return whether the state of a working directory stands there: its branch, status or files."""
    return _has_lines(slot, _directory) and _mostly(
        slot, lambda code: bool(_directory_cue.search(slot.before(code, _HEADING) + slot.text(code)))
    )


_absolute = re.compile(r"(?:^|[\s:=>|\"'`(])(?:~?/|[A-Za-z]:\\|file://)")


def is_directory(slot: SlotHistory) -> bool:
    """Return whether the path of one directory or file stands there, on a line of its own, and nothing else changes."""
    lines = {code: slot.lines(code) for code in slot.counts}
    return slot.is_stable_after(PATH.remove) and _mostly(
        slot, lambda code: len(lines[code]) == 1 and _absolute.search(lines[code][0]) is not None
    )


def is_optional(slot: SlotHistory) -> bool:
    """Return whether one sentence or paragraph comes and goes there."""
    if slot.change_history.timing is Timing.ONCE:
        return False
    values = {slot.value(code).strip() for code in slot.counts}
    sentences = values - {""}
    return "" in values and len(sentences) == 1 and len(sentences.pop().split()) >= _MIN_WORDS


_NUMERAL = (
    r"(?:\d+(?:[.,]\d+)?|an?|one|two|three|four|five|six|seven|eight|nine|ten|a few|several|"
    r"ein(?:e[nmr]?)?|une?|un[ao]?)"
)
_UNIT = (
    r"(?:s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|weeks?|months?|years?|sekunden?|minuten?|stunden?|"
    r"tag(?:en?)?|wochen?|monat(?:en?)?|jahr(?:en?)?|secondes?|heures?|jours?|semaines?|mois|ans?|segundos?|"
    r"minutos?|horas?|"
    r"d\u00edas?|semanas?|meses|mes|a\u00f1os?)"
)
RELATIVE_TIME = re.compile(
    rf"\b{_NUMERAL}\s?{_UNIT}(?:(?:,|\sand|\s)\s?{_NUMERAL}\s?{_UNIT})*"
    r"\s(?:ago|old|earlier|later|from now|left|remaining|idle)\b|"
    rf"\b(?:in|since|for the last|within|vor|seit|il y a|depuis|dans|hace|desde hace|fa)\s{_NUMERAL}\s?{_UNIT}\b|"
    r"\b(?:just now|a moment ago|yesterday|today|tomorrow|last (?:week|month|year))\b|"
    r"\b(?:gestern|heute|hier|aujourd'hui|ayer|hoy)\b|"
    r"\d+\s?(?:秒|分|分钟|小时|時間|天|日|周|週間|个月|か月|年)(?:前|后|後)|\d+\s?(?:초|분|시간|일|주|개월|년)\s?전",
    re.IGNORECASE,
)


def is_relative_time(slot: SlotHistory) -> bool:
    """Return whether the time since or until something stands there, such as "3 minutes ago"."""
    return _mostly(slot, lambda code: _touches(RELATIVE_TIME, slot, code)) and _only(RELATIVE_TIME, slot)


def _only(expression: re.Pattern[str], slot: SlotHistory) -> bool:
    """Return whether nothing else changes there."""
    texts: Sequence[str] = [expression.sub("", slot.text(code)) for code in slot.counts]
    return len({*texts}) <= max(1, (1 - _MOSTLY) * len(texts))
