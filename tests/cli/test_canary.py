"""`llmops canary`: what it prints, that a scan finds it, and what it refuses."""

from __future__ import annotations

import json
import shlex

import pytest

from tests.command import main


def test_what_is_planted_is_found(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["canary", "--count", "3", "--seed", "7", "--format", "json"]) == 0
    planted = json.loads(capsys.readouterr().out)
    (tmp_path / "planted.txt").write_text("\n".join(each["text"] for each in planted), encoding="utf-8")

    assert main(["scan", "planted.txt", "--format", "json", "--no-names"]) == 1
    found = [entry["kind"] for entry in json.loads(capsys.readouterr().out)]
    assert sorted(found) == sorted(each["kind"] for each in planted)
    assert {found.count(kind) for kind in found} == {3}


def test_a_seed_gives_the_same_again_and_none_others(capsys):
    outs = []
    for seed in (["--seed", "1"], ["--seed", "1"], ["--seed", "2"], [], []):
        assert main(["canary", "--kinds", "jwt, api_key", *seed]) == 0
        outs.append(capsys.readouterr().out)

    assert outs[0] == outs[1]
    assert len(set(outs)) == 4


def test_json_and_env_have_the_values(capsys):
    main(
        ["canary", "--seed", "1", "--kinds", "EMAIL_ADDRESS,PRIVATE_KEY", "--count", "2", "--format", "json"]
    )
    canaries = json.loads(capsys.readouterr().out)
    main(["canary", "--seed", "1", "--kinds", "EMAIL_ADDRESS,PRIVATE_KEY", "--count", "2", "--format", "env"])
    assigned = dict(part.split("=", 1) for part in shlex.split(capsys.readouterr().out))

    assert [canary["kind"] for canary in canaries] == ["PRIVATE_KEY"] * 2 + ["EMAIL_ADDRESS"] * 2
    assert list(assigned) == [
        f"CANARY_{kind}_{at}" for kind in ("PRIVATE_KEY", "EMAIL_ADDRESS") for at in (1, 2)
    ]
    assert list(assigned.values()) == [canary["value"] for canary in canaries]
    assert all(canary["value"] in canary["text"] for canary in canaries)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("--kinds EMAIL_ADRESS", "Did you mean 'EMAIL_ADDRESS'?"),
        ("--kinds DENIED", "there is no canary of kind 'DENIED'"),
        ("--count 0", "--count takes a whole number above 0"),
        ("--seed x", "--seed takes a whole number above 0"),
    ],
)
def test_a_wrong_value_is_one_line(typed, message, capsys):
    assert main(["canary", *typed.split()]) == 4
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""
