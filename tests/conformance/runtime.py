"""The real runtime, for tests and benchmarks: makes its virtual environment and talks to ``driver.py`` inside it.

What belongs here is the conversation: environments, processes, time limits, types. What the runtime is told and how it
is told so lives in ``driver.py``, which also describes the commands.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

Json = dict[str, Any]
Body = dict[str, Any]
Provider = Literal["passthrough", "anthropic", "openai"]
Codec = Literal["openai", "anthropic", "responses", "annotated", "none", "tool", "agent"]

VERSIONS = ("0.3.0", "0.7.3", "0.10.4", "0.11.0rc3")
DEBUG = "NEMO_RELAY_ACG_DEBUG"  # with it the runtime prints its plans, one JSON object a line
DEBUG_MARK = "acg-debug "  # what stands before the object
CALL_MARK = "driver: call"  # printed by driver.py before each call of a run
DRIVER = Path(__file__).with_name("driver.py")
INSTALL_SECONDS = 300.0

_unavailable: dict[str, str] = {}


class RuntimeUnavailable(Exception):  # noqa: N818  a test is skipped for it; it is no error of the runtime
    """The runtime can't be had here, so what needs it can't be judged.

    Parameters
    ----------
    reason : str
        For the message of a skipped test.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RuntimeFailedError(Exception):
    """The runtime refused a command, ended, or gave no answer in time."""


class Thresholds(TypedDict):
    """Stability thresholds as production wants them: all three, or none."""

    stable_threshold: float
    semi_stable_threshold: float
    min_observations_for_full_confidence: int


class Diagnostic(TypedDict, total=False):
    """One line of the runtime's validation report."""

    level: str
    code: str
    component: str
    field: str
    message: str


@dataclass(frozen=True)
class Call:
    """One LLM call to make.

    Attributes
    ----------
    request : dict
        Body as an application gives it.
    codec : {"openai", "anthropic", "responses", "annotated", "none", "tool", "agent"}
        How the runtime is told to read it. Annotated: it is the runtime's own form of a request already; none: it is
        not told; tool: it is no LLM call but a tool's; agent: an agent inside, which makes the ``calls`` of the body.
    response : dict, optional
        Laid over the provider's small default answer, so ``{"usage": {...}}`` is enough to report usage.
    """

    request: Body
    codec: Codec = "openai"
    response: Body | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of one call.

    Attributes
    ----------
    received : dict or None
        Body that the provider function got; None when it was not called.
    error : str or None
        Why the runtime refused the call.
    """

    received: Body | None
    error: str | None


@dataclass(frozen=True)
class Timing:
    """How long a drive took.

    Attributes
    ----------
    run_ns : tuple of int
        Wall time of each run, oldest first. With ``wait="run"`` it holds the wait for its learning, which the runtime
        only checks every 5 ms; with ``wait="end"`` it holds no learning.
    wall_ns : int
        Wall time of all runs, until the last one was learned.
    cpu_ns : int
        Processor time of all threads of the process in the same span. The steadiest measure of the learner's own work.
    """

    run_ns: tuple[int, ...]
    wall_ns: int
    cpu_ns: int


def runtimes_directory() -> Path:
    """Say where virtual environments are kept.

    Returns
    -------
    Path
        ``ACG_LAB_RUNTIMES`` if set, else a directory in the user's cache, else one among temporary files.
    """
    if chosen := os.environ.get("ACG_LAB_RUNTIMES"):
        return Path(chosen)
    cache = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    wanted = (Path(cache) if cache else Path.home() / ".cache") / "acg_lab" / "runtimes"
    try:
        wanted.mkdir(parents=True, exist_ok=True)
    except OSError:
        return Path(tempfile.gettempdir()) / "acg_lab-runtimes"
    return wanted


def interpreter(version: str) -> Path:
    """Make a virtual environment with the runtime in it, unless there is one.

    Parameters
    ----------
    version : str
        Of ``nemo-relay``.

    Returns
    -------
    Path
        Its Python.

    Raises
    ------
    RuntimeUnavailable
        If the environment can't be made or the package can't be installed. Not tried twice in one process.
    """
    home = runtimes_directory() / f"nemo-relay-{version}-py{sys.version_info.major}.{sys.version_info.minor}"
    if not _python(home).exists():
        if version in _unavailable:
            raise RuntimeUnavailable(_unavailable[version])
        try:
            _install(version, home)
        except RuntimeUnavailable as error:
            _unavailable[version] = error.reason
            raise
    return _python(home)


def _python(home: Path) -> Path:
    return home / "Scripts" / "python.exe" if os.name == "nt" else home / "bin" / "python"


def _install(version: str, home: Path) -> None:
    """Make the environment beside its place, then move it: parallel test processes never see half of one."""
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix="making-", dir=home.parent))
    except OSError as error:
        msg = f"no directory for the runtime's environment: {error}"
        raise RuntimeUnavailable(msg) from error
    try:
        _check_call([sys.executable, "-m", "venv", str(draft)])
        pip = [str(_python(draft)), "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
        _check_call([*pip, "--only-binary=:all:", f"nemo-relay=={version}"])
        _move(draft, home)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _move(draft: Path, home: Path) -> None:
    try:
        draft.rename(home)
    except OSError as error:
        # Another process was quicker, or the place holds something that is no environment.
        if not _python(home).exists():
            msg = f"could not move the runtime's environment into place: {error}"
            raise RuntimeUnavailable(msg) from error


def _check_call(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or error.stdout or "").strip().splitlines()
        msg = f"could not install the runtime: {lines[-1] if lines else error}"
        raise RuntimeUnavailable(msg) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        msg = f"could not install the runtime: {error}"
        raise RuntimeUnavailable(msg) from error


class Runtime:
    """One process with one version of the real runtime.

    Parameters
    ----------
    version : str
        Of ``nemo-relay``; see ``VERSIONS``.
    timeout : float, default 60.0
        Seconds to wait for each answer.
    debug : bool, default False
        Whether the runtime prints its own plans; see ``debug_lines``.

    Raises
    ------
    RuntimeUnavailable
        If the runtime can't be installed or started here.

    Notes
    -----
    Use it as a context manager; leaving it ends the process. Every method that asks the runtime something raises
    ``RuntimeFailedError`` when it refuses, ends or gives no answer in time; in the last two cases the process is gone.
    """

    def __init__(self, version: str, *, timeout: float = 60.0, debug: bool = False) -> None:
        self.version = version
        self.timeout = timeout
        self._debug = debug
        self._n_read = 0  # bytes of stderr
        self._answers: queue.Queue[str] = queue.Queue()
        self._complaint = ""
        python = interpreter(version)
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  closed with the process
        self._process = self._start(python)
        try:
            self._greet()
        except BaseException:
            self._end()
            raise

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the process."""
        self.close()

    def configure(
        self,
        *,
        agent_id: str = "agent",
        backend: Literal["in_memory", "redis"] = "in_memory",
        redis_url: str | None = None,
        key_prefix: str = "nemo_relay:",
        observation_window: int = 100,
        thresholds: Thresholds | None = None,
        provider: Provider = "passthrough",
        learners: bool = True,
        full_payloads: bool = False,
        events: Path | None = None,
    ) -> None:
        """Start the adaptive component anew; a second time is a restart on the same store.

        Parameters
        ----------
        agent_id : str
            Agent of all runs that name no other.
        backend : {"in_memory", "redis"}
            Where windows and results are kept. In memory they are lost with the next ``configure``.
        redis_url, key_prefix : str
            For Redis.
        observation_window : int
            In observations a profile.
        thresholds : Thresholds, optional
            The runtime's own defaults when absent.
        provider : {"passthrough", "anthropic", "openai"}
            What is done to live requests.
        learners : bool
            False: runs are recorded but nothing is learned.
        full_payloads : bool
            Whether later calls of a run are recorded whole. Version 0.3 always does.
        events : Path, optional
            Folder of the event file, events.jsonl, which is appended to; it is complete after the next ``configure``.
        """
        self._ask(
            {
                "op": "configure",
                "agent_id": agent_id,
                "backend": backend,
                "redis_url": redis_url,
                "key_prefix": key_prefix,
                "observation_window": observation_window,
                "thresholds": thresholds,
                "provider": provider,
                "learners": learners,
                "full_payloads": full_payloads,
                "events": None if events is None else str(events),
            }
        )

    def run(self, agent_id: str | None, calls: Sequence[Call], *, response: Body | None = None) -> tuple[Outcome, ...]:
        """Make one agent run; return when it is learned and stored.

        Parameters
        ----------
        agent_id : str or None
            None for the configured one. Another one restarts the component under that name first.
        calls : sequence of Call
            In order.
        response : dict, optional
            For the calls that have none of their own.

        Returns
        -------
        tuple of Outcome
            One for each call.
        """
        asked = [{"request": call.request, "codec": call.codec, "response": call.response} for call in calls]
        answer = self._ask({"op": "run", "agent_id": agent_id, "calls": asked, "response": response})
        return tuple(Outcome(**outcome) for outcome in answer["calls"])

    def debug_lines(self) -> list[list[Json]]:
        """Return what the runtime printed of each call since the last time, one list of objects for each call."""
        descriptor = self._stderr.fileno()
        raw = os.pread(descriptor, os.fstat(descriptor).st_size - self._n_read, self._n_read)
        self._n_read += len(raw)
        calls: list[list[Json]] = []
        for line in raw.decode().splitlines():
            _, found, printed = line.partition(DEBUG_MARK)
            if line == CALL_MARK:
                calls.append([])
            elif found:
                calls[-1].append(json.loads(printed))
        return calls

    def drive(
        self,
        runs: Sequence[Sequence[Body]],
        *,
        agent_id: str | None = None,
        codec: Codec = "openai",
        wait: Literal["run", "end"] = "run",
        timeout: float | None = None,
    ) -> Timing:
        """Make many runs in a loop inside the process, and time them.

        Parameters
        ----------
        runs : sequence of sequence of dict
            The bodies of each run.
        agent_id : str, optional
            As for ``run``.
        codec : {"openai", "anthropic", "responses"}
            Of all bodies.
        wait : {"run", "end"}
            Wait for the learning of each run, or let runs queue up and wait after the last one.
        timeout : float, optional
            Seconds for all runs together; ``self.timeout`` when absent.

        Returns
        -------
        Timing
            In nanoseconds.
        """
        bodies = [list(run) for run in runs]
        command = {"op": "drive", "agent_id": agent_id, "runs": bodies, "codec": codec, "wait": wait}
        answer = self._ask(command, timeout=timeout)
        return Timing(tuple(answer["run_ns"]), answer["wall_ns"], answer["cpu_ns"])

    def validate(self, document: Mapping[str, Any]) -> list[Diagnostic]:
        """Ask the runtime what it thinks of a plugin document.

        Parameters
        ----------
        document : mapping
            As ``plugins.toml`` holds it. Needs no ``configure``.

        Returns
        -------
        list of Diagnostic
            Empty when there is nothing to say.
        """
        diagnostics: list[Diagnostic] = self._ask({"op": "validate", "document": document})["diagnostics"]
        return diagnostics

    def close(self) -> None:
        """End the process, politely if it still listens. May be called again."""
        if self._process.poll() is None:
            # Whatever it is busy with, nobody waits for it any more.
            with contextlib.suppress(RuntimeFailedError, subprocess.TimeoutExpired):
                self._ask({"op": "close"}, timeout=10.0)
                self._process.wait(timeout=5.0)
        self._end()

    def _start(self, python: Path) -> subprocess.Popen[str]:
        # The runtime merges the user's own config files into what it is told; here it must find none.
        environment = os.environ | {"XDG_CONFIG_HOME": str(python.parent / "no-config"), DEBUG: "1"}
        if not self._debug:
            del environment[DEBUG]
        try:
            process = subprocess.Popen(
                [str(python), "-I", str(DRIVER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                encoding="utf-8",
                env=environment,
            )
        except OSError as error:
            self._stderr.close()
            msg = f"could not start the runtime: {error}"
            raise RuntimeUnavailable(msg) from error
        threading.Thread(target=self._listen, args=(process,), daemon=True).start()
        return process

    def _listen(self, process: subprocess.Popen[str]) -> None:
        """Hand on what the process says; an empty line tells that it has ended."""
        stdout = process.stdout
        if stdout is not None:
            with stdout:
                for line in stdout:
                    self._answers.put(line)
        self._answers.put("")

    def _greet(self) -> None:
        try:
            found = self._answer(self.timeout)["version"]
        except RuntimeFailedError as error:
            msg = f"the runtime does not start: {error}"
            raise RuntimeUnavailable(msg) from error
        if found != self.version:
            msg = f"the environment for nemo-relay {self.version} holds {found}; delete it"
            raise RuntimeUnavailable(msg)

    def _ask(self, command: Json, *, timeout: float | None = None) -> Json:
        stdin = self._process.stdin
        if stdin is None or stdin.closed:
            msg = "the runtime has ended; start another one"
            raise RuntimeFailedError(msg)
        try:
            stdin.write(json.dumps(command) + "\n")
            stdin.flush()
        except OSError as error:
            raise self._ended() from error
        return self._answer(self.timeout if timeout is None else timeout)

    def _answer(self, timeout: float) -> Json:
        try:
            line = self._answers.get(timeout=timeout)
        except queue.Empty:
            self._end()
            msg = f"no answer from the runtime within {timeout:g} seconds"
            raise RuntimeFailedError(msg) from None
        if not line:
            raise self._ended()
        answer: Json = json.loads(line)
        if not answer["ok"]:
            raise RuntimeFailedError(answer["error"])
        return answer

    def _ended(self) -> RuntimeFailedError:
        self._end()
        return RuntimeFailedError(f"the runtime ended with status {self._process.returncode}: {self._complaint}")

    def _end(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if not self._stderr.closed:
            self._stderr.seek(0)
            self._complaint = self._stderr.read().decode(errors="replace").strip()[-500:]
            self._stderr.close()
        if self._process.stdin is not None and not self._process.stdin.closed:
            with contextlib.suppress(OSError):  # what was still to be written has nowhere to go
                self._process.stdin.close()
