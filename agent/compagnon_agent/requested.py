"""What a request of the server comes down to: the grant that a yes would make, and what is written down of it."""

from __future__ import annotations

from datetime import UTC, datetime

from .authorise import ChecksRequest, Grant, LoadRequest, ReleaseRequest, Request, StepRequest, WakeRequest
from .protocol.manifest import digest, values_digest
from .protocol.messages import ConsentKind, ConsentRequest, ConsentSource
from .protocol.parameters import validate_all
from .protocol.wire import JSON, WireError


def wanted_grant(request: ConsentRequest) -> Grant:
    """The grant that a yes would make. Raises ``WireError`` or ``ParameterError`` when the request does not say it all.

    The values of the parameters must be there: nobody can agree to what is not known yet.
    """
    manifest = request.manifest
    ticket, now = request.ticket_id, datetime.now(UTC)
    if request.kind is ConsentKind.PROCEDURE and manifest is not None:
        values = validate_all(manifest.parameters, request.parameters or {})
        return Grant(
            kind=request.kind,
            digest=digest(manifest),
            values=values_digest(values),
            procedure=manifest.procedure,
            risk=manifest.risk,
            ticket_id=ticket,
            until=now,
            source=ConsentSource.NONE,
        )
    if request.kind is ConsentKind.SESSION and request.session_id and request.capability:
        return Grant(
            kind=request.kind,
            session_id=request.session_id,
            capability=request.capability,
            target=request.target,
            member_id=request.member_id,
            member=request.member_name,
            ticket_id=ticket,
            until=now,
            source=ConsentSource.NONE,
        )
    raise WireError(request.kind, "the request does not say what for")


def describe(request: Request) -> dict[str, JSON]:
    if isinstance(request, ChecksRequest):
        return {"kind": "checks", "checks": len(request.checks)}
    if isinstance(request, StepRequest):
        manifest = request.manifest
        return {
            "kind": "step",
            "ticket": request.ticket_id,
            "procedure": f"{manifest.procedure}@{manifest.version}",
            "digest": digest(manifest),
            "step": request.step_id,
            "phase": request.phase,
        }
    if isinstance(request, LoadRequest):
        return {"kind": "load"}
    if isinstance(request, ReleaseRequest):
        return {"kind": "release", "counter": request.manifest.counter, "version": request.manifest.version}
    if isinstance(request, WakeRequest):
        return _wake(request)
    return {
        "kind": "session",
        "ticket": request.ticket_id,
        "session": request.session_id,
        "capability": request.capability,
        **({"target": request.target} if request.target else {}),
        **({"method": request.method} if request.method else {}),
    }


def _wake(request: WakeRequest) -> dict[str, JSON]:
    return {
        "kind": "wake",
        "ticket": request.ticket_id,
        "member": request.member,
        "why": request.reason,
        "machine": request.machine,
        "macs": [*request.macs],
        "to": [*request.broadcasts],
    }
