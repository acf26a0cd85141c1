"""Put a folder or a piece in its place: whole or not at all, whatever ends the process, and one writer at a time.

A folder is written beside its place, where its writer holds a lock on it, and takes its place under a lock on the
folder above. Locks end with their process, so what is not locked was left by one that was killed: the next writer, or
a reader who finds nothing, restores or removes it. A piece of a history is written in a hidden folder of that history,
whose writer holds a lock on it until the end. Its last file makes it count.
"""

import contextlib
import glob
import logging
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from acg_lab.core.errors import SourceError

__all__ = ["PRIVATE", "new_folder", "new_piece", "only_writer", "restore"]

logger = logging.getLogger(__name__)

PRIVATE: Final = 0o700
_NO_EXECUTION: Final = 0o666
_is_partial = re.compile(r"\.[0-9a-f]{16}\.partial").fullmatch
_is_ours = re.compile(r"[0-9a-f]{8}\.partial(\.old)?").fullmatch


@contextlib.contextmanager
def new_folder(place: Path, *, mode: int | None, check: Callable[[], None]) -> Iterator[Path]:
    """Yield an empty folder for its owner alone, which takes its place at the end, or is removed after an error.

    Parameters
    ----------
    place : Path
        Where it shall stand, links resolved. What stands there is replaced.
    mode : int, optional
        Permissions of the folder; its files get the same without execution. If omitted, those of what it replaces, else
        for its owner alone.
    check : callable
        Raises if the place was taken meanwhile.
    """
    if not place.parent.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.parent / f"{place.name}.{secrets.token_hex(4)}.partial"
    with contextlib.ExitStack() as stack:
        with _locked(place.parent):
            _clean(place)
            temporary.mkdir(mode=PRIVATE)
            stack.enter_context(_locked(temporary))
        try:
            yield temporary
            with _locked(place.parent):
                check()
                _give_permissions(temporary, place, mode)
                _take_place(temporary, place)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


@contextlib.contextmanager
def only_writer(place: Path, mode: int | None) -> Iterator[None]:
    """Hold the lock of a history, which is made if nothing is there; remove what killed writers left in it."""
    is_new = not place.exists()
    if is_new:
        place.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        place.chmod(PRIVATE if mode is None else mode)
    before = place.stat()
    with _locked(place, says_so=True), contextlib.ExitStack() as stack:
        if is_new:
            stack.callback(_remove_empty, place)
        if not place.exists() or not os.path.samestat(before, place.stat()):
            msg = f"{place}: another export took its place while this one waited; run it again."
            raise SourceError(msg)
        for left in place.glob(".*.partial"):
            if _is_partial(left.name) and left.is_dir() and _is_abandoned(left):
                _remove_piece(place, left)
                logger.warning("%s: removed what an export that was killed left there (%s)", place, left.name)
        yield


def _remove_empty(place: Path) -> None:
    """Remove a folder that was made for nothing; one that holds something stays."""
    with contextlib.suppress(OSError):
        place.rmdir()


def _remove_piece(place: Path, left: Path) -> None:
    """Remove the hidden folder of a piece, and of the piece what took its place, unless it counts."""
    token = left.name[1 : -len(".partial")]
    if not any(place.glob(f"*/*-{token}.json")):
        for made in [*place.glob(f"*/*-{token}"), *place.glob(f"*/*-{token}.parquet")]:
            shutil.rmtree(made) if made.is_dir() else made.unlink()
    shutil.rmtree(left)


@contextlib.contextmanager
def new_piece(place: Path, token: str, paths: Sequence[str]) -> Iterator[Path]:
    """Yield a hidden folder in a history; what it holds takes its place at the end, or nothing after an error.

    Parameters
    ----------
    place : Path
        The history, whose only writer this is.
    token : str
        Hexadecimal digits that end the name of the piece.
    paths : sequence of str
        Files and folders of the piece, in the order in which they take their places; the last makes it count.
    """
    temporary = place / f".{token}.partial"
    temporary.mkdir(mode=PRIVATE)
    try:
        with _locked(temporary):
            yield temporary
            _give_permissions(temporary, place, None)
            for path in paths:
                if (temporary / path).exists():
                    _move(temporary / path, place / path, like=place)
    except BaseException:
        with contextlib.suppress(OSError):
            _remove_piece(place, temporary)
        raise
    shutil.rmtree(temporary)


def _move(made: Path, there: Path, *, like: Path) -> None:
    if not there.parent.exists():
        there.parent.mkdir()
        there.parent.chmod(stat.S_IMODE(like.stat().st_mode))
    os.replace(made, there)  # noqa: PTH105


def restore(place: Path) -> None:
    """Restore what a killed writer moved away from a place where nothing stands now; wait for one that lives."""
    with contextlib.suppress(OSError):
        if any(place.parent.glob(f"{glob.escape(place.name)}.*.partial.old")):
            with _locked(place.parent):
                _restore(place)


def _take_place(new: Path, place: Path) -> None:
    """Rename a folder to its place; restore the old one if that fails, else delete it."""
    if not place.exists():
        os.replace(new, place)  # noqa: PTH105
        return
    old = Path(f"{new}.old")
    os.replace(place, old)  # noqa: PTH105
    try:
        os.replace(new, place)  # noqa: PTH105
    except BaseException:
        os.replace(old, place)  # noqa: PTH105
        raise
    shutil.rmtree(old)


def _give_permissions(new: Path, place: Path, mode: int | None) -> None:
    """Give a folder, and all in it, the permissions and the owner of what they replace, or of the whole."""
    for made in (new, *new.rglob("*")):
        own, there = PRIVATE if mode is None else mode, place / made.relative_to(new)
        with contextlib.suppress(FileNotFoundError):
            old = (there if there.exists() else place).stat()
            if mode is None:
                own = stat.S_IMODE(old.st_mode)
            _give_owner(made, old, place)
        made.chmod(own if made.is_dir() else own & _NO_EXECUTION)


def _give_owner(made: Path, old: os.stat_result, place: Path) -> None:
    now = made.stat()
    if (now.st_uid, now.st_gid) != (old.st_uid, old.st_gid):
        try:
            os.chown(made, old.st_uid, old.st_gid)
        except PermissionError:
            msg = f"{place}: it was not replaced: it belongs to another user or group ({old.st_uid}:{old.st_gid})."
            raise SourceError(msg) from None


def _clean(place: Path) -> None:
    """Restore and remove what killed writers left; the folder above must be locked."""
    _restore(place)
    for left in _left_by_others(place):
        shutil.rmtree(left)
        logger.warning("%s: removed what an export that was killed left there (%s)", place, left.name)


def _restore(place: Path) -> None:
    old = [left for left in _left_by_others(place) if left.suffix == ".old"]
    if old and not place.exists():
        newest = max(old, key=lambda left: left.stat().st_mtime)
        os.replace(newest, place)  # noqa: PTH105
        logger.warning("%s: restored after an export that was killed while it was replaced", place)


def _left_by_others(place: Path) -> list[Path]:
    start = len(place.name) + 1
    near = place.parent.glob(f"{glob.escape(place.name)}.*")
    return [path for path in near if _is_ours(path.name[start:]) and path.is_dir() and _is_abandoned(path)]


def _is_abandoned(folder: Path) -> bool:
    """Return whether no process holds a folder; False where that can't be known."""
    try:
        import fcntl  # not everywhere

        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(descriptor)
    except (OSError, ImportError):
        return False
    return True


@contextlib.contextmanager
def _locked(folder: Path, *, says_so: bool = False) -> Iterator[None]:
    """Hold a lock on a folder, where the system has such locks; ``says_so`` if another process has to be waited for."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError, ImportError):
            import fcntl  # not everywhere

            descriptor = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if says_so:
                    logger.warning("%s: another process is writing there; waiting for it", folder)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
