"""The model card, written from the figures of `adapter.json`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_app.training.evaluation.comparison import GOALS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MEANINGS = {
    "json_valid": "plan is JSON",
    "schema_valid": "plan keeps the schema",
    "intent": "route and names of the calls right",
    "arguments_exact": "calls and arguments exact",
    "out_of_scope_refused": "out of scope or adversarial: refused",
    "professional": "answer in the shop's voice",
    "citation_right": "section cited exactly, none with facts",
    "numbers_right": "numbers as in the passage's sentence",
    "ids_copied": "every id and value of the facts copied",
    "unknown_said": "says so where the passage has no answer",
    "rouge_l": "ROUGE-L of answers (mean)",
    "general_ability": "passages from outside the shop",
    "seconds": "seconds a question (mean)",
    "answer_tokens": "tokens of an answer (mean)",
}


def write_card(path: Path, summary: Mapping[str, Any]) -> None:
    """
    Write `README.md` beside the adapter.

    Args:
        summary: What `adapter.json` holds.
    """
    path.write_text(_CARD.format(**_values(summary)), encoding="utf-8")


def _values(summary: Mapping[str, Any]) -> dict[str, Any]:
    recipe, test = summary["recipe"], summary["test"]
    return {
        "base": summary["base"]["file"],
        "fingerprint": summary["base"]["fingerprint"],
        "data": summary["data"]["sha256"][:16],
        "rank": recipe["rank"],
        "batch": recipe["batch"],
        "sft_epochs": recipe["sft_epochs"],
        "sft_rate": recipe["sft_rate"],
        "dpo_epochs": recipe["dpo_epochs"],
        "dpo_rate": recipe["dpo_rate"],
        "beta": recipe["beta"],
        "seconds": summary["training_cpu_seconds"],
        "table": "\n".join(
            _row(name, test["adapter"], test["base"]) for name in MEANINGS if name in test["adapter"]
        ),
        "fresh": _fresh(summary),
        "tone": f"{test['tone_check']['value']:.3f} of {test['tone_check']['n']} answers"
        f" (95 % lower bound {test['tone_check']['lower_95']:.3f})",
    }


def _fresh(summary: Mapping[str, Any]) -> str:
    """The section on the split drawn anew; empty where `benchmarks/adapter.py --table` put no figures."""
    if not (rows := summary.get("fresh")):
        return ""
    return _FRESH.format(rows="\n".join(map(_fresh_row, rows)))


def _fresh_row(row: Mapping[str, Any]) -> str:
    base = f"{row['base']['value']:.3f} (n {row['base']['n']})" if "base" in row else "-"
    interval = f"{row['low']:.2f} to {row['high']:.2f}"
    measure = MEANINGS.get(row["measure"], row["measure"])
    return f"| {row['split']} | {measure} | {row['n']} | {row['value']:.3f} | {interval} | {base} |"


def _row(name: str, adapter: Mapping[str, Any], base: Mapping[str, Any]) -> str:
    one, other = adapter[name], base[name]
    lower = f"{one['lower_95']:.3f}" if "lower_95" in one else "-"
    goal = f"{GOALS[name]:.2f}" if name in GOALS else "-"
    return f"| {MEANINGS[name]} | {one['n']} | {one['value']:.3f} | {lower} | {goal} | {other['value']:.3f} |"


_FRESH = """
## Figures on a split drawn anew

The table above is of the committed test split, and its base gets the adapter's short prompt. These figures
are of the same phrasings with other names and numbers (`benchmarks/doses/drawing.py`), without questions that
stand letter by letter in the committed split, and of questions to refuse that were written apart; the base
gets its own prompt with its examples. "As worded" is the adapter's plan, "by the app" what the app makes of
it after its guards. Intervals are Wilson's at 95 % with phrasings as trials. `docs/adapter.md` judges them.

| split | measure | n | adapter | 95 % interval | base, own prompt |
|---|---|---|---|---|---|
{rows}
"""
_CARD = """# Adapter of the reference app

A LoRA adapter for `{base}` (fingerprint `{fingerprint}`), a model of 135
million parameters. It plans a customer's question as strict JSON and words the answer in the shop's voice.

## Intended use

Only inside the reference app, in English, for the invented shop Fellwind Outfitters, with the prompts
`adapter-planner` and `adapter-answerer` letter by letter. It is no general assistant. Its plans are checked
by schema and policy before anything runs: the adapter's own refusals are a convenience, not a defence.

## Data

Written by hand as phrasings (`reference_app/training/phrasings/`) and filled by a seeded script with
invented orders, products, cities and postcodes; passages are the shop's documents. No phrasing, no section
and no entity of the test split stands in training, and no golden question does. `golden/adapter.yaml` is
made from the test split. SHA-256 of the files in `reference_app/training/data/` begins with `{data}`.

## Procedure

LoRA of rank {rank} on all projections of layers 15 to 29. First supervised training: {sft_epochs} epochs,
batch {batch}, rate {sft_rate}, loss on the assistant's tokens. Then direct preference optimisation on pairs
of a professional and a casual answer: {dpo_epochs} epoch, rate {dpo_rate}, beta {beta}, with examples of
the first stage mixed in. Hyperparameters were chosen on a validation part made of training phrasings that
were held out. One thread, fixed seeds, {seconds} CPU-seconds.
`python -m reference_app.training` repeats it.

## Figures

Test split, greedy decoding in llama.cpp, the base being the adapter at scale 0. The lower bound is exact
(Clopper-Pearson, one-sided 95 %). Examples of one phrasing with other entities are not independent, so the
true bounds are wider. This is the second training: after the first one's figures were seen, made-up names
and more phrasings were added to training and fewer unanswerable passages were kept; no test question was
used for that, but the test split is not as fresh as at first.

| behaviour | n | adapter | lower bound | goal | base |
|---|---|---|---|---|---|
{table}

The shop's voice is judged by a list of rules (`reference_app/training/tone.py`) and naive Bayes over words,
trained from the preference pairs and the answers to learn from. Held-out pairs are judged rightly in {tone}.
That is kind to it: the author of the casual answers wrote the rules, and took back three that rang false on
held-out professional answers.
{fresh}
## Limits

- Passages of one to three sentences; where two of them hold a number it copies the wrong sentence at times,
  and now and then it says that it found nothing although the passage answers.
- Rare names of shops and products are misspelt at times: look them up before use.
- Questions that mix three or more tools, and languages other than English, were not trained.
- It refuses what is phrased like the refusals it has seen; new attacks may get another route.
- It was trained on a quantised base and fits no other.
"""
