"""The kernel alone as an application: what the shell, members and clients do without any other room."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from litestar import Litestar, WebSocket, get, post, websocket
from litestar.params import FromPath
from litestar.response import Template

from compagnon.auth.model import Member, Role
from compagnon.auth.service import Members
from compagnon.auth.sign_ins import SignIns
from compagnon.db import Database
from compagnon.directory.service import Directory
from compagnon.errors import Conflict, Forbidden, Invalid, NotFound, TooMany
from compagnon.events import EventHub
from compagnon.jobs import Jobs
from compagnon.kernel import Kernel
from compagnon.settings import Settings
from compagnon.web import csrf
from compagnon.web.application import build
from compagnon.web.feature import Feature, NavItem
from compagnon.web.forms import Form
from compagnon.web.guards import requires
from compagnon.web.render import AnyRequest, fragment, page, redirect, toast
from compagnon.web.ws_tickets import WsTickets

PASSWORD = "correct horse battery"
BASE = "http://compagnon.test"


@pytest.fixture
def bare(settings: Settings, db: Database) -> Kernel:
    """A kernel on a fresh database, without wiring."""
    settings = replace(settings, public_url=BASE)
    return Kernel(
        settings=settings,
        db=db,
        hub=EventHub(db.url),
        jobs=Jobs(db),
        members=Members(db, settings),
        directory=Directory(db),
        ws_tickets=WsTickets(db),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Alice answers the phone, Chloé reviews, Ada administers."""

    alice: Member
    chloe: Member
    ada: Member


@pytest.fixture
async def people(bare: Kernel) -> People:
    add = bare.members.create
    return People(
        alice=await add(
            email="alice@example.org",
            name="Alice Martin",
            password=PASSWORD,
            departements=("35",),
            skills={"impression": 2},
        ),
        chloe=await add(email="chloe@example.org", name="Chloé Petit", password=PASSWORD, role=Role.REVIEWER),
        ada=await add(email="ada@example.org", name="Ada Bernard", password=PASSWORD, role=Role.ADMINISTRATOR),
    )


@get("/trial/{what:str}")
async def trial(request: AnyRequest, what: FromPath[str]) -> Template:
    raise {
        "missing": NotFound("There is no such client."),
        "forbidden": Forbidden("Only reviewers may do this."),
        "conflict": Conflict("This was done already."),
        "invalid": Invalid("“{phone}” is not a phone number.", field="phone", phone="<b>x</b>"),
        "many": TooMany("Too many tries. Wait {minutes} min, or ask an administrator for a new password.", minutes=3),
    }.get(what, RuntimeError("secret detail"))


@get("/reviewers", guards=[requires(Role.REVIEWER)])
async def reviewers(request: AnyRequest) -> str:
    return "welcome"


@post("/say", status_code=200)
async def say(request: AnyRequest, form: Form) -> Any:
    toast(request, "Welcome, {name}.", name=form.text("name", limit=60))
    return redirect("/account") if form.flag("lead") else fragment(request, "shell/account_menu.html")


@get("/terminal", opt={"terminal_styles": True})
async def terminal(request: AnyRequest) -> Template:
    return page(request, "shell/error.html", status=200, title="Terminal", message="", phrase="")


@websocket("/socket")
async def socket(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    await socket.send_text("open")
    await socket.close()


@post("/machine", opt={"public": True, "anonymous": True, "csrf": False}, status_code=200)
async def machine() -> dict[str, str]:
    return {"state": "pending"}


async def _everyone(member: Member, key: str) -> bool:
    return key != "secret"


TRIAL = Feature(
    package="compagnon",
    handlers=[trial, reviewers, say, terminal, socket, machine],
    nav=[NavItem(href="/reviewers", label="Reviewer", icon="eye", order=90, role=Role.REVIEWER)],
    topics={"ticket": _everyone},
)


@pytest.fixture
def features() -> Sequence[Feature]:
    return [TRIAL]


@pytest.fixture
def application(bare: Kernel, features: Sequence[Feature]) -> Litestar:
    return build(bare, features)


ClientOf = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def client_of(bare: Kernel, application: Litestar) -> AsyncIterator[ClientOf]:
    """``await client_of(member)``: a signed-in client that sends the token; ``await client_of()``: a visitor."""
    async with AsyncExitStack() as stack:

        async def make(
            member: Member | None = None, *, accept: str = "text/html", token: bool = True
        ) -> httpx.AsyncClient:
            transport = httpx.ASGITransport(app=application)  # type: ignore[arg-type]
            client = httpx.AsyncClient(transport=transport, base_url=BASE, headers={"accept": accept})
            await stack.enter_async_context(client)
            if member:
                opened = await SignIns(bare.db, bare.settings, bare.members).open(member.id)
                client.cookies.set("compagnon", opened)
                if token:
                    client.headers[csrf.HEADER] = csrf.token_for(bare.settings.secret_key, opened)
            return client

        yield make


@pytest.fixture
async def audited(db: Database) -> Callable[[], Awaitable[Sequence[str]]]:
    """The actions in the audit log, oldest first."""

    async def read() -> Sequence[str]:
        async with db.connection() as conn:
            return [
                row[0] for row in await (await conn.execute("SELECT action FROM audit_log ORDER BY seq")).fetchall()
            ]

    return read


def token_in(html: str) -> str:
    found = re.search(rf'name="{csrf.FIELD}" value="([0-9a-f]+)"', html)
    assert found, "no token in the page"
    return found.group(1)
