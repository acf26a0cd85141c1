"""How findings look, and that they show no prompt text."""

import copy
import pickle
import re

import msgspec
import pytest
from changing_windows import NAMES, TRUE, N
from small_snapshots import STEADY, a_minute_apart, make_chat_request, snapshot_of_requests, snapshot_of_window
from strategies import make_ir, make_tool

import acg_lab as acg
from acg_lab.diagnosis import Findings, Kind
from acg_lab.diagnosis.finding import Evidence
from acg_lab.repairs.content_repairs import Pin
from acg_lab.repairs.effects import Effect, Extent

CANARY = "the prompt text that nobody may see"
TAGS = "<script>alert(1)</script><img src=x onerror=alert(2)>"


def secret(value):
    """Return an observation with the canary in all contents, and a value that changes in two of them."""
    text = f"{CANARY}. {'Known. ' * 30} {value} {'Known. ' * 30} {CANARY}"
    return make_ir(
        ("system-0", CANARY * 20), ("user-1", text), ("user-2", CANARY + STEADY), ("user-3", f"{CANARY} {value}")
    )


def secret_requests():
    """Requests with the canary in system prompt, tools, messages, parts, arguments, and unknown fields."""
    for i in range(3 * N):
        tools = [make_tool("f", description=f"{CANARY} {i // N}", parameters={CANARY: i // N})]
        more = {"role": "user", "content": [{"type": "text", "text": CANARY * 20 + " " * (1 + i % 3) + "end"}]}
        yield make_chat_request(
            f"{CANARY * 300} 10:{i % 2 + 10}", f"{CANARY} {i}", more, tools=tools, params={CANARY: i}
        )


def looks(findings):
    """Return everything that findings display."""
    shown = [repr(findings), findings._repr_html_(), str(findings), *map(repr, findings)]
    return "\n".join([*shown, *(finding.sentence for finding in findings), msgspec.json.encode(findings).decode()])


def sources():
    yield from (
        snapshot_of_window(a_minute_apart(map(secret, values))) for values in (rows[0] for rows in TRUE.values())
    )
    yield from (
        snapshot_of_requests(secret_requests(), rules)
        for rules in ("nemo-flow-0.2", "nemo-relay-0.6", "nemo-relay-0.8")
    )


def test_no_prompt_text():
    """A canary in every content appears in no repr, HTML, sentence or JSON, whatever the kind of change."""
    kinds = set()
    for snap in sources():
        findings = acg.explain(snap)
        kinds |= {finding.kind for finding in findings}
        shown = looks(findings)
        assert CANARY not in shown
        assert CANARY[4:20] not in shown
    assert len(kinds) > 12


def test_excerpts():
    """With text=True excerpts of the differences are shown, and nothing else of the texts."""
    window = a_minute_apart(map(secret, NAMES))
    findings = acg.explain(snapshot_of_window(window), text=True)
    assert NAMES[-1] in repr(findings)
    assert NAMES[-1] in findings._repr_html_()
    assert CANARY not in looks(findings)
    assert NAMES[-1] not in looks(acg.explain(snapshot_of_window(window)))


def test_values_of_slots():
    """Excerpts are the five commonest values of each slot, escaped and cut, each with the requests that have it."""
    long = f"Saturn{'7' * 80}end"
    names = ["Ceres"] * 3 + ["Mars"] * 5 + ["\x1b[2JVesta"] * 4 + [long] * 2 + ["Juno", "Pallas"]
    window = [
        make_ir(("system-0", STEADY), ("user-1", f"{STEADY} Tell {name} at {hour}. {STEADY}"), ("user-2", STEADY))
        for name, hour in zip(names[::2] + names[1::2], ["noon"] * 10 + ["night"] * 6, strict=True)
    ]
    (finding,) = acg.explain(snapshot_of_window(a_minute_apart(window)), text=True)
    name, hour = finding.evidence.places
    assert [value.count for value in name.commonest] == [5, 4, 3, 2, 1]
    assert [(value.text, value.count) for value in hour.commonest] == [("noon", 10), ("night", 6)]
    assert (name.distinct, hour.distinct) == (6, 2)
    shown = " ".join(repr(Findings([finding])).split())
    most = f"'Mars' (5), '\\x1b[2JVesta' (4), 'Ceres' (3), 'Saturn{'7' * 29}…{'7' * 9}end' (2)"
    assert f"at {name.offset:,}: {most}, 'Juno' (1) and 1 more value at {hour.offset:,}: 'noon' (10)" in shown
    assert "\x1b" not in Findings([finding])._repr_html_()
    (private,) = acg.explain(snapshot_of_window(a_minute_apart(window)))
    assert [(place.commonest, place.distinct) for place in private.evidence.places] == [((), 0)] * 2


@pytest.mark.parametrize("text", [False, True])
def test_tags_are_escaped(text):
    """Script and image tags in names and texts show as text in HTML."""
    key = f"{TAGS}::model={TAGS}::seed=no-seed::system=no-system::tools=no-tools"
    window = [
        msgspec.structs.replace(
            ir, blocks=tuple(msgspec.structs.replace(b, span_id=b.span_id + TAGS) for b in ir.blocks)
        )
        for ir in a_minute_apart(secret(f"{TAGS}{name}<b>") for name in NAMES)
    ]
    findings = acg.explain(snapshot_of_window(window, key=key), text=text)
    html = findings._repr_html_()
    assert findings[0].kind is Kind.UNKNOWN
    assert "&lt;script&gt;" in html
    assert set(re.findall(r"<(\w+)", html)) <= {
        "div",
        "style",
        "b",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "br",
        "code",
        "ul",
        "li",
        "p",
    }


def test_control_characters_are_escaped():
    """Control characters in names are escaped before a terminal sees them."""
    key = "\x1b[31ma::model=m::seed=no-seed::system=no-system::tools=no-tools"
    shown = repr(acg.explain(snapshot_of_window(a_minute_apart(map(secret, NAMES)), key=key)))
    assert "\x1b" not in shown
    assert "\\x1b[31ma: unknown" in shown


def test_one_finding_is_one_line():
    """The repr of a finding has its agent, kind and sentence, with control characters escaped."""
    (finding,) = acg.explain(snapshot_of_window(a_minute_apart(map(secret, NAMES))))
    assert repr(finding) == f"<Finding of 'a', unknown: {finding.sentence}>"
    assert repr(msgspec.structs.replace(finding, sentence="\x1b[31m")) == "<Finding of 'a', unknown: \\x1b[31m>"


def test_evidence_and_effects_are_short():
    """The repr of evidence and effects has the number of profiles, not their keys."""
    evidence = Evidence(requests=2, threshold=0.5, profiles=("key of a profile",) * 2000)
    assert repr(evidence).startswith("<Evidence: requests=2, ")
    assert repr(evidence).endswith("; 2,000 profiles>")
    assert "key of a profile" not in repr(evidence)
    extent = Extent(profiles=2000, observations=4000, prefix_blocks=3.0, prompt_tokens=100.0, prefix_tokens=50.0)
    merged = msgspec.structs.replace(extent, profiles=1)
    pins = (Pin("user-1", learning_keys=evidence.profiles), Pin("user-2"), Pin("\x1b[31m"))
    shown = [repr(Effect(repairs=pins[:n], before=extent, after=merged)) for n in (0, 1, 3)]
    change = "2,000 profiles → 1, prefix 50 → 50 tokens>"
    assert shown == [
        f"<Effect if nothing changes: {change}",
        f"<Effect if 'user-1' is pinned to its dominant content in 2,000 profiles: {change}",
        f"<Effect if 'user-1' is pinned to its dominant content in 2,000 profiles, and 2 more repairs: {change}",
    ]


def test_a_terminal_of_100_columns():
    """Findings as text fit 100 columns, whatever the names, and say how many there are."""
    snap = snapshot_of_requests(secret_requests())
    findings = acg.explain(snap)
    assert max(map(len, repr(findings).splitlines())) <= 100
    assert repr(findings).startswith(f"{len(findings)} finding")
    many = Findings([*findings] * 30, healthy=["x"])
    assert f"... and {len(many) - 12} more findings; .to_frame() has all" in repr(many)
    assert "1 healthy profile" in many._repr_html_()
    assert repr(Findings()) == "No findings"
    assert "<table>" not in Findings()._repr_html_()


def test_findings_are_a_tuple():
    """Findings slice, compare, copy and pickle as tuples do, and keep the healthy profiles."""
    findings = acg.explain(snapshot_of_requests(secret_requests()))
    assert isinstance(findings[:1], Findings)
    assert findings[:1] == (findings[0],)
    healthy = Findings(findings, healthy=("k",))
    for copied in (copy.copy(healthy), pickle.loads(pickle.dumps(healthy)), healthy[:]):
        assert (copied, copied.healthy) == (healthy, ("k",))
