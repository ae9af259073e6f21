"""The signature of a run: versions and hashes of all that made it, by which unlike runs are told apart."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from pytest_llmops.calibration.record import reported_judges
from pytest_llmops.printable import counted
from pytest_llmops.prompts.files import Prompt, find_prompts
from pytest_llmops.records import CaseResult, Golden


def sign_run(
    goldens: Sequence[Golden],
    results: Sequence[CaseResult],
    *,
    app: str | None,
    root: Path,
    repeats: int | Literal["auto"] | None = 1,
) -> Mapping[str, str]:
    """
    Return name to value.

    | name | value |
    |---|---|
    | `pytest-llmops` | version of this package |
    | `golden:PATH`, `app:PATH` | SHA-256 of a golden file; the import path of its app |
    | `rival:PATH` | the import path of the app that it is compared with, where it names one |
    | `prompt:PATH` | name, version and SHA-256 of a prompt file that a golden file names |
    | `data:PATH` | SHA-256 over the names and bytes of the data that it names |
    | `metric:NAME` | version, encoder and judge of its scores |
    | `model:NAME` | reported names and fingerprints of the models that answered requests for it |
    | `judge:NAME` | the same of the models that answered as that judge |
    | `tools:NAME` | digests of the tool schemas offered to it |
    | `repeats` | their number, or `auto` |
    | `partial` | how many of the cases were run, where some were not |

    Args:
        app: The import path that overrides the golden files', if one does.
    """
    signature = {"pytest-llmops": version("pytest-llmops"), "repeats": str(repeats or "auto")}
    for golden in goldens:
        signature[f"golden:{golden.path}"] = golden.sha256
        signature[f"app:{golden.path}"] = app or golden.app or "llm_app"
        if golden.rival:
            signature[f"rival:{golden.path}"] = golden.rival
        for data in golden.data:
            signature[f"data:{data}"] = _hash_files(root / data)
    for prompt in _prompts(goldens, root):
        signature[f"prompt:{prompt.path}"] = f"{prompt.name} {prompt.version or '-'} {prompt.sha256}"
    cases = sum(len(golden.cases) for golden in goldens)
    if len(results) < cases:
        signature["partial"] = f"{len(results)} of {counted(cases, 'case')}"
    return dict(sorted({**signature, **_sign_results(results)}.items()))


def prompt_versions(goldens: Sequence[Golden], root: Path) -> dict[str, str]:
    """Return name to version of the prompts that golden files name; `-` where one has none."""
    return {prompt.name: prompt.version or "-" for prompt in _prompts(goldens, root)}


def _prompts(goldens: Sequence[Golden], root: Path) -> tuple[Prompt, ...]:
    paths = sorted({path for golden in goldens for path in golden.prompts})
    return find_prompts(paths, root) if paths else ()


def _sign_results(results: Sequence[CaseResult]) -> dict[str, str]:
    """List versions of metrics and models in the results, several values joined."""
    values: defaultdict[str, set[str]] = defaultdict(set)
    for result in results:
        for score in result.scores:
            values[f"metric:{score.metric}"].add(score.signature)
            for asked, reported in reported_judges(score):
                values[f"judge:{asked}"].add(reported or "-")
        for output in result.outputs:
            for call in output.model_calls:
                reported = " ".join(filter(None, (call.reported, call.fingerprint)))
                values[f"model:{call.model or '-'}"].add(reported or "-")
                if call.tools:
                    values[f"tools:{call.model or '-'}"].add(call.tools)
            if output.model and not output.model_calls:
                values[f"model:{output.model}"].add(output.model)
    return {name: ", ".join(sorted(distinct)) for name, distinct in values.items()}


def _hash_files(path: Path) -> str:
    """Digest the names and bytes of a file, or of all files below a folder."""
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    for file in files:
        digest.update(file.relative_to(path.parent).as_posix().encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
