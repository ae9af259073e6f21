"""The log says where it was changed, in the library and on the command line."""

from __future__ import annotations

import base64
import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_app.errors import AuditError, VaultError
from reference_app.vault import chain
from reference_app.vault.audit import Entry
from tests.app.vault.conftest import EMAIL, INVESTIGATOR, everything

AUDIT_KEY = base64.urlsafe_b64encode(b"a" * 32).decode()
ENTRIES = 5


@pytest.fixture(params=[None, AUDIT_KEY], ids=["sha256", "hmac"])
def log(opened, request):
    audit = opened(audit_key=request.param).audit
    for number in range(ENTRIES):
        entry = Entry(actor=INVESTIGATOR, action="open", outcome="opened", reason=f"case {number}")
        audit.append(entry, starts=number == 0)
    return audit


def _swap(lines, one, two):
    lines[one], lines[two] = lines[two], lines[one]


def _forge(lines):
    """A line that is made with the right form and the right link, by somebody without the audit key."""
    last = json.loads(lines[-1])
    head = chain.Head(count=last["n"], hash=last["hash"])
    fields = {name: last[name] for name in chain.FIELDS if name not in ("n", "previous", "hash")}
    lines.append(chain.link(fields, head, None)[0].decode().rstrip("\n"))


CHANGES = {
    "changed": (lambda lines: lines.__setitem__(2, lines[2].replace("case 2", "case 7")), 3),
    "first changed": (lambda lines: lines.__setitem__(0, lines[0].replace("ines", "rita")), 1),
    "last changed": (lambda lines: lines.__setitem__(4, lines[4].replace("opened", "purged")), 5),
    "white space": (lambda lines: lines.__setitem__(1, lines[1].replace(":", ": ")), 2),
    "no JSON": (lambda lines: lines.__setitem__(1, "walrus"), 2),
    "removed": (lambda lines: lines.pop(2), 3),
    "first removed": (lambda lines: lines.pop(0), 1),
    "inserted": (lambda lines: lines.insert(3, lines[1]), 4),
    "repeated": (lambda lines: lines.append(lines[-1]), 6),
    "forged at the end": (_forge, 6),
    "reordered": (lambda lines: _swap(lines, 1, 3), 2),
    "cut short by one": (lambda lines: lines.pop(), 5),
    "cut short by three": (lambda lines: lines.__delitem__(slice(2, None)), 3),
    "emptied": (list.clear, 1),
}


@pytest.mark.parametrize(("change", "line"), CHANGES.values(), ids=CHANGES)
def test_every_change_is_found_with_its_line(log, change, line):
    assert log.verify()[1] == []
    lines = log.path.read_text().splitlines()
    change(lines)
    log.path.write_text("".join(f"{text}\n" for text in lines))

    _, faults = log.verify()

    assert faults
    assert faults[0].line == line
    if len(lines) != ENTRIES:
        with pytest.raises(AuditError):  # nor does it go on where its end is wrong
            log.append(Entry(actor=INVESTIGATOR, action="open", outcome="opened"))


def _build(count, reason="case"):
    head, data = chain.Head(), b""
    for number in range(count):
        fields = dict.fromkeys(chain.FIELDS[1:9], "x") | {"reason": f"{reason} {number}"}
        line, head = chain.link(fields, head, None)
        data += line
    return data, head


@given(place=st.integers(0), byte=st.integers(0, 255))
def test_a_change_of_any_byte_is_found_in_its_line_or_the_next(place, byte):
    data, head = _build(4)
    place %= len(data)
    changed = data[:place] + bytes([byte]) + data[place + 1 :]

    faults = chain.find_faults(changed, head, None)

    if changed == data:
        assert faults == []
    else:
        assert faults[0].line == data[:place].count(b"\n") + 1


@given(st.permutations(range(5)), st.integers(0, 5))
def test_any_other_order_or_choice_of_lines_is_found(order, count):
    data, head = _build(5)
    lines = data.splitlines(keepends=True)
    chosen = [lines[position] for position in order[:count]]

    faults = chain.find_faults(b"".join(chosen), head, None)

    first = next((at for at, position in enumerate(order[:count]) if at != position), count)
    assert [fault.line for fault in faults][:1] == ([] if first == 5 else [first + 1])


def test_lines_of_another_log_are_found_though_their_numbers_fit():
    (mine, _), (other, head) = _build(4), _build(4, reason="other")
    mixed = b"".join(mine.splitlines(keepends=True)[:2] + other.splitlines(keepends=True)[2:])

    assert [fault.line for fault in chain.find_faults(mixed, head, None)] == [3]


def test_entries_of_many_threads_are_one_chain(opened):
    token = opened().tokenise("email", EMAIL)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda number: opened().open(token, reason=f"case {number}"), range(12)))

    head, faults = opened().audit.verify()
    assert (head.count, faults) == (13, [])


def test_a_line_cut_in_the_middle_is_found(log):
    log.path.write_bytes(log.path.read_bytes()[:-9])

    assert [fault.line for fault in log.verify()[1]] == [ENTRIES]


@pytest.mark.parametrize(
    "damage", [lambda _: b"walrus", lambda data: data.replace(b"5", b"4", 1), lambda _: None]
)
def test_a_changed_or_missing_head_is_found(log, opened, damage):
    path = opened().settings.head
    data = damage(path.read_bytes())
    path.unlink() if data is None else path.write_bytes(data)

    assert [fault.line for fault in log.verify()[1]] == [1]
    with pytest.raises(AuditError):
        log.append(Entry(actor=INVESTIGATOR, action="open", outcome="opened"))


def test_a_chain_computed_anew_is_found_by_the_key(opened):
    audit = opened(audit_key=AUDIT_KEY).audit
    audit.append(Entry(actor=INVESTIGATOR, action="open", outcome="opened"), starts=True)
    audit.path.unlink()
    opened().settings.head.unlink()
    opened().audit.append(Entry(actor=INVESTIGATOR, action="open", outcome="refused: role"), starts=True)

    assert opened().audit.verify()[1] == []
    assert [fault.line for fault in audit.verify()[1]] == [1]


def test_a_log_replaced_with_its_head_is_found_by_a_head_that_was_noted(opened):
    audit = opened().audit
    for reason in ("one", "two"):
        audit.append(Entry(actor=INVESTIGATOR, action="open", outcome="opened", reason=reason), starts=True)
    head, _ = audit.verify()
    noted = (head.count, head.hash)
    assert audit.verify(noted)[1] == []
    audit.append(Entry(actor=INVESTIGATOR, action="open", outcome="opened"))
    assert audit.verify(noted)[1] == []
    audit.path.unlink()
    opened().settings.head.unlink()
    for reason in ("one", "other"):
        audit.append(Entry(actor=INVESTIGATOR, action="open", outcome="opened", reason=reason), starts=True)

    assert audit.verify()[1] == []
    assert [fault.line for fault in audit.verify(noted)[1]] == [2]


@pytest.mark.parametrize("written", [0, 20, None], ids=["nothing", "a part", "all"])
def test_an_interrupted_write_is_mended_by_the_next(log, monkeypatch, written):
    def stop(path, line):
        with path.open("ab") as file:
            file.write(line[:written])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("reference_app.vault.audit._append", stop)
        with pytest.raises(KeyboardInterrupt):
            log.append(Entry(actor=INVESTIGATOR, action="open", outcome="opened", reason="lost"))

    log.append(Entry(actor=INVESTIGATOR, action="open", outcome="opened", reason="next"))

    assert log.verify()[1] == []
    assert [line["reason"] for line in log.read()[0]][5:] == (
        ["next"] if written is not None else ["lost", "next"]
    )


def test_the_fields_are_fixed_and_without_the_value(vault):
    token = vault.tokenise("email", EMAIL)
    vault.open(token, reason="complaint")

    for line in vault.audit.read()[0]:
        assert tuple(sorted(line)) == tuple(sorted(chain.FIELDS))
    assert EMAIL not in everything(vault.settings.folder)


def test_a_short_audit_key_is_refused(opened):
    with pytest.raises(VaultError, match="REFERENCE_APP_AUDIT_KEY"):
        opened(audit_key="d2FscnVz")


@pytest.fixture
def variables(vault, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return {
        "REFERENCE_APP_VAULT": str(vault.settings.folder),
        "REFERENCE_APP_VAULT_KEY": vault.settings.key,
        "REFERENCE_APP_ACTOR": "ines",
    }


def test_the_command_line_opens_refuses_and_purges_and_the_log_has_it(ask_here, opened, variables):
    token = opened(days=-(10**4)).tokenise("email", EMAIL)
    investigator = {**variables, "REFERENCE_APP_VAULT_ROLE": "investigator"}

    refused = ask_here("vault", "open", token, "--reason", "curious", **variables)
    opening = ask_here("vault", "open", f"Mail {token}.", "--reason", "complaint 7", **investigator)
    purged = ask_here("vault", "purge", "--older-than", "30d", **variables)
    again = ask_here("vault", "open", token, "--reason", "complaint 7", **investigator)
    unknown = ask_here("vault", "open", "bo@example.com", "--reason", "complaint 7", **investigator)
    shown = ask_here("audit", "show", **variables)
    verified = ask_here("audit", "verify", **variables)

    assert (refused[0], refused[1]) == (3, "")
    assert refused[2] == "reference_app: The role reader may not open tokens; an investigator may.\n"
    assert opening == (0, f"Mail {EMAIL}.\n", "")
    assert (purged[0], again[0], unknown[0]) == (0, 3, 3)
    assert "of 1 token\n" in purged[1]
    for part in (f"open {token}: opened (complaint 7)", "refused: role (curious)", "destroyed: 1 token"):
        assert part in shown[1]
    assert "example.com" not in shown[1]
    assert verified[0] == 0
    assert verified[1].startswith("Intact, 7 entries. Head 7:")


def test_verify_fails_with_the_place_of_a_change(ask_here, vault, variables):
    vault.tokenise("email", EMAIL)
    missing = ask_here("audit", "verify", **{**variables, "REFERENCE_APP_VAULT": f"{vault.settings.folder}2"})
    path = vault.audit.path
    path.write_text(path.read_text().replace("ines", "rita"))

    code, output, errors = ask_here("audit", "verify", **variables)

    assert missing[0] == 3
    assert "There is no audit log" in missing[2]
    assert (code, errors) == (1, "")
    assert output == f"{path}:1: line 1 was changed: its hash does not fit\n"


def test_a_line_that_cannot_be_shown_is_counted(ask_here, vault, variables):
    token = vault.tokenise("email", EMAIL)
    vault.open(token, reason="complaint")
    vault.audit.path.write_text("walrus\n" + vault.audit.path.read_text().split("\n", 1)[1])

    code, output, errors = ask_here("audit", "show", **variables)

    assert code == 1
    assert output.count("\n") == 1
    assert errors == "reference_app: 1 line cannot be read; `audit verify` says which.\n"


def test_a_head_that_was_noted_is_read_from_the_command_line(ask_here, vault, variables):
    vault.tokenise("email", EMAIL)
    head = ask_here("audit", "verify", **variables)[1].split()[-1]

    assert ask_here("audit", "verify", "--head", head, **variables)[0] == 0
    assert ask_here("audit", "verify", "--head", f"1:{'0' * 64}", **variables)[0] == 1


@pytest.mark.parametrize(
    ("arguments", "changed", "said"),
    [
        (
            ("vault", "open", "x", "--reason", "y"),
            {"REFERENCE_APP_VAULT_ROLE": "boss"},
            "VAULT_ROLE is 'boss'",
        ),
        (("vault", "purge", "--older-than", "soon"), {}, "--older-than is 'soon'"),
        (("vault", "rotate"), {}, "REFERENCE_APP_VAULT_OLD_KEY"),
        (("vault", "purge"), {"REFERENCE_APP_VAULT_KEY": "walrus"}, "is no base64 of 32 bytes"),
        (
            ("vault", "purge"),
            {"REFERENCE_APP_VAULT_KEY": base64.b64encode(os.urandom(32)).decode()},
            "another key",
        ),
    ],
)
def test_a_mistake_is_one_line(ask_here, vault, variables, arguments, changed, said):  # noqa: PLR0913, PLR0917 - a row each
    vault.tokenise("email", EMAIL)
    code, output, errors = ask_here(*arguments, **{**variables, **changed})

    assert (code, output) == (1, "")
    assert errors.count("\n") == 1
    assert said in errors
    assert "walrus" not in errors


def test_a_new_key_fits(ask_here, opened):
    code, output, _ = ask_here("vault", "key")

    assert code == 0
    assert opened(key=output.strip()).tokenise("email", EMAIL)
