"""Reviewing an article: what waits, the draft beside the text in force, the other member's yes."""

from __future__ import annotations

from typing import Any

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Redirect, Template

from compagnon.auth.model import Member, Role
from compagnon.errors import AppError, Conflict, Forbidden, Invalid
from compagnon.i18n import N_
from compagnon.web.forms import Form
from compagnon.web.render import page, redirect, toast
from kb.articles.errors import NotReady
from kb.articles.model import NOTE_LIMIT, independent, lacks
from kb.articles.reading import differences
from kb.articles.service import Articles
from kb.articles.web import common

AnyRequest = Request[Any, Any, Any]


@get("/articles/reviews")
async def waiting(request: AnyRequest, member: Member, articles: Articles) -> Template:
    """What waits for the member's review, and their own drafts."""
    return page(
        request,
        "kb/articles/reviews.html",
        waiting=await articles.waiting_for(member),
        own=await articles.own_drafts(member),
        **common(),
    )


@get("/articles/{article_id:int}/draft")
async def draft(
    request: AnyRequest, article_id: FromPath[int], member: Member, articles: Articles
) -> Template | Redirect:
    """An article's draft: what differs from the text in force, and the review."""
    return await _show(request, article_id, member, articles)


async def _show(
    request: AnyRequest, article_id: int, member: Member, articles: Articles, refusal: AppError | None = None
) -> Template | Redirect:
    draft = await articles.draft(article_id)
    if draft is None:
        await articles.get(article_id)  # not found, when there is nothing at all
        if refusal:
            toast(request, refusal.message, kind="danger", **refusal.params)
        return redirect(f"/articles/{article_id}")
    base = await articles.published(article_id)
    return page(
        request,
        "kb/articles/review.html",
        status_code=refusal.status if refusal else 200,
        article=draft,
        base=base,
        differences=differences(base, draft) if base else [],
        lacking=lacks(draft),
        may_review=independent(draft, member.id),
        may_discard=not independent(draft, member.id) or member.role.covers(Role.REVIEWER),
        outdated=bool(base and base.id != draft.based_on),
        refusal=refusal,
        **common(),
    )


@post("/articles/{article_id:int}/submit", status_code=303)
async def submit(
    request: AnyRequest, article_id: FromPath[int], form: Form, member: Member, articles: Articles
) -> Template | Redirect:
    """Ask another member to review the draft."""
    try:
        await articles.submit(article_id, member, seen=form.value("seen"))
    except (Conflict, NotReady) as error:
        return await _show(request, article_id, member, articles, error)
    toast(request, N_("It is in review now: another member's yes publishes it."))
    return redirect(f"/articles/{article_id}/draft")


@post("/articles/{article_id:int}/publish", status_code=303)
async def publish(
    request: AnyRequest, article_id: FromPath[int], form: Form, member: Member, articles: Articles
) -> Template | Redirect:
    """Put another member's text in force: the one yes that a review needs."""
    try:
        await articles.publish(article_id, member, seen=form.value("seen"))
    except (Conflict, Forbidden, NotReady) as error:
        return await _show(request, article_id, member, articles, error)
    toast(request, N_("Published: everybody finds it now."))
    return redirect(f"/articles/{article_id}")


@post("/articles/{article_id:int}/send-back", status_code=303)
async def send_back(
    request: AnyRequest, article_id: FromPath[int], form: Form, member: Member, articles: Articles
) -> Template | Redirect:
    """Ask the author for changes, saying which."""
    remark = form.lines("remark", limit=NOTE_LIMIT)
    try:
        form.check()
        await articles.send_back(article_id, member, seen=form.value("seen"), remark=remark)
    except (Invalid, Conflict, Forbidden) as error:
        return await _show(request, article_id, member, articles, error)
    return redirect(f"/articles/{article_id}/draft")


@post("/articles/{article_id:int}/rebase", status_code=303)
async def rebase(
    request: AnyRequest, article_id: FromPath[int], form: Form, member: Member, articles: Articles
) -> Template | Redirect:
    """Say that the draft takes the version published since into account."""
    try:
        await articles.take_into_account(article_id, member, seen=form.value("seen"))
    except Conflict as error:
        return await _show(request, article_id, member, articles, error)
    return redirect(f"/articles/{article_id}/draft")


@post("/articles/{article_id:int}/discard", status_code=303)
async def discard(
    request: AnyRequest, article_id: FromPath[int], form: Form, member: Member, articles: Articles
) -> Template | Redirect:
    """Give a draft up."""
    try:
        await articles.discard(article_id, member, seen=form.value("seen"))
    except (Conflict, Forbidden) as error:
        return await _show(request, article_id, member, articles, error)
    toast(request, N_("The draft was discarded."))
    return redirect("/articles/reviews")


HANDLERS = [waiting, draft, submit, publish, send_back, rebase, discard]
