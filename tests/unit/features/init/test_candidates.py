from __future__ import annotations

import pytest

from pytest_llmops.features.init.candidates import find_apps


@pytest.mark.parametrize(
    ("files", "apps"),
    [
        ({"bot.py": "def answer(question): ..."}, ["bot:answer"]),
        ({"bot.py": "async def ask(question: str, *, top_k: int = 3) -> str: ..."}, ["bot:ask"]),
        ({"shop/__init__.py": "def reply(text, history=()): ..."}, ["shop:reply"]),
        ({"src/shop/bot.py": "def run(x): ...\ndef answer(x): ..."}, ["shop.bot:answer", "shop.bot:run"]),
        ({"bot.py": "def answer(question, key): ..."}, []),
        ({"bot.py": "def answer(): ..."}, []),
        ({"bot.py": "def answer(question, *, key): ..."}, []),
        ({"bot.py": "class Bot:\n    def answer(self, question): ..."}, []),
        ({"bot.py": "def answer(question:"}, []),
        ({"bot.py": "\0"}, []),
        ({"tests/bot.py": "def answer(question): ..."}, []),
        ({"my bot.py": "def answer(question): ..."}, []),
        ({"test_bot.py": "def answer(question): ..."}, []),
        ({".hidden/bot.py": "def answer(question): ..."}, []),
        ({"myenv/pyvenv.cfg": "", "myenv/lib/bot.py": "def answer(question): ..."}, []),
    ],
)
def test_functions_that_may_be_the_app(tmp_path, files, apps):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    assert list(find_apps(tmp_path).apps) == apps


def test_handlers_of_a_web_framework_are_named_apart(tmp_path):
    (tmp_path / "service.py").write_text('@app.post("/chat")\nasync def chat(message): ...\n')

    found = find_apps(tmp_path)

    assert (found.apps, found.routes) == ((), ("service.py:2",))
