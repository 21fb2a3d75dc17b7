"""The question about an agreement, as plain text: everything that a yes would mean, in plain words made here.

The server's part are names, numbers and its own explanation, shown as its words.
"""

from __future__ import annotations

from .protocol.agreements import Attendance, PolicyProposal, Terms
from .question import Question, clean
from .words import CAPABILITIES, say


def proposal_question(message: PolicyProposal, max_hours: float) -> Question:
    """``max_hours``: no grant lasts longer here, whatever is agreed."""
    locale, proposal = message.locale, message.proposal
    names = {"member": clean(message.member_name), "cooperative": clean(message.cooperative) or "—"}
    about = {"client": clean(proposal.client), "version": proposal.version, "days": proposal.terms.days}
    lines = [
        say(locale, "A rule for this computer of {client}, version {version}, for {days} days:", **about),
        *_meaning(locale, proposal.terms, max_hours),
    ]
    if proposal.terms.words:
        lines.append(say(locale, "They say: “{words}”", words=clean(proposal.terms.words, 400)))
    return Question(
        locale=locale,
        heading=say(locale, "{member} ({cooperative}) proposes a rule for this computer", **names)[:500],
        lines=tuple(line[:500] for line in lines),
        code=say(locale, "Compare this code by voice: {code}", code=clean(message.short_code, 12)),
        notes=(
            say(locale, "Do not agree if the technician does not say the same code."),
            say(locale, "To take it back at any time: compagnon-agent policy --withdraw"),
        ),
        details=(),
        wait=message.wait,
    )


def _meaning(locale: str, terms: Terms, max_hours: float) -> list[str]:
    if terms.attendance is Attendance.ATTENDED:
        return [say(locale, "Every request is asked here, each time. Nothing is granted beforehand.")]
    hours = f"{min(terms.hours, max_hours):g}"
    return [
        say(locale, _WHEN[terms.attendance]),
        *(f"    • {say(locale, CAPABILITIES[name])}" for name in terms.capabilities),
        *_procedures(locale, terms),
        say(
            locale,
            "Each time for {hours} hours at most, for a ticket, recorded, with the banner and Stop.",
            hours=hours,
        ),
        say(locale, "Everything else is still asked each time."),
    ]


def _procedures(locale: str, terms: Terms) -> list[str]:
    if terms.procedures is None:
        return []
    risk = say(locale, terms.procedures)
    return [
        f"    • {say(locale, 'follow procedures, risk up to: {risk}', risk=risk)}",
        say(
            locale, "What a procedure does and how risky it is, is the co-operative's word: nobody here reads it first."
        ),
    ]


_WHEN = {
    Attendance.PREAGREED: "Without asking, while somebody is signed in on this computer, its technicians may:",
    Attendance.UNATTENDED: "Without asking, at any hour, also when nobody is there, its technicians may:",
}
