"""Plugin documents as people write them, and a strategy that writes one in any style that TOML has."""

import json
from pathlib import Path

from hypothesis import strategies as st

EXAMPLE = """\
version = 1

[[components]]
kind = "adaptive"
enabled = true

[components.config]
version = 1
agent_id = "support"

[components.config.state.backend]
kind = "redis"
config = { url = "redis://127.0.0.1:6379/0", key_prefix = "nemo_relay:" }

[components.config.telemetry]
learners = ["acg"]

[components.config.acg]
provider = "anthropic"
observation_window = 100

[components.config.acg.stability_thresholds]
stable_threshold = 0.95
semi_stable_threshold = 0.5
min_observations_for_full_confidence = 20
"""

STATE = '[components.config.state.backend]\nkind = "in_memory"\n'
HEAD = 'version = 1\n\n[[components]]\nkind = "adaptive"\n'
INLINE_STATE = 'state = { backend = { kind = "in_memory" } }'

AMONG_OTHERS = f"""\
# Ours. Do not sort!
version = 1

[[components]]   # who sees what
kind = "observability"
[components.config]   # nothing

# The learner
{EXAMPLE.removeprefix("version = 1").strip()}  # a guess

# ---- below: nothing of the learner ----
[policy]
unknown_component = "warn"   # not "error"
"""

DOTTED = f"""\
version = 1
[[components]]
kind = "adaptive"
[components.config]
version = 1
{INLINE_STATE}
  telemetry.learners = [ "acg" ]
  acg.observation_window = 100   # dotted
  acg . "stability_thresholds" . stable_threshold = 0.95
  acg.stability_thresholds.'semi_stable_threshold' = 0.5
  acg.stability_thresholds.min_observations_for_full_confidence = 20
"""

INLINE = f"""\
version = 1
[[components]]
kind = "adaptive"
config = {{ version = 1, {INLINE_STATE}, telemetry.learners = ["acg"], acg = {{ observation_window = 100 }} }} # all
"""

ARRAY = f"""\
version = 1
components = [
  # "]" and '[[components]]' in a comment
  {{ kind = "observability", config = {{}} }},
  {{ kind = "adaptive",   config = {{ {INLINE_STATE}, acg.stability_thresholds = {{ stable_threshold = 0.95 }} }} }},
]
"""

OUT_OF_ORDER = f"""\
[[components]]
kind = "adaptive"
[components.config.acg.stability_thresholds]
stable_threshold = 0.95
semi_stable_threshold = 0.5
min_observations_for_full_confidence = 20
[policy]
unknown_component = "warn"
[components.config.acg]
# the learner's
{STATE}
"""

ODD = """\
note = '''
[[components]]
kind = "adaptive"
''' # no table
odd = [[1, 2], ["#", ']', \"\"\"
]\"\"\"], 1979-05-27 07:32:00, 2026-01-01T00:00:00Z, +inf, 0xf]
"a.b" = "x = 1 # \\" ]"

[ "a.b c" . "\\u0065" ] # "]
""=1
"""

BIG_TEXT = "".join(
    f'\n# component {i}\n[[components]]\nkind = "other{i}"\n\n[components.config]\nname = "n{i}"  # "\n'
    f'list = [1, 2,\n  3]\ntext = """\n[[components]]\n{"x" * 300}\n"""\n'
    for i in range(4600)
)
BIG = "version = 1\n" + BIG_TEXT + EXAMPLE.removeprefix("version = 1\n") + BIG_TEXT.replace("other", "more")[:200_000]
BIG = BIG[: BIG.rindex("\n# component")] + "\n"

# Every one can be exported to. Those that production accepts are put to it too.
DOCUMENTS = {
    "empty": "",
    "comments only": "# nothing yet\n# really",
    "the example": EXAMPLE,
    "the sample": (Path(__file__).parents[2] / "data" / "plugins.toml").read_text(encoding="utf-8"),
    "among others": AMONG_OTHERS,
    "no component": "version = 1\n\n[[components]]\nkind = 'observability'\n[components.config]",
    "no acg table": EXAMPLE[: EXAMPLE.index("[components.config.acg]")] + "\n# end\n\n[policy]\n",
    "no acg table, no state": f"{HEAD}[components.config]\nversion = 1\nagent_id = 'x' # who\n",
    "no config": HEAD,
    "no thresholds": EXAMPLE[: EXAMPLE.index("[components.config.acg.st")],
    "one threshold": EXAMPLE.replace("semi_stable_threshold = 0.5\n", "").replace("min_observations_for_full_co", "#"),
    "CRLF": AMONG_OTHERS.replace("\n", "\r\n"),
    "byte order mark": "\ufeff" + EXAMPLE,
    "CRLF and byte order mark": "\ufeff" + EXAMPLE.replace("\n", "\r\n"),
    "mixed line ends": AMONG_OTHERS.replace("\n", "\r\n", 20),
    "dotted keys": DOTTED,
    "dotted from the component": f'[[components]]\nkind = "adaptive"\nconfig.{INLINE_STATE}\nconfig.acg.priority = 50',
    "dotted, then a table": f'[[components]]\nkind = "adaptive"\nconfig.{INLINE_STATE}\nconfig.acg.priority = 50\n'
    "[components.config.acg.stability_thresholds]\nstable_threshold = 1\nsemi_stable_threshold = 0\n",
    "inline tables": INLINE,
    "inline component": f'components = [{{kind="adaptive",config.{INLINE_STATE},config.acg.priority=50}}]',
    "empty inline table": f"{HEAD}config = {{ {INLINE_STATE}, acg = {{}} }}\n",
    "array of inline tables": ARRAY,
    "array of others": 'components = [ { kind = "observability", config = {} } ]\n',
    "empty array": "version = 1\ncomponents = [] # none\n",
    "out of order": OUT_OF_ORDER,
    "quoted": '"version" = 1\n[[ "components" ]]\n"kind" = \'adaptive\'\n'
    f'[ components . "config" ]\n{INLINE_STATE}\n[ components."\\u0063onfig".\'acg\' ] # here\n  "priority" = 50\n',
    "odd": EXAMPLE[: EXAMPLE.index("[[")] + ODD + EXAMPLE[EXAMPLE.index("[[") :],
    "indented": "".join(f"\t{line}" for line in AMONG_OTHERS.splitlines(keepends=True)),
    "integers": EXAMPLE.replace("0.95", "1").replace("0.5", "0").replace("100", "0x64"),
    "refused values": EXAMPLE.replace("100", "-1").replace("0.95", '"high"').replace("= 20", "= 20.0"),
    "disabled": EXAMPLE.replace("enabled = true", "enabled = false"),
    "a text that looks like it": f"x = '''\n{EXAMPLE}'''\n{EXAMPLE}",
    "no end of line at the end": EXAMPLE.rstrip(),
    "nothing behind the header": f"{HEAD}[components.config]\n{INLINE_STATE}\n[components.config.acg]",
    "TOML 1.1": EXAMPLE.replace(
        '{ url = "redis://127.0.0.1:6379/0", key_prefix', '{ url = "\\x72edis://h",\n key_prefix'
    ).replace('"nemo_relay:" }', '"nemo_relay:", # 1.1\n}'),
    "2 MB": BIG,
}
MARK = "# acg-lab:"

_ACG = {
    "provider": "openai",
    "observation_window": 100,
    "stability_thresholds": {
        "stable_threshold": 0.95,
        "semi_stable_threshold": 0.5,
        "min_observations_for_full_confidence": 20,
    },
}
_OTHERS = ['kind = "other"', '"kind" = "other" # [x]', 'kind = "other"\nconfig = { acg = { priority = 1 } }']
_COMMENTS = ["", "", "\n", "# comment = 1\n", "  # [components.config.acg]\n", "\n# a\n\n"]


@st.composite
def plugin_texts(draw):
    """Draw a document with all settings in it, in a mix of tables, dotted keys and inline tables."""
    head = draw(st.sampled_from(["", "version = 1\n", "# \ufeff\nversion = 1 # one\n"]))
    around = st.lists(st.sampled_from(_OTHERS), max_size=2)
    before, after = ["".join(f"[[components]]\n{text}\n" for text in draw(around)) for _ in range(2)]
    config = {"version": 1, "state": {"backend": {"kind": "in_memory"}}, "acg": _ACG}
    own = '[[components]]\nkind = "adaptive"\n' + draw(_tables({"config": config}, ("components",)))
    text = head + before + own + after + draw(st.sampled_from(["", "[policy]\nx = [\n1]", "# end"]))
    if draw(st.booleans()):
        text = text.replace("\n", "\r\n")
    return draw(st.sampled_from(["", "\ufeff"])) + text


@st.composite
def _tables(draw, table, path):
    """Draw the body of a table that has a header: its statements, then the tables below headers of their own."""
    lines, below = [], []
    for name, value in draw(st.permutations(list(table.items()))):
        style = draw(st.sampled_from(["table", "dotted", "inline"])) if isinstance(value, dict) else "inline"
        if style == "table":
            header = draw(st.sampled_from(["[{}]", "  [ {} ] # table"])).format(".".join([*path, name]))
            below.append(f"{draw(st.sampled_from(_COMMENTS))}{header}\n{draw(_tables(value, (*path, name)))}")
        elif style == "dotted":
            lines += [f"{name}{draw(st.sampled_from(['.', ' . ']))}{line}" for line in draw(_dotted(value))]
        else:
            lines.append(f"{draw(st.sampled_from([name, json.dumps(name)]))} = {draw(_inline(value))}")
    indent, end = draw(st.sampled_from(["", "  ", "\t"])), draw(st.sampled_from(["", " # x = {", "  "]))
    body = "".join(f"{draw(st.sampled_from(_COMMENTS))}{indent}{line}{end}\n" for line in lines)
    return body + "".join(below)


@st.composite
def _dotted(draw, table):
    lines = []
    for name, value in table.items():
        if isinstance(value, dict) and draw(st.booleans()):
            lines += [f"{name}.{line}" for line in draw(_dotted(value))]
        else:
            lines.append(f"{name} = {draw(_inline(value))}")
    return lines


@st.composite
def _inline(draw, value):
    if not isinstance(value, dict):
        return json.dumps(value)
    gap = draw(st.sampled_from(["", " "]))
    inner = ", ".join(draw(st.permutations(draw(_dotted(value)))))
    return f"{{{gap}{inner}{gap}}}"
