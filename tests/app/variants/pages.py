"""The example of a variant's page, written to a folder and run as a user would."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.app.shop import ROOT, environment
from tests.readme import read_blocks

MOST_LINES = 20


def read_files(page):
    """The files of `docs/PAGE` by name; none has more lines than somebody would copy."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    files = {block.told["file"]: block.text for block in read_blocks(text) if "file" in block.told}
    assert files
    assert all(len(list(filter(str.strip, file.splitlines()))) <= MOST_LINES for file in files.values())
    return files


def gate(files, folder, **variables):
    """What a golden run of these files says."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "--llm-golden", "-p", "no:cacheprovider", "--llm-record", "all"],
        cwd=folder,
        env=environment(
            OPENAI_API_KEY="none", PYTHONPATH=os.pathsep.join([str(folder), str(ROOT)]), **variables
        ),
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    return run.stdout + run.stderr
