from __future__ import annotations

import json

import pytest

from reference_app.training.examples.formats import DataError, read_chat, read_preferences

USER = {"role": "user", "content": "Where is it?"}
REPLY = {"role": "assistant", "content": "It is here."}
OTHER = {"role": "assistant", "content": "Dunno!"}
CHAT = {"messages": [USER, REPLY]}
PAIR = {"input": {"messages": [USER]}, "preferred_output": [REPLY], "non_preferred_output": [OTHER]}


def write(path, *lines):
    path.write_text(
        "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines), "utf-8"
    )
    return path


def test_good_files(tmp_path):
    assert read_chat(write(tmp_path / "chat.jsonl", CHAT, {"messages": [USER, OTHER]})) == [
        CHAT, {"messages": [USER, OTHER]},
    ]  # fmt: skip
    assert read_preferences(write(tmp_path / "pairs.jsonl", PAIR)) == [PAIR]


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        ("{", "is no JSON"),
        ("", "is no JSON"),
        ([], "`messages` and nothing else"),
        ({**CHAT, "note": 1}, "`messages` and nothing else"),
        ({"messages": []}, "needs a list of messages"),
        ({"messages": [USER]}, "the last of `messages` is not the assistant's"),
        ({"messages": [{"role": "boss", "content": "x"}, REPLY]}, "role` is 'boss'"),
        ({"messages": [{"role": "user", "content": " "}, REPLY]}, "holds no text"),
        ({"messages": [{"role": "user"}, REPLY]}, "needs `role` and `content`"),
        (CHAT, "is the same as line 1"),
    ],
)
def test_a_bad_conversation_is_named_by_file_and_line(tmp_path, bad, complaint):
    path = write(tmp_path / "chat.jsonl", CHAT, bad)
    with pytest.raises(DataError, match=r"chat\.jsonl:2: ") as caught:
        read_chat(path)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        (CHAT, "expected an object with `input`"),
        ({**PAIR, "input": {}}, "`input` needs `messages`"),
        ({**PAIR, "input": {"messages": [USER, REPLY]}}, "is not the user's"),
        ({**PAIR, "preferred_output": []}, "`preferred_output` needs exactly one message"),
        ({**PAIR, "non_preferred_output": [USER]}, "is not the assistant's"),
        ({**PAIR, "non_preferred_output": [REPLY]}, "both outputs are the same"),
    ],
)
def test_a_bad_pair_is_named_by_file_and_line(tmp_path, bad, complaint):
    path = write(tmp_path / "pairs.jsonl", PAIR, bad)
    with pytest.raises(DataError, match=r"pairs\.jsonl:2: ") as caught:
        read_preferences(path)
    assert complaint in str(caught.value)


def test_an_empty_missing_or_binary_file(tmp_path):
    with pytest.raises(DataError, match=r"empty.jsonl:1: the file is empty"):
        read_chat(write(tmp_path / "empty.jsonl"))
    with pytest.raises(DataError, match="cannot be read"):
        read_chat(tmp_path / "none.jsonl")
    (tmp_path / "binary.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read"):
        read_chat(tmp_path / "binary.jsonl")


def test_many_complaints_are_counted_not_listed(tmp_path):
    path = write(tmp_path / "chat.jsonl", *(f"{{{number}" for number in range(50)))
    with pytest.raises(DataError, match="and 30 more"):
        read_chat(path)
