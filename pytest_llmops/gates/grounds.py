"""What a metric's score rests on, by the metric's name: a judge, or the reference."""

from __future__ import annotations

JUDGES = frozenset({"judge", "reference_grade", "faithfulness", "pairwise"})
"""Metrics by which a model judges an answer; it may waver."""

REFERENCES = frozenset({
    "exact_match", "keywords", "keyword_overlap", "regex", "lexical", "rouge_1", "rouge_2", "rouge_l",
    "ngram_overlap", "bleu", "chrf", "semantic", "bertscore", "cross_encoder",
})  # fmt: skip
"""Metrics that compare an answer with what its case holds to be right."""
