"""What made a run, name to value: runs whose signatures differ are not compared in silence."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from pytest_llmops.records import CaseResult, Golden


def sign_run(
    goldens: Sequence[Golden], results: Sequence[CaseResult], *, app: str | None, root: Path
) -> Mapping[str, str]:
    """
    The signature of a run.

    Args:
        app: The import path that overrides the golden files', if one does.
    """
    signature = {"pytest-llmops": version("pytest-llmops")}
    for golden in goldens:
        signature[f"golden:{golden.path}"] = golden.sha256
        signature[f"app:{golden.path}"] = app or golden.app or "llm_app"
        for prompts in golden.prompts:
            signature[f"prompts:{prompts}"] = _hash_files(root / prompts)
    cases = sum(len(golden.cases) for golden in goldens)
    if len(results) < cases:
        signature["partial"] = f"{len(results)} of {cases} cases"
    for result in results:
        for score in result.scores:
            signature[f"metric:{score.metric}"] = score.signature
        for output in result.outputs:
            if output.model:
                signature[f"model:{output.model}"] = "reported"
    return dict(sorted(signature.items()))


def _hash_files(path: Path) -> str:
    """One digest over the names and bytes of a file, or of all files below a folder."""
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
    for file in files:
        digest.update(file.relative_to(path.parent).as_posix().encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
