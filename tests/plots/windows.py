"""Windows made for pictures: each case of acg_lab/docs/look.md, section 7, and others that are hard to draw."""

import msgspec
from strategies import make_block, make_ir

import acg_lab as acg
from acg_lab.storage.memory import MemoryBackend

SCAFFOLD = "crm-assistant::model=claude-sonnet-4.5::seed=stable-scaffold::system=sha256:ab12cd::tools=no-tools"


def always(tokens, text="s"):
    """Return a content of ``tokens`` tokens that never changes."""
    return lambda _: (text * 4 * tokens)[: 4 * tokens]


def changing(tokens):
    """Return a content that differs in every request."""
    return lambda request: f"{request:04}" * tokens


def sometimes(tokens, every, other=None):
    """Return a content that is another one, or missing, in one of ``every`` requests."""
    return lambda request: ("u" * 4 * tokens) if request % every else other and other(request)


def window(n, **spans):
    """Return ``n`` requests; each span is a function from the request's number to its content, None if missing."""
    return [
        msgspec.structs.replace(
            make_ir(),
            blocks=tuple(
                make_block(name, text, index)
                for index, (name, content) in enumerate(spans.items())
                if (text := content(request)) is not None
            ),
        )
        for request in range(n)
    ]


def snapshot(requests, rules="nemo-flow-0.2", key=SCAFFOLD):
    """Return a snapshot of one profile."""
    backend = MemoryBackend()
    backend.store_observations(key, requests)
    return acg.load(backend, rules=rules)


def two_hundred():
    """Return requests of 200 blocks: tools, one of which breaks the prefix, then messages."""
    spans = {"system-0": always(2400)}
    for i in range(1, 141):
        spans[f"system-{i}-crm__{('accounts', 'contacts', 'leads')[i % 3]}__create_v{i // 28}"] = always(80 + 2 * i)
    spans["system-88-crm__contacts__create_v3"] = sometimes(250, 9, changing(250))
    spans |= {"user-141": changing(70), "assistant-142": sometimes(60, 2, changing(60))}
    spans |= {f"tool-{i}-call_{i:032x}": changing(90) for i in range(143, 200)}
    return window(60, **spans)


LONG = "system-7-" + "update_reservation_" * 5 + "passengers"


def cases():
    """Return snapshots by name."""
    twelve = {f"system-{i}": always(100 * i + 5) for i in range(12)}
    names = {
        "\u7cfb\u7edf\u63d0\u793a-0": always(200),
        "\u0441\u0438\u0441\u0442\u0435\u043c\u0430-1": always(120),
        f"{LONG}-a": always(150),
        f"{LONG}-b": sometimes(90, 5, changing(80)),
        "emoji-\U0001f600\n$x^2$ <b>": always(80),
        "\u05d0-\u05e9\u05dc\u05d5\u05dd": changing(20),
    }
    repeated = [
        msgspec.structs.replace(ir, blocks=(*ir.blocks, ir.blocks[0]))
        for ir in window(20, **{"system-0": always(200), "user-1": changing(20)})
    ]
    triage = {"system-0": always(640), "user-1": sometimes(210, 4, changing(100)), "user-2": changing(50)}
    first = {"system-0": changing(1537), **{f"system-{i}-tool": always(160 + 20 * i) for i in range(1, 9)}}
    return {
        "no requests": snapshot([]),
        "one request": snapshot(window(1, **twelve)),
        "one block": snapshot(window(30, **{"system-0": always(100)})),
        "three blocks": snapshot(window(60, **triage)),
        "no prefix": snapshot(window(60, **first, **{"user-9": changing(60)})),
        "all stable": snapshot(window(30, **twelve)),
        "repeated span": snapshot(repeated),
        "names": snapshot(window(25, **names)),
        "200 blocks": snapshot(two_hundred()),
        "no tokens at all": snapshot(window(25, **{"system-0": always(0), "user-1": lambda r: str(r % 3)})),
        "stable by itself": snapshot(
            window(
                100,
                **{
                    "system-0": lambda r: "s" * 400 if r > 3 else str(r),
                    "system-1": lambda r: "s" * 800 if r < 96 else str(r),
                    "user-2": changing(30),
                },
            ),
            rules="nemo-relay-0.8",
        ),
    }
