"""A shop's assistant. A stand-in for a model obeys the prompt, so that the demonstration needs no key."""

import re
from pathlib import Path

HERE = Path(__file__).parent
RULES = [line for line in (HERE / "rules.md").read_text(encoding="utf-8").splitlines() if line]


def answer(question):
    prompt = (HERE / "prompts/answer.md").read_text(encoding="utf-8")
    passage = max(RULES, key=lambda rule: len(words(rule) & words(question)))
    return {
        "text": stand_in_for_a_model(prompt, passage),
        "passages": [{"id": passage.partition(":")[0], "text": passage}],
    }


def stand_in_for_a_model(prompt, passage):
    """Give the rule with its conditions, unless the prompt wants the answer short."""
    rule = passage.partition(": ")[2]
    return rule.partition(",")[0] + "." if "short" in prompt else rule


def words(text):
    return {word[:5] for word in re.findall(r"\w{4,}", text.lower())}
