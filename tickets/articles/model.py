"""What an article takes over from a ticket: the ticket's own words and facts, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from kb.articles.model import TITLE_LIMIT, Content, Link
from procedures.runs.model import Run, RunState
from tickets.desk.model import Message, Ticket

ORIGIN = "origin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """Something said or written in the ticket, to be condensed by hand. ``kind``: symptom, message, resolution."""

    kind: str
    by: str
    at: datetime
    text: str
    internal: bool = False


def begun(ticket: Ticket, environment: str | None, runs: Sequence[Run]) -> Content:
    """Title and symptom as noted, the machine's environment, the skill, the procedures that ran to their end."""
    done = (run.code for run in runs if run.state is RunState.COMPLETED)
    return Content(
        title=ticket.title[:TITLE_LIMIT],
        condition=ticket.symptom,
        applies_to=(environment,) if environment else (),
        skills=(ticket.skill,) if ticket.skill else (),
        procedures=tuple(dict.fromkeys(done)),
    )


def origin(ticket: Ticket) -> Link:
    return Link(kind="ticket", ref=str(ticket.id), why=ORIGIN, label=ticket.title, url=ticket.url)


def words(ticket: Ticket, messages: Sequence[Message], resolution: Word | None) -> list[Word]:
    """The conversation, oldest first, and how the ticket was resolved."""
    symptom = Word(kind="symptom", by=ticket.caller_name, at=ticket.created_at, text=ticket.symptom or ticket.title)
    said = [
        Word(
            kind="message",
            by=message.member_name,
            at=message.created_at,
            text=message.body,
            internal=message.visibility == "internal",
        )
        for message in messages
    ]
    return [symptom, *said, *([resolution] if resolution else [])]
