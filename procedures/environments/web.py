"""The page of an environment: what it promises, and what its desktop looks like."""

from __future__ import annotations

from typing import Any

from litestar import Request, get
from litestar.params import FromPath
from litestar.response import Template

from compagnon.auth.model import Member
from compagnon.web.render import page
from procedures.environments.service import Environments
from procedures.library.service import Library
from procedures.library.web import common, language

AnyRequest = Request[Any, Any, Any]


@get("/environments")
async def show_list(request: AnyRequest, member: Member, environments: Environments) -> Template:
    """The standard environments that machines are installed to."""
    return page(request, "procedures/environments.html", listed=await environments.list(member.locale), **common())


@get("/environments/{code:str}")
async def show(
    request: AnyRequest, code: FromPath[str], member: Member, environments: Environments, library: Library
) -> Template:
    """One environment: its checks, the procedure that repairs each, and the client's desktop."""
    found = await environments.current(code, language(request, member))
    repairs = [promise.repair for promise in found.procedure.conformity if promise.repair]
    return page(
        request,
        "procedures/environment.html",
        environment=found,
        procedure=found.procedure,
        desktop=found.desktop,
        titles=await library.titles(repairs, found.locale),
        history=await library.history(code, found.locale),
        languages=await library.languages(code),
        **common(),
    )


HANDLERS = [show_list, show]
