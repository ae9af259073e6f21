"""Who may call which tool and what may fill its targets, read from a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

from reference_app.errors import AppError
from reference_app.guardrails.calls.request import Declaration, Kind, Outcome, Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
ROLES = ("customer", "staff")
SOURCES = ("customer", "document", "page", "upload", "tool", "text", "constant", "model")
POLICY = Path(__file__).with_name("policy.yaml")


class PolicyError(AppError):
    """The policy file is missing, breaks the format, or does not fit the tools."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """
    The declarations of one file.

    Attributes:
        source: The file, for messages.
        rules: By the name of the tool.
        lines: The line of each, for messages.
    """

    source: Path
    rules: Mapping[str, Declaration]
    lines: Mapping[str, int] = field(default_factory=dict)

    def decide(self, name: str, role: str) -> Outcome:
        """What has no rule is denied."""
        rule = self.rules.get(name, Declaration(outcomes={}))
        return "allow" if rule.outcomes is None else rule.outcomes.get(role, "deny")

    def check_tools(self, tools: Mapping[str, Mapping[str, Any]]) -> None:
        """
        See that each tool has a rule and no other has, and that targets and sources are there.

        Args:
            tools: The schema of the arguments by the name of the tool.

        Raises:
            PolicyError: Something does not fit.
        """
        for name, parameters in tools.items():
            if name not in self.rules:
                near = get_close_matches(name, [rule for rule in self.rules if rule not in tools], n=1)
                hint = f" Did you mean {near[0]!a} in line {self.lines[near[0]]} to be it?" if near else ""
                raise PolicyError(f"{self.source}: there is no rule for {name}.{hint}")
            where = f"{self.source}:{self.lines.get(name, 1)}: {name}"
            for argument, target in self.rules[name].targets.items():
                if argument not in (known := list(parameters.get("properties", {}))):
                    has = ", ".join(known)
                    raise PolicyError(f"{where}: there is no argument {argument!a}; it has {has}.")
                for source in target.sources:
                    kind, _, other = source.partition(" ")
                    if kind == "tool" and other and other not in self.rules:
                        raise PolicyError(f"{where}: {argument}: there is no tool {other!a}.")
        if unknown := [name for name in self.rules if name not in tools]:
            where = f"{self.source}:{self.lines.get(unknown[0], 1)}"
            raise PolicyError(f"{where}: there is no tool {unknown[0]!a}; there are {', '.join(tools)}.")


def load_policy(source: Path = POLICY) -> Policy:
    """
    The declarations of a YAML file, whose form is written at the head of `policy.yaml`.

    Raises:
        PolicyError: The file cannot be read or breaks the format; the message says in which line.
    """
    import yaml

    try:
        node = yaml.compose(source.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        rules = {name: (_read_rule(rule, at), at) for name, rule, at in _pairs(node, 1)}
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"The policy {source} cannot be read: {error}.") from error
    except _LineError as error:
        raise PolicyError(f"{source}:{error.line}: {error}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise PolicyError(f"{source} is no YAML: {' '.join(str(error).split())}.") from error
    return Policy(
        source=source,
        rules={name: rule for name, (rule, _) in rules.items()},
        lines={name: at for name, (_, at) in rules.items()},
    )


class _LineError(Exception):
    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line  # counted from 1


def _read_rule(node: Any, line: int) -> Declaration:
    outcomes: dict[str, Outcome] = {}
    targets: dict[str, Target] = {}
    effects = False
    for key, value, at in _pairs(node, line):
        if key in ROLES:
            outcomes[key] = _read_outcome(value, at, f"{key}: ")
        elif key == "effects":
            effects = _one_of(value, at, ("true", "false"), "effects: ") == "true"
        elif key == "targets":
            targets = {name: _read_target(target, where) for name, target, where in _pairs(value, at)}
        else:
            known = ", ".join(ROLES)
            raise _LineError(at, f"there is no key {key!a}; there are {known}, effects and targets.")
    return Declaration(outcomes=outcomes, effects=effects, targets=targets)


def _read_target(node: Any, line: int) -> Target:
    lists: dict[str, tuple[str, ...]] = {"from": (), "values": ()}
    otherwise: Outcome = "deny"
    for key, value, at in _pairs(node, line):
        if key == "else":
            otherwise = _read_outcome(value, at, "else: ")
        elif key in lists and isinstance(value.value, list):
            lists[key] = tuple(str(item.value) for item in value.value)
        else:
            known = "from and values, each a list, and else"
            raise _LineError(at, f"there is no key {key!a}; there are {known}.")
    for source in lists["from"]:
        kind, _, name = source.partition(" ")
        if kind not in SOURCES or (name and kind not in get_args(Kind)):
            raise _LineError(line, f"from: {source!a} is none of {', '.join(SOURCES)}.")
    if not lists["from"]:
        raise _LineError(line, "a target needs `from`, a list.")
    return Target(sources=lists["from"], otherwise=otherwise, values=lists["values"])


def _read_outcome(node: Any, line: int, where: str) -> Outcome:
    return cast("Outcome", _one_of(node, line, OUTCOMES, where))


def _one_of(node: Any, line: int, words: tuple[str, ...], where: str) -> str:
    if node.value not in words:
        raise _LineError(line, f"{where}{str(node.value)[:40]!a} is none of {', '.join(words)}.")
    return str(node.value)


def _pairs(node: Any, line: int) -> Iterator[tuple[str, Any, int]]:
    """Keys, values and lines of a mapping; YAML itself would let the last of two keys win in silence."""
    import yaml

    if not isinstance(node, yaml.MappingNode):
        raise _LineError(line, "here belongs a mapping, such as `order_status: {customer: allow}`.")
    seen: set[str] = set()
    for key, value in node.value:
        name, at = str(key.value), key.start_mark.line + 1
        if name in seen:
            raise _LineError(at, f"{name!a} stands there twice.")
        seen.add(name)
        yield name, value, at
