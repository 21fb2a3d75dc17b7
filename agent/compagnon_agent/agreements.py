"""What the person at this machine agreed to beforehand: ``agreement.json`` in the agent's folder, and nowhere else.

It is made by a yes to the whole text on this machine's own screen (or terminal), ends by itself, and is taken back here
by ``compagnon-agent policy --withdraw`` or ``compagnon-agent withdraw``. No message of the server changes the file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

from .protocol.agreements import Attendance, Held, Proposal, Terms, check, digest
from .protocol.manifest import Risk
from .protocol.messages import ConsentKind
from .protocol.wire import WireError, dumps, instant, loads, record, text, write_record
from .settings import write_private

AGREEMENT_FILE = "agreement.json"
LIMIT = 8 * 1024
_RISKS = (Risk.LOW, Risk.MEDIUM, Risk.HIGH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What was agreed to, by whom (the account that was signed in, where known), from when until when."""

    proposal: Annotated[Proposal, record(Proposal)]
    cooperative: Annotated[str, text(120)]
    member: Annotated[str, text(120)]
    person: Annotated[str, text(120)]
    since: Annotated[datetime, instant]
    until: Annotated[datetime, instant]

    @property
    def terms(self) -> Terms:
        return self.proposal.terms

    @property
    def held(self) -> Held:
        """What the server is told, for the machine's page."""
        return Held(
            version=self.proposal.version,
            digest=digest(self.proposal),
            attendance=self.terms.attendance,
            since=self.since,
            until=self.until,
            person=self.person,
        )

    def grants(self, kind: ConsentKind, *, capability: str, risk: Risk, present: bool) -> timedelta | None:
        """For how long this is granted without asking; None when it must be asked."""
        terms = self.terms
        if terms.attendance is Attendance.ATTENDED or (terms.attendance is Attendance.PREAGREED and not present):
            return None
        if kind is ConsentKind.SESSION:
            listed = capability in terms.capabilities
        else:
            listed = terms.procedures is not None and _RISKS.index(risk) <= _RISKS.index(terms.procedures)
        return timedelta(hours=terms.hours) if listed else None

    def describe(self) -> Iterable[str]:
        """In the words of the policy report."""
        when = "while somebody is signed in" if self.terms.attendance is Attendance.PREAGREED else "at any hour"
        for name in self.terms.capabilities:
            yield f"agreed: {name}, {self.terms.hours} h, {when}"
        if self.terms.procedures is not None:
            yield f"agreed: procedures, risk up to {self.terms.procedures}, {self.terms.hours} h, {when}"


def made(proposal: Proposal, *, cooperative: str, member: str, person: str, now: datetime) -> Agreement:
    """By a yes, now."""
    until = now + timedelta(days=proposal.terms.days)
    return Agreement(
        proposal=proposal, cooperative=cooperative, member=member, person=person[:120], since=now, until=until
    )


def keep(folder: Path, agreement: Agreement) -> None:
    """Raises ``OSError`` when it cannot be written: then it does not hold."""
    write_private(folder / AGREEMENT_FILE, dumps(write_record(agreement)).encode())


def load(folder: Path, now: datetime) -> Agreement | None:
    """The agreement that holds ``now``; None without one, after its end, and when the file cannot be read."""
    path = folder / AGREEMENT_FILE
    try:
        found = record(Agreement).read(loads(path.read_bytes(), limit=LIMIT), "")
        check(found.terms)
    except (OSError, WireError):
        return None
    return found if found.since <= now < found.until else None


def withdraw(folder: Path) -> bool:
    """Take it back; False when there was none."""
    path = folder / AGREEMENT_FILE
    known = path.exists()
    path.unlink(missing_ok=True)
    return known
