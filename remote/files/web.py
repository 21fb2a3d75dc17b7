"""The page of a ``files`` session: folders as fragments, transfers as plain HTTP under the session's own address."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from litestar import Request, get, post, put
from litestar.params import PathParameter, QueryParameter
from litestar.response import Response, Template
from litestar.response.base import ASGIResponse
from litestar.response.streaming import ASGIStreamingResponse
from litestar.types import ControllerRouterHandler, Receive, Send

from compagnon.auth.model import Member
from compagnon.errors import Invalid
from compagnon.i18n import N_
from compagnon.web import Form, fragment
from compagnon_agent.protocol.wire import WireError, boolean, integer, loads, read_record, sequence, text
from remote.files.model import KEY_LENGTH, PIECE, RATES, Look, Order, Place, disposition, name_of, range_of
from remote.files.service import Download, Files
from remote.files.transfers import Broken
from remote.files.words import Clash

log = logging.getLogger(__name__)
AnyRequest = Request[Any, Any, Any]
SessionId = Annotated[str, PathParameter(pattern=r"^[0-9a-f]{32}$")]
Token = Annotated[str, PathParameter(pattern=r"^[0-9a-f]{32}$")]
Key = Annotated[str, QueryParameter(max_length=KEY_LENGTH)]
T = TypeVar("T")
JSON_LIMIT = 64 * 1024  # bytes
SANDBOX = {"sandbox": True, "stream": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a page says of a file that it will send."""

    key: Annotated[str, text(KEY_LENGTH, minimum=1)]
    names: Annotated[tuple[str, ...], sequence(text(255, minimum=1), 128)]
    size: Annotated[int, integer(0, 2**53)]
    modified: Annotated[int, integer(0, 2**40)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    sha256: Annotated[str, text(64, minimum=64)]
    overwrite: Annotated[bool, boolean] = False


class Bytes(ASGIStreamingResponse):
    """An answer whose end is not sent when its bytes break off: the server then drops the connection."""

    async def send_body(self, send: Send, receive: Receive) -> None:
        try:
            await super().send_body(send, receive)
        except* Broken as group:
            log.warning("a download breaks off: %s", group.exceptions[0])


def handlers() -> Sequence[ControllerRouterHandler]:
    out = [listed, download, archive, preview, picture]
    return [*out, make, rename, delete, rate, put_begin, put_piece, put_end, put_drop]


# looking


@get("/sessions/{session_id:str}/files")
async def listed(
    request: AnyRequest,
    member: Member,
    files: Files,
    session_id: SessionId,
    path: Key = "",
    order: Annotated[str, QueryParameter(pattern="^(name|size|modified)$")] = "name",
    down: Annotated[int, QueryParameter(ge=0, le=1)] = 0,
    hidden: Annotated[int, QueryParameter(ge=0, le=1)] = 0,
    q: Annotated[str, QueryParameter(max_length=100)] = "",
    start: Annotated[int, QueryParameter(ge=0, le=10**7)] = 0,
) -> Template:
    """A folder of the session's machine; from ``start`` on, only the rows that follow."""
    look = Look(key=path, order=Order(order), down=bool(down), wanted=q, hidden=bool(hidden), start=start)
    found = await files.listed(session_id, member, look)
    template = "remote/_file_rows.html" if start else "remote/_files.html"
    return fragment(request, template, listing=found, session_id=session_id)


@get("/sessions/{session_id:str}/files/preview")
async def preview(request: AnyRequest, member: Member, files: Files, session_id: SessionId, path: Key) -> Template:
    """A small text, or a picture, of the session's machine."""
    found = await files.preview(session_id, member, path)
    return fragment(request, "remote/_file_preview.html", found=found, key=path, session_id=session_id)


@get("/sessions/{session_id:str}/files/picture", opt=SANDBOX)
async def picture(member: Member, files: Files, session_id: SessionId, path: Key) -> Response[bytes]:
    """The bytes of a small picture, for the preview."""
    kind, data = await files.picture(session_id, member, path)
    return Response(data, media_type=kind, headers={"Content-Disposition": disposition(name_of(path))})


# out


@get("/sessions/{session_id:str}/files/download", opt=SANDBOX)
async def download(request: AnyRequest, member: Member, files: Files, session_id: SessionId, path: Key) -> ASGIResponse:
    """A file, whole or from a byte on (Range, If-Range: RFC 9110 §14.2, §13.1.5)."""
    wanted = range_of(request.headers.get("range", ""))
    if wanted is None:
        return _answer(await files.get(session_id, member, path))
    found = await _ranged(files, session_id, member, path, wanted, request.headers.get("if-range", ""))
    assert found.about is not None
    if found.about.size <= found.start:
        found.cancel()
        return ASGIResponse(status_code=416, headers={"Content-Range": f"bytes */{found.about.size}"})
    return _answer(found)


async def _ranged(
    files: Files, session_id: str, member: Member, path: str, wanted: tuple[int, int], condition: str
) -> Download:
    """The whole, when it is not the file that the browser has the beginning of."""
    try:
        version = condition.strip('"') if condition.startswith('"') else condition and "another"
        return await files.get(session_id, member, path, start=wanted[0], length=wanted[1], version=version)
    except Clash as clash:
        if clash.code != "changed" or not condition:
            raise
    return await files.get(session_id, member, path)


def _answer(found: Download) -> Bytes:
    headers = {"Content-Disposition": disposition(found.name), "X-Accel-Buffering": "no"}  # nginx keeps none of it
    partial = False
    if about := found.about:
        headers |= {"Content-Length": str(about.length), "Accept-Ranges": "bytes", "ETag": f'"{about.version}"'}
        partial = about.length < about.size
    if about and partial:
        headers["Content-Range"] = f"bytes {found.start}-{found.start + about.length - 1}/{about.size}"
    kind = "application/zip" if about is None else "application/octet-stream"
    return Bytes(iterator=found.pieces, media_type=kind, headers=headers, status_code=206 if partial else 200)


@get("/sessions/{session_id:str}/files/archive", opt=SANDBOX)
async def archive(member: Member, files: Files, session_id: SessionId, path: Key) -> ASGIResponse:
    """A folder with everything in it, as a zip archive made on the way."""
    return _answer(await files.archive(session_id, member, path))


# changes


@post("/sessions/{session_id:str}/files/make", status_code=200)
async def make(form: Form, member: Member, files: Files, session_id: SessionId) -> Response[dict[str, str]]:
    """A new folder."""
    key, name = form.text("key", limit=KEY_LENGTH), form.text("name", limit=255)
    form.check()
    await files.make(session_id, member, key, name)
    return _done()


@post("/sessions/{session_id:str}/files/rename", status_code=200)
async def rename(form: Form, member: Member, files: Files, session_id: SessionId) -> Response[dict[str, str]]:
    """Another name for a file or folder."""
    key, name = form.text("key", limit=KEY_LENGTH), form.text("name", limit=255)
    form.check()
    await files.rename(session_id, member, key, name)
    return _done()


@post("/sessions/{session_id:str}/files/delete", status_code=200)
async def delete(form: Form, member: Member, files: Files, session_id: SessionId) -> Response[dict[str, str]]:
    """Take away a file, or a folder with everything in it (``whole``)."""
    key, whole = form.text("key", limit=KEY_LENGTH), form.flag("whole")
    form.check()
    await files.delete(session_id, member, key, whole=whole)
    return _done()


@post("/sessions/{session_id:str}/files/rate", status_code=200)
async def rate(form: Form, member: Member, files: Files, session_id: SessionId) -> Response[dict[str, str]]:
    """How fast the transfers of this session may go, in MB/s; 0: as fast as they go."""
    megabytes = form.integer("rate", maximum=max(RATES))
    form.check()
    await files.set_rate(session_id, member, megabytes)
    return _done()


def _done() -> Response[dict[str, str]]:
    return Response({})


# in


@post("/sessions/{session_id:str}/files/uploads", status_code=200)
async def put_begin(
    request: AnyRequest, member: Member, files: Files, session_id: SessionId
) -> Response[dict[str, object]]:
    """Begin to send a file, or go on: the upload's token, and how much of it is there."""
    asked = read(Asked, await request.body())
    if not asked.names:
        raise Invalid(N_("Please fill this in."), field="names")
    place = Place(key=asked.key, names=asked.names, size=asked.size, modified=asked.modified)
    begun = await files.put_begin(session_id, member, place)
    facts = {"have": begun.have, "exists": begun.exists, "size": begun.size, "modified": begun.modified}
    return Response({"token": place.token(member.id), "path": place.path, **facts})


@put("/sessions/{session_id:str}/files/uploads/{token:str}", request_max_body_size=PIECE, opt={"stream": True})
async def put_piece(
    request: AnyRequest,
    member: Member,
    files: Files,
    session_id: SessionId,
    token: Token,
    start: Annotated[int, QueryParameter(ge=0, le=2**53)],
) -> Response[dict[str, int]]:
    """The next bytes of an upload, at most 8 MiB, from ``start`` on; how many are there then."""
    length = request.content_length
    if length is None:
        raise Invalid(N_("A piece of a file must say how long it is."))
    have = await files.put(session_id, member, token, start=start, length=length, body=request.stream())
    return Response({"have": have})


@post("/sessions/{session_id:str}/files/uploads/{token:str}/end", status_code=200)
async def put_end(
    request: AnyRequest, member: Member, files: Files, session_id: SessionId, token: Token
) -> Response[dict[str, str]]:
    """All of a file is sent: compare it, and put it in its place."""
    whole = read(Whole, await request.body())
    await files.put_end(session_id, member, token, sha256=whole.sha256, overwrite=whole.overwrite)
    return Response({"sha256": whole.sha256})


@post("/sessions/{session_id:str}/files/uploads/{token:str}/drop", status_code=200)
async def put_drop(member: Member, files: Files, session_id: SessionId, token: Token) -> Response[dict[str, str]]:
    """Give up an upload; nothing of it is left."""
    await files.put_drop(session_id, member, token)
    return _done()


def read(kind: type[T], body: bytes) -> T:
    """Raises Invalid for what no page of ours says."""
    try:
        return read_record(kind, loads(body, limit=JSON_LIMIT), "")
    except WireError as error:
        raise Invalid(N_("This request cannot be understood: {why}"), why=str(error)) from None
