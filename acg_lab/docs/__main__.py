"""The command ``python -m acg_lab.docs``: build the documentation site, or build it and serve it on this machine."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from acg_lab.core.errors import AcgLabError, UsageError
from acg_lab.docs.build_site import build_site

__all__ = ["main"]

_DEFAULT_OUT = Path("build/site")
_FAILED, _MISUSED = 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0, 1 if the site has faults, 2 after wrong use."""
    options = _parser().parse_args(arguments)
    try:
        n_faults = build_site(options.out, execute=options.execute)
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
    shared.add_argument(
        "--no-execute",
        dest="execute",
        action="store_false",
        help="show the notebooks without running them, which is faster",
    )
    commands.add_parser("build", parents=[shared], help="build the site; warnings are errors")
    serving = commands.add_parser("serve", parents=[shared], help="build the site and serve it on this machine")
    serving.add_argument("--port", type=int, default=8000, help="0 takes any free port (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
