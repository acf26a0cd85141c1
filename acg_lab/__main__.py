"""The command ``acg-lab``, also as ``python -m acg_lab``; Ctrl-C is quiet even while it is loading."""

import sys

__all__ = ["main"]


def main() -> None:
    """Load the command line, run it, and exit the process with its status."""
    try:
        from acg_lab.cli import main as run  # noqa: PLC0415  loading takes half a second, in which Ctrl-C may come
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
