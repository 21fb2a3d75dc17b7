"""A session in the words of the protocol: why it ended, and what its agent is told."""

from __future__ import annotations

import uuid

from compagnon.audit import Actor
from compagnon.settings import Settings
from compagnon_agent.protocol import messages
from remote.sessions.model import GRANT_SECONDS, Capability, EndReason, Session

FROM_AGENT = {
    messages.EndReason.EXIT: EndReason.EXIT,
    messages.EndReason.LOST: EndReason.LOST,
    messages.EndReason.CLIENT: EndReason.CLIENT,
}
TO_AGENT = {
    EndReason.MEMBER: messages.EndReason.MEMBER,
    EndReason.CLIENT: messages.EndReason.CLIENT,
    EndReason.TICKET: messages.EndReason.TICKET,
    EndReason.REFUSED: messages.EndReason.CLIENT,
    EndReason.NO_ANSWER: messages.EndReason.EXPIRED,
    EndReason.OFFLINE: messages.EndReason.LOST,
    EndReason.EXIT: messages.EndReason.EXIT,
    EndReason.LOST: messages.EndReason.LOST,
    EndReason.REVOKED: messages.EndReason.REVOKED,
    EndReason.FULL: messages.EndReason.EXPIRED,
    EndReason.RESTARTED: messages.EndReason.LOST,
}


def ended_by(session: Session, reason: EndReason) -> Actor:
    if reason in {EndReason.CLIENT, EndReason.REFUSED, EndReason.EXIT}:
        return Actor.agent(session.machine_id)
    return Actor.system()


def open_message(session: Session) -> messages.OpenSession:
    return messages.OpenSession(
        session_id=session.id,
        ticket_id=session.ticket_id,
        member_id=session.requested_by,
        member_name=session.requested_by_name,
        reason=session.reason,
        capability=session.capability.value,
        target=session.target,
        watch=session.capability is Capability.TERMINAL,
    )


def question(session: Session, ticket_title: str, settings: Settings) -> messages.ConsentRequest:
    """What the person at the machine is asked."""
    return messages.ConsentRequest(
        request_id=str(uuid.uuid4()),
        kind=messages.ConsentKind.SESSION,
        ticket_id=session.ticket_id,
        ticket_title=ticket_title,
        member_id=session.requested_by,
        member_name=session.requested_by_name,
        reason=session.reason,
        short_code=session.short_code,
        seconds=GRANT_SECONDS,
        wait=settings.consent_seconds,
        cooperative=settings.cooperative[:120],
        locale=settings.default_locale,
        session_id=session.id,
        capability=session.capability.value,
        target=session.target,
    )
