"""Stamps of an app: variables in whatever way it names them, and code wherever it lies."""

from __future__ import annotations

import gc
import importlib
import os
import sys
import textwrap
from importlib.metadata import version

import pytest

from pytest_llmops.records import Golden
from pytest_llmops.runner.stamps.app_code import find_code
from pytest_llmops.runner.stamps.observer import AppObserver
from pytest_llmops.runner.stamps.packages import restamp_package

ANSWER = "\ndef answer(question):\n    return question\n"
READS = {
    "a subscript": "import os\nTONE = os.environ['SHOP_TONE'] if 'SHOP_TONE' in os.environ else ''",
    "get": "from os import environ\nTONE = environ.get('shop_tone') or environ.get('SHOP_TONE')",
    "getenv with a default": "import os\nTONE = os.getenv('SHOP_TONE', 'kind')",
    "a name in a list": "import os\nVALUES = [os.environ.get(name) for name in ('SHOP_TONE', 'SHOP_SIZE')]",
    "a prefix": "import os\nVALUES = {k: v for k, v in os.environ.items() if k.startswith('SHOP_')}",
    "a prefix of a name": "import os\ndef read(name):\n    return os.environ.get('SHOP_' + name)",
    "an f-string": "import os\ndef read(name):\n    return os.environ.get(f'SHOP_{name}')",
    "pydantic, a prefix": "class A(BaseSettings):\n    model_config = C(env_prefix='shop_')\n    tone: str",
    "a prefix without an end": (
        "import os\nP = 'SHOP'\nV = {k: v for k, v in os.environ.items() if k.startswith(P)}"
    ),
    "a prefix in lower case": (
        "import os\nV = {k: v for k, v in os.environ.items() if k.lower().startswith('shop_')}"
    ),
    "a name put together": "import os\nTONE = os.environ.get('_'.join(['SHOP', 'TONE']))",
    "chosen in a loop": (
        "import os\nP = ''.join('SHOP')\nV = [os.environ[k] for k in os.environ if k.startswith(P)]"
    ),
    "pydantic": "class Shop(BaseSettings):\n    shop_tone: str = 'kind'",
}

AT_RUN_TIME = ("a name put together", "chosen in a loop", "a prefix without an end", "a prefix in lower case")
COPIES = {
    "for a child": "import os\nV = {**os.environ, 'SHOP_TONE': 'kind'}",
    "a mapping": "import os\nV = dict(os.environ)",
    "its own copy": "import os\nV = os.environ.copy()",
    "a union": "import os\nV = os.environ | {'SHOP_TONE': 'kind'}",
    "without some": "import os\nV = {k: v for k, v in os.environ.items() if not k.startswith('SHOP_')}",
    "an update": "import os\nV = {}\nV.update(os.environ)",
    "and a loop over others": "import os\nS = []\nV = {**os.environ}\nW = [row for row in 'ab' if row in S]",
}


@pytest.fixture
def stamps(tmp_path, monkeypatch):
    """Writes files, and returns the stamps of `shop_app:answer` in them."""
    root = tmp_path / "project"
    monkeypatch.syspath_prepend(root)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def run(files):
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        importlib.invalidate_caches()
        observer = AppObserver(root)
        observer.watch()
        try:
            answer = importlib.import_module("shop_app").answer
            observer.note(Golden(path="golden/g.yaml", cases=()), [answer], ["shop_app:answer"])
            answer("a question")
            return observer.stamps()
        finally:
            observer.close()
            for name in [name for name in sys.modules if name.startswith("shop_")]:
                del sys.modules[name]

    return run


@pytest.mark.parametrize("way", READS)
def test_a_variable_is_found_in_whatever_way_it_is_named(stamps, monkeypatch, way):
    source = {"shop_app.py": ANSWER, "shop_settings.py": READS[way]}
    imports = "import shop_settings" if way in AT_RUN_TIME else "def later():\n    import shop_settings"
    source["shop_app.py"] = f"{imports}\n{ANSWER}"
    assert "environment:SHOP_TONE" not in stamps(source)
    values = []
    for value in ("kind", "cold"):
        monkeypatch.setenv("SHOP_TONE", value)
        monkeypatch.setenv("OTHER_TONE", value)
        signed = stamps(source)
        values.append(signed["environment:SHOP_TONE"])
        assert "environment:OTHER_TONE" not in signed
    assert values[0] != values[1]


@pytest.mark.parametrize("way", COPIES)
def test_who_copies_all_variables_reads_none(stamps, monkeypatch, way):
    for name in ("CONTAINER_NAME", "MAKELEVEL", "PYTEST_LLMOPS_RUN"):
        monkeypatch.setenv(name, "one")
    own = f"import shop_child\nSOURCES = ['CONTAINER', 'MAKELEVEL_OF']\n{ANSWER}"
    signed = stamps({"shop_app.py": own, "shop_child.py": COPIES[way]})
    assert [name for name in signed if name.startswith("environment:")] == []


@pytest.mark.parametrize(
    "selected",
    [
        "{k: v for k, v in os.environ.items() if k.startswith(of)}",
        "{k: v for k, v in os.environ.items() if re.match(of, k)}",
        "[v for k, v in os.environ.items() if k[: len(of)] == of]",
        "dict(filter(lambda item: of in item[0], os.environ.items()))",
        (
            "dict(chosen(of))\n\ndef chosen(of):\n    for k, v in os.environ.items():\n"
            "        if k != k.removeprefix(of):\n            yield k, v"
        ),
    ],
)
def test_the_prefix_of_a_copy_may_be_written_in_another_file(stamps, monkeypatch, selected):
    copy = f"import os, re\ndef load(of):\n    return {selected}"
    files = {"shop_app.py": f"import shop_env\nV = shop_env.load('SHOP')\n{ANSWER}", "shop_env.py": copy}
    monkeypatch.setenv("SHOP_TONE", "kind")
    monkeypatch.setenv("SHOPPING_TONE", "kind")
    assert [name for name in stamps(files) if name.startswith("environment:")] == ["environment:SHOP_TONE"]


def test_the_environment_is_itself_again(stamps):
    methods = [getattr(type(os.environ), name) for name in ("__getitem__", "__iter__")]
    stamps({"shop_app.py": ANSWER})
    assert [getattr(type(os.environ), name) for name in ("__getitem__", "__iter__")] == methods


def test_a_dotenv_file_counts_by_its_variables(stamps):
    app = """
        from pathlib import Path

        def answer(question):
            return Path(__file__).with_name(".env").read_text()
    """
    before = stamps({"shop_app.py": app, ".env": "TONE=kind\nexport SHOP_API_KEY='k1'\n"})
    after = stamps({".env": "# a comment\nTONE = cold\nSHOP_API_KEY=k2\n"})
    assert before["environment:SHOP_API_KEY"] == after["environment:SHOP_API_KEY"] == "set"
    assert before["environment:TONE"] != after["environment:TONE"]
    assert not [name for name in after if name.startswith("file:")]


def test_a_file_outside_the_project_is_stamped_where_the_app_s_own_code_opens_it(stamps, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    app = f"""
        import json
        from pathlib import Path

        LIMITS = json.loads(Path({str(shared / "limits.json")!r}).read_text())
        with open({str(shared / "written.txt")!r}, "w") as stream:
            stream.write("by the app itself")

        def answer(question):
            return Path({str(shared / "written.txt")!r}).read_text()
    """
    found = []
    for limit in (1, 2):
        (shared / "limits.json").write_text(f'{{"most": {limit}}}')
        signed = stamps({"shop_app.py": app})
        assert [name for name in signed if "outside" in name] == ["file:limits.json outside the project"]
        found.append(signed["file:limits.json outside the project"])
    assert found[0] != found[1]


def test_a_password_in_a_url_is_no_part_of_its_stamp(stamps, monkeypatch):
    source = {"shop_app.py": "import os\nURL = os.getenv('SHOP_URL')\n" + ANSWER}
    signed = []
    for url in ("db://ann:one@host/shop", "db://ann:two@host/shop", "db://ann:two@host/other"):
        monkeypatch.setenv("SHOP_URL", url)
        signed.append(stamps(source)["environment:SHOP_URL"])
    assert signed[0] == signed[1] != signed[2]


@pytest.mark.parametrize(
    ("importing", "file"),
    [
        ("from shop_lib import part", "shop_lib/part.py"),
        ("from shop_lib.part import thing", "shop_lib/part.py"),
        ("import shop_lib.deep.leaf", "shop_lib/deep/leaf.py"),
        ("def later():\n    from shop_lib import part", "shop_lib/part.py"),
        (
            "import importlib\nNAME = 'shop_lib.part'\ndef later():\n    importlib.import_module(NAME)",
            "shop_lib/part.py",
        ),
        (
            "import importlib\ndef later(n):\n    importlib.import_module(f'shop_lib.deep.{n}')",
            "shop_lib/deep/leaf.py",
        ),
        ("TOOLS = ['shop_lib.part:thing']", "shop_lib/part.py"),
        ("from shop_lib import *", "shop_lib/inner.py"),
    ],
)
def test_imports_are_followed(stamps, importing, file):
    source = {
        "shop_app.py": importing + ANSWER,
        "shop_lib/__init__.py": "from . import inner",
        "shop_lib/inner.py": "",
        "shop_lib/part.py": "thing = 1",
        "shop_lib/deep/leaf.py": "from .. import part",
        "unrelated.py": "",
    }
    signed = stamps(source)
    assert {"code:shop_app.py", "code:shop_lib/__init__.py", f"code:{file}"} <= signed.keys()
    assert "code:unrelated.py" not in signed


def test_code_beside_the_project_counts_and_installed_code_does_not(stamps, tmp_path, monkeypatch):
    """An editable install is a folder on the path, as is `site-packages`."""
    for folder, name in (("library", "shop_editable"), ("site-packages", "shop_installed")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}.py").write_text("")
        monkeypatch.syspath_prepend(tmp_path / folder)
    signed = stamps({"shop_app.py": "import shop_editable, shop_installed\n" + ANSWER})
    assert [name for name in signed if name.startswith("code:")] == [
        "code:shop_app.py",
        "code:../library/shop_editable.py",
    ]


def test_metadata_of_the_projects_installation_are_no_file_of_it(stamps):
    reading = "from pathlib import Path\nV = (Path(__file__).parent / 'shop.egg-info/a.txt').read_text()\n"
    signed = stamps({"shop_app.py": reading + ANSWER, "shop.egg-info/a.txt": "[console_scripts]"})
    assert [name for name in signed if name.startswith("file:")] == []


def test_a_file_that_a_pool_reads_is_stamped(stamps):
    app = """
        from concurrent.futures import ThreadPoolExecutor
        from pathlib import Path


        def answer(question):
            with ThreadPoolExecutor(1) as pool:
                return list(pool.map(Path.read_text, Path(__file__).parent.glob("docs/*")))
    """
    assert "file:docs/returns" in stamps({"shop_app.py": app, "docs/returns": "60 days"})


def test_weights_of_a_hub_are_stamped_by_their_revision(stamps, tmp_path):
    """The library reads its settings in Python, whatever reads the weights."""
    folder = tmp_path / "hub" / "models--org--tiny" / "snapshots" / ("0f3a" * 10)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    read = f"Path({str(folder / 'config.json')!r}).read_text()"
    app = f"from pathlib import Path\ndef answer(question):\n    return {read}\n"
    assert stamps({"shop_app.py": app})["weights:org/tiny"] == "0f3a0f3a0f3a"


def test_an_installed_app_is_stamped_by_its_version_alone(tmp_path):
    observer = AppObserver(tmp_path)
    observer.note(Golden(path="golden/g.yaml", cases=()), [pytest.fail], ["pytest:fail"])
    signed = observer.stamps()
    assert signed["package:pytest"] == pytest.__version__
    assert signed["stamped"] == "package"


class Proxy:
    """Has every attribute, each time another one."""

    def __getattr__(self, name):
        return Proxy()

    def __call__(self, question):
        return question


class Refusing:
    def __getattr__(self, name):
        raise ValueError(name)

    def __call__(self, question):
        return question


@pytest.mark.parametrize("make", [Proxy, Refusing, lambda: print, object])
def test_no_app_is_too_odd_to_be_stamped(tmp_path, make):
    observer = AppObserver(tmp_path)
    observer.note(Golden(path="golden/g.yaml", cases=()), [make()], [None])
    assert "package:python" in observer.stamps()


@pytest.mark.parametrize(
    ("name", "value", "is_hidden"),
    [
        ("SHOP_API_KEY", "k", True),
        ("SHOP_KEY", "a1b2c3d4e5f6a7b8c9", True),
        ("SHOP_SORT_KEY", "price", False),
        ("SHOP_TOKEN", "ghp-a1b2c3d4e5f6a7b8c9", True),
        ("SHOP_PASSWORD", "x", True),
        ("SHOP_PASSWORD_RESET", "off", False),
        ("SHOP_AUTH_MODE", "strict", False),
        ("SHOP_MAX_TOKENS", "1000000000000000000", False),
    ],
)
def test_a_credential_is_only_set_and_a_switch_is_compared(stamps, monkeypatch, name, value, is_hidden):
    monkeypatch.setenv(name, value)
    signed = stamps({"shop_app.py": f"import os\nVALUE = os.getenv('{name}')\n{ANSWER}"})
    assert (signed[f"environment:{name}"] == "set") == is_hidden


def test_what_the_app_writes_is_no_cause(stamps):
    app = """
        import os
        from pathlib import Path

        STATE, CACHE = Path(__file__).with_name("state.json"), Path(__file__).with_name("cache.json")


        def answer(question):
            STATE.write_text(question)
            CACHE.with_suffix(".part").write_text(question)
            os.replace(CACHE.with_suffix(".part"), CACHE)
            return STATE.read_text() + CACHE.read_text()
    """
    assert not [name for name in stamps({"shop_app.py": app}) if name.startswith("file:")]


def test_a_source_that_cannot_be_parsed_is_stamped_by_its_bytes(stamps):
    source = {"shop_app.py": "def later():\n    import shop_broken\n" + ANSWER, "shop_broken.py": "def ("}
    before = stamps(source)["code:shop_broken.py"]
    assert stamps({"shop_broken.py": "def (x"})["code:shop_broken.py"] != before


@pytest.mark.parametrize("tag", ["", "-pytest-9.2.0"])
def test_a_module_is_found_by_its_bytecode_that_of_pytest_too(stamps, tmp_path, tag):
    compiled = f"__pycache__/shop_part.{sys.implementation.cache_tag}{tag}.pyc"
    path = str(tmp_path / "project" / compiled)
    app = f"import pathlib\ndef answer(question):\n    return pathlib.Path({path!r}).read_text()\n"
    assert "code:shop_part.py" in stamps({"shop_app.py": app, "shop_part.py": "", compiled: ""})


def test_a_library_that_is_imported_meanwhile_ends_nothing(tmp_path, monkeypatch):
    """As by a client in another thread, which may be at work whenever this one makes objects."""

    def import_another(phase, _):
        monkeypatch.setitem(sys.modules, f"shop_other_{phase}_{len(sys.modules)}", sys)

    gc.callbacks.append(import_another)
    before = gc.get_threshold()
    gc.set_threshold(1)
    try:
        find_code([], [], tmp_path, given=True)
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(import_another)


def test_a_package_that_is_not_imported_yet_has_the_version_of_its_distribution(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "markdown_it"]:
        monkeypatch.delitem(sys.modules, name)

    assert restamp_package("markdown_it")["package:markdown_it"] == version("markdown-it-py")
    assert "package:not_there" not in restamp_package("not_there")
