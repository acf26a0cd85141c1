"""Which agents a source holds, by names alone where that is possible."""

import warnings
from typing import TYPE_CHECKING, Any

from acg_lab.snapshot.known_agents import agents_of
from acg_lab.snapshot.load import load
from acg_lab.snapshot.load_log import LoadWarning, is_log
from acg_lab.snapshot.samples import find_sample
from acg_lab.storage.redis_backend import RedisBackend
from acg_lab.storage.sources import open_source

if TYPE_CHECKING:
    import os

__all__ = ["list_agents"]


def list_agents(source: "str | os.PathLike[str]", *, key_prefix: str = "auto", **options: Any) -> tuple[str, ...]:
    """Return the ids of all agents of a source, sorted. Of a Redis or an export no text is read.

    Parameters
    ----------
    source : str or path
        As for `acg_lab.load`.
    key_prefix : str
        Prefix of production's keys.
    **options
        Other options of `acg_lab.load`: ``gentle``, and those of a log.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LoadWarning)  # the load before has warned
        path = find_sample(source)
        if options.get("format", "auto") == "auto" and not is_log(path):
            backend = open_source(path, key_prefix=key_prefix, gentle=options.get("gentle"))
            try:
                return tuple(sorted(agents_of(backend)))
            finally:
                if isinstance(backend, RedisBackend):
                    backend.close()
        return load(path, key_prefix=key_prefix, **options).agent_ids
