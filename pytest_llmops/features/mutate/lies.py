"""A false sentence to append to an answer: of templates, or of a sentence of the sources, turned."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from pytest_llmops.features.mutate.languages import Language
from pytest_llmops.features.mutate.readings import Edit, Reading, choose, order, read_answer, split_prose
from pytest_llmops.features.mutate.wording import is_refusal
from pytest_llmops.metrics.words import FUNCTION_WORDS
from pytest_llmops.text.characters import fold
from pytest_llmops.text.words import split_words

# How a language speaks to a reader, and how a person asks for herself.
_ADDRESSED = {
    "en": r"(?i:\b(?:you|your|please)\b)",
    "de": r"(?<=[a-z\u00e4\u00f6\u00fc,] )Sie\b|\b(?:Ihr|Ihre[mnrs]?|Ihnen|[Bb]itte|deine?[mnrs]?)\b",
    "fr": r"(?i:\b(?:vous|votre|vos)\b)",
    "es": r"(?i:\b(?:usted|ustedes|su pedido|por favor|tu|tus)\b)",
    "zh": r"[\u60a8\u4f60\u8bf7]",
}
_ASKING = {
    "en": r"\b(?:I|[Mm]y|me|your?)\b",
    "de": r"\b(?:ich|mein\w*|mir|mich|Sie|Ihr\w*)\b",
    "fr": r"(?i:\b(?:je|j['\u2019]|mon|ma|mes|vous|votre|vos)\b)",
    "es": r"(?i:\b(?:puedo|tengo|mi|mis|usted|su pedido)\b)",
    "zh": r"[\u6211\u60a8\u4f60]",
}
_NOUN = re.compile(
    r"\b(?:the|a|an|your|every|each) ((?:[a-z-]{3,} )?[a-z][a-z-]{3,}(?<!s)(?<!ing)(?<!ed)(?<!ly))"
    r"(?=[.,;:]|\s(?:is|was|has|can|cannot|must|will|of|in|on|at|by|for|to|from|with|and|or|that|which|when|if"
    r"|before|after|as)\b)"
)
_NO_NOUN = frozenset(
    "other same first last next more most less such only own whole entire time day year month "  # noqa: SIM905
    "week way number part kind case end term use need fact result lot order example following different "
    "various certain new main major general specific particular single real context figure subject field "
    "person people group".split()
)
_PERSON_VERB = r"(?:was|said|wrote|became|born|founded|led|won|died|played|married)"
_NAME = re.compile(rf"\b([A-Z][a-z]+ [A-Z][a-z]+)(?= {_PERSON_VERB}\b)")
_LEANS = re.compile(  # on the sentence before it
    r"(?:it|this|that|these|those|they|he|she|there|here|such|so|but|and|or|however|also|then|in this|in that"
    r"|in these|its|their|his|her|yes|no|dies\w*|es|sie|er|das|aber|und|dabei|dort|ja|nein|cela|ce|ces|il"
    r"|cette|elle|ils|elles|mais|et|cependant|oui|non|esto|estos|estas|este|ello|pero|y|su)\b"
    r"|s\u00ed\b|[\u8fd9\u90a3\u5b83\u4ed6\u5979\u4f46\u800c]",
    re.IGNORECASE,
)
_LABEL = re.compile(
    r"[A-Z]{4,}\b|.*\bthere[.,]"
)  # of a part, as in `METHODS We …`; or of a place named before
_SHORTEST, _LONGEST = 25, 260
_SHORTEST_CHINESE = 10
_NEW_WORDS = 3  # that another statement has at least
_ENOUGH_WORDS = 3  # of a field
_CLOSED = re.compile(r"[.!?\u2026\u3002\uff01\uff1f][\"')\]\u201d\u2019*_]*\s*\Z")
_RECORD = re.compile(r"\s*(?:\{.*\}|\[\s*[\[{\"\d].*\])\s*\Z", re.DOTALL)  # JSON; a sentence would break it
_CITED_END = re.compile(r"\[[\w./#:,; -]{1,80}\]\s*\Z")

Turn = Callable[[Reading], str | None]


def append_lie(reading: Reading, turn: Turn) -> Edit | None:
    """
    Return the addition of one false sentence.

    Args:
        turn: Returns a sentence with a number, a condition or its polarity turned, or None.
    """
    language = reading.language
    if language is None or not reading.text.strip() or _RECORD.match(reading.text):
        return None
    makers = order([_from_templates, _from_sources, _from_sources], reading.seed, "lie", reading.text[:200])
    if is_refusal(reading.text, language):  # there is nothing that a template could speak of
        makers = [_from_sources]
    for make in makers:
        for sentence in make(reading, language, turn):
            if not _is_supported(sentence, reading):
                return _appended(reading, language, sentence)
    return None


def _from_templates(reading: Reading, language: Language, _turn: Turn) -> Iterator[str]:
    texts = f"{reading.question}\n{reading.prose[:2_000]}\n{reading.sources[:4_000]}"
    words = set(split_words(texts))
    speaks = _speaks_to_reader(reading, language)
    fitting = [lie.sentences for lie in language.lies if len(lie.words & words) >= _ENOUGH_WORDS]
    fitting.append(next(lie.sentences for lie in language.lies if lie.name == ("you" if speaks else "told")))
    nouns, names = _nouns(reading), _names(reading)
    sentences = [sentence for group in fitting for sentence in group]
    for template in order(sentences, reading.seed, "template", reading.text[:200]):
        if ("{noun}" in template and not nouns) or ("{name}" in template and not names):
            continue
        noun = choose(nouns, reading.seed, "noun") if nouns else ""
        name = choose(names, reading.seed, "lie name") if names else ""
        yield template.replace("{noun}", noun).replace("{name}", name)


def _speaks_to_reader(reading: Reading, language: Language) -> bool:
    """Return whether the texts advise somebody; if they are few, whether somebody asks for herself."""
    beside = reading.passages[:8] if any(reading.passages) else reading.others[:40]
    texts = [reading.prose[:2_000], *(text[:1_000] for text in beside)]
    if any(re.search(_ADDRESSED[language.code], text) for text in texts):
        return True
    return not any(reading.passages) and bool(re.search(_ASKING[language.code], reading.question))


def _from_sources(reading: Reading, language: Language, turn: Turn) -> Iterator[str]:
    """Yield sentences of the passages that the answer lacks, turned; those on the question first."""
    asked = {
        word
        for word in split_words(f"{reading.question} {reading.reference or ''}")
        if word not in FUNCTION_WORDS
    }
    own = fold(reading.text[:20_000])
    known = set(split_words(own))
    shortest = _SHORTEST if language.is_spaced else _SHORTEST_CHINESE
    candidates: list[tuple[int, int, str]] = []
    for passage in reading.passages[:8]:
        for sentence in split_prose(passage[:4_000].replace("\0", " ")):
            text = " ".join(sentence.text.split())
            closed = _CLOSED.search(text) and (text[0].isupper() or not language.is_spaced)
            if (
                not (closed and shortest <= len(text) <= _LONGEST)
                or _LEANS.match(text)
                or _LABEL.match(text)
                or re.search(r"[|\[\]{}<>`*_=]|``|''| [.,]|https?:", text)
            ):
                continue
            if fold(text) not in own and len(set(split_words(text)) - known) >= _NEW_WORDS:
                shared = len(asked & set(split_words(text)))
                candidates.append((-shared, len(candidates), text))
    for _, _, text in sorted(candidates)[:5]:
        alone = read_answer(
            text, question="", reference=None, passages=reading.passages, others=(), seed=reading.seed
        )
        if alone.language == language and (turned := turn(alone)):
            yield turned


def _nouns(reading: Reading) -> list[str]:
    found = [match[1] for match in _NOUN.finditer(f"{reading.prose[:4_000]}\n{reading.sources[:6_000]}")]
    good = [noun for noun in found if not _NO_NOUN & {*noun.split()} and not FUNCTION_WORDS & {*noun.split()}]
    return [f"the {noun}" for noun in dict.fromkeys(good)][:12]


def _names(reading: Reading) -> list[str]:
    return list(dict.fromkeys(_NAME.findall(reading.sources[:8_000])))[:8]


def _is_supported(sentence: str, reading: Reading) -> bool:
    """Return whether a source has the sentence, word for word."""
    return fold(sentence).strip(" .") in reading.folded_sources or fold(sentence) in fold(
        reading.text[:20_000]
    )


def _appended(reading: Reading, language: Language, sentence: str) -> Edit:
    text = reading.text
    end = len(text.rstrip())
    gap = " " if language.is_spaced else ""
    stop = (
        ""
        if _CLOSED.search(text[-40:]) or _CITED_END.search(text[-100:])
        else "."
        if language.is_spaced
        else "\u3002"
    )
    last = text[:end].rsplit("\n", 1)[-1].lstrip()
    if last.startswith(("|", "```", "~~~", "- ", "* ", "#")) or (last[:1].isdigit() and ". " in last[:5]):
        gap, stop = "\n\n", ""
    return Edit(start=end, end=len(text), new=f"{stop}{gap}{sentence}", change=f"+ {sentence}")
