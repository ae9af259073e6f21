from __future__ import annotations

from reference_app.training import __main__ as command
from reference_app.training.evaluation.card import MEANINGS, write_card
from reference_app.training.evaluation.comparison import GOALS


def test_missing_libraries_are_named_with_what_to_install(monkeypatch, capsys, weights):
    assert weights
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "torch" else object())
    assert command.main([]) == 2
    assert "Training needs torch. Install the extra" in capsys.readouterr().err


def test_the_data_can_be_written_and_checked_without_training(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("reference_app.training.examples.corpus.DATA", tmp_path)
    assert command.main(["--data"]) == 0
    assert "train {'plan':" in capsys.readouterr().out
    assert (tmp_path / "sft-train.jsonl").is_file()


def test_a_card_has_a_row_for_each_measure(tmp_path):
    measure = {"value": 0.5, "n": 10, "lower_95": 0.22}
    figures = {name: dict(measure) for name in MEANINGS}
    del figures["rouge_l"]["lower_95"]
    recipe = {
        "rank": 6,
        "batch": 4,
        "sft_epochs": 3,
        "sft_rate": 1,
        "dpo_epochs": 1,
        "dpo_rate": 1,
        "beta": 0.1,
    }
    write_card(
        tmp_path / "README.md",
        {
            "base": {"file": "base.gguf", "fingerprint": "0123abcd"},
            "data": {"sha256": "f" * 64},
            "recipe": recipe,
            "training_cpu_seconds": 5,
            "test": {"adapter": figures, "base": figures, "tone_check": measure},
        },
    )
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert all(f"| {meaning} | 10 | 0.500 |" in card for meaning in MEANINGS.values())
    assert "| 0.500 | 0.220 | 0.99 |" in card
    assert set(GOALS) <= set(MEANINGS)
    assert "base.gguf" in card
    assert "0123abcd" in card
