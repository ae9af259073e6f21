"""
What holds for each client, from the tests with its real library: rewrites the table of docs/recording.md.

Usage: make .venv-clients/stamp && python -m benchmarks.clients
"""

from __future__ import annotations

import subprocess
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "recording.md"
BEGIN, END = "<!-- figures: python -m benchmarks.clients -->", "<!-- end of figures -->"
TESTS = {
    "recorded, replayed": "test_it_is_recorded_and_replayed_without_a_connection",
    "refused under none": "test_it_is_refused_where_no_call_may_be_made",
    "budget": "test_a_budget_holds",
    "limits": "test_a_limit_is_waited_for",
    "tokens": "test_its_tokens_are_counted",
    "masked": "test_what_is_kept_is_masked",
    "leak check": "test_what_it_sends_is_read_by_the_leak_check",
    "401 seen": "test_a_failed_call_is_seen",
    "damage seen": "test_an_answer_that_cannot_be_decoded_is_a_failed_call",
    "mutated": "test_its_replies_can_be_mutated",
}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "tests.xml")
        command = [".venv-clients/bin/python", "-m", "pytest", "tests/unit/recorder/test_clients.py", "-q"]
        subprocess.run([*command, f"--junitxml={report}"], cwd=ROOT, check=False)  # noqa: S603 - our own
        passed = {
            str(case.get("name")): not any(case.findall(kind) for kind in ("failure", "error", "skipped"))
            for case in ET.parse(report).iter("testcase")  # noqa: S314 - written a moment ago
        }
    clients = dict.fromkeys(name.partition("[")[2].rstrip("]") for name in passed if "[" in name)
    lines = [f"| client | {' | '.join(TESTS)} |", f"|---|{'---|' * len(TESTS)}"]
    for client in clients:
        marks = ("yes" if passed.get(f"{test}[{client}]") else "**no**" for test in TESTS.values())
        lines.append(f"| `{client}` | {' | '.join(marks)} |")
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text("\n".join([f"{before}{BEGIN}", "", *lines, "", f"{END}{after}"]), encoding="utf-8")


if __name__ == "__main__":
    main()
