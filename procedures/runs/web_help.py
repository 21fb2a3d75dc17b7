"""Help where a run is stuck: what the library has about the step that failed."""

from __future__ import annotations

from litestar import get
from litestar.params import FromPath
from litestar.response import Template

from compagnon.auth.model import Member
from compagnon.web.render import fragment
from kb.suggestions.model import Place
from kb.suggestions.service import Suggesting
from procedures.ports import MachineGateway
from procedures.runs.board import RunView
from procedures.runs.failures import Failure, failure
from procedures.runs.service import Runs
from procedures.runs.web import AnyRequest, machine_of


@get("/runs/{run_id:int}/help")
async def known_about_failure(
    request: AnyRequest,
    run_id: FromPath[int],
    member: Member,
    runs: Runs,
    gateway: MachineGateway,
    suggesting: Suggesting,
) -> Template:
    """What the library has about the step that failed last."""
    seen = await runs.show(run_id)
    failed = failure(seen)
    machine = await machine_of(seen, gateway)
    help = failed and await suggesting.for_error(
        failed.text,
        title=_titles(seen, failed),
        environment=machine.environment if machine else None,
        locale=member.locale,
        without=_offered(seen),
    )
    place = Place(ticket=seen.run.ticket_id, machine=seen.run.machine_id)
    return fragment(request, "procedures/_help.html", help=help, place=place)


def _titles(seen: RunView, failed: Failure) -> str:
    """The step's, and the procedure's where nothing was written down. Their first word is an order: it says nothing."""
    titles = [failed.step.title] if failed.text.strip() else [seen.run.title, failed.step.title]
    return " ".join(title.partition(" ")[2] for title in titles)


def _offered(seen: RunView) -> set[str]:
    """Procedures that the page names already."""
    branch = seen.position.branch if seen.position.blocked else None
    return {code for code in (seen.run.code, branch and branch.procedure) if code}


HANDLERS = [known_about_failure]
