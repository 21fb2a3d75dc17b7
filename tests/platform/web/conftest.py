from __future__ import annotations

import pytest

from compagnon.i18n import Catalogues


@pytest.fixture
def french() -> None:
    Catalogues(["compagnon"]).install()
