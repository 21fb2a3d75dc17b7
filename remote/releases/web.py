"""What agents and their installers fetch, and the administrators' page of releases."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

from litestar import MediaType, Request, asgi, get, post
from litestar.datastructures import UploadFile
from litestar.enums import ScopeType
from litestar.handlers import ASGIRouteHandler
from litestar.params import FromPath, PathParameter
from litestar.response import Redirect, Response, Template
from litestar.types import ControllerRouterHandler, Receive, Scope, Send

from compagnon.auth.model import Member, Role
from compagnon.errors import Conflict, Invalid, NotFound
from compagnon.i18n import N_
from compagnon.settings import Settings
from compagnon.web import Form, page, redirect, toast
from compagnon.web.guards import requires
from compagnon_agent.protocol import messages, signing
from compagnon_agent.protocol.releases import SIZE_LIMIT
from remote import wire
from remote.control.connection import Refused, greet, turn_away
from remote.control.link import AgentLink
from remote.control.web import MACHINE, not_a_websocket
from remote.releases import installers, wheels
from remote.releases.model import SHARES, SIGNED_LIMIT, RolloutState, Signed
from remote.releases.service import Releases
from remote.wire import Closed, Wire

AnyRequest = Request[Any, Any, Any]
ADMINISTRATOR = [requires(Role.ADMINISTRATOR)]
ANYONE = {"public": True, "anonymous": True}
BODY_LIMIT = SIZE_LIMIT + SIGNED_LIMIT + 64 * 1024  # bytes of the whole form
SELF_TEST = "self-test"
FileName = Annotated[str, PathParameter(max_length=200)]
Digest = Annotated[str, PathParameter(pattern=r"^[0-9a-f]{64}$")]


def handlers(link: AgentLink, settings: Settings) -> Sequence[ControllerRouterHandler]:
    return [*_scripts(settings), agent_wheel, packages, package, release_file, self_test_handler(link), listed, publish,
            shown, roll_out]  # fmt: skip


def _scripts(settings: Settings) -> Sequence[ControllerRouterHandler]:
    @get("/agent/install.sh", opt=ANYONE, media_type="text/x-shellscript")
    async def shell() -> str:
        """The installer of the agent for Linux and macOS."""
        return installers.shell_script(settings.public_url)

    @get("/agent/install.ps1", opt=ANYONE, media_type="text/plain")
    async def powershell() -> str:
        """The installer of the agent for Windows."""
        return installers.powershell_script(settings.public_url)

    return [shell, powershell]


@get("/agent/agent.whl", opt=ANYONE)
async def agent_wheel() -> Response[bytes]:
    """The agent's package as it is on this server, for its installer."""
    return Response(wheels.agent_wheel().content, media_type="application/zip")


@get("/agent/packages", opt=ANYONE, media_type=MediaType.HTML)
async def packages() -> str:
    """Links to the packages that the agent needs, as pip reads them."""
    links = "".join(f'<a href="/agent/packages/{name}">{name}</a>\n' for name in wheels.needed())
    return f"<!doctype html>\n<title>Packages</title>\n{links}"


@get("/agent/packages/{name:str}", opt=ANYONE)
async def package(name: FileName) -> Response[bytes]:
    """A package that the agent needs, as it is installed on this server."""
    found = wheels.dependency(name)
    if found is None:
        raise NotFound(N_("There is no such package."))
    return Response(found.content, media_type="application/zip")


@get("/agent/releases/{digest:str}", opt=ANYONE)
async def release_file(releases: Releases, digest: Digest) -> Response[bytes]:
    """The file of a published release; agents compare it with the signed digest."""
    return Response(await releases.file(digest), media_type="application/zip")


def self_test_handler(link: AgentLink) -> ASGIRouteHandler:
    @asgi("/agent/self-test", opt=MACHINE, copy_scope=False)
    async def self_test(scope: Scope, receive: Receive, send: Send) -> None:
        """A new version of an agent shakes hands here (WebSocket) while the old one goes on working."""
        if scope["type"] != ScopeType.WEBSOCKET:
            await not_a_websocket(send)
            return
        socket = Wire(receive, send, scope)
        await socket.accept()
        try:
            connection, _ = await greet(socket, link.identity, link.find, purpose=SELF_TEST)
        except Refused as error:
            await turn_away(socket, str(error), wire.address(scope))
            return
        except Closed:
            return
        with contextlib.suppress(Closed):
            await connection.send(messages.Welcome(signature=connection.proof.sign(link.identity, "welcome")))
        await socket.close()

    return self_test


# --- the administrators' page --------------------------------------------------------------------------------------


@get("/machines/releases", guards=ADMINISTRATOR)
async def listed(request: AnyRequest, releases: Releases) -> Template:
    """Releases of the agent, how far each has gone, and which versions the machines run."""
    return await _page(request, releases, Form(initial={"share": "5"}))


@post("/machines/releases", guards=ADMINISTRATOR, status_code=200, request_max_body_size=BODY_LIMIT)
async def publish(request: AnyRequest, member: Member, releases: Releases) -> Template | Redirect:
    """Publish a signed release for a share of the machines."""
    sent = await request.form()
    form = Form({name: value for name, value in sent.items() if isinstance(value, str)}, initial={"share": "5"})
    share = int(form.one_of("share", [str(share) for share in SHARES], default="5"))
    signed = Signed.read(await _file(sent.get("manifest")))
    content = await _file(sent.get("file"))
    if signed is None:
        form.refuse("manifest", N_("Please choose the manifest that the signing command wrote."))
    if not content:
        form.refuse("file", N_("Please choose the file that was signed."))
    if form.ok and signed is not None:
        try:
            release_id = await releases.publish(member, signed, content, share=share)
        except (Invalid, Conflict) as error:
            form.refuse(getattr(error, "field", None) or "manifest", error.message, **error.params)
        else:
            toast(request, N_("Published."))
            return redirect(f"/machines/releases/{release_id}")
    return await _page(request, releases, form, status=422)


async def _file(sent: object) -> bytes:
    return await sent.read() if isinstance(sent, UploadFile) else b""


async def _page(request: AnyRequest, releases: Releases, form: Form, status: int = 200) -> Template:
    key = await releases.key()
    return page(
        request,
        "remote/releases.html",
        form=form,
        releases=await releases.listed(),
        versions=await releases.versions(),
        digits=signing.fingerprint(key) if key else "",
        shares=[(str(share), f"{share} %") for share in SHARES],
        status_code=status,
    )


@get("/machines/releases/{release_id:int}", guards=ADMINISTRATOR)
async def shown(request: AnyRequest, releases: Releases, release_id: FromPath[int]) -> Template:
    """One release: how far it goes, and what became of it on each machine."""
    release = await releases.get(release_id)
    form = Form(initial={"share": str(release.share)})
    return page(
        request,
        "remote/release.html",
        release=release,
        outcomes=await releases.outcomes(release_id),
        form=form,
        shares=[(str(share), f"{share} %") for share in SHARES],
    )


@post("/machines/releases/{release_id:int}", guards=ADMINISTRATOR)
async def roll_out(
    request: AnyRequest, form: Form, member: Member, releases: Releases, release_id: FromPath[int]
) -> Redirect:
    """Pause a release, let it go on, or offer it to another share of the machines."""
    release = await releases.get(release_id)
    shares = [str(share) for share in SHARES]
    state = form.choice("state", RolloutState, default=release.state)
    share = int(form.one_of("share", shares, default=str(release.share)))
    seen_state = form.choice("seen_state", RolloutState)
    seen_share = int(form.one_of("seen_share", shares, default="0"))
    form.check()
    try:
        await releases.roll_out(member, replace(release, state=seen_state, share=seen_share), state=state, share=share)
    except Conflict as error:
        toast(request, error.message, kind="warning")
    else:
        toast(request, N_("Saved."))
    return redirect(f"/machines/releases/{release_id}")
