"""The signature of a run: versions and hashes of all that made it, by which unlike runs are told apart."""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from pytest_llmops.calibration.record import reported_judges
from pytest_llmops.documents.json_document import parse_json
from pytest_llmops.documents.kept_file import KeptFile
from pytest_llmops.documents.reading import BrokenValueError
from pytest_llmops.errors import McpLockError
from pytest_llmops.gates.stamps import SEPARATOR, STAMPED, UNSET, VARIES
from pytest_llmops.golden.apps import name_app
from pytest_llmops.printable import counted
from pytest_llmops.prompts.files import Prompt, find_prompts, normalise
from pytest_llmops.recorder.request_settings import SYSTEM
from pytest_llmops.records import CaseResult, Golden, ModelCall

_MOST_VALUES = 16
"""Values of one setting that are compared; of more, as of system prompts with passages, the cases decide."""

_PART = re.compile(r" of ([0-9,]+) cases?$")
_TOOL_LOCK_NAME = "mcp.lock"
_TOOL_LOCK = KeptFile(
    name="lock of tools",
    error=McpLockError,
    remedy="Until then no change of an MCP server's tools is named. Restore it from version control, or "
    "delete it and run: llmops mcp lock SERVER",
)


def sign_run(  # noqa: PLR0913 - facts of a run that only its door has
    goldens: Sequence[Golden],
    results: Sequence[CaseResult],
    *,
    app: str | Mapping[str, Any] | None,
    root: Path,
    otherwise: str | Mapping[str, Any] | None = None,
    repeats: int | Literal["auto"] | None = 1,
    shard: str | None = None,
    stamps: Mapping[str, str] | None = None,
) -> Mapping[str, str]:
    """
    Return name to value.

    | name | value |
    |---|---|
    | `pytest-llmops` | version of this package |
    | `golden:PATH`, `app:PATH` | SHA-256 of a golden file; import path, URL or command of its app |
    | `rival:PATH` | the same of the app that it is compared with, where it names one |
    | `service:URL` | the version that an app behind a URL named |
    | `prompt:PATH` | name, version and SHA-256 of a prompt file that a golden file names |
    | `data:PATH` | SHA-256 over the names and bytes of the data that it names |
    | `metric:NAME` | version, encoder and judge of its scores |
    | `model:NAME` | reported names and fingerprints of the models that answered requests for it |
    | `judge:NAME` | the same of the models that answered as that judge |
    | `user:NAME` | the same of the models that played a simulated user, and their prompt |
    | `tools:NAME` | digests of the tool schemas offered to it |
    | `setting:SETTING:NAME` | values of a setting in requests for it; `unset` where one has none |
    | `system:NAME` | digests of the system prompts in requests for it |
    | `code:PATH`, `file:PATH` | digest of a source of the app, and of a file that it read |
    | `environment:NAME` | a few bits of the value of a variable that the app's code names |
    | `package:NAME`, `weights:NAME` | version of an imported package, revision of weights that it read |
    | `mcp:NAME` | digest of the definitions of an MCP server in `mcp.lock` |
    | `stamped` | the kinds of stamps that the run has, be there any or none |
    | `repeats` | their number, or `auto` |
    | `partial` | how many of the cases were run, where some were not |

    Args:
        app: The app that overrides the golden files', if one does, as the settings name it.
        otherwise: The app of golden files that name none.
        shard: The shard that the run is of, which makes it a part, be there cases of other shards or not.
        stamps: Of the apps' code and all that it depends on, as the processes of the run saw them.
    """
    signature = {"pytest-llmops": version("pytest-llmops"), "repeats": str(repeats or "auto")}
    for golden in goldens:
        signature[f"golden:{golden.path}"] = golden.sha256
        signature[f"app:{golden.path}"] = name_app(app or golden.app or otherwise or "llm_app")
        if golden.rival:
            signature[f"rival:{golden.path}"] = name_app(golden.rival)
        for data in golden.data:
            signature[f"data:{data}"] = _hash_files(root / data)
    for prompt in _prompts(goldens, root):
        signature[f"prompt:{prompt.path}"] = f"{prompt.name} {prompt.version or '-'} {prompt.sha256}"
    cases = sum(len(golden.cases) for golden in goldens)
    if len(results) < cases or shard:
        signature["partial"] = describe_part(len(results), cases, shard)
    servers = _sign_tool_lock(root)
    signature |= servers
    signed = {**(stamps or {}), **signature, **sign_results(results)}
    called = any(output.model_calls for result in results for output in result.outputs)
    seen = {"setting": called, "mcp": bool(servers)}
    kinds = {*signed.get(STAMPED, "").split(), *(kind for kind, is_seen in seen.items() if is_seen)}
    if kinds:
        signed[STAMPED] = " ".join(sorted(kinds))
    return dict(sorted(signed.items()))


def prompt_versions(goldens: Sequence[Golden], root: Path) -> dict[str, str]:
    """Return name to version of the prompts that golden files name; `-` where one has none."""
    return {prompt.name: prompt.version or "-" for prompt in _prompts(goldens, root)}


def _prompts(goldens: Sequence[Golden], root: Path) -> tuple[Prompt, ...]:
    paths = sorted({path for golden in goldens for path in golden.prompts})
    return find_prompts(paths, root) if paths else ()


def describe_part(ran: int, cases: int, shard: str | None = None) -> str:
    """Return `12 of 96 cases`, the value of `partial`; with its shard, if it is one."""
    return f"{f'shard {shard}: ' if shard else ''}{ran} of {counted(cases, 'case')}"


def read_part(signature: Mapping[str, str]) -> int | None:
    """Return the number of all cases by the `partial` of a run; None where it has none that can be read."""
    found = _PART.search(signature.get("partial", ""))
    return int(found[1].replace(",", "")) if found else None


def sign_results(results: Sequence[CaseResult]) -> dict[str, str]:
    """List versions of metrics and models in the results, several values joined."""
    values: defaultdict[str, set[str]] = defaultdict(set)
    for result in results:
        for score in result.scores:
            # Options may hold what separates values.
            values[f"metric:{score.metric}"].add(score.signature.replace(SEPARATOR, SEPARATOR.strip()))
            for asked, reported in reported_judges(score):
                values[f"judge:{asked}"].add(reported or "-")
        for output in result.outputs:
            if output.user:
                played = (output.user.reported or "-", output.user.prompt)
                values[f"user:{output.user.model}"].add(" ".join(played))
            for call in output.model_calls:
                reported = " ".join(filter(None, (call.reported, call.fingerprint)))
                values[f"model:{call.model or '-'}"].add(reported or "-")
                if call.tools:
                    values[f"tools:{call.model or '-'}"].add(call.tools)
            if output.model and not output.model_calls:
                values[f"model:{output.model}"].add(output.model)
    calls = [call for result in results for output in result.outputs for call in output.model_calls]
    return {
        **{name: SEPARATOR.join(sorted(distinct)) for name, distinct in values.items()},
        **_sign_settings(calls),
    }


def _sign_settings(calls: Sequence[ModelCall]) -> dict[str, str]:
    by_model: defaultdict[str, list[Mapping[str, str]]] = defaultdict(list)
    for call in calls:
        by_model[call.model or "-"].append(call.settings)
    signed = {}
    for model, requests in by_model.items():
        for name in sorted({name for request in requests for name in request}):
            values = sorted({request.get(name, UNSET) for request in requests})
            key = f"system:{model}" if name == SYSTEM else f"setting:{name}:{model}"
            signed[key] = SEPARATOR.join(values) if len(values) <= _MOST_VALUES else VARIES
    return signed


def _sign_tool_lock(root: Path) -> dict[str, str]:
    """Digest the servers of `mcp.lock`, whose definitions the app's tools follow; a broken one as a whole."""
    try:
        return _read_tool_lock(root)
    except McpLockError:
        return {"mcp:mcp.lock": _hash_files(root / _TOOL_LOCK_NAME)}


def describe_tool_lock(root: Path) -> str:
    """Return what is broken in `mcp.lock`; empty where nothing is."""
    try:
        _read_tool_lock(root)
    except McpLockError as error:
        return str(error)
    return ""


def _read_tool_lock(root: Path) -> dict[str, str]:
    data = _TOOL_LOCK.find(root / _TOOL_LOCK_NAME, _TOOL_LOCK_NAME)
    return {} if data is None else _TOOL_LOCK.parse(data, _TOOL_LOCK_NAME, _digest_servers)


def _digest_servers(text: str) -> dict[str, str]:
    try:
        return {f"mcp:{server['server']}": _digest(server) for server in parse_json(text)["servers"]}
    except (LookupError, TypeError):
        raise BrokenValueError("is no list of servers") from None


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _hash_files(path: Path) -> str:
    """Digest names and bytes of a file, or of all files below a folder; texts with LF as line ends."""
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    for file in files:
        digest.update(file.relative_to(path.parent).as_posix().encode())
        content = file.read_bytes()
        text = content if b"\0" in content else normalise(content)
        digest.update(hashlib.sha256(text).digest())
    return digest.hexdigest()
