"""Watch, export and hold recordings; for how long a client's are kept."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import anyio
from litestar import Request, get, post
from litestar.params import FromPath, FromQuery, Parameter, PathParameter
from litestar.response import Redirect, Stream, Template
from litestar.types import ControllerRouterHandler

from compagnon.auth.model import Member, Role
from compagnon.errors import NotFound
from compagnon.i18n import N_
from compagnon.web import Form, page, redirect, toast
from compagnon.web.guards import requires
from remote.machines.service import Machines
from remote.recordings import export, files
from remote.recordings.export import Format
from remote.recordings.model import DAYS, Recording, keyboard
from remote.recordings.retention import Retentions
from remote.recordings.service import Recordings
from remote.sessions.model import Capability, Session
from remote.sessions.service import Sessions

AnyRequest = Request[Any, Any, Any]
SessionId = Annotated[str, PathParameter(pattern=r"^[0-9a-f]{32}$")]
PIECE = 256 * 1024  # bytes
MEDIA = "application/x-asciicast"


def handlers() -> Sequence[ControllerRouterHandler]:
    return [shown, file, hold, release, set_retention]


@get("/recordings/{session_id:str}", opt={"wasm": True, "terminal_styles": True})
async def shown(
    request: AnyRequest,
    member: Member,
    recordings: Recordings,
    retentions: Retentions,
    sessions: Sessions,
    machines: Machines,
    session_id: SessionId,
    t: Annotated[int, Parameter(ge=0, le=10**7)] = 0,
) -> Template:
    """The player at second ``t``, with the places one can jump to. Every member may watch: the co-operative answers
    for itself.
    """
    session = await sessions.get(session_id)
    recording = await recordings.get(session_id)
    screen = session.capability is Capability.SCREEN and not recording.erased
    return page(
        request,
        "remote/recording_screen.html" if screen else "remote/recording.html",
        session=session,
        environment=(await machines.get(session.machine_id)).environment,
        recording=recording,
        participants=await sessions.participants(session_id),
        ends=await retentions.ends(recording),
        administrates=member.role.covers(Role.ADMINISTRATOR),
        start=t,
        **({} if recording.erased else await _content(recordings, recording, session)),
    )


async def _content(recordings: Recordings, recording: Recording, session: Session) -> dict[str, Any]:
    survey = await recordings.survey(recording)
    spoken = await recordings.spoken(recording.session_id)
    return {
        "markers": survey.markers,
        "report": survey.report,
        "keyboard": keyboard(survey.markers, first=session.requested_by_name, seconds=survey.seconds),
        "transcript": spoken.text,
        "moments": list(spoken.moments),
    }


@get("/recordings/{session_id:str}/file")
async def file(
    request: AnyRequest,
    member: Member,
    recordings: Recordings,
    session_id: SessionId,
    download: FromQuery[bool] = False,
    version: FromQuery[Format] = Format.V3,
) -> Stream:
    """The asciicast file: v3 as it is kept, chain and all, up to its last whole line; v2 for older players."""
    recording = await recordings.get(session_id)
    if recording.erased:
        raise NotFound(N_("This recording was erased."))
    path = recordings.path(recording)
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Vary": "Accept-Encoding"}
    if download:
        name = f"session-{session_id[:8]}{'.v2' if version is Format.V2 else ''}.cast"
        headers["Content-Disposition"] = f"attachment; filename={json.dumps(name)}"
    if version is Format.V2:
        return Stream(_beside(_as_v2(path)), media_type=MEDIA, headers=headers)
    if files.is_packed(path) and "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"  # as it lies on the disk: nothing is unpacked here
        return Stream(_beside(_pieces(path)), media_type=MEDIA, headers=headers)
    return Stream(_beside(_whole_lines(path)), media_type=MEDIA, headers=headers)


async def _beside(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Reading and unpacking waits for disks: in a thread."""
    while True:
        piece = await anyio.to_thread.run_sync(next, pieces, b"")
        if not piece:
            return
        yield piece


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as source:
        while piece := source.read(PIECE):
            yield piece


def _whole_lines(path: Path) -> Iterator[bytes]:
    rest = b""
    with files.opened(path) as source:
        while piece := source.read(PIECE):
            whole, newline, after = piece.rpartition(b"\n")
            if newline:
                yield rest + whole + newline
                rest = after
            else:
                rest += piece


def _as_v2(path: Path) -> Iterator[bytes]:
    gathered = bytearray()
    with files.opened(path) as source:
        for line in export.v2(iter(source)):
            gathered += line
            if len(gathered) >= PIECE:
                yield bytes(gathered)
                gathered.clear()
    if gathered:
        yield bytes(gathered)


@post("/recordings/{session_id:str}/hold")
async def hold(
    request: AnyRequest, form: Form, member: Member, retentions: Retentions, session_id: SessionId
) -> Redirect:
    """Keep a recording whatever its age."""
    reason = form.text("reason", limit=300)
    form.check()
    await retentions.hold(member, session_id, reason)
    toast(request, N_("This recording is kept until an administrator lets it go."))
    return redirect(f"/recordings/{session_id}")


@post("/recordings/{session_id:str}/release", guards=[requires(Role.ADMINISTRATOR)])
async def release(request: AnyRequest, member: Member, retentions: Retentions, session_id: SessionId) -> Redirect:
    """Let a held recording be erased when its time comes."""
    await retentions.release(member, session_id)
    toast(request, N_("This recording ends with the others."))
    return redirect(f"/recordings/{session_id}")


@post("/clients/{client_id:int}/recordings", guards=[requires(Role.ADMINISTRATOR)])
async def set_retention(
    request: AnyRequest, form: Form, member: Member, retentions: Retentions, client_id: FromPath[int]
) -> Redirect:
    """For how many days a client's recordings are kept; empty for the default."""
    days = form.optional_integer("days", minimum=DAYS[0], maximum=DAYS[1])
    form.check()
    await retentions.set_days(member, client_id, days)
    toast(request, N_("Noted: it counts from the next night on."))
    return redirect(f"/clients/{client_id}")
