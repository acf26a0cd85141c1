"""The entries of a breakpoint cache: written, read, renewed and expired, prefix by prefix.

Times are in nanoseconds. Entries of a prefix are renewed when they are looked at, not when a read renews them.
"""

from typing import Final, TypeAlias

from acg_lab.providers.clock import NANOSECONDS, NEAR_TTL, Visibility
from acg_lab.providers.lookups import Settings
from acg_lab.providers.outcomes import NOTHING, Doubt
from acg_lab.providers.prefix_tree import PrefixTree
from acg_lab.providers.prompts import NO_NODE

__all__ = ["ABSENT", "EXPIRED", "IN_FLIGHT", "LIFE", "LIVE", "TOUCHED", "WRITER", "EntryStore", "State"]

# Fields of an entry.
_READABLE, TOUCHED, LIFE, WRITER = range(4)
LIVE, IN_FLIGHT, EXPIRED, ABSENT = range(4)
_WHOLE: Final = 1 << 62  # deeper than any chain

Entry: TypeAlias = list[int]
State: TypeAlias = tuple[int, int, int, int]  # live, in flight, expired or absent; written by; idle; doubts


class EntryStore:
    """The entries of one scope, by prefix; several for a prefix that was written more than once at a time.

    An entry is a list, since it is the unit of work: from when it is readable, its last touch, its TTL, who wrote it.
    A read renews every shorter entry of its prompt. It is noted with each chain that it passes through, and entries
    catch up with their chain when they are looked at: few ever are again.
    """

    def __init__(self, settings: Settings, seen: Visibility, tree: PrefixTree) -> None:
        self.entries: list[list[Entry]] = [[] for _ in tree.chain_of]
        self._chain_of, self._depth, self._above = tree.chain_of, tree.depth, tree.above
        self._reads: list[list[tuple[int, int, int]]] = [[] for _ in tree.above]  # when, how deep, by which TTL
        self._caught_up = [0] * len(tree.chain_of)
        self.longer = bool(settings["may_live_longer"])
        self._grace = int(float(str(settings["grace"])) * NANOSECONDS)
        self.ttl_in_key = bool(settings["ttl_in_key"])
        self._renew_all = settings["renews"] == "prefixes"
        self._readable = seen.readable.tolist()
        self._assumed = seen.assumed_until.tolist()

    def look_up(self, node: int) -> list[Entry]:
        """Return the entries of a prefix, renewed by what was read since they were last looked at."""
        entries = self.entries[node]
        reads, start = self._reads[self._chain_of[node]], self._caught_up[node]
        if not entries:
            self._caught_up[node] = len(reads)
        elif start < len(reads):
            depth, grace = self._depth[node], self._grace
            for at in range(start, len(reads)):
                now, reached, ttl = reads[at]
                if reached < depth:
                    continue
                for entry in entries:
                    readable, touched, life, _ = entry
                    if readable <= now <= touched + life + grace and (not ttl or life == ttl):
                        entry[TOUCHED] = now
            self._caught_up[node] = len(reads)
        return entries

    def state(self, entries: list[Entry], now: int) -> State:
        """Return the best state among the entries of a prefix."""
        best = (ABSENT, NOTHING, 0)
        doubts = 0
        for readable, touched, life, writer in entries:
            idle = now - touched
            spare = life + self._grace - idle
            if -NEAR_TTL <= spare <= NEAR_TTL:
                doubts |= Doubt.NEAR_TTL
            if now < self._assumed[writer]:
                doubts |= Doubt.TIME_UNKNOWN
            state = EXPIRED if spare < 0 else IN_FLIGHT if readable > now else LIVE
            if state < best[0] or (state == best[0] and idle < best[2]):
                best = state, writer, idle
        return *best, doubts

    def read_surely(self, node: int, now: int) -> Entry | None:
        """Read a prefix if its one entry is readable beyond doubt; return the entry as it was."""
        entries = self.entries[node]
        if len(entries) != 1:
            return None
        if self._caught_up[node] < len(self._reads[self._chain_of[node]]):
            self.look_up(node)
        readable, touched, life, writer = entry = entries[0]
        if readable > now or now + NEAR_TTL >= touched + life + self._grace or now < self._assumed[writer]:
            return None
        if self._renew_all:
            self._note_read(node, now, 0)
        else:
            entries[0] = [readable, now, life, writer]
        return entry

    def renew(self, node: int, now: int, ttl: int) -> None:
        """Touch what a read touches: the prefix that was read, and by default all shorter ones."""
        if self._renew_all:
            self._note_read(node, now, ttl)
            return
        for entry in self.look_up(node):
            alive = entry[_READABLE] <= now <= entry[TOUCHED] + entry[LIFE] + self._grace
            if alive and (not ttl or entry[LIFE] == ttl):
                entry[TOUCHED] = now

    def _note_read(self, node: int, now: int, ttl: int) -> None:
        """Note a read with each chain that it passes through, for their entries to catch up with."""
        reads, above, chain = self._reads, self._above, self._chain_of[node]
        reads[chain].append((now, self._depth[node], ttl))
        whole = now, _WHOLE, ttl
        while (chain := above[chain]) != NO_NODE:
            reads[chain].append(whole)

    def write(self, node: int, request: int, now: int, ttl: int) -> None:
        """Store an entry, and forget those of the prefix that have expired."""
        entries = self.entries[node]
        if entries:
            entries = self.look_up(node)
            entries[:] = [e for e in entries if e[TOUCHED] + e[LIFE] + self._grace >= now]
        else:
            self._caught_up[node] = len(self._reads[self._chain_of[node]])
        entries.append([self._readable[request], now, ttl * NANOSECONDS, request])
