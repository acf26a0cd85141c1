"""What another writer may do to a stored window between two runs.

The runtime reads its windows back before every run, so what stands there is as much its input as requests are. Each
function takes a window, as JSON, and returns another one that the runtime can read.
"""

from copy import deepcopy
from typing import Any

Window = list[dict[str, Any]]


def _each(change):
    def meddle(window: Window) -> Window:
        changed = deepcopy(window)
        for number, observation in enumerate(changed):
            change(number, observation)
        return changed

    return meddle


def _repeat_span(_number, observation):
    observation["blocks"] += deepcopy(observation["blocks"][:1] * 2)


def _repeat_span_otherwise(number, observation):
    for block in deepcopy(observation["blocks"][-1:]):
        observation["blocks"].append({**block, "content": f"other {number % 2}"})


def _disagree_on_index(number, observation):
    for block in observation["blocks"]:
        block["sequence_index"] = (block["sequence_index"] + number) % 3


def _tie_all(_number, observation):
    for block in observation["blocks"]:
        block["sequence_index"] = 0


def _largest_index(_number, observation):
    for block in observation["blocks"][:1]:
        block["sequence_index"] = 2**32 - 1


def _drop_request_hash(number, observation):
    if number % 2 == 0:
        observation.pop("source_request_hash", None)


def _other_kinds(_number, observation):
    kinds = ("structured_output", "image", "tool_schema", "tool_result")
    for block, kind in zip(observation["blocks"], kinds, strict=False):
        block.update(content_type=kind, provenance="retrieval", sensitivity="restricted")
        block["token_metadata"] = {"model_family": "x", "token_count": 7}


def _keep_white_space(_number, observation):
    for block in observation["blocks"]:
        block["content"] = f" {block['content']}\t "


def _empty_first(number, observation):
    if number == 0:
        observation["blocks"] = []


def _shorten(number, observation):
    if number % 2:
        del observation["blocks"][1:]


MEDDLES = {
    "nothing is left": lambda _window: [],
    "longer than the limit": lambda window: deepcopy(window * 3),
    "reversed": lambda window: deepcopy(window[::-1]),
    "a span repeats": _each(_repeat_span),
    "a span repeats with other content": _each(_repeat_span_otherwise),
    "indexes disagree": _each(_disagree_on_index),
    "all indexes tie": _each(_tie_all),
    "largest index": _each(_largest_index),
    "no request hash": _each(_drop_request_hash),
    "other kinds of blocks": _each(_other_kinds),
    "white space kept": _each(_keep_white_space),
    "an empty observation": _each(_empty_first),
    "shorter observations": _each(_shorten),
}
