"""What the person at the machine is asked, as plain text: the dialog and the terminal prompt show the same.

All of it comes from the server and is hostile until cleaned: no control or bidirectional characters, no endless lines.
Whatever a yes lets run is in the details, whole; what is too long to be shown is not asked, and answered no.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Annotated

from . import execute
from .protocol.checks import Check, CheckError, command_of
from .protocol.manifest import RESULT_STEP, Command, Manifest, ManifestStep, RunOn, prepare
from .protocol.messages import ConsentKind, ConsentRequest
from .protocol.parameters import ParameterError, validate_all
from .protocol.wire import integer, sequence, text
from .words import CAPABILITIES, say

LINE = 300
DETAIL_LINES = 2000
WIDTH = 96
"""Characters of a detail on one line: a longer one goes on in the next, it is never cut."""

MORE = "    ↳ "
"""Before what goes on. In the column of the ``$``, where nothing of a script ever stands."""


class TooLong(ValueError):
    """It cannot be shown whole, so it cannot be agreed to; the text says so."""


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
    """``seconds``: for how long the grant would really last here. :class:`TooLong` when it cannot be shown whole."""
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
    return Question(
        locale=locale,
        heading=heading[:500],
        lines=tuple(line[:500] for line in lines),
        code=say(locale, "Compare this code by voice: {code}", code=clean(request.short_code, 12)),
        notes=tuple(say(locale, note) for note in _notes(request)),
        details=tuple(_details(request)),
        wait=request.wait,
    )


def _notes(request: ConsentRequest) -> list[str]:
    same_code = "Do not agree if the technician does not say the same code."
    if request.kind is ConsentKind.PROCEDURE:
        return [same_code, "Each step is recorded with its result."]
    return [
        same_code,
        "Everything that is shown and typed is recorded.",
        "While it is open, another of the same kind for this ticket and technician is not asked again.",
    ]


def _what(request: ConsentRequest) -> list[str]:
    locale, manifest = request.locale, request.manifest
    if manifest is None:
        known = CAPABILITIES.get(request.capability or "")
        if known is None:
            return [say(locale, "What: {capability} on this computer", capability=clean(request.capability or ""))]
        return [say(locale, "What: {what}", what=say(locale, known, target=visible(request.target)))]
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
    """Everything that a yes lets run or look, and nothing cut: :class:`TooLong` when it does not fit."""
    if request.manifest is None:
        return []
    lines: list[str] = []
    for line in _whole(request.locale, request.manifest, dict(request.parameters or {})):
        if len(lines) >= DETAIL_LINES:
            raise TooLong("the procedure is too long to be shown: nobody can agree to what cannot be read")
        lines.append(line)
    return lines


def _whole(locale: str, manifest: Manifest, given: dict[str, str]) -> Iterator[str]:
    for step in manifest.steps:
        yield from _step(locale, _filled(manifest, step, given))
    if manifest.result:
        result = ManifestStep(id=RESULT_STEP, title=manifest.title, checks=manifest.result)
        yield say(locale, "Result of the procedure")
        yield from _checks(locale, _filled(replace(manifest, steps=(result,)), result, given).checks)


def _filled(manifest: Manifest, step: ManifestStep, given: dict[str, str]) -> ManifestStep:
    """The step with the values put in where they are known, otherwise with its placeholders (then it cannot run)."""
    try:
        values = validate_all(manifest.parameters, given)
        return prepare(manifest, step.id, values, check_shell=execute.CHECK_SHELL)
    except (ParameterError, CheckError):
        return step


def _step(locale: str, step: ManifestStep) -> Iterator[str]:
    yield from _wrapped("", MORE, say(locale, "Step {id}: {title}", id=clean(step.id), title=clean(step.title)))
    for command in step.commands:
        yield from _command(locale, command)
    yield from _checks(locale, step.checks)
    for command in step.rollback:
        yield f"    ({say(locale, 'undo')})"
        yield from _command(locale, command)


def _checks(locale: str, checks: Iterable[Check]) -> Iterator[str]:
    """A check's own title never stands for it: what it runs, or looks at and expects, is what is shown."""
    for check in checks:
        expected = {name: value for name, value in check.attributes.items() if name != "exec"}
        if check.resource == "command":
            yield f"    ({say(locale, 'check')})"
            yield from _script(command_of(check))
        else:
            yield from _wrapped("    ", MORE, f"{say(locale, 'check')}: {visible(check.resource)} {visible(check.key)}")
        if expected:
            yield from _wrapped("      ", MORE, visible(json.dumps(expected, ensure_ascii=False)))


def _command(locale: str, command: Command) -> Iterator[str]:
    if command.run_on is RunOn.TECHNICIAN:
        yield f"    ({say(locale, 'by hand, by the technician')})"  # before it: nothing in a script can look like this
    yield from _script(command.script)


def _script(script: str) -> Iterator[str]:
    for number, line in enumerate(script.replace("\r\n", "\n").removesuffix("\n").split("\n")):
        yield from _wrapped("    $ " if number == 0 else "      ", MORE, visible(line))


def visible(value: str) -> str:
    """The whole of ``value`` in one line, with a number for each character that cannot be seen or moves others."""
    return "".join(_shown(character) for character in value)


def _shown(character: str) -> str:
    if character == "\t":
        return "    "
    hidden = character != " " and (character.isspace() or not _printable(character))
    return f"<U+{ord(character):04X}>" if hidden else character


def _wrapped(first: str, following: str, content: str) -> Iterator[str]:
    yield first + content[:WIDTH]
    for start in range(WIDTH, len(content), WIDTH):
        yield following + content[start : start + WIDTH]
