"""Stems in many threads at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from reference_app.documents.lexicon import stems

TEXT = "Boots, jackets, tents and most other items can be sent back within sixty days of their delivery. "


def test_stems_do_not_depend_on_other_threads():
    texts = [f"{TEXT}{number} washing cancelled warranties" for number in range(40)]
    alone = [stems(text) for text in texts]

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(stems, texts * 25)) == alone * 25
