"""Watch and download recordings."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import anyio
from litestar import Request, get
from litestar.params import FromQuery, Parameter, PathParameter
from litestar.response import Stream, Template
from litestar.types import ControllerRouterHandler

from compagnon.auth.model import Member
from compagnon.web import page
from remote.machines.service import Machines
from remote.recordings.service import Recordings
from remote.sessions.service import Sessions

AnyRequest = Request[Any, Any, Any]
SessionId = Annotated[str, PathParameter(pattern=r"^[0-9a-f]{32}$")]
PIECE = 256 * 1024  # bytes


def handlers() -> Sequence[ControllerRouterHandler]:
    return [shown, file]


@get("/recordings/{session_id:str}", opt={"wasm": True, "terminal_styles": True})
async def shown(
    request: AnyRequest,
    member: Member,
    recordings: Recordings,
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
    survey = await recordings.survey(recording)
    return page(
        request,
        "remote/recording.html",
        session=session,
        environment=(await machines.get(session.machine_id)).environment,
        recording=recording,
        participants=await sessions.participants(session_id),
        markers=survey.markers,
        report=survey.report,
        start=t,
        transcript=(await recordings.transcript(session_id))[:100_000],
    )


@get("/recordings/{session_id:str}/file")
async def file(
    member: Member, recordings: Recordings, session_id: SessionId, download: FromQuery[bool] = False
) -> Stream:
    """The asciicast v3 file as it is, chain and all, up to its last whole line."""
    recording = await recordings.get(session_id)
    path = recordings.path(recording)
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    if download:
        headers["Content-Disposition"] = f"attachment; filename={json.dumps(f'session-{session_id[:8]}.cast')}"
    return Stream(_whole_lines(path), media_type="application/x-asciicast", headers=headers)


async def _whole_lines(path: Path) -> AsyncIterator[bytes]:
    rest = b""
    async with await anyio.open_file(path, "rb") as source:
        while piece := await source.read(PIECE):
            whole, newline, rest_of_piece = piece.rpartition(b"\n")
            if newline:
                yield rest + whole + newline
                rest = rest_of_piece
            else:
                rest += piece
