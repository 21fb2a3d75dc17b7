"""What changed between two versions, aligned by step id, word by word: for the review page."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from compagnon.markup.differences import Kind, Piece, pieces
from procedures.format import desktop, texts
from procedures.format.model import Block, Conformity, Procedure, Step
from procedures.format.yamls import flow


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldDiff:
    """One part that differs, as canonical text. ``before``/``after`` None: it was not there."""

    name: str
    before: str | None
    after: str | None
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDiff:
    """``moved``: its place among the steps that both versions have changed, whatever else did."""

    id: str
    kind: Kind
    moved: bool
    before: Step | Conformity | None
    after: Step | Conformity | None
    fields: tuple[FieldDiff, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcedureDiff:
    """``steps`` hold every step or conformity item of either version, in the order of the new one."""

    metadata: tuple[FieldDiff, ...]
    sections: tuple[FieldDiff, ...]
    steps: tuple[StepDiff, ...]

    @property
    def is_empty(self) -> bool:
        return not (self.metadata or self.sections or self.changed_steps)

    @property
    def changed_steps(self) -> tuple[StepDiff, ...]:
        return tuple(step for step in self.steps if step.moved or step.kind is not Kind.SAME)


def diff(before: Procedure, after: Procedure) -> ProcedureDiff:
    """Every difference that the canonical texts have, and no other."""
    return ProcedureDiff(
        metadata=_fields(_joined(texts.metadata(before)), _joined(texts.metadata(after))),
        sections=_fields(_sections(before), _sections(after)),
        steps=tuple(_steps(before.owners, after.owners)),
    )


def _fields(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[FieldDiff, ...]:
    names = dict.fromkeys((*after, *before))
    return tuple(
        FieldDiff(name=name, before=old, after=new, pieces=pieces(old or "", new or ""))
        for name in names
        if (old := before.get(name)) != (new := after.get(name))
    )


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Repeated names (``check``) become one text, a line each."""
    found: dict[str, str] = {}
    for name, value in pairs:
        found[name] = f"{found[name]}\n{value}" if name in found else value.lstrip("\n")
    return found


def _sections(procedure: Procedure) -> dict[str, str]:
    found = {
        "context": _text(procedure.context),
        "desktop": "\n".join(desktop.write(procedure.desktop)) if procedure.desktop else "",
        "result": _text(procedure.result.body),
        "result.check": "\n".join(flow(check.spec) for check in procedure.result.checks),
        "after": _text(procedure.after),
    }
    for section in procedure.others:
        found[section.title] = "\n\n".join(filter(None, (found.get(section.title), _text(section.body))))
    return {name: text for name, text in found.items() if text}


def _text(blocks: tuple[Block, ...]) -> str:
    return "\n\n".join(texts.blocks(blocks))


def _owner(owner: Step | Conformity) -> dict[str, str]:
    title = owner.title if isinstance(owner, Step) else owner.label
    found = {"title": title}
    if isinstance(owner, Step) and owner.importance:
        found["importance"] = str(owner.importance)
    if owner.body:
        found["body"] = _text(owner.body)
    fields = texts.step_fields(owner) if isinstance(owner, Step) else texts.conformity_fields(owner)
    return found | _joined(fields)


def _steps(before: Sequence[Step | Conformity], after: Sequence[Step | Conformity]) -> Iterator[StepDiff]:
    old, new = _by_id(before), _by_id(after)
    moved = _moved(list(old), list(new))
    for name in _merged(list(old), list(new)):
        yield _step(name, old.get(name), new.get(name), moved=name in moved)


def _by_id(owners: Sequence[Step | Conformity]) -> dict[str, Step | Conformity]:
    """An id used twice (only drafts may) keeps its copies apart."""
    found: dict[str, Step | Conformity] = {}
    for owner in owners:
        name, number = owner.id, 2
        while name in found:
            name, number = f"{owner.id} ({number})", number + 1
        found[name] = owner
    return found


def _moved(old: Sequence[str], new: Sequence[str]) -> set[str]:
    """The fewest ids whose move explains the new order: those outside the longest common run."""
    places = {name: place for place, name in enumerate(old)}
    common = [name for name in new if name in places]
    still = _longest_increasing([places[name] for name in common])
    return {name for name in common if places[name] not in still}


def _longest_increasing(numbers: Sequence[int]) -> set[int]:
    """The longest increasing subsequence of distinct numbers, by patience sorting."""
    tops: list[int] = []
    before: dict[int, int | None] = {}
    for number in numbers:
        pile = bisect_left(tops, number)
        before[number] = tops[pile - 1] if pile else None
        tops[pile : pile + 1] = [number]
    found: set[int] = set()
    last = tops[-1] if tops else None
    while last is not None:
        found.add(last)
        last = before[last]
    return found


def _merged(old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    """The new order, each removed id after the one it used to follow."""
    followers: dict[str | None, list[str]] = {}
    kept = set(new)
    anchor: str | None = None
    for name in old:
        if name in kept:
            anchor = name
        else:
            followers.setdefault(anchor, []).append(name)
    yield from followers.get(None, [])
    for name in new:
        yield name
        yield from followers.get(name, [])


def _step(name: str, old: Step | Conformity | None, new: Step | Conformity | None, *, moved: bool) -> StepDiff:
    fields = _fields(_owner(old) if old else {}, _owner(new) if new else {})
    kind = Kind.ADDED if old is None else Kind.REMOVED if new is None else Kind.CHANGED if fields else Kind.SAME
    return StepDiff(id=name, kind=kind, moved=moved, before=old, after=new, fields=fields)
