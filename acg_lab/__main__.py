"""The command ``acg-lab``, also as ``python -m acg_lab``: Ctrl-C ends it quietly while it is still loading, too."""

import sys

__all__ = ["main"]


def main() -> None:
    """Load the command line and run it; ends the process with its exit status."""
    try:
        from acg_lab.cli import main as run  # noqa: PLC0415  it takes half a second, in which Ctrl-C may come
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
