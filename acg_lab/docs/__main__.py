"""The command ``python -m acg_lab.docs``: build the site, serve it on this machine, or run the notebooks."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from acg_lab.core.errors import AcgLabError, UsageError
from acg_lab.docs.build_site import build_site
from acg_lab.docs.stored_notebooks import run_notebooks

__all__ = ["main"]

_DEFAULT_OUT = Path("build/site")
_NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
_FAILED, _MISUSED = 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0, 1 if site or notebooks have faults, 2 after wrong use."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "notebooks":
            return store_notebooks(check=options.check)
        n_faults = build_site(options.out)
        if n_faults:
            print("The site has faults; they are listed above.", file=sys.stderr)  # noqa: T201 -- a command
            return _FAILED
        print(f"The site is in {options.out}; open {options.out / 'index.html'}.")  # noqa: T201 -- a command
        if options.command == "serve":
            serve(options.out, options.port)
    except AcgLabError as error:
        print(f"acg_lab.docs: {error}", file=sys.stderr)  # noqa: T201 -- a command
        return _MISUSED if isinstance(error, UsageError) else _FAILED
    return 0


def store_notebooks(*, check: bool) -> int:
    """Run the notebooks and store their outputs, or list what differs from them; return the exit status."""
    differences = run_notebooks(_NOTEBOOKS, check=check)
    if differences:
        advice = "Outputs are not as stored; look at them, and store them with: python -m acg_lab.docs notebooks"
        print(*differences, advice, sep="\n", file=sys.stderr)  # noqa: T201 -- a command
        return _FAILED
    print(f"{_NOTEBOOKS}: {'outputs are as stored' if check else 'outputs are stored'}.")  # noqa: T201 -- a command
    return 0


def serve(folder: Path, port: int) -> None:
    """Serve a built site on this machine only, until Ctrl-C."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        print(f"http://127.0.0.1:{server.server_port}/ (Ctrl-C ends it)", flush=True)  # noqa: T201 -- a command
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m acg_lab.docs", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--out", type=Path, default=_DEFAULT_OUT, help="folder of the site (default: %(default)s)")
    commands.add_parser("build", parents=[shared], help="build the site; warnings are errors")
    serving = commands.add_parser("serve", parents=[shared], help="build the site and serve it on this machine")
    serving.add_argument("--port", type=int, default=8000, help="0 takes any free port (default: %(default)s)")
    storing = commands.add_parser("notebooks", help="run the notebooks on the samples and store their outputs")
    storing.add_argument("--check", action="store_true", help="store nothing; fail where outputs are not as stored")
    return parser


if __name__ == "__main__":
    sys.exit(main())
