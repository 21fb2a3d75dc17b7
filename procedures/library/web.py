"""The library's pages: the list, reading a procedure, its versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Redirect, Template

from compagnon.auth.model import Member
from compagnon.errors import NotFound
from compagnon.i18n import N_
from compagnon.web.forms import Form
from compagnon.web.render import page, redirect, toast
from kb.suggestions.service import Suggesting
from procedures.environments.service import Environments, environment
from procedures.format.model import Desktop
from procedures.library import texts
from procedures.library.indexing import document_id, kind_of
from procedures.library.model import LOCALES, Query, Version
from procedures.library.service import Library
from procedures.shown import Html
from procedures.words import KINDS, WORDS

AnyRequest = Request[Any, Any, Any]
LISTED_STATES = ("published", "open", "superseded", "withdrawn")


def language(request: AnyRequest, member: Member) -> str:
    """The language in which a procedure is wanted: ``?lang=``, else the member's own."""
    asked = request.query_params.get("lang", "")
    return asked if asked in LOCALES else member.locale


def common() -> Mapping[str, Any]:
    return {"words": WORDS, "html": Html()}


@get("/procedures", name="procedures")
async def show_list(request: AnyRequest, member: Member, library: Library) -> Template:
    """The library: procedures in force, filtered by words, kind, environment and language."""
    form = Form(dict(request.query_params))
    query = Query(
        locale=member.locale,
        state=form.one_of("state", LISTED_STATES, default="published"),
        kind=form.one_of("type", ("", *KINDS)),
        environment=form.text("environment", limit=64, required=False),
        skill=form.text("skill", limit=64, required=False),
        text=form.text("q", limit=200, required=False),
        page=form.optional_integer("page", minimum=1, maximum=10_000) or 1,
    )
    listing = await library.list(query)
    waiting = await library.waiting_for(member)
    return page(request, "procedures/list.html", listing=listing, query=query, waiting=len(waiting), **common())


@get("/procedures/{code:str}")
async def read(
    request: AnyRequest,
    code: FromPath[str],
    member: Member,
    library: Library,
    environments: Environments,
    suggesting: Suggesting,
) -> Template | Redirect:
    """The version in force; with ``?mode=phone`` as one reads it out on the phone."""
    version = await library.latest(code, language(request, member))
    if version.kind == "environment" and request.query_params.get("mode") != "text":
        return redirect(f"/environments/{version.code}?lang={version.locale}")
    return await _reading_page(request, version, member, library, environments, suggesting)


@get("/procedures/{code:str}/versions/{number:int}")
async def read_version(
    request: AnyRequest,
    code: FromPath[str],
    number: FromPath[int],
    member: Member,
    library: Library,
    environments: Environments,
    suggesting: Suggesting,
) -> Template:
    """One published version as it was, also when a newer one is in force."""
    if not 1 <= number <= 2**31 - 1:
        raise NotFound(N_("There is no such procedure or version."))
    version = await library.version(code, language(request, member), number)
    return await _reading_page(request, version, member, library, environments, suggesting)


async def _reading_page(
    request: AnyRequest,
    version: Version,
    member: Member,
    library: Library,
    environments: Environments,
    suggesting: Suggesting,
) -> Template:
    procedure = texts.parsed(version.text)
    codes = {step.on_fail.then.procedure for step in procedure.steps if step.on_fail and step.on_fail.then}
    form = Form(dict(request.query_params))
    return page(
        request,
        "procedures/read.html",
        version=version,
        procedure=procedure,
        phone=request.query_params.get("mode") == "phone",
        desktop=await desktop_of(version, member, environments),
        history=await library.history(version.code, version.locale),
        drafts=await library.drafts_of(version.code),
        languages=await library.languages(version.code),
        titles=await library.titles([code for code in codes if code], version.locale),
        related=await suggesting.related(kind_of(version), document_id(version))
        if version.state == "published"
        else (),
        ticket=form.optional_identity("ticket"),
        machine=form.optional_identity("machine"),
        **common(),
    )


async def desktop_of(version: Version, member: Member, environments: Environments) -> Desktop | None:
    """What the client sees: the desktop of the environment itself, or of the first one this applies to."""
    if version.kind == "environment":
        return environment(version).desktop
    for code in version.applies_to:
        try:
            return (await environments.current(code, member.locale)).desktop
        except NotFound:
            continue
    return None


@get("/procedures/{code:str}/source")
async def source(request: AnyRequest, code: FromPath[str], member: Member, library: Library) -> Template:
    """The text of the version in force, or of ``?number=``, as it was written."""
    number = Form(dict(request.query_params)).optional_integer("number", minimum=1)
    locale = language(request, member)
    version = await (library.version(code, locale, number) if number else library.latest(code, locale))
    return page(request, "procedures/source.html", version=version, **common())


@post("/procedures/{code:str}/withdraw")
async def withdraw(request: AnyRequest, code: FromPath[str], form: Form, member: Member, library: Library) -> Redirect:
    """Take a version out of force, with a reason; runs that follow it go on."""
    version_id = form.identity("version")
    reason = form.lines("reason", limit=2000)
    form.check()
    await library.withdraw(version_id, member, reason=reason)
    toast(request, N_("The version was withdrawn."))
    return redirect(f"/procedures/{code}")


HANDLERS = [show_list, read, read_version, source, withdraw]
