"""``acg-lab export``: copy a source to Parquet, or back to a Redis."""

from typing import Annotated, Any

import typer

from acg_lab.cli._app import Agent, IncludePrivate, KeyPrefix, Since, Source, Strict, complain, parse_mode, read
from acg_lab.cli._log_options import LogOptions, source_command
from acg_lab.core import UsageError
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
    snapshot = read(source, agent, since=since, limit=limit, key_prefix=key_prefix, strict=strict, **log)
    if not is_redis(dest):
        options: dict[str, Any] = {"redact": redact, "redact_names": redact_names, "salt": salt}
        snapshot.to_parquet(dest, overwrite=overwrite, mode=permissions, partition_by=partition, **options)  # type: ignore[arg-type]
    elif allow_write:
        snapshot.to_redis(dest, key_prefix=dest_prefix)
    else:
        msg = f"{mask_credentials(dest)} is a Redis; to write to it, add --allow-write."
        raise UsageError(msg)
    complain(f"exported {snapshot.facts} to {mask_credentials(dest)}")
    if snapshot.needs_salt(redact=redact) and not is_redis(dest):
        complain(f"the key of its pseudonyms is in {salt or salt_beside(dest)}: keep it, and do not share it")
