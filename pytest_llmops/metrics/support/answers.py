"""
`answers`: whether the output answers, with the right verdict, or refuses as the reference does.

It begins with yes, no or that it depends where the question asks for it, and refuses only where that is due.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from pytest_llmops.metrics.declared_metric import DeclaredMetric, fail
from pytest_llmops.metrics.faithfulness.sentences import drop_citations
from pytest_llmops.metrics.support.claims import is_bare_opener, is_claim, split
from pytest_llmops.metrics.support.language import Language, detect_language, known_languages
from pytest_llmops.metrics.support.reading import Reading, read_sentence
from pytest_llmops.metrics.words import find_blank, fold, quote
from pytest_llmops.protocols import MetricTraits
from pytest_llmops.records import Bound, Failure, Sample, Score

Verdict = Literal["yes", "no", "depends"]
_UNSAID = 0.5
_SHARED = 0.6  # of the question's content words that a sentence has to answer it
_LOOKED_AT = 3  # sentences in which an unsaid verdict is looked for
_REST_AT_MOST = 1  # claims beside a refusal; more are an answer
_QUESTION = re.compile(r"[?\uff1f]")
_SENTENCE = re.compile(r"(?<=[.!?。\uff01\uff1f])\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers(DeclaredMetric):
    """
    1 if the output answers as the reference does: begins with its verdict, and refuses only if it refuses.

    0.5 if a verdict is due and the output or its reference shows none. 0 for the opposite verdict, a refusal
    or a question in place of an answer, an answer in place of a refusal, and an empty output.
    """

    traits = MetricTraits(
        name="answers",
        basis="reference",
        bound=Bound(comparison=">=", threshold=1.0),
    )

    def measure(self, sample: Sample) -> Score | Failure:
        if blank := find_blank(sample.output.text):
            return self.give(sample, 0.0, blank)
        answer = _Answer.read(sample)
        if isinstance(answer, str):
            return fail(self, sample, answer)
        if not answer.reference:
            error = answer.find_gap()
            return fail(self, sample, error) if error else self.give(sample, *answer.compare_verdicts())
        refused = find_refusal(answer.text, answer.language)
        due = find_refusal(answer.reference, answer.reference_language)
        if bool(due) != bool(refused):
            return self.give(sample, 0.0, _describe_refusal(refused))
        return self.give(sample, 1.0) if due else self.give(sample, *answer.compare_verdicts())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """The texts of a sample with their languages."""

    text: str
    reference: str
    question: str
    language: Language
    reference_language: Language
    question_language: Language

    @classmethod
    def read(cls, sample: Sample) -> _Answer | str:
        """Read the texts of a sample; the result is a sentence if the language of one is unknown."""
        texts = {
            "output": sample.output.text,
            "reference": sample.reference or "",
            "question": _question(sample),
        }
        usual = detect_language(texts["output"]) or detect_language(f"{texts['question']} {texts['output']}")
        languages = {
            name: known_languages().get(detect_language(text) or usual if text else usual)
            for name, text in texts.items()
        }
        for name, language in languages.items():
            if language is None:
                return f"cannot read the language of the {name}; readable: {', '.join(known_languages())}"
        read = {name: language for name, language in languages.items() if language is not None}
        return cls(
            text=texts["output"],
            reference=texts["reference"],
            question=texts["question"],
            language=read["output"],
            reference_language=read["reference"],
            question_language=read["question"],
        )

    def find_gap(self) -> str:
        """Return why an answer without reference cannot be judged; empty if it can."""
        if refused := find_refusal(self.text, self.language):
            return f"cannot tell whether a refusal is due ({quote([refused])}); add `reference:` to the case"
        if not asks_yes_or_no(self.question, self.question_language):
            return "nothing to compare with: the question asks for more than yes or no; add `reference:`"
        return ""

    def compare_verdicts(self) -> tuple[float, str]:
        """Return the score of the verdict, and the reason why it is not better."""
        if not asks_yes_or_no(self.question, self.question_language):
            return 1.0, ""
        expected = find_verdict(self.reference, self.question, self.reference_language)
        if self.reference and expected is None:
            shown = quote([self.reference])
            return _UNSAID, f"the reference has no verdict to compare with: {shown}; begin it with yes or no"
        said = find_verdict(self.text, self.question, self.language)
        if said is None:
            return _UNSAID, f"it does not begin with the verdict{f' {expected!r}' if expected else ''}"
        if expected in {None, said}:
            return 1.0, ""
        return 0.0, f"it says {said!r}, and the reference {expected!r}: {quote([self.text])}"


def _describe_refusal(refused: str) -> str:
    if refused:
        return f"it refuses or asks back, and the reference answers: {quote([refused])}"
    return "it answers, and the reference refuses"


def _question(sample: Sample) -> str:
    """Return the text of the input; of a list of turns the last."""
    value = sample.input
    while isinstance(value, list | tuple | dict) and value:
        value = list(value.values())[-1] if isinstance(value, dict) else value[-1]
    return value if isinstance(value, str) else ""


def find_refusal(text: str, language: Language) -> str:
    """
    Return the sentence that refuses or asks back in place of an answer; empty for none.

    It is the first one that claims something, and at most one other claim stands beside it.
    """
    sentences = split(drop_citations(text))
    refusing = [
        sentence
        for sentence in sentences
        if language.refusals.search(fold(sentence))
        or (_QUESTION.search(sentence) and not is_claim(sentence, language))
        or language.asks_back.search(fold(sentence))
    ]
    claims = [
        sentence
        for sentence in sentences
        if sentence in refusing
        or (is_claim(sentence, language) and not is_bare_opener(sentence, language, is_first=False))
    ]
    if not refusing or not claims or claims[0] not in refusing:
        return ""
    rest = [sentence for sentence in claims if sentence not in refusing]
    return refusing[0] if len(rest) <= _REST_AT_MOST else ""


def asks_yes_or_no(question: str, language: Language) -> bool:
    """Return whether the last question of a text, or the text if it has no mark, asks for yes or no."""
    sentences = [fold(part).strip(" ¿") for part in _SENTENCE.split(question) if part.strip()]
    asked = [part for part in sentences if _QUESTION.search(part)] or sentences
    if not asked:
        return False
    for part in asked:
        clauses = [part, *re.split(r"[,\uff0c、:;]\s*", part)]
        if any(map(language.yes_or_no.match, clauses)) and not language.more_than_yes_or_no.search(part):
            return True
    return False


def find_verdict(text: str, question: str, language: Language) -> Verdict | None:
    """
    Return the verdict of an answer, None if it shows none.

    It is in its first words, or else the polarity of a sentence with most of the question's words.
    """
    sentences = split(text)
    if not sentences:
        return None
    first = fold(sentences[0])
    for name in ("depends", "no", "yes"):
        if match := language.openers[name].match(first):
            rest = first[match.end() :]
            if language.is_unspaced or not rest or not rest[0].isalnum():
                if name == "no" and re.match(r"\s+(?:one|longer|more|matter|doubt)\b", rest):
                    continue
                return name
    asked = [read_sentence(part, language) for part in _SENTENCE.split(question) if part.strip()]
    for sentence in sentences[:_LOOKED_AT]:
        reading = read_sentence(sentence, language)
        for part in asked:
            topic = {token.stem for token in part.tokens if token.word[1:].islower()}
            if topic and len(topic & reading.stems) >= _SHARED * len(topic):
                return "no" if _is_negated(reading, part) != _is_negated(part, part) else "yes"
    return None


def _is_negated(reading: Reading, question: Reading) -> bool:
    """Return the polarity of the clause that has most of the question's words."""
    shared: dict[int, int] = {}
    for token in reading.tokens:
        if token.stem in question.stems:
            shared[token.clause] = shared.get(token.clause, 0) + 1
    return reading.negated[max(shared, key=lambda clause: (shared[clause], -clause))] if shared else False
