"""Reviewing: what waits, the rendered difference, findings, comments, decisions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Redirect, Template

from compagnon.auth.model import Member, Role
from compagnon.errors import AppError, Conflict, Forbidden, Invalid
from compagnon.i18n import N_
from compagnon.web.forms import Form
from compagnon.web.render import page, redirect, toast
from procedures.format.diff import ProcedureDiff, diff
from procedures.library import texts
from procedures.library.errors import NotReady
from procedures.library.model import Comment, Version, independent
from procedures.library.service import Library
from procedures.library.web import common

AnyRequest = Request[Any, Any, Any]


@get("/reviews")
async def waiting(request: AnyRequest, member: Member, library: Library) -> Template:
    """Drafts and reviews: what waits for the member, their own drafts, the others'."""
    own, others = await library.open_for(member)
    waiting = await library.waiting_for(member)
    return page(request, "procedures/reviews.html", waiting=waiting, own=own, others=others, **common())


@get("/reviews/{version_id:int}")
async def show(request: AnyRequest, version_id: FromPath[int], member: Member, library: Library) -> Template | Redirect:
    """One draft as a difference to the version in force, with findings, comments and decisions."""
    return await _show(request, version_id, member, library)


async def _show(
    request: AnyRequest, version_id: int, member: Member, library: Library, refusal: AppError | None = None
) -> Template | Redirect:
    version = await library.get(version_id)
    if version.number is not None and refusal is None:
        return redirect(version.url)
    base = await library.base_of(version)
    reading = await library.read(version.text)
    reviews, verdict = await library.reviews(version)
    comments = await library.comments(version_id)
    return page(
        request,
        "procedures/review.html",
        status_code=refusal.status if refusal else 200,
        version=version,
        base=base,
        reading=reading,
        procedure=reading.procedure,
        diff=_diff(base, reading),
        reviews=reviews,
        verdict=verdict,
        comments=_by_step(comments, reading),
        may_review=member.role.covers(Role.REVIEWER) and independent(version, member.id),
        is_reviewer=member.role.covers(Role.REVIEWER),
        may_discard=member.id == version.author_id or member.role.covers(Role.REVIEWER),
        stale=bool(base and version.open and base.id != version.based_on),
        refusal=refusal,
        **common(),
    )


def _diff(base: Version | None, reading: texts.Reading) -> ProcedureDiff | None:
    if base is None or reading.procedure is None:
        return None
    return diff(texts.parsed(base.text), reading.procedure)


def _by_step(comments: Sequence[Comment], reading: texts.Reading) -> dict[str, list[Comment]]:
    """Comments by step id; those about the whole, or about a step that is gone, under ""."""
    known = {owner.id for owner in reading.procedure.owners} if reading.procedure else set()
    found: dict[str, list[Comment]] = {}
    for comment in comments:
        found.setdefault(comment.step_id if comment.step_id in known else "", []).append(comment)
    return found


@post("/reviews/{version_id:int}/submit")
async def submit(
    request: AnyRequest, version_id: FromPath[int], form: Form, member: Member, library: Library
) -> Template | Redirect:
    """Send a draft to review; refused while a rule is broken."""
    try:
        await library.submit(version_id, member, seen=form.value("seen"))
    except (NotReady, Conflict) as error:
        return await _show(request, version_id, member, library, error)
    toast(request, N_("It is in review now."))
    return redirect(f"/reviews/{version_id}")


@post("/reviews/{version_id:int}/approve")
async def approve(
    request: AnyRequest, version_id: FromPath[int], form: Form, member: Member, library: Library
) -> Template | Redirect:
    """Approve a draft; the password is asked again, as an approval is a signature."""
    password, comment = form.secret("password"), form.lines("comment", limit=5000, required=False)
    address = request.client.host if request.client else ""
    try:
        form.check()
        await library.approve(
            version_id, member, password=password, seen=form.value("seen"), comment=comment, address=address
        )
    except (Invalid, Conflict, Forbidden) as error:
        return await _show(request, version_id, member, library, error)
    toast(request, N_("Your approval is kept."))
    return redirect(f"/reviews/{version_id}")


@post("/reviews/{version_id:int}/changes")
async def request_changes(
    request: AnyRequest, version_id: FromPath[int], form: Form, member: Member, library: Library
) -> Template | Redirect:
    """Send a draft back to its author with what has to change."""
    try:
        comment = form.lines("comment", limit=5000)
        form.check()
        await library.request_changes(version_id, member, seen=form.value("seen"), comment=comment)
    except (Invalid, Conflict, Forbidden) as error:
        return await _show(request, version_id, member, library, error)
    toast(request, N_("It went back to its author with what has to change."))
    return redirect(f"/reviews/{version_id}")


@post("/reviews/{version_id:int}/publish")
async def publish(
    request: AnyRequest, version_id: FromPath[int], form: Form, member: Member, library: Library
) -> Template | Redirect:
    """Put an approved draft in force as the next version."""
    try:
        version = await library.publish(version_id, member, seen=form.value("seen"))
    except (NotReady, Conflict) as error:
        return await _show(request, version_id, member, library, error)
    toast(request, N_("Version {number} is in force."), number=version.number)
    return redirect(f"/procedures/{version.code}?lang={version.locale}")


@post("/reviews/{version_id:int}/comments")
async def comment(
    request: AnyRequest, version_id: FromPath[int], form: Form, member: Member, library: Library
) -> Redirect:
    """Comment on a draft or on one of its steps."""
    body = form.lines("comment", limit=5000)
    step_id = form.text("step", limit=64, required=False) or None
    form.check()
    await library.comment(version_id, member, body, step_id=step_id)
    return redirect(f"/reviews/{version_id}#step-{step_id}" if step_id else f"/reviews/{version_id}#comments")


@post("/reviews/{version_id:int}/comments/{comment_id:int}/resolve")
async def resolve(version_id: FromPath[int], comment_id: FromPath[int], member: Member, library: Library) -> Redirect:
    """Say that a comment is settled."""
    await library.resolve(version_id, comment_id, member)
    return redirect(f"/reviews/{version_id}")


@post("/reviews/{version_id:int}/rebase")
async def rebase(request: AnyRequest, version_id: FromPath[int], member: Member, library: Library) -> Redirect:
    """Let a draft build on the version that came into force meanwhile."""
    await library.rebase(version_id, member)
    toast(request, N_("The draft now builds on the version in force."))
    return redirect(f"/reviews/{version_id}")


@post("/reviews/{version_id:int}/discard")
async def discard(
    request: AnyRequest, version_id: FromPath[int], form: Form, member: Member, library: Library
) -> Redirect:
    """Throw a draft away, with a reason if there is one."""
    await library.discard(version_id, member, reason=form.lines("reason", limit=2000, required=False))
    toast(request, N_("The draft was discarded."))
    return redirect("/reviews")


HANDLERS = [waiting, show, submit, approve, request_changes, publish, comment, resolve, rebase, discard]
