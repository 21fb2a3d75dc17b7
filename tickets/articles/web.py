"""Writing an article beside the ticket's conversation, and what articles belong to a ticket."""

from __future__ import annotations

import uuid
from dataclasses import replace

from litestar import Controller, get, post
from litestar.params import FromPath
from litestar.response import Redirect, Template

from compagnon.auth.model import Member
from compagnon.auth.service import Members
from compagnon.errors import AppError, Invalid
from compagnon.web.forms import Form
from compagnon.web.render import fragment, page
from kb.articles.errors import EditConflict, NotReady
from kb.articles.reading import content_of
from kb.articles.service import Articles
from kb.articles.web_edit import conflicting, editing, kept
from tickets.articles.service import Beginning, TicketArticles
from tickets.desk.service import Desk
from tickets.web import AnyRequest


class TicketArticlePages(Controller):
    path = "/tickets/{ticket_id:int}"

    @get("/articles")
    async def listed(
        self, request: AnyRequest, ticket_id: FromPath[int], ticket_desk: Desk, ticket_articles: TicketArticles
    ) -> Template:
        """The articles that belong to a ticket (htmx)."""
        ticket = await ticket_desk.get(ticket_id)
        return fragment(request, "tickets/_articles.html", ticket=ticket, articles=await ticket_articles.of(ticket_id))

    @get("/article")
    async def begin(
        self,
        request: AnyRequest,
        ticket_id: FromPath[int],
        member: Member,
        members: Members,
        articles: Articles,
        ticket_articles: TicketArticles,
    ) -> Template:
        """The article editor with the ticket's own words filled in and its conversation beside it."""
        return await _page(request, await ticket_articles.begin(ticket_id), member, members, articles)

    @post("/article", status_code=200)
    async def write(
        self,
        request: AnyRequest,
        ticket_id: FromPath[int],
        form: Form,
        member: Member,
        members: Members,
        articles: Articles,
        ticket_articles: TicketArticles,
    ) -> Template | Redirect:
        """Keep the draft of the article that is written from a ticket, or send it to review."""
        content, draft = content_of(form), None
        article_id, seen = form.optional_identity("article"), form.value("seen")
        key, locale = form.value("request_key")[:64], form.value("locale") or member.locale
        try:
            draft = await ticket_articles.write(
                ticket_id, content, member, locale=locale, request_key=key, article_id=article_id, seen=seen
            )
            back = f"/tickets/{ticket_id}/article" if draft.open and draft.based_on is None else ""
            return await kept(request, draft, form, member, articles, back=back)
        except EditConflict as conflict:
            return await conflicting(request, conflict, member, members, articles)
        except (Invalid, NotReady) as error:
            present = draft or (await ticket_articles.written(ticket_id, article_id) if seen else None)
            begun = replace(await ticket_articles.begin(ticket_id), draft=present, content=content)
            return await _page(
                request, begun, member, members, articles, seen=draft.digest if draft else seen, form=form,
                refusal=error,
            )  # fmt: skip


async def _page(
    request: AnyRequest,
    begun: Beginning,
    member: Member,
    members: Members,
    articles: Articles,
    *,
    seen: str | None = None,
    form: Form | None = None,
    refusal: AppError | None = None,
) -> Template:
    shown = await editing(
        member,
        members,
        articles,
        begun.content,
        present=begun.draft,
        seen=seen,
        form=form or Form(initial={"request_key": uuid.uuid4().hex, "locale": member.locale}),
        refusal=refusal,
        action=f"/tickets/{begun.ticket.id}/article",
        key=f"ticket-{begun.ticket.id}",
    )
    return page(
        request,
        "tickets/article.html",
        status_code=refusal.status if refusal else 200,
        ticket=begun.ticket,
        said=begun.words,
        **shown,
    )
