"""The app's way from a question to an answer, with the pipeline that AutoRAG chose in place of its search."""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from reference_app.settings import Settings, read_settings
from reference_app.variants.autorag.tables import list_questions, list_texts, load_cases
from reference_app.variants.autorag.trial import Trial, check_package
from reference_app.variants.documents import DocumentsApp

if TYPE_CHECKING:
    from reference_app.documents.search import Found, Query

PROJECTS = Path(__file__).parents[3] / "build" / "autorag"
GOLDEN = Path(__file__).parent / "golden.yaml"


class AutoRAGApp(DocumentsApp):
    """Its trial is chosen on the questions of the golden file."""

    name = "autorag"

    def __init__(self, settings: Settings, projects: Path, *, rebuild: bool = False) -> None:
        check_package()
        super().__init__(settings)
        texts = list_texts(self.sections)
        questions = list_questions(load_cases(GOLDEN), texts)
        self.trial = Trial(texts, questions, self._vectors, projects, rebuild=rebuild)

    @property
    def folder(self) -> Path:
        """Of the trial."""
        return self.trial.folder

    def search(self, query: Query, count: int) -> list[Found]:
        """What the pipeline finds, in its order."""
        return self._read(self.trial.search(query.text))[:count]


def open_variant(*, rebuild: bool = False) -> AutoRAGApp:
    """As the environment sets it; built once per distinct settings."""
    with _building:
        return _open(read_settings(), PROJECTS, rebuild=rebuild)


_open, _building = cache(AutoRAGApp), threading.Lock()
