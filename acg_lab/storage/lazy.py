"""Values that are made when first asked for: mappings by key, and parsed JSON by code."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from acg_lab.core.codec import parse_strict

__all__ = ["JsonPool", "LazyMapping"]

V = TypeVar("V")


class LazyMapping(Mapping[str, V], Generic[V]):
    """A read-only mapping that makes each value when it is first asked for."""

    def __init__(self, keys: Collection[str], make: Callable[[str], V]) -> None:
        self._made: dict[str, V] = {}
        self._names = dict.fromkeys(keys)
        self._make = make

    def __getitem__(self, key: str) -> V:
        if key not in self._made:
            if key not in self._names:
                raise KeyError(key)
            self._made[key] = self._make(key)
        return self._made[key]

    def __contains__(self, key: object) -> bool:
        return key in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"<{len(self)} by learning key>"

    def _ipython_key_completions_(self) -> list[str]:
        return list(self._names)


class JsonPool:
    """Distinct JSON texts by code. Each is parsed when its value is first asked for."""

    def __init__(self, texts: Iterable[bytes] = ()) -> None:
        self.texts = list(texts)
        self._values: dict[int, Any] = {}

    def __len__(self) -> int:
        return len(self.texts)

    def value(self, code: int) -> Any:
        """Return the value of a code. Values are shared: never change them."""
        if code not in self._values:
            self._values[code] = parse_strict(self.texts[code])
        return self._values[code]

    def extended(self) -> "JsonPool":
        """Return a pool that may grow, with the same values under the same codes; what was parsed is shared."""
        pool = JsonPool(self.texts)
        pool._values = dict(self._values)
        return pool
