"""
`answers`: whether the output answers, with the right verdict, or refuses as the reference does.

It begins with yes, no or that it depends where the question asks for it, and refuses only where that is due.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pytest_llmops.metrics.declared_metric import DeclaredMetric, fail
from pytest_llmops.metrics.faithfulness.sentences import drop_citations
from pytest_llmops.metrics.support.claims import drop_verdict, is_bare_opener, is_claim, split
from pytest_llmops.metrics.support.features import compare_stems
from pytest_llmops.metrics.support.language import UNKNOWN, Language, detect_language, known_languages
from pytest_llmops.metrics.support.reading import Reading, list_letters, read_sentence
from pytest_llmops.metrics.support.turning import find_turn
from pytest_llmops.metrics.words import find_blank, quote
from pytest_llmops.protocols import MetricTraits
from pytest_llmops.records import Bound, Failure, Sample, Score
from pytest_llmops.text.characters import fold
from pytest_llmops.text.words import split_words

Verdict = Literal["yes", "no", "depends"]
_UNSAID = 0.5
_SHARED = 0.6  # of the question's content words that a sentence has to answer it
_NEARLY_ALL = 0.75  # of them for a yes: the missing word may be the one that matters
_ALIKE = 0.9  # of stems of one word
_CLAUSES = 8  # of a sentence that are compared with the reference
_LOOKED_AT = 3  # sentences in which an unsaid verdict is looked for
_TOPIC_AT_MOST = 1  # words of the topic in a sentence whose speaker does not speak of it
_REST_AT_MOST = 1  # other claims of a refusal; more are an answer
_FEWEST_WORDS = 6  # of a text whose language counts although it cannot be read
_NOTHING = frozenset({"null", "none", "nil", "nan", "undefined", "n/a"})  # as programs write it
_QUESTION = re.compile(r"[?\uff1f]")
_CLAUSE = re.compile(r"[,;:\uff0c、]\s*")
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
        reads="last",
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
        refused = find_refusal(answer.text, answer.language, (answer.question, answer.reference))
        due = find_refusal(answer.reference, answer.reference_language)
        if not refused and not due and answer.says_nothing():
            return self.give(sample, 0.0, f"it says nothing of its own: {quote([answer.text])}")
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
        joined = (texts["output"], f"{texts['question']} {texts['output']}", " ".join(texts.values()))
        codes = [detect_language(text) for text in joined]
        usual = next((code for code in codes if code in known_languages()), "")
        languages = {name: known_languages().get(_detect(text, usual)) for name, text in texts.items()}
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

    def says_nothing(self) -> bool:
        """Return whether the output has no claim, or is a placeholder, and the reference says something."""
        if asks_yes_or_no(self.question, self.question_language):
            return False
        reference = read_sentence(self.reference, self.reference_language)
        own = read_sentence(self.text, self.language)
        if not list_letters(own).isdisjoint(list_letters(reference)):
            return False
        if any(own.negated) and any(reference.negated):
            return False  # `None` where there are none
        if _is_empty(self.text, self.language):
            return not _is_empty(self.reference, self.reference_language)
        asks_for_more = _begins_with_question_word(self.question, self.question_language)
        is_due = _is_verdict(self.reference, self.reference_language)
        return asks_for_more and _is_verdict(self.text, self.language) and not is_due

    def compare_verdicts(self) -> tuple[float, str]:
        """Return the score of the verdict, and the reason why it is not better."""
        if not asks_yes_or_no(self.question, self.question_language):
            return 1.0, ""
        expected = find_verdict(self.reference, self.question, self.reference_language)
        verdict = find_verdict(self.text, self.question, self.language)
        if expected == verdict or (verdict and not self.reference):
            return (1.0, "") if verdict else self._describe_unsaid(expected)
        if expected and verdict:
            return 0.0, f"it says {verdict!r}, and the reference {expected!r}: {quote([self.text])}"
        if self._contradicts():
            return 0.0, f"it says the opposite of the reference: {quote([self.reference])}"
        return self._describe_unsaid(expected)

    def _describe_unsaid(self, expected: Verdict | None) -> tuple[float, str]:
        if self.reference and expected is None:
            shown = quote([self.reference])
            return _UNSAID, f"the reference has no verdict to compare with: {shown}; begin it with yes or no"
        return _UNSAID, f"it does not begin with the verdict{f' {expected!r}' if expected else ''}"

    def _contradicts(self) -> bool:
        """Return whether the reference turns a clause of the output's first sentences."""
        reference = split(self.reference)
        for sentence in split(self.text)[:_LOOKED_AT]:
            for clause in _CLAUSE.split(drop_verdict(sentence, self.language))[:_CLAUSES]:
                reading = read_sentence(clause, self.language)
                if any(reading.negated) and len(reading.tokens) == 1:
                    continue  # `not by air` says too little
                if _find_polarity(reference, clause, self.reference_language) == "no":
                    return True
        return False


def _detect(text: str, usual: str) -> str:
    """Return the code of a text's language; a few words in none that is known are in the usual one."""
    code = detect_language(text)
    is_short = len(split_words(text)) < _FEWEST_WORDS and code != UNKNOWN
    return code if code in known_languages() or (code and not is_short) else usual


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


def find_refusal(text: str, language: Language, known: Sequence[str] = ()) -> str:
    """
    Return the sentence that refuses or asks back in place of an answer; empty for none.

    It is the first one that claims something, and at most one other claim is with it. Where it refuses what a
    known question asks, only claims with a word of question or reference, or with a value, count.

    Args:
        known: Question and reference: what has words of theirs is no refusal. Without them, only a phrase or
            a speaker who does not speak is.
    """
    sentences = split(drop_citations(text))
    topic = {stem for part in known for stem in _list_stems(part, language)}
    asked = set(_list_stems(known[0], language)) if known else set()
    refusing = [
        sentence
        for sentence in sentences
        if language.refusals.search(fold(sentence))
        or (_QUESTION.search(sentence) and not is_claim(sentence, language))
        or language.asks_back.search(fold(sentence))
        or _declines(sentence, language, topic)
        or (known and _sends_away(sentence, language, topic))
        or (known and _tells_nothing(sentence, language, topic, asked))
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
    if known and _refuses_topic(refusing[0], language, topic):
        rest = [sentence for sentence in rest if _is_about(sentence, language, topic)]
    return refusing[0] if len(rest) <= _REST_AT_MOST else ""


def _refuses_topic(sentence: str, language: Language, topic: set[str]) -> bool:
    """Return whether a refusal names nothing but what is asked: `I am not sure about the weather` does."""
    content = {token.stem for token in read_sentence(sentence, language).tokens}
    content -= _list_telling(language) | language.polite
    return not content or not content.isdisjoint(topic)


def _begins_with_question_word(question: str, language: Language) -> bool:
    """Return whether a question asks for more than yes or no by its first word."""
    questions = filter(_QUESTION.search, _split_question(question))
    return any(
        not language.asks.isdisjoint(split_words(part)[:1]) and not language.yes_or_no.match(part)
        for part in questions
    )


def _is_about(sentence: str, language: Language, topic: set[str]) -> bool:
    reading = read_sentence(sentence, language)
    return bool(reading.values) or not topic.isdisjoint(token.stem for token in reading.tokens)


def _is_verdict(text: str, language: Language) -> bool:
    """Return whether a text has nothing but yes or no, which is no answer to a question for more."""
    spaced = [" ".join(split_words(sentence)) for sentence in split(text)]
    openers = [language.openers[name] for name in ("yes", "no")]
    return all(any(opener.fullmatch(words) for opener in openers) for words in spaced)


def _is_empty(text: str, language: Language) -> bool:
    """Return whether a text is how programs write that there is none, or has openers and greetings alone."""
    if fold(text).strip(" .!") in _NOTHING:
        return True
    return not any(_says_something(sentence, language) for sentence in split(text))


def _says_something(sentence: str, language: Language) -> bool:
    if is_claim(sentence, language) and not is_bare_opener(sentence, language, is_first=False):
        return True
    reading = read_sentence(sentence, language)  # `never` is a whole answer
    is_verdict = any(pattern.match(fold(sentence)) for pattern in language.openers.values())
    return is_verdict or any(reading.negated) or bool(reading.marks or reading.values)


def _tells_nothing(sentence: str, language: Language, topic: set[str], asked: set[str]) -> bool:
    """
    Return whether a negated sentence has only words of the question, of knowing, speaking and documents.

    One of these is not of the question, none only of the reference: "we do not speak English" answers.
    """
    reading = read_sentence(sentence, language)
    content = {token.stem for token in reading.tokens}
    telling = _list_telling(language) | language.stems("materials")
    return (
        sum(reading.negated) % 2 == 1
        and content <= (asked | telling) - (topic - asked)
        and not (content & telling).issubset(asked)
    )


def _declines(sentence: str, language: Language, topic: set[str]) -> bool:
    """Return whether the speaker does not want to answer, or does not know or say."""
    reading = read_sentence(sentence, language)
    words, stems = list_letters(reading), _list_stems(sentence, language)
    content = {token.stem for token in reading.tokens}
    if not any(reading.negated) or reading.values or len(content & topic) > _TOPIC_AT_MOST:
        return False
    speaks = not language.words("speakers").isdisjoint(words)
    is_about_speaker = not (content & topic) and language.second.isdisjoint(words)
    if speaks and is_about_speaker and language.words("volition") & words:
        return True
    own = _list_telling(language) & stems
    return bool(own and own.isdisjoint(topic) and (speaks or language.stems("information") & stems))


def _sends_away(sentence: str, language: Language, topic: set[str]) -> bool:
    """Return whether a sentence has a verb of asking others or reports an error, and no word of the topic."""
    reading = read_sentence(sentence, language)
    stems = _list_stems(sentence, language)
    sends = language.stems("consults") & stems and not any(reading.negated)
    return bool(
        (sends or language.stems("faults") & stems)
        and {token.stem for token in reading.tokens}.isdisjoint(topic)
        and not reading.values
    )


def _list_telling(language: Language) -> frozenset[str]:
    """Return the stems of words of knowing and speaking, and of nouns for what is known."""
    return language.stems("speech") | language.stems("information")


def _list_stems(text: str, language: Language) -> set[str]:
    return {language.stem(word) for word in list_letters(read_sentence(text, language))}


def _split_question(question: str) -> list[str]:
    return [fold(part).strip(" \u00bf") for part in _SENTENCE.split(question) if part.strip()]


def asks_yes_or_no(question: str, language: Language) -> bool:
    """Return whether the last question of a text, or the text if it has no mark, asks for yes or no."""
    sentences = _split_question(question)
    questions = [part for part in sentences if _QUESTION.search(part)] or sentences
    if not questions:
        return False
    for part in questions:
        clauses = [part, *_CLAUSE.split(part)]
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
            if not language.is_unspaced and rest[:1].isalnum():
                continue
            word = re.match(r"\s+(\w+)", rest)
            is_grammar = language.function.issuperset(split_words(match[0]))
            if is_grammar and word and word[1] not in language.function - language.logic:
                continue  # before other words it is no verdict: `no problem, we are open`
            return name
    return _find_polarity(sentences, question, language)


def _find_polarity(sentences: Sequence[str], question: str, language: Language) -> Verdict | None:
    """Return what the first sentence says to a question, or a statement, that has most of its words."""
    parts = [part for part in _SENTENCE.split(question) if part.strip()]
    for sentence in sentences[:_LOOKED_AT]:
        reading = read_sentence(sentence, language)
        for part in parts:
            # A sentence before the question is only its topic, so its words have to be the same.
            is_topic = _QUESTION.search(question) and not _QUESTION.search(part)
            least = 1.0 if is_topic else _ALIKE
            if verdict := _compare(read_sentence(part, language), reading, least, language):
                return verdict
    return None


def _compare(question: Reading, sentence: Reading, least: float, language: Language) -> Verdict | None:
    """
    Return the verdict of a sentence that has most of a question's words, or opposites of them.

    It is no if the sentence turns what the question asks for, such as its time.
    """
    topic = {
        token.stem: token for token in question.tokens if token.word[1:].islower() or token.word.isdigit()
    }
    pairs = [
        (one, other, likeness)
        for one in question.tokens
        for other in sentence.tokens
        if (likeness := compare_stems(one.stem, other.stem)) >= least
    ]
    matches = {one.stem: other for one, other, _ in reversed(pairs)}
    turned = negative = 0
    for stem, token in topic.items():
        opposites = frozenset() if stem in matches else language.oppose(token.word)
        if other := next((other for other in sentence.tokens if other.stem in opposites), None):
            matches[stem] = other
            turned += 1
        negative += not opposites.isdisjoint(sentence.words)  # `forbidden` is a negation, not a word
    shared = [matches[stem] for stem in topic if stem in matches]
    if shared and not turned and find_turn(question, sentence, pairs, language) not in {"", "negation"}:
        return "no"
    if not shared or len(shared) + negative - turned < _SHARED * len(topic):
        return None
    clauses = {topic[stem].clause for stem in topic if stem in matches}
    negations = sum(question.negated[clause] for clause in clauses)
    negations += sum(sentence.negated[clause] for clause in {token.clause for token in shared})
    if (negations + turned) % 2:
        return "no"
    return "yes" if len(shared) + negative - turned >= _NEARLY_ALL * len(topic) else None
