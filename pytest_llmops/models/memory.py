"""What a model made of its texts: found in memory, in the cache, or made now and kept in both."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

from pytest_llmops.models import cache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

Made = TypeVar("Made")


class Memory(Generic[Made]):
    """
    One kind of results, those used last in memory.

    Args:
        kind: Its name in the cache.
        at_most: Results kept in memory.
        write: A result as bytes.
        read: The result of such bytes; None when what is stored cannot be one, so that it is made again.
    """

    def __init__(
        self,
        kind: str,
        at_most: int,
        write: Callable[[Made], bytes],
        read: Callable[[bytes], Made | None],
    ) -> None:
        self._kind = kind
        self._at_most = at_most
        self._write = write
        self._read = read
        self._held: OrderedDict[bytes, Made] = OrderedDict()
        self._lock = Lock()

    def recall(
        self, keys: Iterable[bytes], make: Callable[[Sequence[bytes]], Iterator[dict[bytes, Made]]]
    ) -> dict[bytes, Made]:
        """
        A result for each key, equal keys made once.

        Args:
            make: Given the keys that are nowhere, yields their results in parts; what it has yielded is
                kept even if it raises later.
        """
        unique = dict.fromkeys(keys)
        found: dict[bytes, Made] = {}
        with self._lock:
            for key in unique:
                if key in self._held:
                    self._held.move_to_end(key)
                    found[key] = self._held[key]
        lacking = [key for key in unique if key not in found]
        for key, stored in cache.read(self._kind, lacking).items():
            if (result := self._read(stored)) is not None:
                found[key] = result
        self._hold({key: found[key] for key in lacking if key in found})
        if fresh := [key for key in lacking if key not in found]:
            for made in make(fresh):
                cache.write(self._kind, {key: self._write(result) for key, result in made.items()})
                self._hold(made)
                found.update(made)
        return found

    def forget(self) -> None:
        """Drop what is in memory; the cache keeps its own."""
        with self._lock:
            self._held.clear()

    def _hold(self, results: dict[bytes, Made]) -> None:
        with self._lock:
            self._held.update(results)
            while len(self._held) > self._at_most:
                self._held.popitem(last=False)


def key_of(*parts: str) -> bytes:
    """One key for these parts in this order."""
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).digest()
