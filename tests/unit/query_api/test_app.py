"""What query-api is put together of."""

import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import pytest

from castlist.store.store import Store
from query_api import app
from query_api.settings import Settings


async def test_finding_people_is_there_where_what_it_needs_is_installed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decided at the start: where any of it is missing, everything else is served."""
    async with app.face_search(store, Settings()) as search:
        assert search is not None

    def without_dlib(name: str) -> Any:
        return None if name == "dlib" else find_spec(name)

    monkeypatch.setattr(app, "find_spec", without_dlib)
    async with app.face_search(store, Settings()) as search:
        assert search is None


def test_without_the_extra_nothing_of_it_is_imported() -> None:
    """query-api starts where neither vision nor identity is installed: it imports them nowhere on its way."""
    looking = (
        "import sys, query_api.app, query_api.__main__; "
        "print([name for name in sys.modules if name.startswith(('castlist_vision', 'castlist_identity', 'psutil'))])"
    )
    found = subprocess.run([sys.executable, "-c", looking], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
