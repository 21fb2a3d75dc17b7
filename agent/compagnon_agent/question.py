"""What the person at the machine is asked, as plain text: the dialog and the terminal prompt show the same.

All of it comes from the server and is hostile until cleaned: no control or bidirectional characters, no endless lines.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from .protocol.checks import CheckError
from .protocol.manifest import Command, Manifest, ManifestStep, RunOn, prepare
from .protocol.messages import ConsentKind, ConsentRequest
from .protocol.parameters import ParameterError, validate_all
from .protocol.wire import integer, sequence, text
from .words import say

LINE = 300
DETAIL_LINES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """``lines`` above the code, ``notes`` below it; ``details`` only when asked for. ``wait`` in seconds."""

    locale: Annotated[str, text(10)]
    heading: Annotated[str, text(500)]
    lines: Annotated[tuple[str, ...], sequence(text(500), 20)]
    code: Annotated[str, text(100)]
    notes: Annotated[tuple[str, ...], sequence(text(500), 10)]
    details: Annotated[tuple[str, ...], sequence(text(500), DETAIL_LINES)]
    wait: Annotated[int, integer(1, 3600)]


def clean(value: str, limit: int = LINE) -> str:
    """One printable line."""
    kept = "".join(" " if character.isspace() else character for character in value if _printable(character))
    return kept[:limit]


def _printable(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn"}


def question(request: ConsentRequest, seconds: float) -> Question:
    """``seconds``: for how long the grant would really last here."""
    locale = request.locale
    name = {"member": clean(request.member_name), "cooperative": clean(request.cooperative)}
    heading = (
        say(locale, "{member} ({cooperative}) asks for your agreement", **name)
        if request.cooperative
        else say(locale, "{member} asks for your agreement", member=name["member"])
    )
    lines = [
        say(locale, "Ticket {ticket}: {title}", ticket=request.ticket_id, title=clean(request.ticket_title)),
        say(locale, "Reason: {reason}", reason=clean(request.reason)),
        *_what(request),
        say(locale, "For how long: {minutes} minutes at most", minutes=max(1, round(seconds / 60))),
    ]
    recorded = (
        "Each step is recorded with its result."
        if request.kind is ConsentKind.PROCEDURE
        else "Everything that is shown and typed is recorded."
    )
    return Question(
        locale=locale,
        heading=heading[:500],
        lines=tuple(line[:500] for line in lines),
        code=say(locale, "Compare this code by voice: {code}", code=clean(request.short_code, 12)),
        notes=(say(locale, "Do not agree if the technician does not say the same code."), say(locale, recorded)),
        details=tuple(_details(request)),
        wait=request.wait,
    )


def _what(request: ConsentRequest) -> list[str]:
    locale, manifest = request.locale, request.manifest
    if manifest is None:
        if request.capability == "terminal":
            return [say(locale, "What: work in a terminal on this computer")]
        return [say(locale, "What: {capability} on this computer", capability=clean(request.capability or ""))]
    code, version = clean(manifest.procedure, 80), manifest.version
    steps = len(manifest.steps)
    size = "“{title}” (1 step, risk: {risk})" if steps == 1 else "“{title}” ({steps} steps, risk: {risk})"
    return [
        say(locale, "What: follow the procedure {code}, version {version}", code=code, version=version),
        say(
            locale,
            size,
            title=clean(manifest.title),
            steps=steps,
            risk=say(locale, manifest.risk),
        ),
    ]


def _details(request: ConsentRequest) -> list[str]:
    if request.manifest is None:
        return []
    lines: list[str] = []
    for step in _filled(request.manifest, dict(request.parameters or {})):
        lines += _step(request.locale, step)
    return lines[:DETAIL_LINES]


def _filled(manifest: Manifest, given: dict[str, str]) -> Iterator[ManifestStep]:
    """Each step with the values put in where they are known, otherwise with its placeholders."""
    for step in manifest.steps:
        try:
            values = validate_all(manifest.parameters, given)
            yield prepare(manifest, step.id, values)
        except (ParameterError, CheckError):
            yield step


def _step(locale: str, step: ManifestStep) -> Iterator[str]:
    yield say(locale, "Step {id}: {title}", id=clean(step.id), title=clean(step.title))
    for command in step.commands:
        yield from _command(command, say(locale, "by hand, by the technician"))
    for check in step.checks:
        yield f"    {say(locale, 'checks')}: {clean(check.title)}"
    for command in step.rollback:
        yield f"    ({say(locale, 'undo')})"
        yield from _command(command, say(locale, "by hand, by the technician"))


def _command(command: Command, by_hand: str) -> Iterator[str]:
    note = f"   ({by_hand})" if command.run_on is RunOn.TECHNICIAN else ""
    for number, line in enumerate(command.script.splitlines()):
        yield f"    {'$' if number == 0 else ' '} {clean(line, 400)}{note if number == 0 else ''}"
