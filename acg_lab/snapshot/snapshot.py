"""The snapshot: one immutable read of a source.

A snapshot keeps columns, and makes records when asked for. Seed entries are kept apart from profiles.
"""

import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from acg_lab._format import counted, html_table, html_text
from acg_lab.core.errors import RecordError, UsageError
from acg_lab.core.keys import Owner
from acg_lab.core.records import PromptIR, StabilityAnalysisResult
from acg_lab.core.rules import NEWEST, RULES, get_rules
from acg_lab.core.window import SpanCount
from acg_lab.snapshot.export_columns import choose_columns, hides_private
from acg_lab.snapshot.learnable import count_unread
from acg_lab.snapshot.private_texts import find_private_texts, has_private_blocks
from acg_lab.snapshot.profile_names import ProfileNames
from acg_lab.snapshot.redaction import rules_of_agents
from acg_lab.snapshot.rules_detection import DetectedRules, detect_rules, read_runs
from acg_lab.snapshot.span_stats import SpanCounts, count_columns, count_spans
from acg_lab.storage._runtime import Bar
from acg_lab.storage.columns import Columns
from acg_lab.storage.lazy import LazyMapping
from acg_lab.storage.masking import mask_credentials
from acg_lab.storage.parquet_backend import ParquetExport
from acg_lab.storage.parquet_history import ParquetHistory
from acg_lab.storage.parquet_layout import PartitionBy
from acg_lab.storage.path_options import check_mode, path_text
from acg_lab.storage.recorded_runs import Runs
from acg_lab.storage.redis_backend import RedisBackend
from acg_lab.storage.sources import open_source

if TYPE_CHECKING:
    import os

__all__ = ["Seed", "Snapshot", "check_snapshot", "check_whole"]

logger = logging.getLogger(__name__)

Window = tuple[PromptIR, ...]
_MAX_LINES = 20


class Seed(NamedTuple):
    """An agent's seed entry: a copy of its best profile of the last run, for warming up."""

    window: Window
    result: StabilityAnalysisResult | None


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Snapshot:
    """One immutable read of a source.

    Attributes
    ----------
    source : str
        The source, credentials masked.
    columns : Columns
        Everything that was read: one row per block, texts by code.
    owners : mapping of str to Owner
        The agent of each stored key.
    rules_setting : str
        The rules version for all profiles, or ``"auto"``: the detected one of each, see `rules`.
    is_filtered : bool
        Whether only a part of the windows was loaded (``since`` or ``limit``).
    shows_private : bool
        Whether the texts of blocks labelled private or restricted are shown and exported where texts are.

    Examples
    --------
    >>> import acg_lab as acg
    >>> snap = acg.load("data/sample", agent_id="claims-triage")
    >>> snap.agent_ids, len(snap.windows), snap.problems
    (('claims-triage',), 1, ())
    """

    source: str
    columns: Columns
    owners: Mapping[str, Owner]
    rules_setting: str = "auto"
    is_filtered: bool = False
    shows_private: bool = False

    @property
    def learned_here(self) -> bool:
        """Whether windows and results were learned here from runs, and not stored by production."""
        return self.columns.origin.learned_here

    @property
    def caveats(self) -> tuple[str, ...]:
        """What had to be inferred, what was left out, and what the source does not hold."""
        return self.columns.origin.caveats

    @property
    def sample_rate(self) -> float:
        """Which share of the traffic the source holds, in (0, 1], as the caller said."""
        return self.columns.origin.sample_rate

    @cached_property
    def problems(self) -> tuple[RecordError, ...]:
        """What could not be read: entries, with source, key and path; then recorded requests, counted by reason."""
        return *self.columns.problems, *(RecordError(text, source=self.source) for text in self.unread)

    @cached_property
    def unread(self) -> tuple[str, ...]:
        """Recorded requests that the rules cannot read, and so not learned; one sentence per reason."""
        if self.columns.unread is not None:
            return self.columns.unread
        return tuple(count_unread(self.runs, self._rules_of_agents()))

    def _rules_of_agents(self) -> Mapping[str, Collection[str]]:
        """Return the rules versions by which each agent's requests were learned, the newest first."""
        if self.rules_setting != "auto":
            return dict.fromkeys(self.agent_ids, (self.rules_setting,))
        found: dict[str, set[str]] = {agent_id: set() for agent_id in self.agent_ids}
        if len(self.runs):
            for key in self.windows:
                found[self.owners[key].agent_id].add(self.rules[key].rules)
        newest_first: tuple[str, ...] = tuple(RULES)[::-1]
        return {agent: sorted(names or {NEWEST}, key=newest_first.index) for agent, names in found.items()}

    @cached_property
    def runs(self) -> Runs:
        """The recorded runs, by agent, in the order of production's index."""
        if self.shows_private or not has_private_blocks(self.columns.observations):
            return self.columns.runs
        private = find_private_texts(self.columns, rules_of_agents(self.owners, self.rules))
        return replace(self.columns.runs, private_texts=private)

    @property
    def recorded(self) -> "Snapshot":
        """The snapshot as it was recorded: itself, unless repairs were applied to it."""
        return self

    @cached_property
    def agent_ids(self) -> tuple[str, ...]:
        """All agents with a profile, a seed entry or a run, sorted."""
        return tuple(
            sorted({*(o.agent_id for o in self.owners.values()), *(r.agent_id for r in self.columns.runs.records)})
        )

    @cached_property
    def windows(self) -> Mapping[str, Window]:
        """The observations of each profile by learning key, oldest first, without seed entries."""
        observations = self.columns.observations
        keys = [key for key in observations.keys if not self.owners[key].is_seed]
        return LazyMapping(keys, lambda key: observations.window(observations.number[key]))

    @cached_property
    def profile_names(self) -> ProfileNames:
        """The display name of each profile, by learning key; its `resolve` finds the learning key of a name."""
        return ProfileNames({key: self.owners[key].agent_id for key in self.windows})

    @cached_property
    def stability(self) -> Mapping[str, StabilityAnalysisResult]:
        """The results that production stored, by learning key."""
        results = self.columns.results
        return LazyMapping(sorted(key for key in results if not self.owners[key].is_seed), results.__getitem__)

    @cached_property
    def seeds(self) -> Mapping[str, Seed]:
        """Seed entries by agent id."""
        windows, results = self.columns.observations, self.columns.results
        keys = sorted(key for key, owner in self.owners.items() if owner.is_seed)
        return LazyMapping(
            keys,
            lambda key: Seed(windows.window(windows.number[key]) if key in windows.number else (), results.get(key)),
        )

    @cached_property
    def rules(self) -> Mapping[str, DetectedRules]:
        """The rules version by which each profile is analysed, and the evidence for it."""
        if self.rules_setting != "auto":
            given = DetectedRules(get_rules(self.rules_setting).name, "as requested", decided=True)
            return LazyMapping(tuple(self.windows), lambda _: given)
        of_agent = LazyMapping(self.agent_ids, lambda agent_id: read_runs(self.columns.runs, agent_id))

        def decide(key: str) -> DetectedRules:
            agent_id = self.owners[key].agent_id
            return detect_rules(self.columns, key, agent_id, lambda: of_agent[agent_id])

        return LazyMapping(tuple(self.windows), decide)

    @cached_property
    def counts(self) -> Mapping[str, list[SpanCount]]:
        """The span counts of each profile's window, from which all scores follow."""
        keys = tuple(self.windows)
        return dict(zip(keys, count_columns(self.columns.observations, keys, self.span_counts), strict=True))

    @cached_property
    def span_counts(self) -> SpanCounts:
        """The span counts as arrays over all windows, including those of seed entries."""
        return count_spans(self.columns.observations)

    def n_observations(self, key: str) -> int:
        """Return the number of observations in the window of a learning key."""
        return len(self.columns.observations.observations_of(self.columns.observations.number[key]))

    @property
    def is_redacted(self) -> bool:
        """Whether pseudonyms stand for all texts, as in a redacted export."""
        return self.columns.origin.is_redacted

    @property
    def _hides_private(self) -> bool:
        """Whether the source holds private texts that were not asked for."""
        return hides_private(self.columns, shows_private=self.shows_private)

    def needs_salt(self, *, redact: bool) -> bool:
        """Return whether an export of this snapshot holds pseudonyms that it does not hold itself."""
        return (redact and not self.is_redacted) or self._hides_private

    def columns_to_write(self, path: "str | os.PathLike[str]", **options: Any) -> Columns:
        """Return the columns that an export to a path has; options are those of a redacted `to_parquet`."""
        return choose_columns(self.columns, self.owners, self.rules, path, hides=self._hides_private, **options)

    def to_parquet(
        self,
        path: "str | os.PathLike[str]",
        *,
        overwrite: bool = False,
        mode: int | None = None,
        partition_by: PartitionBy = None,
        append: bool = False,
        redact: bool = False,
        redact_names: bool = False,
        salt: "str | os.PathLike[str] | None" = None,
    ) -> None:
        """Export to Parquet. A snapshot loaded from the export equals this one, unless it is redacted.

        Of a source with blocks that are labelled private or restricted, their texts are redacted unless it was loaded
        with ``include_private=True``.

        Parameters
        ----------
        path : str or path
            Folder, or URI.
        overwrite : bool
            Whether to replace an export there.
        mode : int, optional
            Permissions of a local folder, such as ``0o750``; its files get the same without execution. If omitted, it
            is for its owner alone, or as what it replaces.
        partition_by : {"agent"}, optional
            Give each agent its own files, so that `acg_lab.load` with ``agent_id`` opens no others, and engines read
            each table as one data set: ``{path}/calls/**/*.parquet``.
        append : bool
            Add the runs that are not there yet, and the windows and results as they are now, in a new piece beside an
            export or history there; nothing of it is touched.
        redact : bool
            Whether to write pseudonyms in place of all texts: keyed hashes, of the same sizes. Every analysis that
            needs no text gives the same answer on the export (``acg_lab/docs/security.md``).
        redact_names : bool
            Whether to replace the ids of agents, runs, requests and accounts too.
        salt : str or path, optional
            File of the key, made if it does not exist; by default beside a local export, with ``.salt`` behind its
            name. Do not share it.

        Raises
        ------
        UsageError
            If the path exists, unless ``overwrite`` or ``append`` is set.
        SourceError
            If the export cannot be written.
        """
        path, mode = path_text(path), check_mode(mode)
        columns = self.columns_to_write(path, redact=redact, redact_names=redact_names, salt=salt)
        if append:
            self._append(path, columns, overwrite=overwrite, mode=mode, partition_by=partition_by)
            return
        with Bar(f"writing {mask_credentials(str(path))}") as bar:
            export = ParquetExport(path)
            export.write(columns, overwrite=overwrite, mode=mode, partition_by=partition_by, progress=bar)
        if logger.isEnabledFor(logging.INFO):  # facts take long to count
            logger.info("wrote %s: %s", mask_credentials(str(path)), self.facts)

    def _append(
        self, path: str, columns: Columns, *, overwrite: bool, mode: int | None, partition_by: PartitionBy
    ) -> None:
        if overwrite:
            msg = "An export either replaces what is there or adds to it; set 'overwrite' or 'append'."
            raise UsageError(msg)
        check_whole(self)
        history = ParquetHistory(path, mode=mode)
        with history.writing(), Bar(f"writing {history.label}") as bar:
            history.add(history.without_known(columns), partition_by=partition_by, progress=bar)

    def to_redis(self, url: str, *, key_prefix: str | None = None) -> None:
        """Write to a Redis in production's layout. Existing keys are never overwritten.

        Parameters
        ----------
        url : str
            Redis URL.
        key_prefix : str, optional
            Prefix of the keys; the source's if omitted.

        Raises
        ------
        UsageError
            If one of the keys exists (then nothing is written), no prefix is known, texts are redacted, or
            private ones were not asked for.
        SourceError
            If the server cannot be reached or refuses.
        """
        if self.is_redacted:
            msg = "The texts of this source are redacted: production could not use them; export it to Parquet."
            raise UsageError(msg)
        if self._hides_private:
            msg = (
                "The source holds blocks labelled private or restricted, which a Redis would get as they are; load it "
                "with include_private=True (--include-private) to copy them."
            )
            raise UsageError(msg)
        prefix = self.columns.key_prefix if key_prefix is None else key_prefix
        if prefix is None:
            msg = "The source has no key prefix; pass one to write under: key_prefix='nemo_relay:' (--dest-prefix)."
            raise UsageError(msg)
        backend = open_source(url, key_prefix=prefix, writable=True)
        if not isinstance(backend, RedisBackend):
            msg = f"Expected the address of a Redis, such as redis://host:6379/0; got {backend.label}."
            raise UsageError(msg)
        url = backend.label  # a password in it must not show in a traceback with locals
        with backend, Bar(f"writing {url}") as bar:
            backend.restore(self.columns, bar)
            if logger.isEnabledFor(logging.INFO):
                logger.info("wrote %s: %s", backend.label, self.facts)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Snapshot):
            return NotImplemented
        return (
            dict(self.windows) == dict(other.windows)
            and dict(self.stability) == dict(other.stability)
            and dict(self.seeds) == dict(other.seeds)
            and list(self.runs) == list(other.runs)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        redacted = " (redacted)" * self.is_redacted
        lines = [f"<Snapshot of {self.source}{redacted}: {counted(len(self.agent_ids), 'agent')}, {self.facts}>"]
        lines += [f"  {agent_id!r}: {facts}" for agent_id, facts in self._agents()]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = ([html_text(agent_id), html_text(facts)] for agent_id, facts in self._agents())
        redacted = " (redacted)" * self.is_redacted
        title = f"<b>Snapshot</b> of <code>{html_text(self.source)}</code>{redacted}: {html_text(self.facts)}"
        return title + html_table(("agent", "holds"), rows)

    @property
    def facts(self) -> str:
        """The contents in one line."""
        observations = self.columns.observations
        facts = [
            counted(len(self.windows), "profile"),
            counted(sum(map(self.n_observations, self.windows)), "observation"),
            counted(len(np.unique(observations.contents)), "distinct text"),
            counted(len(self.runs), "run"),
        ]
        if self.problems:
            facts.append(f"{counted(len(self.problems), 'problem')} (see .problems)")
        return ", ".join(facts)

    def _agents(self) -> Iterator[tuple[str, str]]:
        """Yield name and contents of each agent, up to a limit; never prompt text."""
        for agent_id in self.agent_ids[:_MAX_LINES]:
            keys = [key for key in self.windows if self.owners[key].agent_id == agent_id]
            runs = [run for run in self.runs.records if run.agent_id == agent_id]
            facts = [counted(len(keys), "profile"), counted(sum(map(self.n_observations, keys)), "observation")]
            if runs:
                days = sorted(run.started_at[:10] for run in runs if run.started_at)
                when = f" from {days[0]} to {days[-1]}" if days else ", times not recorded"
                facts.append(f"{counted(len(runs), 'run')}{when}")
            yield agent_id, ", ".join(facts)
        if len(self.agent_ids) > _MAX_LINES:
            yield "...", f"{len(self.agent_ids) - _MAX_LINES:,} more agents"


def check_snapshot(given: object) -> None:
    """Raise UsageError unless a value is a Snapshot."""
    if not isinstance(given, Snapshot):
        msg = f"Expected a Snapshot, as acg_lab.load returns it; got {type(given).__name__}."
        raise UsageError(msg)


def check_whole(snapshot: Snapshot) -> None:
    """Raise UsageError if only a part of the windows was loaded, which a history must not take for the whole."""
    if snapshot.is_filtered:
        msg = "A piece of a history has whole windows; load the source without 'since' and 'limit'."
        raise UsageError(msg)
