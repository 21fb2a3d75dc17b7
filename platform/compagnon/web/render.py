"""Answers: a whole page, a fragment for htmx, a redirect, a toast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from litestar import Request
from litestar.response import Redirect, Template
from markupsafe import Markup

from compagnon.i18n import gettext
from compagnon.i18n.catalogues import set_locale
from compagnon.web import context as contexts
from compagnon.web.context import Toast
from compagnon.web.feature import Panel

AnyRequest = Request[Any, Any, Any]
HTML = "text/html"
KINDS = frozenset({"success", "info", "warning", "danger"})


def page(
    request: AnyRequest,
    template: str,
    /,
    *,
    status_code: int = 200,
    headers: Mapping[str, str] | None = None,
    **context: object,
) -> Template:
    """A whole page. Adds member, locale, theme, nav, csrf_token, toasts, request_id and path to the context."""
    known = contexts.need(request.scope)
    set_locale(known.locale)
    shown, known.arrived, known.toasts = [*known.arrived, *known.toasts], [], []
    return _template(request, template, status_code, headers, {"toasts": shown, **context})


def fragment(
    request: AnyRequest,
    template: str,
    /,
    *,
    status_code: int = 200,
    headers: Mapping[str, str] | None = None,
    **context: object,
) -> Template:
    """A part of a page for htmx. Toasts travel in the HX-Trigger header (see ``headers.py``)."""
    set_locale(contexts.need(request.scope).locale)
    return _template(request, template, status_code, headers, context)


def _template(
    request: AnyRequest, template: str, status_code: int, headers: Mapping[str, str] | None, context: dict[str, Any]
) -> Template:
    return Template(
        template,
        context={**base_context(request), **context},
        status_code=status_code,
        headers=dict(headers or {}),
        media_type=HTML,
    )


def base_context(request: AnyRequest) -> dict[str, Any]:
    """What every template may use, whole pages and fragments."""
    known = contexts.need(request.scope)
    return {
        "member": known.member,
        "locale": known.locale,
        "theme": known.member.theme if known.member else "auto",
        "csrf_token": known.csrf_token,
        "request_id": known.request_id,
        "path": request.scope["path"],
        "toasts": [],
    }


def rendered_panels(request: AnyRequest, panels: Sequence[Panel]) -> list[Markup]:
    """Each panel by itself: its context by name, and whole as ``panel``; two packages may use the same names."""
    engine = request.app.template_engine
    assert engine is not None, "the application has templates"
    return [
        Markup(  # noqa: S704 - autoescaped by its own template
            engine.get_template(panel.template).render(**{**base_context(request), **panel.context, "panel": panel})
        )
        for panel in panels
    ]


def redirect(url: str) -> Redirect:
    """303: the browser reads ``url`` next (RFC 9110 §15.4.4). ``headers.py`` makes it HX-Redirect for htmx."""
    return Redirect(url, status_code=303)


def toast(request: AnyRequest, message: str, /, *, kind: str = "success", **fields: object) -> None:
    """Say ``message`` (a msgid with ``{fields}``) on the page shown next: this one, or the one redirected to."""
    if kind not in KINDS:
        raise ValueError(f"a toast is one of {sorted(KINDS)}, not {kind!r}")
    known = contexts.need(request.scope)
    set_locale(known.locale)
    known.toasts.append(Toast(text=gettext(message, **fields), kind=kind))


def is_htmx(request: AnyRequest) -> bool:
    """Whether htmx asks for a part of a page (a boosted request wants a whole one)."""
    return request.headers.get("hx-request") == "true" and request.headers.get("hx-boosted") != "true"
