"""The administrator's pages of imported articles: sources, their imports, what was left out, what is gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from litestar import Request, get, post
from litestar.datastructures import UploadFile
from litestar.params import FromPath, QueryParameter
from litestar.response import Redirect, Template
from litestar.types import ControllerRouterHandler

from compagnon.auth.model import Member, Role
from compagnon.errors import Conflict, Invalid
from compagnon.i18n import N_
from compagnon.web.forms import Form
from compagnon.web.guards import requires
from compagnon.web.render import page, redirect, toast
from kb.imports.formats import ALL, FORMATS
from kb.imports.model import (
    EXPECTED,
    LICENCE_LIMIT,
    NAME_LIMIT,
    PATH_LIMIT,
    REASONS,
    UPLOAD_LIMIT,
    Order,
    RunKind,
    RunState,
    reason_params,
)
from kb.imports.service import Imports

AnyRequest = Request[Any, Any, Any]
ADMINISTRATOR = [requires(Role.ADMINISTRATOR)]
BODY_LIMIT = UPLOAD_LIMIT + 64 * 1024  # bytes of the whole form
FIELDS = ("name", "format", "language", "licence")
STATES: Mapping[RunState, tuple[str, str]] = {
    RunState.QUEUED: (N_("waits"), "info"),
    RunState.RUNNING: (N_("under way"), "info"),
    RunState.DONE: (N_("done"), "success"),
    RunState.FAILED: (N_("failed"), "danger"),
    RunState.INTERRUPTED: (N_("cut off"), "warning"),
}
KINDS = {
    RunKind.FOLDER: N_("Import of a folder"),
    RunKind.ARCHIVE: N_("Import of an archive"),
    RunKind.WITHDRAWAL: N_("Withdrawal"),
}
LANGUAGES = (("fr", N_("French")), ("en", N_("English")))


@get("/articles/sources", guards=ADMINISTRATOR)
async def list_sources(request: AnyRequest, member: Member, imports: Imports) -> Template:
    """The sources of imported articles, their last imports, and the form for a new one."""
    return await _sources(request, imports, Form())


@post("/articles/sources", guards=ADMINISTRATOR, status_code=200, request_max_body_size=BODY_LIMIT)
async def add_source(request: AnyRequest, member: Member, imports: Imports) -> Template | Redirect:
    """Import an archive as a new source, in the background."""
    form, data, label = await _sent(request)
    order = Order(
        name=form.text("name", limit=NAME_LIMIT),
        format=form.one_of("format", ["", *FORMATS], default=""),
        locale=form.one_of("language", ["", "fr", "en"], default=""),
        licence=form.text("licence", limit=LICENCE_LIMIT, required=False),
        label=label,
    )
    if form.ok:
        try:
            run = await imports.upload(data, order, member)
        except (Invalid, Conflict) as error:
            _refuse(form, error)
        else:
            return redirect(f"/articles/sources/{run.source_id}")
    return await _sources(request, imports, form, status_code=422)


@get("/articles/sources/{source_id:int}", guards=ADMINISTRATOR)
async def show_source(request: AnyRequest, source_id: FromPath[int], member: Member, imports: Imports) -> Template:
    """One source: its articles, imports, skipped files with the reason, what is gone."""
    return await _source(request, imports, source_id, Form())


@post(
    "/articles/sources/{source_id:int}/import", guards=ADMINISTRATOR, status_code=200, request_max_body_size=BODY_LIMIT
)
async def import_again(
    request: AnyRequest, source_id: FromPath[int], member: Member, imports: Imports
) -> Template | Redirect:
    """Bring a source up to date with a newer archive, in the background."""
    form, data, label = await _sent(request)
    source = await imports.source(source_id)
    try:
        await imports.upload(data, Order(name=source.name, label=label), member)
    except (Invalid, Conflict) as error:
        form.refuse("file", error.message, **error.params)
        return await _source(request, imports, source_id, form, status_code=422)
    return redirect(f"/articles/sources/{source_id}")


@post("/articles/sources/{source_id:int}/withdraw", guards=ADMINISTRATOR)
async def withdraw_all(request: AnyRequest, source_id: FromPath[int], member: Member, imports: Imports) -> Redirect:
    """Take all articles of a source out of force, in the background."""
    try:
        await imports.withdraw(source_id, member)
    except Conflict as error:
        toast(request, error.message, kind="danger", **error.params)
    return redirect(f"/articles/sources/{source_id}")


@get("/articles/sources/{source_id:int}/document")
async def follow(
    source_id: FromPath[int],
    member: Member,
    imports: Imports,
    path: Annotated[str, QueryParameter(max_length=PATH_LIMIT)] = "",
) -> Redirect:
    """The article that was made of a document: where links between documents of a source lead."""
    return redirect(f"/articles/{await imports.article_of(source_id, path)}")


async def _sources(request: AnyRequest, imports: Imports, form: Form, status_code: int = 200) -> Template:
    return page(
        request,
        "kb/imports/sources.html",
        status_code=status_code,
        sources=await imports.sources(),
        form=form,
        formats=[(one.name, one.label) for one in ALL],
        labels={one.name: one.label for one in ALL},
        languages=LANGUAGES,
        **_words(),
    )


async def _source(
    request: AnyRequest, imports: Imports, source_id: int, form: Form, status_code: int = 200
) -> Template:
    source, runs = await imports.source(source_id), await imports.runs(source_id)
    skipped = {run.id: _by_reason(await imports.skipped(run.id)) for run in runs[:1]}
    return page(
        request,
        "kb/imports/source.html",
        status_code=status_code,
        source=source,
        runs=runs,
        skipped=skipped,
        removed=await imports.removed(source_id),
        form=form,
        label=FORMATS[source.format].label if source.format in FORMATS else source.format,
        **_words(),
    )


def _by_reason(skipped: Sequence[Any]) -> list[tuple[str, bool, list[Any]]]:
    """Each reason with its files; those that somebody may want to mend come first."""
    found: dict[Any, list[Any]] = {}
    for one in skipped:
        found.setdefault(one.reason, []).append(one)
    return sorted(
        ((reason, reason in EXPECTED, files) for reason, files in found.items()), key=lambda one: (one[1], one[0])
    )


def _words() -> dict[str, Any]:
    return {
        "states": STATES,
        "kinds": KINDS,
        "reasons": REASONS,
        "reason_params": reason_params,
        "upload_limit": UPLOAD_LIMIT // 1_000_000,
        "now": datetime.now(UTC),
    }


async def _sent(request: AnyRequest) -> tuple[Form, bytes, str]:
    """The form's fields, the archive and its name."""
    sent = await request.form()
    form = Form({name: value for name, value in sent.items() if isinstance(value, str)})
    file = sent.get("file")
    data = await file.read() if isinstance(file, UploadFile) else b""
    if not data:
        form.refuse("file", N_("Please choose a .zip or .tar.gz file."))
    return form, data, (file.filename or "")[:PATH_LIMIT] if isinstance(file, UploadFile) else ""


def _refuse(form: Form, error: Invalid | Conflict) -> None:
    field = error.field if isinstance(error, Invalid) and error.field in FIELDS else "file"
    form.refuse(field or "file", error.message, **error.params)


HANDLERS: Sequence[ControllerRouterHandler] = (
    list_sources,
    add_source,
    show_source,
    import_again,
    withdraw_all,
    follow,
)
