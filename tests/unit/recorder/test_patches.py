"""Wrappers are in place while they are wanted, and afterwards everything is as it was."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

from pytest_llmops.recorder.patches import Patches


class Base:
    def greet(self) -> str:
        return "hi"


class Client(Base):
    def send(self) -> str:
        return "sent"


def loud(original: Callable[..., str]) -> Callable[..., str]:
    return lambda *arguments: original(*arguments).upper()


def test_the_last_user_takes_the_wrappers_back():
    before = Client.__dict__["send"]
    patches = Patches(lambda: [(Client, "send", loud)])

    with patches.installed():
        with patches.installed():
            assert Client().send() == "SENT"
        assert Client().send() == "SENT"  # and not wrapped twice
    assert Client.__dict__["send"] is before


def test_an_inherited_attribute_is_inherited_again():
    client = Client()
    patches = Patches(lambda: [(Client, "greet", loud), (client, "send", loud)])

    with patches.installed():
        assert (client.greet(), client.send()) == ("HI", "SENT")
        assert Base().greet() == "hi"
    assert "greet" not in vars(Client)
    assert "send" not in vars(client)


def test_a_later_patch_of_somebody_else_stays_and_is_wrapped_anew():
    library = SimpleNamespace(send=lambda: "sent")
    patches = Patches(lambda: [(library, "send", loud)])

    with patches.installed():
        ours = library.send
        library.send = theirs = lambda: f"their {ours()}"
    assert library.send is theirs
    with patches.installed():
        assert library.send() == "THEIR SENT"
    assert library.send is theirs


def test_libraries_that_are_imported_later_are_wrapped_while_somebody_wants_it():
    libraries: list[SimpleNamespace] = []
    patches = Patches(lambda: [(library, "send", loud) for library in libraries])

    libraries.append(SimpleNamespace(send=lambda: "one"))
    patches.refresh()
    assert libraries[0].send() == "one"
    with patches.installed():
        libraries.append(SimpleNamespace(send=lambda: "two"))
        patches.refresh()
        assert [library.send() for library in libraries] == ["ONE", "TWO"]
    assert [library.send() for library in libraries] == ["one", "two"]


def test_what_cannot_be_wrapped_is_skipped():
    class Fixed:
        __slots__ = ()

        def write(self) -> str:
            return "written"

    fixed, kept = Fixed(), SimpleNamespace(write=lambda: "kept")
    patches = Patches(lambda: [(None, "write", loud), (fixed, "write", loud), (kept, "write", loud)])

    with patches.installed():
        assert (fixed.write(), kept.write()) == ("written", "KEPT")
    assert kept.write() == "kept"
