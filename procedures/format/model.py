"""What a procedure is, once read: frozen values, no text handling.

Names follow DITA's strict task and machinery task (``cmd``, ``info``, ``stepresult``, ``reqconds``, ``perskill``,
``esttime``).
Positions are 1-based and never take part in equality: two texts that say the same are the same procedure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from compagnon_agent.protocol.parameters import Parameter
from procedures.format.duration import Duration

Json = Any
"""None, bool, int, float, str, list or dict with string keys."""


class Type(StrEnum):
    INSTALL = "install"
    REPAIR = "repair"
    CHECK = "check"
    ENVIRONMENT = "environment"


class Risk(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Importance(StrEnum):
    REQUIRED = "required"
    OPTIONAL = "optional"


class Evidence(StrEnum):
    NONE = "none"
    NOTE = "note"
    OUTPUT = "output"
    PICTURE = "picture"


class RunOn(StrEnum):
    AGENT = "agent"
    TECHNICIAN = "technician"


class NoteKind(StrEnum):
    NOTE = "NOTE"
    TIP = "TIP"
    IMPORTANT = "IMPORTANT"
    WARNING = "WARNING"
    CAUTION = "CAUTION"


class Role(StrEnum):
    """What a second-level section is for."""

    STEPS = "steps"
    RESULT = "result"
    AFTER = "after"
    CONFORMITY = "conformity"
    DESKTOP = "desktop"


@dataclass(frozen=True, slots=True, order=True)
class Position:
    line: int
    column: int = 1


START = Position(1, 1)


def _here() -> Position:
    made: Position = field(default=START, compare=False, repr=False)
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One Markdown block (paragraph, list, table, quotation, picture…), as written."""

    markdown: str
    at: Position = _here()


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    kind: NoteKind
    markdown: str
    at: Position = _here()


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A fence. ``timeout`` in seconds; ``unknown`` keeps attributes that lint will refuse."""

    language: str
    script: str
    run_on: RunOn = RunOn.TECHNICIAN
    timeout: int | None = None
    unknown: tuple[tuple[str, str], ...] = ()
    at: Position = _here()


Block = Text | Note | Code


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSpec:
    """A check as written, ``{resource: {key: {attribute: value}}}``; ``protocol.checks`` says if it is valid."""

    spec: Mapping[str, Json]
    at: Position = _here()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Where a failure leads: another procedure, then a skill to escalate to. Both may be None: nowhere."""

    procedure: str | None = None
    escalate: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OnFail:
    """Go back to step ``goto`` at most ``max`` times (1 to 9), then ``then``."""

    goto: str | None = None
    max: int | None = None
    then: Ending | None = None
    at: Position = _here()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    text: str
    commands: tuple[Code, ...] = ()
    at: Position = _here()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    id: str
    title: str
    importance: Importance | None = None
    body: tuple[Block, ...] = ()
    info: str | None = None
    phone: str | None = None
    show: str | None = None
    stepresult: str | None = None
    checks: tuple[CheckSpec, ...] = ()
    on_fail: OnFail | None = None
    evidence: Evidence = Evidence.NONE
    rollback: Rollback | None = None
    at: Position = _here()
    fields: Mapping[str, Position] = field(default_factory=dict, compare=False, repr=False)

    @property
    def codes(self) -> tuple[Code, ...]:
        return tuple(block for block in self.body if isinstance(block, Code))

    @property
    def required(self) -> bool:
        """A step is required unless it says otherwise."""
        return self.importance is not Importance.OPTIONAL

    def position(self, name: str) -> Position:
        return self.fields.get(name, self.at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What must be true at the end: text, and checks verified by the agent at closing."""

    body: tuple[Block, ...] = ()
    checks: tuple[CheckSpec, ...] = ()
    at: Position = _here()


@dataclass(frozen=True, slots=True, kw_only=True)
class Conformity:
    """One thing an environment promises; its id is what waivers and history refer to."""

    id: str
    label: str
    checks: tuple[CheckSpec, ...] = ()
    repair: str | None = None
    info: str | None = None
    body: tuple[Block, ...] = ()
    at: Position = _here()
    fields: Mapping[str, Position] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelItem:
    id: str
    label: str
    icon: str | None = None
    zone: str = "start"


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    position: str = "bottom"
    items: tuple[PanelItem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DesktopIcon:
    """Columns and rows count from 1, at the top left."""

    id: str
    label: str
    column: int
    row: int
    icon: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Menu:
    id: str
    label: str
    icon: str | None = None
    opens: str | None = None
    items: tuple[Menu, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Desktop:
    panel: Panel | None = None
    icons: tuple[DesktopIcon, ...] = ()
    menus: tuple[Menu, ...] = ()
    at: Position = _here()

    @property
    def ids(self) -> tuple[str, ...]:
        """Every element's id, in document order; lint refuses a repeated one."""
        panel = self.panel.items if self.panel else ()
        return (*(item.id for item in panel), *(icon.id for icon in self.icons), *_menu_ids(self.menus))


def _menu_ids(menus: tuple[Menu, ...]) -> list[str]:
    return [found for menu in menus for found in (menu.id, *_menu_ids(menu.items))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section the format does not know: kept so that nothing is lost, refused by lint."""

    title: str
    body: tuple[Block, ...] = ()
    at: Position = _here()


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A second-level heading as the author wrote it."""

    title: str
    role: Role | None
    at: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class Procedure:
    id: str
    type: Type
    title: str
    locale: str
    applies_to: tuple[str, ...] = ()
    esttime: Duration | None = None
    perskill: tuple[str, ...] = ()
    reqconds: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    risk: Risk | None = None
    review_every: Duration | None = None
    context: tuple[Block, ...] = ()
    steps: tuple[Step, ...] = ()
    result: Result = field(default_factory=Result)
    after: tuple[Block, ...] = ()
    conformity: tuple[Conformity, ...] = ()
    desktop: Desktop | None = None
    others: tuple[Section, ...] = ()
    headings: tuple[Heading, ...] = field(default=(), compare=False, repr=False)
    fields: Mapping[str, Position] = field(default_factory=dict, compare=False, repr=False)

    @property
    def owners(self) -> tuple[Step | Conformity, ...]:
        """Everything with a heading of its own."""
        return (*self.conformity, *self.steps)

    def step(self, step_id: str) -> Step | None:
        return next((step for step in self.steps if step.id == step_id), None)

    def position(self, name: str) -> Position:
        """Where metadata ``name`` (``"risk"``, ``"parameters.ip"``) is written; the first line when it is not."""
        return self.fields.get(name, START)


def ending(procedure: Procedure, step: Step) -> Ending:
    """Where a failure of ``step`` leads once ``goto`` is used up: its ``then``, else the procedure's first skill."""
    if step.on_fail and step.on_fail.then:
        return step.on_fail.then
    return Ending(escalate=procedure.perskill[0] if procedure.perskill else None)
