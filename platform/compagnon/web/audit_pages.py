"""``/audit``: who did what, newest first; for administrators."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Controller, Request, get, post
from litestar.params import QueryParameter
from litestar.response import Redirect, Template

from compagnon.audit import store, verify
from compagnon.auth.model import Role
from compagnon.auth.service import Members
from compagnon.db import Database
from compagnon.i18n import N_
from compagnon.web.feature import Feature, NavItem
from compagnon.web.forms import Form
from compagnon.web.guards import requires
from compagnon.web.render import page, redirect, toast

AnyRequest = Request[Any, Any, Any]
Short = Annotated[str, QueryParameter(max_length=100)]
PAGE = 100
# Where the pages of what a record is about are.
PAGES = {
    "ticket": "/tickets/{}",
    "client": "/clients/{}",
    "member": "/members/{}",
    "machine": "/machines/{}",
    "run": "/runs/{}",
    "session": "/sessions/{}",
    "recording": "/recordings/{}",
    "procedure": "/procedures/{}",
    "environment": "/environments/{}",
}


class AuditPages(Controller):
    path = "/audit"
    guards = [requires(Role.ADMINISTRATOR)]  # noqa: RUF012 - Litestar reads it from the class

    @get("/")
    async def list_records(
        self,
        request: AnyRequest,
        db: Database,
        members: Members,
        subject: Short = "",
        actor: Short = "",
        before: Annotated[int | None, QueryParameter(ge=1)] = None,
    ) -> Template:
        """Who did what, newest first; ``subject`` and ``actor`` narrow it."""
        async with db.connection() as conn:
            found = await store.recent(
                conn, subject=subject.strip() or None, actor=actor.strip() or None, before=before, limit=PAGE + 1
            )
        ids = {int(key) for record in found if (key := _member_key(record.actor))}
        return page(
            request,
            "shell/audit.html",
            records=found[:PAGE],
            more=found[PAGE - 1].seq if len(found) > PAGE else None,
            names={f"member:{one.id}": one.name for one in (await members.several(ids)).values()},
            link=link,
            form=Form({"subject": subject, "actor": actor}),
        )

    @post("/verify", status_code=303)
    async def verify_chain(self, request: AnyRequest, db: Database) -> Redirect:
        """Recompute every hash of the log, as ``compagnon audit verify`` does."""
        async with db.connection() as conn:
            result = await verify(conn)
        if result.broken is None:
            toast(request, N_("The log is whole: {count} records."), count=result.records)
        else:
            toast(request, N_("The log does not hold together at record {seq}."), kind="danger", seq=result.broken)
        return redirect("/audit")


def link(subject: str) -> str:
    """The page of a record's subject, "" where it has none."""
    kind, _, key = subject.partition(":")
    known = PAGES.get(kind, "")
    return known.format(key) if key.replace("-", "").isalnum() else ""


def _member_key(actor: str) -> str:
    kind, _, key = actor.partition(":")
    return key if kind == "member" and key.isdecimal() else ""


FEATURE = Feature(
    package="compagnon",
    handlers=[AuditPages],
    nav=[NavItem(href="/audit", label=N_("Audit log"), icon="shield-check", order=95, role=Role.ADMINISTRATOR)],
)
