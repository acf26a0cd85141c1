"""``acg-lab export``: copy a source to Parquet, or back to a Redis."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from acg_lab.cli._app import (
    Agent,
    IncludePrivate,
    KeyPrefix,
    Since,
    Source,
    Strict,
    complain,
    complaints,
    parse_mode,
    read,
)
from acg_lab.cli._log_options import LogOptions, source_command
from acg_lab.core import UsageError
from acg_lab.fleet import append_history
from acg_lab.storage.salts import salt_beside
from acg_lab.storage.sources import check_path, is_redis, mask_credentials


@source_command("export")
def _export(
    source: Source,
    log: LogOptions,
    dest: Annotated[
        str, typer.Argument(help="Folder (path or URI) for a Parquet export, or a redis:// address.", metavar="DEST")
    ],
    agent: Agent = None,
    since: Since = None,
    limit: Annotated[
        int | None, typer.Option(help="Only the newest N observations and runs.", metavar="N", min=1)
    ] = None,
    key_prefix: KeyPrefix = "auto",
    dest_prefix: Annotated[
        str | None, typer.Option(help="Key prefix at a Redis DEST; by default that of the source.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an export at DEST.")] = False,  # noqa: FBT002
    mode: Annotated[
        str | None, typer.Option(help="Permissions of the folder, such as 750; by default its owner's alone.")
    ] = None,
    redact: Annotated[  # noqa: FBT002
        bool, typer.Option("--redact", help="Write pseudonyms of the same size in place of all texts.")
    ] = False,
    redact_names: Annotated[  # noqa: FBT002
        bool, typer.Option("--redact-names", help="With --redact: replace the ids of agents, runs and requests too.")
    ] = False,
    salt: Annotated[
        str | None,
        typer.Option(help="Key of the pseudonyms, made if missing; by default DEST.salt. Keep it.", metavar="FILE"),
    ] = None,
    partition: Annotated[
        str | None, typer.Option(help="'agent': give each agent its own files, for many agents.", metavar="agent")
    ] = None,
    append: Annotated[  # noqa: FBT002
        bool, typer.Option("--append", help="Add the runs that DEST doesn't hold yet, in a new piece.")
    ] = False,
    allow_write: Annotated[bool, typer.Option("--allow-write", help="Write to a Redis DEST.")] = False,  # noqa: FBT002
    include_private: IncludePrivate = False,  # noqa: FBT002
    strict: Strict = False,  # noqa: FBT002
) -> None:
    """Copy any source to Parquet, or into a Redis.

    An existing key of a Redis is never overwritten.
    """
    check_path(dest)
    permissions = parse_mode(mode)
    if redact and is_redis(dest):
        msg = "--redact writes Parquet only; name a folder as DEST."
        raise UsageError(msg)
    log = {**log, "include_private": include_private}
    options: dict[str, Any] = {"redact": redact, "redact_names": redact_names, "salt": salt}
    if append:
        _refuse_with_append(dest, {"--overwrite": overwrite, "--since": since, "--limit": limit})
        options |= {"key_prefix": key_prefix, "partition_by": partition, "mode": permissions, "strict": strict, **log}
        with complaints():
            added = append_history(source, dest, agent_id=agent, **options)
        complain(str(added))
        return
    snapshot = read(source, agent, since=since, limit=limit, key_prefix=key_prefix, strict=strict, **log)
    if not is_redis(dest):
        snapshot.to_parquet(dest, overwrite=overwrite, mode=permissions, partition_by=partition, **options)  # type: ignore[arg-type]
    elif allow_write:
        snapshot.to_redis(dest, key_prefix=dest_prefix)
    else:
        msg = f"{mask_credentials(dest)} is a Redis; to write to it, add --allow-write."
        raise UsageError(msg)
    complain(f"exported {snapshot.facts} to {mask_credentials(dest)}")
    if snapshot.needs_salt(redact=redact) and not is_redis(dest):
        complain(f"the key of its pseudonyms is in {salt or salt_beside(dest)}: keep it, and do not share it")


def _refuse_with_append(dest: str, given: Mapping[str, object]) -> None:
    if is_redis(dest):
        msg = "--append adds to a folder of Parquet; a Redis is never changed."
        raise UsageError(msg)
    for name, value in given.items():
        if value:
            msg = f"{name} can't be combined with --append: a piece has whole windows, and nothing is replaced."
            raise UsageError(msg)
