"""Slow simulators: docs/providers.md read literally, over whole prompts, with nothing kept but what the rules name.

They share no code with `acg_lab.providers`: prefixes are tuples of texts, and every question is answered by a search
through all that earlier requests did.
"""

from dataclasses import dataclass, field

KINDS = ("framing", "tool", "system", "developer", "user", "assistant", "thinking", "tool_use", "tool_result", "server")


@dataclass
class Entry:
    """One stored prefix."""

    prefix: tuple
    readable: float
    touched: float
    ttl: float
    live: bool = field(default=True)


@dataclass
class Result:
    """What the cache did with one request."""

    read: int = 0
    writes: list = field(default_factory=list)  # (ttl, tokens)
    refused: bool = False


def prefix(prompt, k):
    """The prefix that ends with piece k: model and texts."""
    return (prompt.model, *(piece.text for piece in prompt.pieces[: k + 1]))


def size(prompt, k):
    """Its tokens."""
    return sum(piece.tokens for piece in prompt.pieces[: k + 1])


INSTANT = 1e-9  # seconds: an answer takes time, so requests that start together read nothing of each other


def readable_at(prompt, settings):
    """When what a request writes can be read (A-10, O-12)."""
    begun = prompt.at if prompt.first_token is None else prompt.at + prompt.first_token
    ended = begun if prompt.took is None else prompt.at + prompt.took
    if settings["visible_at"] == "start":
        return prompt.at
    if settings["visible_at"] == "end":
        return max(ended, prompt.at + INSTANT)
    if prompt.first_token is None:
        return max(ended, prompt.at + INSTANT) if settings["missing_time"] == "end" else prompt.at + INSTANT
    return max(begun, prompt.at + INSTANT)


def alive(entry, now, settings):
    """Expiry: last touch + TTL (8.4)."""
    return now <= entry.touched + entry.ttl + settings.get("grace", 0)


def positions(prompt, settings):
    """The position of each piece (A-5)."""
    found, at, before = [], 0, None
    for piece in prompt.pieces:
        kind = KINDS[piece.kind]
        run = settings["tool_runs_are_one_position"] and kind == before and kind in ("tool_use", "tool_result")
        at += 0 if run or kind == "framing" else 1
        found.append(at)
        before = kind
    return found


def resolved_breakpoints(prompt, settings):
    """The breakpoints in force, {piece: ttl}; None if the request is refused (A-2, A-8, A-11, A-14)."""
    breakpoints = {k: ttl or settings["default_ttl"] for k, ttl in prompt.breakpoints.items()}
    if any(not prompt.pieces[k].allows_breakpoint for k in breakpoints):
        return None
    if prompt.automatic > 0 and settings["automatic_mode"]:
        k = len(prompt.pieces) - 1
        while k >= 0 and not prompt.pieces[k].allows_breakpoint:
            k -= 1
        if k >= 0 and k in breakpoints and breakpoints[k] != prompt.automatic:
            return None
        if k >= 0:
            breakpoints[k] = prompt.automatic
    if len(breakpoints) > settings["max_breakpoints"]:
        return None
    ttls = [breakpoints[k] for k in sorted(breakpoints)]
    if ttls != sorted(ttls, reverse=True):
        return None
    if breakpoints and settings["server_tool_breakpoints"]:
        servers = [k for k, p in enumerate(prompt.pieces) if KINDS[p.kind] == "server" and p.allows_breakpoint]
        if servers and servers[-1] not in breakpoints:
            breakpoints[servers[-1]] = settings["default_ttl"]
    return breakpoints


def run_breakpoints(prompts, settings, minimum):
    """Anthropic and its like."""
    entries, results = [], []
    for prompt in prompts:
        result = Result()
        results.append(result)
        breakpoints = None if prompt.failed else resolved_breakpoints(prompt, settings)
        if breakpoints is None:
            result.refused = True
            continue
        usable = sorted(k for k in breakpoints if size(prompt, k) >= minimum)
        places = positions(prompt, settings)
        hit, by = None, None
        for start in reversed(usable):
            for k in range(start, -1, -1):
                if places[start] - places[k] >= settings["lookback"]:
                    break
                if any(
                    e.prefix == prefix(prompt, k)
                    and e.readable <= prompt.at
                    and alive(e, prompt.at, settings)
                    and (not settings["ttl_in_key"] or e.ttl == breakpoints[start])
                    for e in entries
                ):
                    hit, by = k, breakpoints[start]
                    break
            if hit is not None:
                break
        _settle(prompt, settings, result, entries, hit, by, [(k, breakpoints[k]) for k in usable])
    return results


def run_boundaries(prompts, settings, minimum):
    """OpenAI from GPT-5.6 on."""
    entries, results = [], []
    for prompt in prompts:
        result = Result()
        results.append(result)
        if prompt.failed or any(not prompt.pieces[k].allows_breakpoint for k in prompt.breakpoints):
            result.refused = True
            continue
        explicit = sorted(prompt.breakpoints)
        eligible, first_developers = eligible_messages(prompt)
        looked_up = set(explicit[: settings["first_explicit"]]) | set(explicit[-settings["latest_explicit"] :])
        slots = settings["max_breakpoints"]
        ttl = prompt.automatic if prompt.automatic > 0 else settings["default_ttl"]
        written = {}
        if prompt.automatic != 0:
            looked_up |= set(eligible[-1 - settings["earlier_messages"] :]) | set(first_developers)
            slots -= 1
            if eligible:
                written[eligible[-1]] = prompt.breakpoints.get(eligible[-1]) or ttl
        written |= {k: prompt.breakpoints[k] or ttl for k in explicit[-slots:]}
        looked_up = {k for k in looked_up if size(prompt, k) >= minimum}
        hit, by = None, None
        for k in sorted(looked_up, reverse=True):
            mine = prompt.breakpoints.get(k) or ttl
            if any(
                e.prefix == prefix(prompt, k)
                and e.readable <= prompt.at
                and alive(e, prompt.at, settings)
                and (not settings["ttl_in_key"] or e.ttl == mine)
                for e in entries
            ):
                hit, by = k, mine
                break
        writes = [(k, written[k]) for k in sorted(written) if size(prompt, k) >= minimum]
        _settle(prompt, settings, result, entries, hit, by, writes)
    return results


def eligible_messages(prompt):
    """Ends of eligible messages (O-1), and the end of the first run of developer messages."""
    pieces = prompt.pieces
    kinds = [KINDS[p.kind] for p in pieces]
    eligible, developers = [], []
    for k, kind in enumerate(kinds):
        following = kinds[k + 1] if k + 1 < len(kinds) else None
        if (kind == "user" and not (following is not None and pieces[k + 1].message == pieces[k].message)) or (
            kind == "tool_result" and following != "tool_result"
        ):
            eligible.append(k)
        elif kind == "developer" and following != "developer" and not developers:
            eligible.append(k)
            developers.append(k)
    return eligible, developers


def _settle(prompt, settings, result, entries, hit, by, writes):
    """Renew what was read, bill it, and store what was written (A-3, A-8, 2.4)."""
    if hit is not None:
        result.read = size(prompt, hit)
        renewed = range(hit + 1) if settings["renews"] == "prefixes" else [hit]
        touched = {prefix(prompt, k) for k in renewed}
        for entry in entries:
            same = not settings["ttl_in_key"] or entry.ttl == by
            if entry.prefix in touched and entry.readable <= prompt.at and alive(entry, prompt.at, settings) and same:
                entry.touched = prompt.at
    done = result.read
    for k, ttl in writes:
        if hit is None or k > hit:
            result.writes.append((ttl, size(prompt, k) - done))
            done = size(prompt, k)
            entries.append(Entry(prefix(prompt, k), readable_at(prompt, settings), prompt.at, ttl))


def text_of(prompt, *, answer=False):
    """A prompt as its list of tokens: characters, behind the model."""
    pieces = prompt.pieces + (prompt.answer if answer else ())
    return (prompt.model, *"".join(piece.text for piece in pieces))


class Store:
    """Every token prefix that is stored, each with its times."""

    def __init__(self, ttl):
        self.ttl = ttl
        self.held = {}  # prefix -> [readable, touched]

    def is_live(self, prefix, now):
        held = self.held.get(prefix)
        return held is not None and held[0] <= now and (not self.ttl or now - held[1] <= self.ttl)

    def put(self, prefix, now, readable):
        held = self.held.get(prefix)
        if held is None or (self.ttl and now - held[1] > self.ttl):
            self.held[prefix] = [readable, now]
        else:
            self.held[prefix] = [min(held[0], readable), max(held[1], now)]

    def touch(self, prefix, now):
        if self.is_live(prefix, now):
            self.held[prefix][1] = now


def run_blocks(prompts, settings, minimum):
    """Longest common token prefix, rounded down to a block; without a capacity."""
    store, results = Store(settings["ttl"]), []
    for prompt in prompts:
        result = Result()
        results.append(result)
        if prompt.failed or not prompt.pieces:
            result.refused = prompt.failed
            continue
        tokens = text_of(prompt)
        n = max((k for k in range(1, len(tokens)) if store.is_live(tokens[: k + 1], prompt.at)), default=0)
        result.read = _reported(n, prompt, settings, minimum)
        for k in range(1, len(tokens)):
            store.put(tokens[: k + 1], prompt.at, readable_at(prompt, settings))
        if prompt.answer and settings["caches_answers"]:
            whole, end = text_of(prompt, answer=True), prompt.at + (prompt.took or prompt.first_token or INSTANT)
            for k in range(len(tokens), len(whole)):
                store.put(whole[: k + 1], end, end)
    return results


def run_units(prompts, settings, minimum):
    """Whole units: ends of prompts and answers, and detected common prefixes (D1)."""
    units, seen, results = Store(settings["ttl"]), Store(settings["ttl"]), []
    for prompt in prompts:
        result = Result()
        results.append(result)
        if prompt.failed or not prompt.pieces:
            result.refused = prompt.failed
            continue
        tokens, now = text_of(prompt), prompt.at
        n = max((k for k in range(1, len(tokens)) if units.is_live(tokens[: k + 1], now)), default=0)
        common = max((k for k in range(1, len(tokens)) if seen.is_live(tokens[: k + 1], now)), default=0)
        for k in range(1, n + 1):
            units.touch(tokens[: k + 1], now)
        every = settings["unit_tokens"]
        if every:
            n = max(n, common // every * every)
        result.read = _reported(n, prompt, settings, minimum)
        readable = readable_at(prompt, settings)
        if common:
            units.put(tokens[: common + 1], now, readable)
        units.put(tokens, now, readable)
        for k in range(1, len(tokens)):
            seen.put(tokens[: k + 1], now, readable)
        if prompt.answer:
            whole, end = text_of(prompt, answer=True), now + (prompt.took or prompt.first_token or INSTANT)
            units.put(whole, end, end)
            for k in range(len(tokens), len(whole)):
                seen.put(whole[: k + 1], end, end)
    return results


def run_evicting(prompts, settings):
    """An engine with room for so many blocks: blocks in a list, least recently used first (V1)."""
    step, capacity = settings["block_tokens"], settings["capacity_blocks"]
    blocks, results = [], []
    for prompt in prompts:
        tokens = text_of(prompt)
        own = [tokens[: 1 + k * step] for k in range(1, (len(tokens) - 1) // step + 1)]
        n = 0
        while n < len(own) and own[n] in blocks and (n + 1) * step <= prompt.tokens - 1:
            n += 1
        results.append(Result(read=n * step))
        for held in reversed(own):
            if held in blocks:
                blocks.remove(held)
            blocks.append(held)
        del blocks[: max(0, len(blocks) - capacity)]
    return results


def _reported(n, prompt, settings, minimum):
    if not settings["reads_whole_prompt"]:
        n = min(n, prompt.tokens - 1)
    if n < max(minimum, 1):
        return 0
    interval, step, hidden = settings["block_tokens"], settings["step_tokens"], settings["hidden_tokens"]
    return max(0, ((n + hidden) // interval * interval - hidden) // step * step)
