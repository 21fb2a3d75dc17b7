"""Which systems a procedure is for, as the search index is told."""

from __future__ import annotations

import pytest

from procedures import format as procedure_format
from procedures.library.systems import systems

TEXT = """---
id: {id}
type: {type}
title: Vérifier le poste
locale: fr
---
Contexte.

## Étapes

### s1: Vérifiez le poste {{importance=required}}

{body}
"""


def read(body: str = "", *, id: str = "chk-001", type: str = "check") -> procedure_format.Procedure:
    return procedure_format.read(TEXT.format(id=id, type=type, body=body)).procedure


@pytest.mark.parametrize(
    ("applies_to", "body", "expected"),
    [
        (("poste-debian-12",), "", ("linux",)),
        (("poste-windows-11", "poste-debian-12"), "", ("linux", "windows")),
        (("poste-mac-15",), "", ("macos",)),
        (("windowsill",), "", ()),
        ((), '- check: {os: {debian: {version: "12"}}}', ("linux",)),
        ((), "```powershell {run_on=agent}\nGet-Service\n```", ("windows",)),
        (("poste-debian-12",), "```powershell {run_on=agent}\nGet-Service\n```", ("linux",)),
        ((), "```sh {run_on=agent}\nls\n```", ()),
    ],
)
def test_the_systems_of_a_procedure(applies_to: tuple[str, ...], body: str, expected: tuple[str, ...]) -> None:
    assert systems(read(body), applies_to) == expected


def test_an_environment_is_named_after_its_system() -> None:
    assert systems(read(id="poste-debian-12", type="environment"), ()) == ("linux",)
    assert systems(read(id="win-001"), ()) == (), "a procedure's own code is only a code"
