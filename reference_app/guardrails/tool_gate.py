"""All guards of one call, in the order from the cheapest and surest to those that weigh words."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from reference_app.guardrails.calls.commands import find_command_fault, find_host_fault
from reference_app.guardrails.calls.formats import is_email
from reference_app.guardrails.calls.paths import find_path_fault
from reference_app.guardrails.calls.provenance import find_exfiltration, find_off_task, find_taint
from reference_app.guardrails.calls.request import (
    CALL_GUARDS,
    AllowedTool,
    Decision,
    Leaf,
    Request,
    list_leaves,
    read_list,
)
from reference_app.guardrails.calls.schema import find_schema_fault
from reference_app.guardrails.calls.sql import find_sql_fault
from reference_app.guardrails.calls.urls import find_url_fault, read_sites
from reference_app.guardrails.calls.wording import is_named, split_name
from reference_app.guardrails.markup import find_markup_fault
from reference_app.guardrails.redaction import find

_URLS = frozenset(["url", "urls", "uri", "link", "href", "webhook", "callback", "endpoint", "website"])
_PATHS = frozenset(["path", "paths", "file", "filename", "folder", "directory", "dir", "filepath"])
_HOSTS = frozenset(["host", "hostname", "server", "domain", "target", "address", "ip"])
_HOST_NAMES = frozenset({"host", "hostname"})  # "host" may also be who invites
_NETWORK = re.compile(
    r"\b(?:ping|host ?names?|dns|servers?|shell|commands?|traceroute|resolves?|ports?)\b", re.IGNORECASE
)
_COMMANDS = frozenset(["command", "cmd", "shell", "script"])
_MARKUP = frozenset(["markdown", "html", "body", "message", "text", "content", "reply", "answer"])
_OWN_LISTS = frozenset({"hosts", "paths", "tables"})  # which another guard reads
_SECRETS = frozenset({"key", "password", "token"})  # kinds of the redaction that no reply has
_SQL_TOOL = re.compile(r"\bsql\b|\bselect statement\b", re.IGNORECASE)
_IS_URL = re.compile(r"\s*(?:[a-zA-Z][a-zA-Z0-9+.-]*:)?//\S+")


def check_call(request: Request, guards: Collection[str] = CALL_GUARDS) -> Decision:
    """
    Whether the call may be made; the first guard that refuses it says why.

    Args:
        guards: Of `CALL_GUARDS`, those that look. Without `schema`, the guards behind it still refuse
            arguments that are no object.
    """
    tool = next((one for one in request.tools if one.name == request.name), None)
    if tool is None:
        if "tools" in guards:
            return Decision(allowed=False, guard="tools", reason="the task may not use this tool")
        tool = AllowedTool(name=request.name, parameters={})
    for guard, check in _CHECKS.items():
        if guard in guards and (reason := check(request, tool)):
            return Decision(allowed=False, guard=guard, reason=reason)
    if not isinstance(request.arguments, Mapping):
        return Decision(allowed=False, guard="schema", reason="the arguments are not a JSON object")
    return Decision(allowed=True, guard="tools")


def _check_tool(request: Request, tool: AllowedTool) -> str:
    """Whether the policy lets the tool be used at all, and whether a person has to agree."""
    policy = tool.policy
    if policy.get("allowed") is False or policy.get("deny") is True or policy.get("outcome") == "deny":
        return "the policy denies this tool"
    wants = policy.get("outcome") == "confirm" or any(
        policy.get(key) not in (None, False, "never", "none")
        for key in ("confirm", "confirmation", "requires_confirmation", "requires_approval")
    )
    return "a person has to confirm this call first" if wants and not request.confirmed else ""


def _check_schema(request: Request, tool: AllowedTool) -> str:
    return find_schema_fault(request.arguments, tool.parameters)


def _check_policy(request: Request, tool: AllowedTool) -> str:
    """Bounds and lists that a policy gives by the name of an argument, such as `max_amount` or `channels`."""
    for leaf in list_leaves(request.arguments):
        bound = tool.policy.get(f"max_{leaf.name}")
        if _is_number(bound) and _is_number(leaf.value) and leaf.value > bound:  # type: ignore[operator] # numbers
            return f"{leaf.name} is above the policy's bound"
        names = {f"allowed_{leaf.name}", f"allowed_{leaf.name}s", f"{leaf.name}s", leaf.name} - _OWN_LISTS
        for listed in (tool.policy.get(name) for name in names):
            if isinstance(listed, list) and leaf.value not in listed:
                return f"{leaf.name} is not in the policy's list"
        domains = read_list(tool.policy.get("domains"))
        if (
            domains is not None
            and is_email(leaf.text)
            and leaf.text.lower().rpartition("@")[2] not in domains
        ):
            return f"{leaf.name} is at a domain that the policy does not list"
    return ""


def _check_urls(request: Request, tool: AllowedTool) -> str:
    sites = read_sites(tool.policy) if "runs" not in tool.policy else read_sites({})
    for leaf, schema in _texts(request, tool):
        words = set(split_name(leaf.name))
        is_url = schema.get("format") in ("uri", "url", "iri") or words & _URLS
        if (is_url or _IS_URL.fullmatch(leaf.text)) and (fault := find_url_fault(leaf.text, sites)):
            return f"{leaf.name}: {fault}"
    return ""


def _check_paths(request: Request, tool: AllowedTool) -> str:
    root = tool.policy.get("root") or tool.policy.get("folder")
    suffixes = read_list(tool.policy.get("suffixes") or tool.policy.get("extensions")) or []
    for leaf, schema in _texts(request, tool):
        if (
            not set(split_name(leaf.name)) & _PATHS
            or "id" in split_name(leaf.name)
            or schema.get("format") == "uri"
        ):
            continue
        if (
            not root
            and "content" not in leaf.name
            and is_named(leaf.text, request.task)
            and ".." not in leaf.text
        ):
            continue  # the user named this very file
        if fault := find_path_fault(leaf.text, root=str(root) if root else None, suffixes=suffixes):
            return f"{leaf.name}: {fault}"
    return ""


def _check_sql(request: Request, tool: AllowedTool) -> str:
    speaks = bool({"dialect", "tables", "statements"} & set(tool.policy)) or _SQL_TOOL.search(
        tool.description
    )
    tables = read_list(tool.policy.get("tables"))
    for leaf, schema in _texts(request, tool):
        words = set(split_name(leaf.name))
        if not ("sql" in words or (speaks and words & {"query", "statement"})) or "enum" in schema:
            continue
        if tool.policy.get("read_only") is False:
            continue
        fault = find_sql_fault(
            leaf.text,
            dialect=_dialect(tool.policy.get("dialect")),
            tables=tables,
        )
        if fault:
            return f"{leaf.name}: {fault}"
    return ""


def _check_shell(request: Request, tool: AllowedTool) -> str:
    hosts = read_list(tool.policy.get("hosts"))
    runs = "runs" in tool.policy or "shell" in tool.policy
    for leaf, schema in _texts(request, tool):
        words = set(split_name(leaf.name))
        if "enum" in schema:
            continue
        speaks = (
            runs
            or hosts is not None
            or _NETWORK.search(f"{' '.join(split_name(tool.name))} {tool.description}")
        )
        if (
            (words & _HOSTS and runs)
            or (words & _HOST_NAMES and speaks)
            or schema.get("format") == "hostname"
        ):
            fault = find_host_fault(leaf.text, hosts)
        elif words & _COMMANDS and tool.policy.get("shell") is not True:
            fault = find_command_fault(leaf.text, whole=True)
        elif runs and tool.policy.get("shell") is not True:
            fault = find_command_fault(leaf.text)
        else:
            continue
        if fault:
            return f"{leaf.name}: {fault}"
    return ""


def _check_markup(request: Request, tool: AllowedTool) -> str:
    """What is shown to somebody, where the policy says what it may link."""
    links, images = read_list(tool.policy.get("link_hosts")), read_list(tool.policy.get("image_hosts"))
    if links is None and images is None:
        return ""
    for leaf, _ in _texts(request, tool):
        if fault := find_markup_fault(leaf.text, link_hosts=links or [], image_hosts=images or []):
            return f"{leaf.name}: {fault}"
        if any(one.kind in _SECRETS for one in find(leaf.text)):
            return f"{leaf.name}: the text contains a secret"
    return ""


def _texts(request: Request, tool: AllowedTool) -> Iterator[tuple[Leaf, Mapping[str, Any]]]:
    """The texts of the call, each with the schema of the argument that it is in."""
    properties = tool.parameters.get("properties")
    known = properties if isinstance(properties, Mapping) else {}
    for leaf in list_leaves(request.arguments):
        if isinstance(leaf.value, str):
            schema = known.get(leaf.name)
            yield leaf, schema if isinstance(schema, Mapping) else {}


def _dialect(value: object) -> str:
    from sqlglot.dialects.dialect import Dialect

    name = {"postgresql": "postgres", "mssql": "tsql", "mariadb": "mysql"}.get(
        str(value).lower(), str(value).lower()
    )
    return name if name in Dialect.classes else "sqlite"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_CHECKS: dict[str, Callable[[Request, AllowedTool], str]] = {
    "tools": _check_tool,
    "schema": _check_schema,
    "policy": _check_policy,
    "url": _check_urls,
    "path": _check_paths,
    "sql": _check_sql,
    "shell": _check_shell,
    "markup": _check_markup,
    "taint": find_taint,
    "exfiltration": find_exfiltration,
    "task": find_off_task,
}
