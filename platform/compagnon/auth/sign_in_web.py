"""Signing in and out, and the language of those who are not signed in."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlsplit

from litestar import Controller, Request, get, post
from litestar.params import QueryParameter
from litestar.response import Redirect, Template

from compagnon.auth.sign_ins import SignedIn, SignIns
from compagnon.errors import AppError, Forbidden, TooMany
from compagnon.i18n import LOCALES, N_
from compagnon.i18n.catalogues import set_locale
from compagnon.settings import Settings
from compagnon.web import context as contexts
from compagnon.web import cookies
from compagnon.web.forms import Form
from compagnon.web.render import page, redirect, toast

AnyRequest = Request[Any, Any, Any]
PUBLIC = {"public": True}
Next = Annotated[str, QueryParameter(name="next", max_length=2000)]


class SignInPages(Controller):
    @get("/sign-in", opt=PUBLIC)
    async def show_sign_in(self, request: AnyRequest, wanted: Next = "/") -> Template | Redirect:
        """The form to sign in; ``next`` is where to go then."""
        if contexts.need(request.scope).member:
            return redirect(inside(wanted))
        return page(request, "auth/sign_in.html", form=Form(), wanted=inside(wanted))

    @post("/sign-in", opt=PUBLIC, status_code=200)
    async def sign_in(
        self, request: AnyRequest, form: Form, sign_ins: SignIns, settings: Settings
    ) -> Template | Redirect:
        """Sign in with e-mail and password; attempts are limited."""
        wanted = inside(form.text("next", limit=2000, required=False))
        email, password = form.text("email", limit=254), form.secret("password")
        if not form.ok:
            return page(request, "auth/sign_in.html", form=form, wanted=wanted, status_code=422)
        held = request.cookies.get(cookies.name_of(settings), "")
        try:
            opened = await sign_ins.sign_in(
                email,
                password,
                address=address_of(request),
                browser=request.headers.get("user-agent", ""),
                replaces=held,
            )
        except (Forbidden, TooMany) as error:
            return _refused(request, form, wanted, error)
        _keep(request, settings, opened)
        return redirect(wanted)

    @post("/sign-out", opt=PUBLIC, status_code=303)
    async def sign_out(self, request: AnyRequest, sign_ins: SignIns, settings: Settings) -> Redirect:
        """Closes the sign-in on the server, and asks the browser to forget what it cached (ASVS 5.0 §14.3.1)."""
        await sign_ins.sign_out(request.cookies.get(cookies.name_of(settings), ""))
        forget_cookie(request, settings)
        answer = redirect("/sign-in")
        answer.set_header("Clear-Site-Data", '"cache", "storage"')
        return answer

    @post("/language", opt=PUBLIC, status_code=303)
    async def set_language(self, request: AnyRequest, form: Form, settings: Settings) -> Redirect:
        """The language of visitors, kept in a cookie; members have it in their account."""
        locale = form.one_of("locale", LOCALES, default="fr")
        known = contexts.need(request.scope)
        name = cookies.LANGUAGE
        known.cookies.append(cookies.build(name, locale, secure=settings.secure, max_age=cookies.YEAR))
        return redirect(inside(form.text("next", limit=2000, required=False)))


def inside(wanted: str) -> str:
    """``wanted`` when it is a path on this server, else ``/``: sign-in must not lead to other sites."""
    parts = urlsplit(wanted)
    safe = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    printable = wanted.isprintable() and "\\" not in wanted
    return wanted if safe and printable and not wanted.startswith("/sign-") else "/"


def address_of(request: AnyRequest) -> str:
    """The browser's address; behind a trusted proxy uvicorn has already put the forwarded one here."""
    return request.client.host if request.client else ""


def forget_cookie(request: AnyRequest, settings: Settings) -> None:
    cookie = cookies.build(cookies.name_of(settings), "", secure=settings.secure, max_age=0)
    contexts.need(request.scope).cookies.append(cookie)


def keep_cookie(request: AnyRequest, settings: Settings, token: str) -> None:
    age = settings.session_hours * 3600
    cookie = cookies.build(cookies.name_of(settings), token, secure=settings.secure, max_age=age)
    contexts.need(request.scope).cookies.append(cookie)


def _keep(request: AnyRequest, settings: Settings, opened: SignedIn) -> None:
    keep_cookie(request, settings, opened.token)
    set_locale(opened.member.locale)
    contexts.need(request.scope).locale = opened.member.locale
    toast(request, N_("Welcome, {name}."), name=opened.member.name)


def _refused(request: AnyRequest, form: Form, wanted: str, error: AppError) -> Template:
    form.refuse("", error.message, **error.params)
    headers = {"Retry-After": str(error.retry_after)} if isinstance(error, TooMany) else {}
    status = 429 if isinstance(error, TooMany) else 403
    return page(request, "auth/sign_in.html", form=form, wanted=wanted, status_code=status, headers=headers)
