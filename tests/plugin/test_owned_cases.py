"""Workers and the cases that each of them owns."""

from __future__ import annotations

from pytest_llmops.runner.cases.store import SharedStore


def test_a_worker_whose_items_are_done_still_ends_its_share(project):
    """The last two items are slow and of two owners, so one of them is under way where no item is left."""
    project.app("""
        import time
        from pathlib import Path

        def answer(question):
            with Path("asked.log").open("a") as log:
                log.write(question + "\\n")
            time.sleep(2 if question == "slow" else 0)
            return "an answer"
    """)
    store = SharedStore(folder=project.path, worker=0, workers=2)
    slow = [
        next(name for name in map(str, range(99)) if store.owner(f"golden/capitals.yaml::{name}") == owner)
        for owner in (0, 1)
    ]
    cases = [("x", "quick"), ("y", "quick"), *((name, "slow") for name in slow)]
    lines = "".join(
        f"  - {{id: '{name}', input: {question}, checks: {{keywords: {{all: [answer]}}}}}}\n"
        for name, question in cases
    )
    project.golden(f"version: 1\napp: capitals:answer\ncases:\n{lines}")

    result = project.run_here("-n", "2")

    result.stdout.fnmatch_lines(["*4 passed*"])
    assert sorted(project.asked()) == ["quick", "quick", "slow", "slow"]
