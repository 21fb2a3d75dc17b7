"""What the terminal and the replay ask about a text that was selected there."""

from __future__ import annotations

from typing import Any

from litestar import Request, post
from litestar.response import Template

from compagnon.auth.model import Member
from compagnon.web.forms import Form
from compagnon.web.render import fragment
from kb.suggestions.model import Place
from kb.suggestions.service import MAX_TEXT, Suggesting

AnyRequest = Request[Any, Any, Any]


@post("/search/error", status_code=200)
async def about_error(request: AnyRequest, member: Member, form: Form, suggesting: Suggesting) -> Template:
    """What the library has about an error: ``text`` as it was printed, for a machine of ``environment``."""
    environment = form.text("environment", limit=64, required=False) or None
    help = await suggesting.for_error(
        form.value("text")[-MAX_TEXT:], environment=environment, locale=member.locale, procedures=3, articles=4
    )
    place = Place(ticket=form.optional_identity("ticket"), machine=form.optional_identity("machine"))
    return fragment(request, "kb/suggestions/_for_error.html", help=help, place=place)


HANDLERS = (about_error,)
