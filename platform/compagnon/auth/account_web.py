"""A member's own account: language, theme, availability, password, devices."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from datetime import time as Time
from typing import Any

from litestar import Controller, Request, get, post
from litestar.params import FromPath
from litestar.response import Redirect, Template

from compagnon.auth.model import LOCALES, THEMES, Member
from compagnon.auth.service import Members
from compagnon.auth.sign_in_web import address_of, forget_cookie, inside, keep_cookie
from compagnon.auth.sign_ins import SignIns
from compagnon.errors import AppError, Invalid
from compagnon.i18n import N_
from compagnon.i18n.catalogues import set_locale
from compagnon.i18n.formats import ZONE
from compagnon.settings import Settings
from compagnon.web import context as contexts
from compagnon.web.forms import Form
from compagnon.web.render import page, redirect, toast

AnyRequest = Request[Any, Any, Any]
UNTIL = ("", "1h", "2h", "4h", "evening", "morning", "monday")


class AccountPages(Controller):
    path = "/account"

    @get("/")
    async def show_account(self, request: AnyRequest, member: Member, members: Members, sign_ins: SignIns) -> Template:
        """The member's own account: language, theme, availability, password, devices."""
        return await _account(request, member, members, sign_ins, Form())

    @post("/preferences", status_code=303)
    async def set_preferences(self, request: AnyRequest, member: Member, members: Members, form: Form) -> Redirect:
        """Choose language and theme."""
        locale = form.one_of("locale", LOCALES, default=member.locale)
        theme = form.one_of("theme", THEMES, default=member.theme)
        back = inside(form.text("next", limit=2000, required=False) or "/account")
        form.check()
        await members.set_preferences(member.id, locale=locale, theme=theme)
        contexts.need(request.scope).locale = locale
        set_locale(locale)
        toast(request, N_("Your settings are kept."))
        return redirect(back)

    @post("/availability", status_code=303)
    async def set_availability(self, request: AnyRequest, member: Member, members: Members, form: Form) -> Redirect:
        """Say whether one can be asked for help, and until when that holds."""
        available = form.one_of("available", ("yes", "no"), default="yes") == "yes"
        until = form.one_of("until", UNTIL, default="")
        back = inside(form.text("next", limit=2000, required=False) or "/account")
        form.check()
        await members.set_availability(member.id, available, moment_of(until, datetime.now(UTC)))
        toast(request, N_("You are shown as available.") if available else N_("You are shown as away."))
        return redirect(back)

    @post("/password", status_code=200)
    async def change_password(
        self,
        request: AnyRequest,
        member: Member,
        members: Members,
        sign_ins: SignIns,
        settings: Settings,
        form: Form,
    ) -> Template | Redirect:
        """Change one's own password; all other devices are signed out."""
        old, new, again = form.secret("old"), form.secret("password"), form.secret("again")
        if form.ok and new != again:
            form.refuse("again", N_("The two passwords are not the same."))
        if form.ok:
            await _attempt(form, members, member, old, new, address_of(request))
        if not form.ok:
            return await _account(request, member, members, sign_ins, form, status_code=422)
        browser = request.headers.get("user-agent", "")
        keep_cookie(request, settings, await sign_ins.open(member.id, address=address_of(request), browser=browser))
        toast(request, N_("Your password is changed. All other devices are signed out."))
        return redirect("/account")

    @post("/devices/{sign_in_id:int}/sign-out", status_code=303)
    async def sign_out_device(
        self, request: AnyRequest, sign_in_id: FromPath[int], member: Member, sign_ins: SignIns
    ) -> Redirect:
        """Sign out on one other device."""
        await sign_ins.sign_out_one(member, sign_in_id)
        toast(request, N_("This device is signed out."))
        return redirect("/account")

    @post("/sign-out-everywhere", status_code=303)
    async def sign_out_everywhere(
        self, request: AnyRequest, member: Member, sign_ins: SignIns, settings: Settings
    ) -> Redirect:
        """Sign out on all devices, this one too."""
        await sign_ins.sign_out_everywhere(member.id)
        forget_cookie(request, settings)
        return redirect("/sign-in")


def moment_of(choice: str, now: datetime) -> datetime | None:
    """When a choice of the availability menu ends, in the co-operative's time zone; None: when said otherwise."""
    local = now.astimezone(ZONE)
    if choice.endswith("h"):
        return now + timedelta(hours=int(choice[:-1]))
    days = {"evening": 0, "morning": 1, "monday": 7 - local.weekday()}.get(choice)
    if days is None:
        return None
    hour = Time(18) if choice == "evening" else Time(8)
    end = datetime.combine(local.date() + timedelta(days=days), hour, ZONE)
    return end if end > now else end + timedelta(days=1)


async def _attempt(form: Form, members: Members, member: Member, old: str, new: str, address: str) -> None:
    try:
        await members.change_password(member, old, new, address=address)
    except Invalid as error:
        wrong = error.message == "The password is wrong."
        form.refuse("old" if wrong else "password", error)
    except AppError as error:
        form.refuse("old", error.message, **error.params)


async def _account(
    request: AnyRequest, member: Member, members: Members, sign_ins: SignIns, form: Form, *, status_code: int = 200
) -> Template:
    current = contexts.need(request.scope).sign_in
    return page(
        request,
        "auth/account.html",
        status_code=status_code,
        form=form,
        devices=await sign_ins.listed(member.id),
        current=current.id if current else 0,
        skills=await members.skills(member.id, locale=member.locale),
        until_choices=UNTIL,
    )
