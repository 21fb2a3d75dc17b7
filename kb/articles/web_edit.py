"""Writing an article: the editor, its preview, what there is already, and what happens when two write at once."""

from __future__ import annotations

import uuid
from typing import Any

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Redirect, Template

from compagnon.auth.model import Member
from compagnon.auth.service import Members
from compagnon.errors import AppError, Invalid
from compagnon.i18n import N_
from compagnon.web.forms import Form
from compagnon.web.render import fragment, page, redirect, toast
from kb.articles.errors import EditConflict, NotReady
from kb.articles.model import LOCALES, Content, Version
from kb.articles.reading import content_of, differences
from kb.articles.service import Articles
from kb.articles.web import common, query_of

AnyRequest = Request[Any, Any, Any]


@get("/articles/new")
async def new(request: AnyRequest, member: Member, members: Members, articles: Articles) -> Template:
    """The editor with an empty article, with ``?title=`` and ``?condition=``, or a translation of ``?translates=``."""
    asked = query_of(request)
    translates = asked.optional_identity("translates")
    original = await articles.get(translates) if translates else None
    content = (
        original.content if original else Content(title=asked.value("title")[:200], condition=asked.value("condition"))
    )
    locale = _other(original.locale) if original else member.locale
    form = Form(initial={"request_key": uuid.uuid4().hex, "locale": locale, "translates": translates or ""})
    return page(request, "kb/articles/edit.html", **await editing(member, members, articles, content, form=form))


def _other(locale: str) -> str:
    return next(one for one in LOCALES if one != locale)


@post("/articles/new", status_code=200)
async def create(
    request: AnyRequest, form: Form, member: Member, members: Members, articles: Articles
) -> Template | Redirect:
    """Keep a new draft."""
    content, draft = content_of(form), None
    try:
        draft = await articles.create(
            content,
            form.one_of("locale", LOCALES, default=member.locale),
            member,
            translates_id=form.optional_identity("translates"),
            request_key=form.text("request_key", limit=64, required=False),
        )
        return await kept(request, draft, form, member, articles)
    except EditConflict as conflict:
        return await conflicting(request, conflict, member, members, articles)
    except (Invalid, NotReady) as error:
        return await refused(request, error, member, members, articles, content, form=form, present=draft)


@get("/articles/{article_id:int}/edit")
async def edit(
    request: AnyRequest, article_id: FromPath[int], member: Member, members: Members, articles: Articles
) -> Template:
    """The editor with the open draft, else with the text in force."""
    present = await articles.present(article_id)
    return page(
        request, "kb/articles/edit.html", **await editing(member, members, articles, present.content, present=present)
    )


@post("/articles/{article_id:int}/edit", status_code=200)
async def save(
    request: AnyRequest, article_id: FromPath[int], form: Form, member: Member, members: Members, articles: Articles
) -> Template | Redirect:
    """Keep what was typed as the article's draft and, if asked, send it to review; a colleague's change is shown."""
    content, draft, seen = content_of(form), None, form.value("seen")
    try:
        draft = await articles.save(article_id, content, member, seen=seen)
        return await kept(request, draft, form, member, articles)
    except EditConflict as conflict:
        return await conflicting(request, conflict, member, members, articles)
    except (Invalid, NotReady) as error:
        present = draft or await articles.present(article_id)
        seen = draft.digest if draft else seen
        return await refused(request, error, member, members, articles, content, form=form, present=present, seen=seen)


@post("/articles/preview", status_code=200)
async def preview(request: AnyRequest, form: Form) -> Template:
    """What is in the editor now, as readers would see it (htmx)."""
    return fragment(request, "kb/articles/_body.html", article=content_of(form), **common())


@post("/articles/similar", status_code=200)
async def similar(request: AnyRequest, form: Form, articles: Articles) -> Template:
    """What there is already about what is being written (htmx)."""
    hits = await articles.similar(
        form.value("title"), form.value("condition"), but=form.optional_identity("article") or 0
    )
    return fragment(request, "kb/articles/_similar.html", hits=hits, asked=form.value("title").strip())


async def kept(
    request: AnyRequest, draft: Version, form: Form, member: Member, articles: Articles, *, back: str = ""
) -> Redirect:
    """Where to go once a draft is kept: on with writing (``back``, else the editor), or to its review.

    ``#kept`` tells the page's script that the browser's own copy of what was typed is no longer needed.
    """
    if form.value("then") == "submit":
        await articles.submit(draft.article_id, member, seen=draft.digest)
        toast(request, N_("It is in review now: another member's yes publishes it."))
        return redirect(f"{draft.url}#kept")
    toast(request, N_("The draft is kept."))
    return redirect(f"{back or f'/articles/{draft.article_id}/edit'}#kept")


async def editing(
    member: Member,
    members: Members,
    articles: Articles,
    content: Content,
    *,
    present: Version | None = None,
    seen: str | None = None,
    form: Form | None = None,
    refusal: AppError | None = None,
    action: str = "",
    key: str = "",
) -> dict[str, Any]:
    """What the editor's template needs. ``present``: the text that is being changed, None for a new article.

    ``seen``: the digest of the text that the writer began with, None when it is ``present``. Where nothing was kept it
    stays what it was: what a colleague saved since has not been looked at.
    """
    number = present.article_id if present else None
    skills = await members.all_skills(locale=member.locale)
    return {
        "content": content,
        "present": present,
        "seen": (present.digest if present else "") if seen is None else seen,
        "form": form or Form(),
        "refusal": refusal,
        "action": action or (f"/articles/{number}/edit" if number else "/articles/new"),
        "key": key or (f"article-{number}" if number else "article-new"),
        "files": await articles.files_of(number) if number else [],
        "environments": sorted({*await articles.environment_codes(), *content.applies_to}),
        "all_skills": skills,
        "other_skills": [name for name in content.skills if name not in {skill.name for skill in skills}],
        **common(),
    }


async def refused(
    request: AnyRequest, error: AppError, member: Member, members: Members, articles: Articles, content: Content,
    *, template: str = "kb/articles/edit.html", **more: Any,  # noqa: ANN401 - what ``editing`` takes
) -> Template:  # fmt: skip
    """The editor again, with all that was typed and why it was refused."""
    shown = await editing(member, members, articles, content, refusal=error, **more)
    return page(request, template, status_code=error.status, **shown)


async def conflicting(
    request: AnyRequest, conflict: EditConflict, member: Member, members: Members, articles: Articles
) -> Template:
    """What the other wrote beside what would have been lost, which can be kept instead."""
    shown = await editing(member, members, articles, conflict.typed, present=conflict.current)
    found = differences(conflict.current, conflict.typed)
    return page(request, "kb/articles/conflict.html", status_code=409, differences=found, **shown)


HANDLERS = [new, create, edit, save, preview, similar]
