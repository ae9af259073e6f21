"""What the packaged network says of texts, kept in the temporary folder: a long set takes minutes."""

from __future__ import annotations

import pickle
import tempfile
from pathlib import Path

from pytest_llmops.metrics.injection.classifier import rate_parts, squash
from pytest_llmops.metrics.injection.views import read_views
from pytest_llmops.models import injection_classifier
from pytest_llmops.models.injection_classifier import Reply

_WEIGHTS = injection_classifier.describe().split()[-1]
_FILE = Path(tempfile.gettempdir()) / f"llmops-injection-replies-{_WEIGHTS}.pickle"


class Replies:
    """The network's replies by text, and which parts of a text it is shown."""

    def __init__(self) -> None:
        self._replies: dict[str, Reply] = {}
        self._parts: dict[str, list[str]] = {}
        if _FILE.exists():
            self._replies = pickle.loads(_FILE.read_bytes())  # noqa: S301 - written by this class, for this user

    def read(self, part: str) -> Reply:
        if part not in self._replies:
            self._replies[part] = injection_classifier.load().read(part)
        return self._replies[part]

    def parts(self, text: str) -> list[str]:
        """The windows and sentences that a scan reads, by the network's own rating."""
        if text not in self._parts:
            seen: list[str] = []

            def rate(part: str) -> float:
                seen.append(part)
                return squash(self.read(part).main / 3)

            rate_parts(list(read_views(text)), rate)
            self._parts[text] = list(dict.fromkeys(seen))
        return self._parts[text]

    def save(self) -> None:
        draft = _FILE.with_suffix(".part")
        draft.write_bytes(pickle.dumps(self._replies))
        draft.replace(_FILE)
