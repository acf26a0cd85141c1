"""Settings put into TOML text: nothing else changes, and putting them in twice changes nothing."""

import difflib
import tomllib

import pytest
from config.documents import DOCUMENTS, EXAMPLE, MARK, plugin_texts
from hypothesis import given
from hypothesis import strategies as st

import acg_lab as acg
from acg_lab.config import AcgSettings, render_config
from acg_lab.config.document import parse_toml

TUNED = AcgSettings().replace(stable_threshold=0.9, observation_window=30)
EXAMPLES = AcgSettings(provider="anthropic")
HOLDERS = ("_threshold", "observation", "config = {", "components = [", "acg = {", 'kind = "adaptive",')
unit = st.floats(0, 1)


@st.composite
def settings(draw):
    """Draw what the lab writes."""
    semi, stable = sorted([draw(unit), draw(unit)])
    count, window = draw(st.integers(0, 2**32 - 1)), draw(st.integers(1, 2**63 - 1))
    thresholds = acg.StabilityThresholds(
        stable_threshold=stable, semi_stable_threshold=semi, min_observations_for_full_confidence=count
    )
    provider = draw(st.sampled_from([None, "passthrough", "anthropic", "openai"]))
    return AcgSettings(thresholds, window, provider, draw(st.none() | st.integers(-(2**31), 2**31 - 1)))


def body(text):
    return text.removeprefix("\ufeff").splitlines(keepends=True)


def removed_lines(before, after):
    """Return what lines of a text are not in the other one, in the other one's order."""
    return [line[2:] for line in difflib.ndiff(body(before), body(after)) if line.startswith("- ")]


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name != "2 MB"])
def test_documents(name):
    """In any form of a document the settings are in force afterwards, and every other line is as it was."""
    before = DOCUMENTS[name]
    after = render_config(TUNED, before, note="why")
    assert after.startswith("\ufeff") == before.startswith("\ufeff")
    read = acg.load_config(parse_toml(after))
    assert (read.thresholds, read.observation_window) == (TUNED.thresholds, 30)
    unchanged = [line for line in body(before)[:-1] if not any(word in line for word in HOLDERS)]
    assert [line for line in removed_lines(before, after) if line in unchanged] == []
    assert render_config(TUNED, after, note="why") == after
    assert render_config(TUNED, after) == after


def test_hand_written_file_keeps_its_bytes():
    """Only the changed values differ: no space, comment, order or quote of a file written by hand."""
    before = DOCUMENTS["among others"]
    expected = before.replace("= 0.95", "= 0.9").replace("= 100", "= 30")
    assert render_config(TUNED, before) == expected


@pytest.mark.parametrize("name", ["CRLF", "byte order mark", "mixed line ends", "indented", "dotted keys"])
def test_values_are_replaced_where_they_stand(name):
    """Where all settings are there, the text differs in their values alone."""
    before = DOCUMENTS[name]
    assert render_config(TUNED, before) == before.replace("= 0.95", "= 0.9").replace("= 100", "= 30")


def test_big_document():
    """In 2 MB one value is replaced, and the rest is kept."""
    before = DOCUMENTS["2 MB"]
    assert len(before) > 2_000_000
    after = render_config(TUNED, before)
    assert after == before.replace("= 0.95", "= 0.9").replace("observation_window = 100", "observation_window = 30")


def test_nothing_to_change():
    """What is so already is not written anew: defaults that are left out, integers for thresholds, other notations."""
    assert render_config(EXAMPLES, EXAMPLE) == EXAMPLE
    bare = EXAMPLE[: EXAMPLE.index("observation_window")]
    assert render_config(AcgSettings(), bare) == bare
    ones = acg.StabilityThresholds(stable_threshold=1.0, semi_stable_threshold=0.0)
    assert render_config(AcgSettings(ones), DOCUMENTS["integers"]) == DOCUMENTS["integers"]


@given(plugin_texts(), settings())
def test_there_and_back(text, tuned):
    """In any mix of styles, writing settings and then the former ones gives the text back, byte for byte."""
    former = acg.load_config(parse_toml(text))
    after = render_config(tuned, text)
    read = acg.load_config(parse_toml(after))
    assert read == tuned.replace(**{k: v for k, v in read.values().items() if k not in tuned.values()})
    if tuned.priority is None:
        assert render_config(former, after) == text


@given(plugin_texts(), settings(), st.text(max_size=30))
def test_twice_is_once(text, tuned, note):
    """Writing the same again changes nothing, with a note or without."""
    once = render_config(tuned, text, note=note)
    assert render_config(tuned, once, note=note) == once
    assert render_config(tuned, once) == once


@given(settings(), st.text())
def test_round_trip(tuned, note):
    """What is rendered reads back as it was, as text and as mapping, whatever the note says."""
    rendered = render_config(tuned, note=note)
    assert acg.load_config(tomllib.loads(rendered)) == tuned
    assert acg.load_config(acg.export_config({}, tuned)) == tuned


def test_new_document():
    """A new document is minimal and complete."""
    document = tomllib.loads(render_config(TUNED))
    assert document == acg.export_config({}, TUNED)
    (component,) = document["components"]
    assert component["config"]["telemetry"] == {"learners": ["acg"]}
    assert component["config"]["acg"].keys() == {"observation_window", "stability_thresholds"}


# --- notes ---


def lines_of_note(text):
    return [line.strip() for line in text.splitlines() if line.strip().startswith(MARK)]


def test_note_replaces_its_former_self():
    """A note is above the first changed value; the next one takes its place, and comments of others stay."""
    before = EXAMPLE.replace("stable_threshold = 0.95", "# mine\nstable_threshold = 0.95", 1)
    first = render_config(TUNED, before, note="tuned on monday\n\n  by 5%")
    noted = f"{MARK} tuned on monday\n{MARK}\n{MARK}   by 5%\nobservation_window = 30"
    assert noted in first
    second = render_config(TUNED.replace(stable_threshold=0.8, observation_window=30), first, note="on tuesday")
    assert lines_of_note(second) == [f"{MARK} on tuesday"]
    assert f"# mine\n{MARK} on tuesday\nstable_threshold = 0.8" in second


def test_stale_note_goes():
    """A change without a note removes the former one, which explained other values."""
    first = render_config(TUNED, EXAMPLE, note="why")
    assert lines_of_note(render_config(TUNED.replace(stable_threshold=0.8), first)) == []
    assert render_config(EXAMPLES, first) == EXAMPLE


def test_new_note_alone():
    """Another note for the same values replaces the former one where it stands."""
    first = render_config(TUNED, EXAMPLE, note="why")
    assert render_config(TUNED, first, note="because") == first.replace("why", "because")


def test_note_in_a_text_is_no_note():
    """A line of a text that looks like a note is left alone."""
    before = EXAMPLE.replace('provider = "anthropic"', f'x = """\n{MARK} y\n{MARK} z"""')
    assert render_config(TUNED, before, note="why").count(f"{MARK} y\n{MARK} z") == 1


def test_note_needs_a_value():
    """A note is above a value, if need be another one of the table; an empty table has no place for it."""
    bare = EXAMPLE[: EXAMPLE.index("observation_window")]
    assert f"{MARK} why\nprovider" in render_config(AcgSettings(), bare, note="why")
    empty = bare.replace('provider = "anthropic"\n', "")
    assert render_config(AcgSettings(), empty, note="why") == empty


def test_note_is_one_comment_a_line():
    """Characters that don't print, of which a comment may hold few, are escaped; other letters stay."""
    assert lines_of_note(render_config(TUNED, note="a\x00b\tc\u202eé\rd\u2028e\x7f\udc80")) == [
        f"{MARK} a\\x00b\\tc\\u202eé",
        f"{MARK} d",
        f"{MARK} e\\x7f\\udc80",
    ]


# --- refusals ---


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version = ", "at $: expected TOML: "),
        pytest.param("version = " + "1" * 5000, "at $: expected TOML: ", id="5,000 digits"),
        ("a = 1\r[x]", "expected TOML"),
        (EXAMPLE + '[[components]]\nkind = "adaptive"\n', r"at $.components[1]: expected one component"),
        ("components = 1\n", "at $.components: expected an array of tables, got 1"),
        ("[components]\n", "at $.components: expected an array of tables, got a table"),
        ("components = [1]\n", "at $.components[0]: expected a table, got 1"),
        (
            '[[components]]\nkind = "adaptive"\nconfig = []\n',
            "at $.components[0].config: expected a table, got an array",
        ),
        ('[[components]]\nkind = "adaptive"\nconfig.acg = "on"\n', "].config.acg: expected a table, got a string"),
        (
            '[[components]]\nkind = "adaptive"\nconfig.acg.stability_thresholds = true\n',
            "].config.acg.stability_thresholds: expected a table, got a boolean",
        ),
        (EXAMPLE.replace('"anthropic"', '"acme"'), "config.acg.provider: The 'provider' setting must be one of"),
        ("[a]\n" * 2, "expected TOML"),
        ("x = " + "[" * 5000 + "]" * 5000, "expected TOML"),
    ],
)
def test_refused_documents(tmp_path, text, message):
    """What production refuses, or what does not make sense, is refused with the place and what was expected."""
    path = tmp_path / "plugins.toml"
    path.write_bytes(text.encode())
    with pytest.raises(acg.RecordError) as caught:
        acg.export_config(path, TUNED)
    assert str(caught.value).startswith(f"{path}, at $")
    assert path.read_bytes() == text.encode()
    assert message in str(caught.value)


FRAGMENTS = [
    *list("\"'[]{}#=.,\\\n\r \tx1"),
    '"""',
    "'''",
    "[[",
    "components",
    "\r\n",
    "acg",
    "1979-05-27 07:32:00",
    "= {",
    "nan",
]


@given(
    st.sampled_from([text for name, text in DOCUMENTS.items() if name != "2 MB"]),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 4), st.sampled_from(FRAGMENTS)), min_size=1, max_size=4),
)
def test_damaged_documents(text, damages):
    """A document with damages is changed as it was meant, or refused; nothing else happens."""
    for place, n_lost, fragment in damages:
        start = int(place * len(text))
        text = text[:start] + fragment + text[start + n_lost :]
    try:
        after = render_config(TUNED, text, note="why")
    except acg.RecordError:
        return
    assert acg.load_config(parse_toml(after)).thresholds == TUNED.thresholds
    assert render_config(TUNED, after, note="why") == after
