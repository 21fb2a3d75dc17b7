"""A machine's banner asks for the link by which its session can be watched."""

from __future__ import annotations

import logging

import psycopg

from compagnon.errors import AppError, TooMany
from compagnon_agent.protocol import messages
from compagnon_agent.protocol.messages import WatchLink, WatchProblem, WatchRequest
from remote.control.link import AgentLink
from remote.machines.model import Machine
from remote.sessions.watching import Watching

log = logging.getLogger(__name__)


def listen_for_watching(link: AgentLink, watching: Watching) -> None:
    async def asked(machine: Machine, request: WatchRequest) -> None:
        link.tell_later(machine.id, await _answer(watching, machine, request))

    link.handle(messages.WatchRequest, asked)


async def _answer(watching: Watching, machine: Machine, request: WatchRequest) -> WatchLink:
    """Whatever becomes of it, the machine is told: somebody waits in front of it."""
    problem = WatchProblem.OVER
    try:
        address, seconds = await watching.make_at_machine(machine, request.session_id)
        return WatchLink(request_id=request.request_id, address=address, seconds=seconds)
    except TooMany:
        problem = WatchProblem.OFTEN
    except psycopg.Error:
        log.exception("machine %s: a link to watch could not be made", machine.id)
        problem = WatchProblem.LATER
    except AppError as error:  # not open, not a terminal, not its own
        log.info("machine %s: no link to watch: %s", machine.id, error)
    return WatchLink(request_id=request.request_id, problem=problem)
