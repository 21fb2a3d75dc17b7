"""The keys and passwords of a client's devices: kept sealed, never shown again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Redirect, Template
from litestar.types import ControllerRouterHandler

from compagnon.auth.model import Member
from compagnon.directory.service import Directory
from compagnon.errors import Invalid, NotFound
from compagnon.i18n import N_
from compagnon.web import Form, page, redirect, toast
from remote.ssh.credentials import GONE, KEY_LIMIT
from remote.ssh.feature import Ssh
from remote.ssh.sealing import Secret

AnyRequest = Request[Any, Any, Any]


def handlers() -> Sequence[ControllerRouterHandler]:
    return [access, make, keep_key, keep_password, remove, seal_anew]


@get("/clients/{client_id:int}/access")
async def access(request: AnyRequest, directory: Directory, ssh: Ssh, client_id: FromPath[int]) -> Template:
    """The keys and passwords that open a client's devices, without their secrets."""
    return await _page(request, directory, ssh, client_id, Form({}))


async def _page(
    request: AnyRequest, directory: Directory, ssh: Ssh, client_id: int, form: Form, *, opened: str = ""
) -> Template:
    return page(
        request,
        "remote/ssh/access.html",
        client=await directory.get(client_id),
        credentials=await ssh.credentials.for_client(client_id),
        form=form,
        opened=opened,
        status_code=422 if opened else 200,
        headers={"Cache-Control": "no-store"},
    )


@post("/clients/{client_id:int}/access/make")
async def make(
    request: AnyRequest, form: Form, member: Member, directory: Directory, ssh: Ssh, client_id: FromPath[int]
) -> Template | Redirect:
    """Make a key pair for a client's devices; its public half is shown."""
    name = form.text("name", limit=80)
    try:
        form.check()
        await ssh.credentials.make(member, client_id, name)
    except Invalid as error:
        form.refuse_with(error)
        return await _page(request, directory, ssh, client_id, form, opened="make")
    return _kept(request, client_id, N_("The key pair is made: add its public half to the devices."))


@post("/clients/{client_id:int}/access/key")
async def keep_key(
    request: AnyRequest, form: Form, member: Member, directory: Directory, ssh: Ssh, client_id: FromPath[int]
) -> Template | Redirect:
    """Keep a private key that the client has."""
    name = form.text("name", limit=80)
    key, phrase = Secret(form.secret("key", limit=KEY_LIMIT)), form.value("passphrase") and form.secret("passphrase")
    try:
        form.check()
        await ssh.credentials.keep_key(member, client_id, name, key, Secret(phrase) if phrase else None)
    except Invalid as error:
        form.refuse_with(error)
        return await _page(request, directory, ssh, client_id, form, opened="key")
    return _kept(request, client_id, N_("The key is kept, sealed. It is not shown again."))


@post("/clients/{client_id:int}/access/password")
async def keep_password(
    request: AnyRequest, form: Form, member: Member, directory: Directory, ssh: Ssh, client_id: FromPath[int]
) -> Template | Redirect:
    """Keep a password of the client's devices."""
    name, password = form.text("name", limit=80), Secret(form.secret("password"))
    try:
        form.check()
        await ssh.credentials.keep_password(member, client_id, name, password)
    except Invalid as error:
        form.refuse_with(error)
        return await _page(request, directory, ssh, client_id, form, opened="password")
    return _kept(request, client_id, N_("The password is kept, sealed. It is not shown again."))


@post("/clients/{client_id:int}/access/{credential_id:int}/remove")
async def remove(
    request: AnyRequest, member: Member, ssh: Ssh, client_id: FromPath[int], credential_id: FromPath[int]
) -> Redirect:
    """Forget a key or password for good."""
    if (await ssh.credentials.get(credential_id)).client_id != client_id:
        raise NotFound(GONE)
    await ssh.credentials.remove(member, credential_id)
    return _kept(request, client_id, N_("Removed for good. Take it off the devices too."))


@post("/clients/{client_id:int}/access/seal")
async def seal_anew(request: AnyRequest, member: Member, ssh: Ssh, client_id: FromPath[int]) -> Redirect:
    """Seal everything of a client under a fresh data key."""
    await ssh.credentials.rotate(member, client_id)
    return _kept(request, client_id, N_("Everything is sealed anew under a fresh key."))


def _kept(request: AnyRequest, client_id: int, message: str) -> Redirect:
    toast(request, message)
    return redirect(f"/clients/{client_id}/access")
