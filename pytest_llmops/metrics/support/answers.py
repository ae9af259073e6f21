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
from pytest_llmops.metrics.support.claims import is_claim, split
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
_QUESTION = re.compile(r"[?？]")
_SENTENCE = re.compile(r"(?<=[.!?。！？])\s*")
_ASKS_YES_NO = {
    "en": r"(?:is|are|was|were|do|does|did|has|have|had|can|could|may|might|must|shall|should|will|would|am"
    r"|isn't|aren't|don't|doesn't|won't|can't)\b",
    "de": r"(?:ist|sind|war|waren|hat|haben|habe|kann|können|darf|dürfen|muss|müssen|soll|sollte|wird|werden|gibt"
    r"|gilt|gelten|bekomme|bekommen|geht|brauche|brauchen)\b",
    "fr": r"(?:est-ce|puis-je|peut-on|peut|pouvez|dois-je|doit-on|faut-il|y a-t-il|est-il|est-elle|ai-je|a-t-on|"
    r"sont-ils|sont-elles|avez-vous|êtes-vous|\w+-t-(?:il|elle|on)|est|sont)\b",
    "es": r"¿?\s*(?:puedo|puede|pueden|podemos|es|son|hay|está|están|tengo|tiene|tienen|debo|debe|se puede|se pueden"
    r"|cubre|vale|ha|han|existe|existen)\b",
    "zh": r".*(?:吗|是否|能不能|可不可以|可以不可以|是不是|有没有|要不要)",
    "ja": r".*(?:ますか|ですか|でしょうか|ませんか)",
}
_OTHER_QUESTION = {  # asks for more than yes or no
    "en": r"\b(?:or|how|what|which|who|when|where|why)\b|^(?:can|could|would|will) you (?:please )?(?:tell|check|give|"
    r"show|explain|list|send|help|name|describe)\b",
    "de": r"\b(?:oder|wie|was|welche[rsmn]?|wer|wann|wo|warum)\b|^können sie (?:mir )?\b.*(?:sagen|nennen|zeigen)",
    "fr": r"\b(?:ou|comment|quel(?:le)?s?|qui|quand|où|pourquoi|combien)\b|^pouvez-vous me",
    "es": r"\b(?:o|cómo|qué|cuál(?:es)?|quién|cuándo|dónde|por qué|cuánt[oa]s?)\b|^¿?\s*puede (?:decirme|indicarme)",
    "zh": r"还是|怎么|什么|哪|谁|多少|几",
    "ja": r"何|どこ|いつ|誰|どう|なぜ|いくら|いくつ|どちら|それとも",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers(DeclaredMetric):
    """
    1 if the output answers as the reference does: begins with its verdict, and refuses only if it refuses; 0.5 if
    a verdict is due and cannot be read at its beginning; 0 for the opposite verdict, a refusal or question in place
    of an answer, an answer in place of a refusal, and an empty output.
    """

    traits = MetricTraits(
        name="answers",
        family="faithfulness",
        basis="reference",
        bound=Bound(comparison=">=", threshold=1.0),
    )

    def measure(self, sample: Sample) -> Score | Failure:
        text, question = sample.output.text, _question(sample)
        if blank := find_blank(text):
            return self.give(sample, 0.0, blank)
        code = detect_language(text) or detect_language(f"{question} {text}")
        language = known_languages().get(code)
        if language is None:
            known = ", ".join(known_languages())
            return fail(self, sample, f"cannot read the language of the output; readable: {known}")
        reference = sample.reference or ""
        other = known_languages().get(detect_language(reference) or code) if reference else language
        if other is None:
            return fail(self, sample, "cannot read the language of the reference")
        refused = find_refusal(text, language)
        if reference:
            due = find_refusal(reference, other)
            if bool(due) != bool(refused):
                return self.give(sample, 0.0, _describe_refusal(refused))
            if due:
                return self.give(sample, 1.0)
        elif refused:
            error = f"cannot tell whether a refusal is due ({quote([refused])}); add `reference:` to the case"
            return fail(self, sample, error)
        asked_in = known_languages().get(detect_language(question) or code)
        if asked_in is None:
            return fail(self, sample, "cannot read the language of the question")
        if not asks_yes_or_no(question, asked_in):
            if not reference:
                error = "nothing to compare with: the question asks for more than yes or no; add `reference:`"
                return fail(self, sample, error)
            return self.give(sample, 1.0)
        expected = find_verdict(reference, question, other) if reference else None
        if reference and expected is None:
            return self.give(sample, 1.0)
        said = find_verdict(text, question, language)
        if said is None:
            due_verdict = f" {expected!r}" if expected else ""
            return self.give(sample, _UNSAID, f"it does not begin with the verdict{due_verdict}")
        if expected in {None, said}:
            return self.give(sample, 1.0)
        return self.give(sample, 0.0, f"it says {said!r}, and the reference {expected!r}: {quote([text])}")


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
    sentences = split(drop_citations(text), language)
    refusing = [
        sentence
        for sentence in sentences
        if language.refusals.search(fold(sentence))
        or (_QUESTION.search(sentence) and not is_claim(sentence, language))
        or language.asks_back.search(fold(sentence))
    ]
    claims = [sentence for sentence in sentences if sentence in refusing or is_claim(sentence, language)]
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
        clauses = [part, *re.split(r"[,，、:;]\s*", part)]
        if any(re.match(_ASKS_YES_NO[language.code], clause) for clause in clauses) and not re.search(
            _OTHER_QUESTION[language.code], part
        ):
            return True
    return False


def find_verdict(text: str, question: str, language: Language) -> Verdict | None:
    """
    Return the verdict of an answer: its first words, or else the polarity of a sentence with most of the question's
    words; None if neither shows one.
    """
    sentences = split(text, language)
    if not sentences:
        return None
    first = fold(sentences[0])
    for name in ("depends", "no", "yes"):
        if match := language.openers[name].match(first):
            rest = first[match.end() :]
            if language.is_unspaced or not rest or not rest[0].isalnum():
                if name == "no" and re.match(r"\s+(?:one|longer|more|matter|doubt)\b", rest):
                    continue
                return name  # type: ignore[return-value]
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

