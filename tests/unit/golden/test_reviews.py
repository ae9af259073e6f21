"""The log of reviews: what is written is read, and whatever else was done to it is told."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from pytest_llmops.detect.recognizers import numbers
from pytest_llmops.documents.file_lock import hold_lock
from pytest_llmops.errors import ReviewError
from pytest_llmops.golden import reviews as log
from pytest_llmops.golden.reviews import Review, append_reviews, extends, load_reviews, parse_reviews

SCHEMA = json.loads(files("pytest_llmops.golden").joinpath("review.schema.json").read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)

REVIEW = Review(
    case="golden/shop.yaml::returns",
    input_hash="ab" * 32,
    answer="0123456789abcdef",
    verdict="good",
    who="Ann",
    when="2026-01-31T09:15:00Z",
    note="60 days is right",
)
REVIEWS = (
    REVIEW,
    replace(REVIEW, answer="f" * 16, verdict="bad", who="Bo \x1b[31m\u202e", note="out of date"),
    replace(REVIEW, case="golden/shop.yaml::size", note=""),
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "golden" / "reviews.jsonl"


@pytest.fixture
def written(path):
    append_reviews(path, REVIEWS)
    return path.read_bytes()


def forged(line: bytes, **changes: object) -> bytes:
    """A line with other fields and a hash that fits them."""
    fields = {**json.loads(line), **changes}
    fields.pop("hash")
    fields = {key: value for key, value in fields.items() if value is not ...}
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    whole = {**fields, "hash": sha256(canonical).hexdigest()}
    return json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()


def test_reviews_survive_the_log(path, written):
    assert load_reviews(path) == REVIEWS
    assert load_reviews(str(path)) == parse_reviews(written, "elsewhere") == REVIEWS


def test_log_is_as_published(written):
    lines = [json.loads(line) for line in written.splitlines()]
    for fields in lines:
        VALIDATOR.validate(fields)
    assert written.endswith(b"\n")
    assert all(32 <= byte < 127 or byte == 10 for byte in written)
    assert [fields["previous"] for fields in lines] == ["0" * 64, lines[0]["hash"], lines[1]["hash"]]
    alone = {key: value for key, value in lines[1].items() if key != "hash"}
    canonical = json.dumps(alone, sort_keys=True, separators=(",", ":"))
    assert lines[1]["hash"] == sha256(canonical.encode()).hexdigest()


def test_appending_leaves_what_is_there(path, written):
    append_reviews(path, [])
    assert path.read_bytes() == written
    append_reviews(path, iter([REVIEW]))
    assert path.read_bytes().startswith(written)
    assert load_reviews(path) == (*REVIEWS, REVIEW)


def test_a_missing_and_an_empty_log_hold_nothing(path):
    assert load_reviews(path) == ()
    path.parent.mkdir()
    path.touch()
    assert load_reviews(path) == ()
    append_reviews(path, [REVIEW])
    assert load_reviews(path) == (REVIEW,)


@given(
    many=st.lists(
        st.builds(
            Review,
            case=st.text(min_size=1),
            input_hash=st.text(),
            answer=st.from_regex("[0-9a-f]{16}", fullmatch=True),
            verdict=st.sampled_from(["good", "bad"]),
            who=st.text(st.characters(exclude_categories=[]), min_size=1),
            when=st.just("2026-01-31T09:15:00Z"),
            note=st.sampled_from(["", "a note", "\x00\u2028\udcff"]),
        ),
        max_size=4,
    )
)
def test_whatever_a_person_says_survives(tmp_path_factory, many):
    path = tmp_path_factory.mktemp("log") / "reviews.jsonl"
    append_reviews(path, many[:2])
    append_reviews(path, many[2:])
    assert len(load_reviews(path)) == len(many)
    assert [json.dumps(review.who) for review in load_reviews(path)] == [
        json.dumps(each.who) for each in many
    ]


def test_checkout_with_other_line_ends_reads_the_same(path, written):
    path.write_bytes(written.replace(b"\n", b"\r\n"))
    assert load_reviews(path) == REVIEWS
    append_reviews(path, [REVIEW])
    assert load_reviews(path) == (*REVIEWS, REVIEW)


TAMPERED = {
    "edited": (lambda a, b, c: [a, b.replace(b"bad", b"good"), c], 2, "was edited"),
    "another hash": (
        lambda a, b, c: [a, b.replace(json.loads(b)["hash"].encode(), b"0" * 64), c],
        2,
        "its hash",
    ),
    "edited with its hash": (lambda a, b, c: [forged(a, verdict="bad"), b, c], 2, "does not follow"),
    "the first removed": (lambda _a, b, c: [b, c], 1, "does not follow"),
    "one removed": (lambda a, _b, c: [a, c], 2, "does not follow"),
    "moved": (lambda a, b, c: [a, c, b], 2, "does not follow"),
    "twice": (lambda a, b, c: [a, a, b, c], 2, "does not follow"),
    "a blank line": (lambda a, b, c: [a, b"", b, c], 2, "is no JSON"),
    "blanks": (lambda a, b, c: [a, b.replace(b',"', b', "'), c], 2, "way of writing"),
    "a key twice": (lambda a, b, c: [a, b'{"verdict":"good",' + b[1:], c], 2, "way of writing"),
    "a mark of order": (lambda a, b, c: [b"\xef\xbb\xbf" + a, b, c], 1, "is no JSON"),
    "UTF-16": (lambda a, b, c: [a, b.decode().encode("utf-16-be"), c], 2, "is no JSON"),
    "nested": (lambda a, _b, _c: [a, b"[" * 100_000], 2, "is no JSON"),
    "a long number": (lambda a, _b, _c: [a, b"9" * 5_000], 2, "is no JSON"),
    "no object": (lambda a, b, c: [a, b, c, b"[]"], 4, "must be a mapping"),
    "true as version": (lambda a, b, c: [a, forged(b, version=True), c], 2, "version: is True"),
    "a later version": (
        lambda a, b, c: [a, forged(b, version=2), c],
        2,
        "version: is 2, this release reads 1",
    ),
    "a further key": (lambda a, b, c: [a, forged(b, **{"x\x1b": 1}), c], 2, "unknown key 'x\\x1b'"),
    "a missing key": (lambda a, b, c: [a, forged(b, note=...), c], 2, "note is missing"),
    "no verdict": (
        lambda a, b, c: [a, forged(b, verdict="fine"), c],
        2,
        "must be good or bad, not 'fine'",
    ),
    "nobody": (lambda a, b, c: [a, forged(b, who=""), c], 2, "who: must be a name, not ''"),
    "local time": (
        lambda a, b, c: [a, forged(b, when="2026-01-31T09:15:00+01:00"), c],
        2,
        "not '2026-01-31T09:15:00+01:00'",
    ),
    "digits of another script": (
        lambda a, b, c: [a, forged(b, when="\u0662026-01-31T09:15:00Z"), c],
        2,
        "when: must be a time",
    ),
    "a line end in a digest": (
        lambda a, b, c: [a, forged(b, answer="0" * 16 + "\n"), c],
        2,
        "answer: must be 16 hexadecimal digits",
    ),
    "a number as note": (lambda a, b, c: [a, forged(b, note=3), c], 2, "note: must be text, not 3"),
    "a conflict": (
        lambda a, b, c: [a, b"<<<<<<< HEAD", b, b"=======", c, b">>>>>>> x"],
        2,
        "git left a conflict",
    ),
}


@pytest.mark.parametrize(("change", "line", "words"), TAMPERED.values(), ids=TAMPERED.keys())
def test_tampering_is_told_with_line_and_remedy(path, written, change, line, words):
    tampered = b"".join(each + b"\n" for each in change(*written.splitlines()))
    path.write_bytes(tampered)

    with pytest.raises(ReviewError) as caught:
        load_reviews(path)

    message = str(caught.value)
    assert message.startswith(f"{path}:{line}: ")
    assert words in message
    assert any(remedy in message for remedy in ("Restore the file", "Keep the lines", "Install"))
    assert message.isprintable()
    with pytest.raises(ReviewError):
        append_reviews(path, [REVIEW])
    assert path.read_bytes() == tampered


@pytest.mark.parametrize(
    "name", ["true as version", "a later version", "a further key", "a missing key", "no verdict", "nobody",
             "local time", "a number as note"],
)  # fmt: skip
def test_schema_refuses_what_the_reader_refuses(written, name):
    change, line, _ = TAMPERED[name]
    assert not VALIDATOR.is_valid(json.loads(change(*written.splitlines())[line - 1]))


def test_no_byte_can_be_changed_or_taken_away(written):
    for at in range(len(written)):
        for tampered in (
            written[:at] + bytes([written[at] ^ 1]) + written[at + 1 :],
            written[:at] + written[at + 1 :],
        ):
            with pytest.raises(ReviewError):
                parse_reviews(tampered, "log")


def test_every_cut_within_a_line_is_told(written):
    ends = [at for at, byte in enumerate(written, 1) if byte == 10]
    for length in range(1, len(written)):
        if length not in ends:
            with pytest.raises(ReviewError, match=rf"^log:{written[:length].count(10) + 1}: is cut off"):
                parse_reviews(written[:length], "log")


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (REVIEWS, True),
        ((*REVIEWS, REVIEW), True),
        (REVIEWS[:-1], False),
        ((), False),
        (REVIEWS[::-1], False),
        ((replace(REVIEW, verdict="bad"), *REVIEWS[1:], REVIEW), False),
        ((replace(REVIEW, note=""), *REVIEWS[1:]), False),
    ],
)
def test_only_a_longer_log_extends_another(new, said):
    assert extends(REVIEWS, new) is said
    assert extends((), new)


def test_lines_removed_at_the_end_show_beside_another_copy(written):
    cut = parse_reviews(b"".join(written.splitlines(keepends=True)[:-1]), "log")
    assert not extends(parse_reviews(written, "log"), cut)


def test_notes_are_masked_before_they_are_written(path):
    key = "sk-" + "a1" * 16
    append_reviews(path, [replace(REVIEW, note=f"told ann.lee@example.com to use {key}")])

    assert key.encode() not in path.read_bytes()
    assert b"ann.lee" not in path.read_bytes()
    assert load_reviews(path)[0].note == "told <EMAIL_ADDRESS> to use <API_KEY>"


def test_without_the_extra_secrets_are_masked(path, monkeypatch):
    monkeypatch.setattr(numbers, "is_installed", lambda: False)
    append_reviews(path, [replace(REVIEW, note=f"ann.lee@example.com, sk-{'a1' * 16}")])
    assert load_reviews(path)[0].note == "ann.lee@example.com, <API_KEY>"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"verdict": "fine"}, "verdict: must be good or bad, not 'fine'"),
        ({"who": ""}, "who: must be a name, not ''"),
        ({"answer": "Take two."}, "answer: must be 16 hexadecimal digits"),
        ({"when": "today"}, "when: must be a time"),
    ],
)
def test_what_cannot_be_read_again_is_not_written(path, written, change, words):
    with pytest.raises(ReviewError, match=f"the review was not written: {words}"):
        append_reviews(path, [REVIEW, replace(REVIEW, **change)])
    assert path.read_bytes() == written


def test_what_is_no_file_is_told(tmp_path):
    with pytest.raises(ReviewError, match="cannot be read: Is a directory"):
        load_reviews(tmp_path)


def test_a_full_disk_leaves_the_log_as_it_was(path, written):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(written) + 100, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            append_reviews(path, [REVIEW])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_bytes() == written


WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from pytest_llmops.golden.reviews import append_reviews
from tests.unit.golden.test_reviews import REVIEW

print("ready", flush=True)
sys.stdin.readline()
for number in range(60):
    append_reviews(sys.argv[1], [replace(REVIEW, who=sys.argv[2], case=f"f::{number}", note="")])
"""


def test_two_processes_write_one_chain(path):
    writers = [
        subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", WRITER, str(path), who],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for who in ("Ann", "Bo")
    ]  # fmt: skip
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0

    reviews = load_reviews(path)
    for who in ("Ann", "Bo"):
        assert [review.case for review in reviews if review.who == who] == [
            f"f::{number}" for number in range(60)
        ]


HOLDER = """
import sys
from pathlib import Path
from pytest_llmops.documents.file_lock import hold_lock

with hold_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_writer_that_does_not_end_is_told(path, tmp_path, monkeypatch):
    monkeypatch.setattr(log, "_LOCK_TIMEOUT_S", 0.05)
    holder = subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", HOLDER, str(tmp_path / "lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        holder.stdout.readline()
        with pytest.raises(ReviewError, match="another process has been writing"):
            append_reviews(path, [REVIEW], lock=tmp_path / "lock")
        assert not path.exists()
    finally:
        holder.communicate(b"\n")
    with hold_lock(tmp_path / "lock", timeout_s=5):
        pass
    append_reviews(path, [REVIEW], lock=tmp_path / "lock")
    assert load_reviews(path) == (REVIEW,)
