"""The pace of bulk reads: at most half of a server's time, by how long its own replies take."""

import ipaddress
import time
from collections.abc import Mapping
from typing import Any

__all__ = ["Pace", "is_local"]


class Pace:
    """Rests after each reply as long as the reply took, so that the server is free at least as long as it is busy.

    Attributes
    ----------
    replying, resting : float
        Seconds so far that replies took, and that were rested after them.
    """

    def __init__(self) -> None:
        self.replying = 0.0
        self.resting = 0.0

    def rest(self, seconds: float) -> None:
        """Rest after a reply that took these seconds."""
        self.replying += seconds
        start = time.perf_counter()
        time.sleep(seconds)
        self.resting += time.perf_counter() - start


def is_local(options: Mapping[str, Any]) -> bool:
    """Return whether a connection stays on this machine, by redis-py's options: a unix socket, or a loopback address.

    Examples
    --------
    >>> is_local({"path": "/run/redis.sock"}), is_local({"host": "127.0.0.1"}), is_local({"host": "cache"})
    (True, True, False)
    """
    host = str(options.get("host", "localhost"))
    if "path" in options or host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
