"""A small shop to ask, and the app in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from reference_app.cli.command import main
from reference_app.errors import WeightsError
from reference_app.models.weights import find_weights
from reference_app.settings import read_settings
from reference_app.shop.server import LocalShop
from tests.app.shop import ORDERS, document, environment
from tests.openai_server import OpenAIServer


@pytest.fixture(scope="session")
def shop(tmp_path_factory):
    """Environment variables of a shop with four documents and two orders, apart from every other."""
    tmp_path = tmp_path_factory.mktemp("shop")
    knowledge = tmp_path / "knowledge"
    knowledge.mkdir()
    stoves = {"id": "stoves", "title": "Stoves", "heading": "Fuel", "section": "fuel"}
    posts = {"title": "Delivery", "heading": "Price", "section": "price"}
    for text in (
        document(),
        document(**stoves, text="The Wren stove burns gas from 230 g canisters."),
        document(**posts, id="posts", text="Delivery costs 4 pounds and takes 3 days."),
        document(**posts, id="posts-2020", status="superseded", text="Delivery cost 9 pounds in 2020."),
    ):
        (knowledge / f"{text.split()[2]}.md").write_text(text)
    orders = tmp_path / "orders.yaml"
    orders.write_text(ORDERS)
    return {
        "REFERENCE_APP_KNOWLEDGE": str(knowledge),
        "REFERENCE_APP_ORDERS": str(orders),
        "REFERENCE_APP_INDEX": str(tmp_path / "cache"),
        "XDG_RUNTIME_DIR": str(tmp_path),
    }


@pytest.fixture(scope="session")
def running_shop(shop):
    """The same shop with its service at an address, which an app neither starts nor stops."""
    service = LocalShop(Path(shop["REFERENCE_APP_ORDERS"]), Path(shop["REFERENCE_APP_INDEX"]))
    address = service.start()
    yield {**shop, "REFERENCE_APP_SHOP_URL": address.url, "REFERENCE_APP_SHOP_TOKEN": address.token}
    service.close()


@pytest.fixture(scope="session")
def running_model_server():
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def model_server(running_model_server):
    """A server of models that nobody has asked anything, answering as it does at first."""
    for field in fields(OpenAIServer):
        if field.name != "port" and not field.name.startswith("_"):
            fresh = field.default if field.default is not MISSING else field.default_factory()
            setattr(running_model_server, field.name, fresh)
    return running_model_server


@pytest.fixture(scope="session")
def weights():
    try:
        return find_weights(read_settings({}).weights)
    except WeightsError as error:
        pytest.skip(str(error))


@pytest.fixture
def launch():
    """Start Python in a process of its own; what still runs at the end of the test is killed."""
    started = []

    def start(*arguments, cwd=None, **variables):
        process = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, *arguments],
            env=environment(**variables),
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            with suppress(BrokenPipeError):
                pipe.close()


@pytest.fixture
def ask_here(monkeypatch, capsys):
    """As `ask`, in this process and so in a moment."""

    def run(*arguments, **variables):
        for name in set(os.environ) - set(environment()):
            monkeypatch.delenv(name)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        code = main(arguments)
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def ask(launch):
    """Run the command line; returns exit status, standard output and standard error."""

    def run(*arguments, **variables):
        process = launch("-m", "reference_app", *arguments, **variables)
        output, errors = process.communicate(timeout=240)  # a large model reads its prompt for the first time
        return process.returncode, output, errors

    return run
