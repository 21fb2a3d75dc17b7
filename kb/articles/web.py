"""The articles' pages: the list, reading one, its versions, whether it helped, its files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import Request, Response, get, post
from litestar.datastructures import UploadFile
from litestar.params import FromPath
from litestar.response import Redirect, Template

from compagnon.auth.model import Member
from compagnon.auth.service import Members
from compagnon.errors import Conflict, Invalid
from compagnon.i18n import N_
from compagnon.markup.html import inline_html, markdown_html
from compagnon.web.forms import Form
from compagnon.web.render import page, redirect, toast
from kb.articles.files import UPLOAD_LIMIT
from kb.articles.model import NOTE_LIMIT, Query
from kb.articles.plain import plain
from kb.articles.reading import differences
from kb.articles.service import Articles
from kb.articles.store import IN_STATE
from kb.articles.words import WORDS
from kb.suggestions.service import Suggesting

AnyRequest = Request[Any, Any, Any]


def common() -> Mapping[str, Any]:
    return {"words": WORDS, "markdown": markdown_html, "inline": inline_html, "plain": plain}


def query_of(request: AnyRequest) -> Form:
    return Form(dict(request.query_params))


@get("/articles", name="articles")
async def show_list(request: AnyRequest, member: Member, members: Members, articles: Articles) -> Template:
    """Articles in force, filtered by words, environment, skill, known errors, and what is to be looked after."""
    form = query_of(request)
    query = Query(
        state=form.one_of("state", IN_STATE, default="published"),
        environment=form.text("environment", limit=100, required=False),
        skill=form.text("skill", limit=100, required=False),
        text=form.text("q", limit=200, required=False),
        known_errors=form.flag("known"),
        look_after=form.flag("look_after"),
        page=form.optional_integer("page", minimum=1, maximum=10_000) or 1,
    )
    listing = await articles.list(query)
    waiting = await articles.waiting_for(member)
    return page(
        request,
        "kb/articles/list.html",
        listing=listing,
        query=query,
        waiting=len(waiting),
        environments=await articles.environment_codes(),
        skills=[skill.name for skill in await members.all_skills(locale=member.locale)],
        **common(),
    )


@get("/articles/{article_id:int}")
async def read(
    request: AnyRequest, article_id: FromPath[int], member: Member, articles: Articles, suggesting: Suggesting
) -> Template | Redirect:
    """An article: what is observed, causes and remedies, who it helped; ``?ticket=`` when it is read for a ticket."""
    return await _reading(request, article_id, member, articles, suggesting)


@get("/articles/{article_id:int}/versions/{number:int}")
async def read_version(
    request: AnyRequest,
    article_id: FromPath[int],
    number: FromPath[int],
    member: Member,
    articles: Articles,
    suggesting: Suggesting,
) -> Template | Redirect:
    """One published version as it was."""
    return await _reading(request, article_id, member, articles, suggesting, number=number)


async def _reading(
    request: AnyRequest,
    article_id: int,
    member: Member,
    articles: Articles,
    suggesting: Suggesting,
    *,
    number: int | None = None,
) -> Template | Redirect:
    draft = await articles.draft(article_id)
    if draft and number is None and not await articles.history(article_id):
        return redirect(draft.url)  # nothing was ever published
    sheet = await articles.sheet(article_id, member.locale, number=number)
    ticket = query_of(request).optional_identity("ticket")
    return page(
        request,
        "kb/articles/read.html",
        sheet=sheet,
        article=sheet.version,
        ticket=ticket,
        related=await suggesting.related("article", article_id) if number is None else (),
        word=sheet.word_of(member.id, ticket),
        **common(),
    )


@get("/articles/{article_id:int}/history")
async def history(request: AnyRequest, article_id: FromPath[int], articles: Articles) -> Template:
    """The published versions, and two of them side by side (``?from=1&to=2``)."""
    versions = await articles.history(article_id)
    article = await articles.get(article_id)
    form = query_of(request)
    to = form.optional_integer("to", minimum=1) or versions[0].number or 1
    before = form.optional_integer("from", minimum=1) or to - 1
    older = await articles.version(article_id, before) if before else None
    newer = await articles.version(article_id, to)
    return page(
        request,
        "kb/articles/history.html",
        article=article,
        versions=versions,
        older=older,
        newer=newer,
        differences=differences(older, newer) if older else [],
        **common(),
    )


@post("/articles/{article_id:int}/feedback", status_code=303)
async def feedback(
    request: AnyRequest, article_id: FromPath[int], form: Form, member: Member, articles: Articles
) -> Redirect:
    """Say that an article solved it or did not, for a ticket or by itself; saying it again changes it."""
    solved = form.one_of("solved", ("yes", "no"))
    note = form.lines("note", limit=NOTE_LIMIT, required=False)
    ticket_id = form.optional_identity("ticket")
    form.check()
    await articles.tell(article_id, member, solved=solved == "yes", note=note, ticket_id=ticket_id)
    toast(request, N_("Thank you: this helps to rank and to mend it."))
    return redirect(f"/articles/{article_id}{f'?ticket={ticket_id}' if ticket_id else ''}#feedback")


@post("/articles/{article_id:int}/confirm", status_code=303)
async def confirm(
    request: AnyRequest, article_id: FromPath[int], form: Form, member: Member, articles: Articles
) -> Redirect:
    """Say that the text in force was looked at today and is still right."""
    await articles.confirm(article_id, member, seen=form.text("seen", limit=64, required=False))
    toast(request, N_("Noted: looked at today, still right."))
    return redirect(f"/articles/{article_id}")


@post("/articles/{article_id:int}/withdraw", status_code=303)
async def withdraw(
    request: AnyRequest, article_id: FromPath[int], form: Form, member: Member, articles: Articles
) -> Redirect:
    """Take an article out of force, with a reason."""
    seen, reason = form.text("seen", limit=64, required=False), form.lines("reason", limit=NOTE_LIMIT)
    form.check()
    await articles.withdraw(article_id, member, seen=seen, reason=reason)
    toast(request, N_("The article was withdrawn."))
    return redirect(f"/articles/{article_id}")


@post("/articles/{article_id:int}/files", status_code=303, request_max_body_size=UPLOAD_LIMIT)
async def add_file(request: AnyRequest, article_id: FromPath[int], member: Member, articles: Articles) -> Redirect:
    """Attach a picture, a PDF or a text to an article."""
    file = (await request.form()).get("file")
    data = await file.read() if isinstance(file, UploadFile) else b""
    name = file.filename if isinstance(file, UploadFile) else ""
    try:
        await articles.attach(article_id, member, name, data)
    except (Invalid, Conflict) as error:
        toast(request, error.message, kind="danger", **error.params)
    return redirect(f"/articles/{article_id}/edit#files")


@get("/articles/{article_id:int}/files/{file_id:int}", opt={"cache": True})
async def file(article_id: FromPath[int], file_id: FromPath[int], articles: Articles) -> Response[bytes]:
    """A file of an article: pictures are shown, everything else is downloaded."""
    known, data = await articles.file(article_id, file_id)
    shown = "inline" if known.picture else f'attachment; filename="{known.name.encode("ascii", "replace").decode()}"'
    headers = {
        "Cache-Control": "private, max-age=86400, immutable",
        "Content-Disposition": shown.replace("?", "_"),
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(data, media_type=known.media_type, headers=headers)


@post("/articles/{article_id:int}/files/{file_id:int}/remove", status_code=303)
async def remove_file(
    article_id: FromPath[int], file_id: FromPath[int], member: Member, articles: Articles
) -> Redirect:
    """Take a file off an article's list."""
    await articles.detach(article_id, file_id, member)
    return redirect(f"/articles/{article_id}/edit#files")


HANDLERS = [
    show_list, read, read_version, history, feedback, confirm, withdraw, add_file, file, remove_file,
]  # fmt: skip
