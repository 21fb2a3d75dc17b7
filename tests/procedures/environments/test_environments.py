"""Environments: the standard that machines are compared with."""

from __future__ import annotations

import pytest

from compagnon.errors import NotFound


async def test_the_version_in_force_has_checks_with_labels_and_repairs(rooms):
    environment = await rooms.environments.current("poste-test")
    assert environment.label == "poste-test@1"
    (check,) = environment.checks
    assert (check.id, check.label, check.procedure) == ("temoin", "Le fichier témoin existe", "tst-001")
    assert (check.check.resource, check.check.key) == ("file", "/etc/hostname")
    assert environment.desktop.panel.position == "bottom"


async def test_a_procedure_is_no_environment(rooms, procedure_text):
    await rooms.library.import_text(procedure_text, rooms.ada, publish=True)
    with pytest.raises(NotFound, match="tst-001"):
        await rooms.environments.current("tst-001")
    with pytest.raises(NotFound):
        await rooms.environments.current("nowhere")


async def test_published_environments_are_listed(rooms):
    assert [(one.code, one.number) for one in await rooms.environments.list()] == [("poste-test", 1)]
