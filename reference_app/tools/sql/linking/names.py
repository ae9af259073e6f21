"""The products that a text is about, among those that share the words it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_app.tools.sql.linking.lexicon import TAIL, WORD, load_lexicon, stem, stems
from reference_app.tools.sql.linking.values import Things

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_app.tools.sql.linking.links import Link, Linked
    from reference_app.tools.sql.linking.values import Values

_BETWEEN = {"with", "for", "set", "of"}


def name_products(linked: Linked, values: Values) -> tuple[str, ...]:
    """Names in the text's order, each once; a word for several, or for a kind of them, names none."""
    found = (_find_main(one, one.to, values) for one in linked.links if isinstance(one.to, Things))
    return tuple(dict.fromkeys(name for name in found if name))


def _find_main(link: Link, things: Things, values: Values) -> str:
    if things.category:
        return ""
    said = load_lexicon().aliases.get(stems(link.text), stems(link.text))
    whole = [name for name in things.names if _core(name) == said or stems(name) == said]
    names: Sequence[str] = whole or things.names
    own = [name for name in names if not values.is_accessory(name)]
    names = own if len(names) > 1 else names
    kind = tuple(word for word in said if word not in _BETWEEN)  # "jackets with", of those with a logo
    if len(names) != 1 or values.find_category(kind) or not (whole or _is_particular(link.text, names[0])):
        return ""
    return names[0]


def _is_particular(text: str, name: str) -> bool:
    """Whether words that are less than a name mean this product and not its kind: no "down jackets"."""
    texts, core = WORD.findall(text), _core(name)
    lexicon = load_lexicon()
    own = next((word for word in core if word != "fellwind" and word.isalpha()), "")
    if own not in lexicon.describing and own != core[-1] and own in stems(text):
        return True
    last = WORD.findall(TAIL.split(name)[0])[-1]
    if len(texts) == 1 and stem(text) in lexicon.everyday:
        return False
    plural = stem(last) != last.lower()
    return (stem(texts[-1]) != texts[-1].lower()) == plural or stem(texts[-1]) != stem(last)


def _core(name: str) -> tuple[str, ...]:
    return stems(TAIL.split(name)[0])
