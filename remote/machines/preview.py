"""A machine in short, beside the search results: what it is, and what fails on it."""

from __future__ import annotations

from compagnon.auth.model import Member
from compagnon.web.feature import Panel
from kb.search.previews import Preview
from remote.machines.service import Machines

MAX_DIGITS = 18  # of an id; a bigint holds more


def previewer(machines: Machines) -> Preview:
    """Shows what the search finds: ``search_store.READABLE`` says who may see a machine."""

    async def preview(member: Member, id: str) -> Panel | None:
        if not (id.isascii() and id.isdigit()) or len(id) > MAX_DIGITS:
            return None
        machine = await machines.found_by(member.id, int(id))
        if machine is None:
            return None
        context = {"machine": machine, "failing": await machines.failing_checks(machine.id)}
        return Panel(template="remote/preview.html", context=context)

    return preview
