"""A small app of a stranger: files by name, as a project has them, and a server that answers as it reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

GOLDEN = """
version: 1
app: desk:answer
cases:
  - id: window
    input: How long is the return window?
    checks: {keywords: {all: ["60 days"]}}
  - id: cost
    input: What does a return cost?
    checks: {keywords: {all: ["3.50"]}}
  - id: order
    input: Where is order A-1042?
    checks: {keywords: {all: [shipped]}}
  - id: private
    input: Where does the customer of order A-1042 live?
    checks: {keywords: {any: [may not], none: ["Mill Lane"]}}
"""

FILES = {
    "golden/desk.yaml": GOLDEN,
    "pyproject.toml": "[tool.pytest-llmops]\n",
    "desk/__init__.py": """
        from desk.app import answer
    """,
    "desk/app.py": '''
        """The desk."""
        import os

        import deskdep
        from desk import guards, orders, planner, retrieve, settings
        from desk.llm import ask


        def answer(question):
            config = settings.read()
            if guards.refuses(question, config):
                return "You may not see that."
            if planner.plan(question, config) == "order":
                passages = orders.find("A-1042")
            else:
                passages = retrieve.search(question, config)
            return guards.check(ask(question, passages, config), config)
    ''',
    "desk/settings.py": """
        import json
        import os
        from pathlib import Path

        HERE = Path(__file__).parent


        def read():
            config = json.loads((HERE / "settings.json").read_text())
            config["thresholds"] = json.loads((HERE / "thresholds.json").read_text())
            if os.environ.get("DESK_GUARDS") == "off":
                config["guard"] = False
            config["top_k"] = int(os.getenv("DESK_TOP_K", "2"))
            return config
    """,
    "desk/settings.json": json.dumps(
        {
            "model": "desk-model",
            "temperature": 0,
            "top_p": 0.9,
            "max_tokens": 200,
            "seed": 7,
            "guard": True,
            "rerank": True,
            "json": False,
        }
    ),
    "desk/thresholds.json": json.dumps({"overlap": 1}),
    "desk/policy.json": json.dumps({"order_status": "allow", "refund": "ask"}),
    "desk/tools.json": json.dumps(
        [
            {
                "type": "function",
                "function": {
                    "name": "order_status",
                    "description": "Where an order is.",
                    "parameters": {"type": "object", "properties": {"order": {"type": "string"}}},
                },
            }
        ]
    ),
    "desk/prompts/system.txt": "Answer from the passages. Quote numbers as they are.",
    "desk/docs/returns.md": "The return window is 60 days after delivery.\n\nA return does cost 3.50.\n",
    "desk/docs/repairs.md": "Boots can be resoled for 45 pounds.\n",
    "desk/index.json": json.dumps(
        {"returns.md": ["return", "window", "cost"], "repairs.md": ["boots", "resole"]}
    ),
    "desk/weights/adapter.bin": "0123456789",
    "desk/weights/encoder.gguf": "a library opens it, without Python",
    "desk/plugins/tone.py": """
        def tone(text):
            return text
    """,
    "desk/guards.py": """
        import json
        from pathlib import Path

        POLICY = Path(__file__).parent / "policy.json"


        def refuses(question, config):
            return config["guard"] and "live" in question


        def check(text, config):
            allowed = json.loads(POLICY.read_text())
            return text if allowed["order_status"] == "allow" else "You may not see that."
    """,
    "desk/planner.py": '''
        """Plans."""

        PLANNER = "You plan. Reply with order or documents."


        def plan(question, config):
            return "order" if "order" in question and "refuse" not in PLANNER else "documents"
    ''',
    "desk/orders.py": """
        import sqlite3
        from contextlib import closing
        from pathlib import Path


        def find(number):
            with closing(sqlite3.connect(Path(__file__).parent / "orders.sqlite")) as database:
                rows = database.execute("SELECT text FROM orders WHERE id = ?", [number])
                return [text for (text,) in rows]
    """,
    "desk/retrieve.py": """
        import json
        from pathlib import Path

        HERE = Path(__file__).parent
        ENCODER = HERE / "weights" / "encoder.gguf"
        SPLIT = "\\n\\n"


        def chunks():
            index = json.loads((HERE / "index.json").read_text())
            for path in sorted((HERE / "docs").glob("*.md")):
                for text in path.read_text().split(SPLIT):
                    yield text.strip(), index.get(path.name, [])


        def overlap(question, text):
            words = set(question.lower().strip("?").split())
            return len(words & set(text.lower().strip(".").split()))


        def search(question, config, least=1):
            rows = [text for text, _ in chunks() if overlap(question, text) >= least]
            if config["rerank"]:
                rows.sort(key=lambda text: -overlap(question, text))
            return rows[: config["top_k"]]
    """,
    "desk/llm.py": """
        import importlib.util
        import json
        import os
        from pathlib import Path

        from openai import OpenAI

        HERE = Path(__file__).parent
        SYSTEM = os.environ.get("DESK_SYSTEM_PROMPT") or (HERE / "prompts" / "system.txt").read_text()
        STYLE = "Be kind."
        RETRIES = 2


        def plugin(name):
            spec = importlib.util.spec_from_file_location("desk_tone", HERE / "plugins" / f"{name}.py")
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return module


        def ask(question, passages, config, style=STYLE):
            (HERE / "weights" / "adapter.bin").read_bytes()
            extra = {"response_format": {"type": "json_object"}} if config["json"] else {}
            if "stop" in config:
                extra["stop"] = config["stop"]
            if config.get("seed") is not None:
                extra["seed"] = config["seed"]
            key = os.environ["DESK_API_KEY"]
            with OpenAI(base_url=os.environ["DESK_URL"], api_key=key, max_retries=RETRIES) as client:
                reply = client.chat.completions.create(
                    model=config["model"],
                    temperature=config["temperature"],
                    top_p=config["top_p"],
                    max_tokens=config["max_tokens"],
                    tools=json.loads((HERE / "tools.json").read_text()),
                    messages=[
                        {"role": "system", "content": f"{SYSTEM} {style}"},
                        {"role": "user", "content": "\\n".join([*passages, question])},
                    ],
                    **extra,
                )
            return plugin("tone").tone(reply.choices[0].message.content)
    """,
}


def reply(request: Mapping[str, Any]) -> str:
    """Read the passages aloud; refuse, or talk on, where the system prompt says so."""
    system, user = (str(message["content"]) for message in request["messages"])
    if "refuse" in system.lower():
        return "I cannot help with that."
    return user.rpartition("\n")[0] or "I do not know."
