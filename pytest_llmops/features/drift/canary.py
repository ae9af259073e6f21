"""
Recorded calls sent again, to find whether the model behind a name is still the recorded one.

They go only to the endpoint that the environment names: a cassette is a file that anybody may have edited,
and must not choose where a key is sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from pytest_llmops.errors import SettingsError
from pytest_llmops.features.drift.causes import LEVEL, Cause, Drift
from pytest_llmops.features.drift.moved import UNNAMED, chance_of_moving, compare_marks, mark_of
from pytest_llmops.recorder import Call
from pytest_llmops.recorder.bodies import encode_body, parse_body
from pytest_llmops.recorder.call import note_calls
from pytest_llmops.recorder.cassettes import Recorded, cassette_path, load_calls
from pytest_llmops.recorder.identity import LOOPBACK, is_loopback, key_of, kind_of
from pytest_llmops.recorder.redaction import Redaction
from pytest_llmops.recorder.reply import read_reply
from pytest_llmops.records import ModelCall, Run

_OPENAI = "https://api.openai.com/v1"
_USUAL_PORTS = {"http": 80, "https": 443}
_AT_ONCE = 4
_TWICE = 2
_LARGEST_ANSWER = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """One recorded request; `recorded` are all answers to it that the cassette holds."""

    case: str
    call: Recorded
    recorded: tuple[ModelCall, ...]

    @property
    def is_steady(self) -> bool:
        """Return whether the recorded answer is expected again: temperature 0, and no other was recorded."""
        request = self.call.request
        temperature = request.get("temperature") if isinstance(request, Mapping) else None
        return temperature == 0 and len({call.answer for call in self.recorded}) == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """
    The endpoint that answers canaries.

    Attributes:
        origin: Scheme, host and port; the path is the recorded one.
        provider: Its name in recordings.
        key: Empty where none is set.
    """

    origin: str
    provider: str
    key: str
    timeout_s: float


def find_endpoint(environment: Mapping[str, str], timeout_s: float) -> Endpoint:
    """
    The endpoint of `OPENAI_BASE_URL` and `OPENAI_API_KEY`; OpenAI's own where no address is set.

    Raises:
        SettingsError: It is no address.
    """
    try:
        parts = urlsplit(environment.get("OPENAI_BASE_URL") or _OPENAI)
        host, port = parts.hostname or "", parts.port
        usual = _USUAL_PORTS[parts.scheme]
    except (KeyError, ValueError):
        host = ""
    if not host:
        raise SettingsError("OPENAI_BASE_URL must be an address that starts with http:// or https://")
    named = host if port in {None, usual} else f"{host}:{port}"
    return Endpoint(
        origin=f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}",
        provider=LOOPBACK if is_loopback(host) else named,
        key=environment.get("OPENAI_API_KEY", ""),
        timeout_s=timeout_s,
    )


def choose_canaries(run: Run, folders: Sequence[Path], count: int) -> tuple[Canary, ...]:
    """
    Recorded chat calls of the run's cases, taken evenly over all of them; each request once.

    Args:
        folders: Of cassettes.
        count: How many at most.

    Raises:
        CassetteError: A cassette is broken.
    """
    chosen: dict[str, Canary] = {}
    for result in sorted(run.results, key=lambda result: result.case):
        keys = {call.key for output in result.outputs for call in output.model_calls}
        for folder in folders:
            for call in load_calls(cassette_path(folder, result.case)).values():
                if kind_of(call.path) == "chat" and (not keys or call.key in keys):
                    canary = chosen.get(call.key) or Canary(case=result.case, call=call, recorded=())
                    chosen[call.key] = replace(canary, recorded=(*canary.recorded, _note(call, call.body)))
    canaries = list(chosen.values())
    count = min(count, len(canaries))
    return tuple(canaries[index * len(canaries) // count] for index in range(count))


def send_canaries(
    drift: Drift, canaries: Sequence[Canary], endpoint: Endpoint, redact: Callable[[str], str]
) -> Drift:
    """
    Send canaries, and add their result to a drift: the model moved since they were recorded, or it held.

    It moved when another model or fingerprint answers; when a request of temperature 0 is answered twice in
    one way that was not recorded; or when requests of other temperatures, sent twice each, share fewer
    answers with what was recorded than chance explains. When no canary could be sent, a drift that found
    nothing is open. Nothing is recorded.

    Args:
        redact: Masks an answer as the recorder does before it writes one.
    """
    sound, notes = _sort_out(canaries, endpoint)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        answers = list(pool.map(partial(_request, endpoint=endpoint, redaction=Redaction(redact)), sound))
    for reason, count in Counter(answer for answer in answers if isinstance(answer, str)).items():
        notes.append(f"canaries without an answer: {count}, {reason}")
    answered = [
        (canary, calls) for canary, calls in zip(sound, answers, strict=True) if not isinstance(calls, str)
    ]
    moved = dict(_judge(answered))
    held = sum(
        bool({call.answer for call in calls} & {call.answer for call in canary.recorded})
        for canary, calls in answered
    )
    notes.insert(
        0, f"canaries: {len(answered)} sent of {len(canaries)} chosen, {held} with a recorded answer"
    )
    outcome = "drift" if moved else "open" if not answered and drift.outcome == "none" else drift.outcome
    evidence = tuple(dict.fromkeys(moved.values()))
    cause = Cause(kind="model", evidence=evidence, cases=tuple(sorted(set(moved))), shown=True)
    return replace(
        drift,
        outcome=outcome,
        causes=(*((cause,) if moved else ()), *drift.causes),
        notes=(*notes, *drift.notes),
    )


def _sort_out(canaries: Sequence[Canary], endpoint: Endpoint) -> tuple[list[Canary], list[str]]:
    """Return canaries that can be sent as recorded, and notes on the others."""
    sound, unsent = [], Counter[str]()
    for canary in canaries:
        call = canary.call
        if call.provider != endpoint.provider:
            unsent[f"recorded at {call.provider}: set OPENAI_BASE_URL to it, while it is up"] += 1
        elif key_of(call.provider, call.path, call.request) != call.key:
            unsent["something in the request was masked when it was recorded"] += 1
        elif not endpoint.key and endpoint.provider != LOOPBACK:
            unsent[f"{endpoint.provider} wants a key: set OPENAI_API_KEY"] += 1
        else:
            sound.append(canary)
    return sound, [f"canaries not sent: {count}, {reason}" for reason, count in unsent.items()]


def _request(canary: Canary, endpoint: Endpoint, redaction: Redaction) -> tuple[ModelCall, ...] | str:
    """Return one answer that is enough, or two; a sentence if there is none."""
    answers: tuple[ModelCall, ...] = ()
    known = {call.answer for call in canary.recorded}
    while len(answers) < _TWICE and not (answers and canary.is_steady and answers[0].answer in known):
        try:
            answers += (_send(canary.call, endpoint, redaction),)
        except HTTPError as error:
            error.close()
            return f"{endpoint.origin} answered {error.code}"
        except (OSError, HTTPException, ValueError, RecursionError) as error:
            reason = error.reason if isinstance(error, URLError) else type(error).__name__
            return f"{endpoint.origin} is not up or speaks otherwise ({reason})"
    return answers


def _send(call: Recorded, endpoint: Endpoint, redaction: Redaction) -> ModelCall:
    request = Request(  # noqa: S310 - the scheme was checked
        endpoint.origin + call.path,
        data=encode_body(call.request),
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {endpoint.key or 'none'}"},
    )
    with build_opener(_NoRedirects()).open(request, timeout=endpoint.timeout_s) as response:
        content = response.read(_LARGEST_ANSWER)
        body = parse_body(content, response.headers.get("content-type", ""))
    reply = read_reply(body)
    if reply.error is not None or not reply.ended:
        raise ValueError
    return _note(call, redaction.body(kind_of(call.path), body))


class _NoRedirects(HTTPRedirectHandler):
    """An endpoint may not pass its key on to another one."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _judge(answered: Iterable[tuple[Canary, tuple[ModelCall, ...]]]) -> Iterable[tuple[str, str]]:
    """Yield case and evidence of each canary that shows another model."""
    varying: list[tuple[str, str, Counter[str], Counter[str]]] = []
    for canary, answers in answered:
        old, now = (Counter(call.answer for call in calls) for calls in (canary.recorded, answers))
        marks = (frozenset(map(mark_of, calls)) for calls in (canary.recorded, answers))
        model = answers[0].model or UNNAMED
        if evidence := compare_marks(model, *marks):
            yield canary.case, f"{evidence}, to requests sent again as they were recorded"
        elif canary.is_steady:
            if not old.keys() & now.keys() and len(now) == 1:
                yield (
                    canary.case,
                    f"{model} answers the same request otherwise, twice in one way, at temperature 0",
                )
        else:
            varying.append((canary.case, model, old, now))
    chance = chance_of_moving([(old, now) for _, _, old, now in varying])
    if chance <= LEVEL:
        for case, model, old, now in varying:
            if not old.keys() & now.keys():
                yield (
                    case,
                    f"{model} answers the same requests otherwise, which chance does with p = {chance:.2g}",
                )


def _note(call: Recorded, body: Any) -> ModelCall:
    """Convert an answer to the record of runs."""
    reply = read_reply(body)
    model = call.request.get("model") if isinstance(call.request, Mapping) else None
    [noted] = note_calls([
        Call(
            provider=call.provider,
            path=call.path,
            kind=kind_of(call.path),
            model=model if isinstance(model, str) else None,
            request=call.request,
            key=call.key,
            repeat=call.repeat,
            nth=call.nth,
            outcome="made",
            response=body,
            text=reply.text,
            model_reported=reply.model,
            fingerprint=reply.fingerprint,
        )
    ])  # fmt: skip
    return noted
