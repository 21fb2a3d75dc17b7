"""The running agent: what each message of the server leads to, once :func:`.authorise.authorise` says yes."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from . import consent, execute
from . import policy as policies
from .agreeing import Agreeing
from .audit import AuditLog
from .authorise import (
    CANNOT_WRITE,
    ChecksRequest,
    Decision,
    Grant,
    LoadRequest,
    Request,
    StepRequest,
    authorise,
    beside,
)
from .desk.core import Desk
from .evaluate import evaluate, sight_of, withheld
from .identity import Identity
from .load import Watching
from .policy import LocalPolicy, PolicyError
from .protocol import messages
from .protocol.checks import Check, CheckError, CheckResult, bind_checks
from .protocol.messages import (
    CheckNow,
    CheckRequest,
    CheckResults,
    ConsentAnswer,
    ConsentRequest,
    ConsentSource,
    Execute,
    Message,
    OpenSession,
    Problem,
    Schedule,
    SessionEnded,
)
from .protocol.parameters import ParameterError
from .protocol.waking import WAKE
from .protocol.wire import JSON, WireError
from .question import Question, TooLong, question
from .requested import describe, wanted_grant
from .scheduled import LIMIT, Scheduled
from .sessions import registry
from .sessions.host import SessionHost
from .settings import Settings
from .slots import Slots
from .steps import Steps, fitting_results
from .store import Store
from .updates import Updates
from .waking import Waking

log = logging.getLogger(__name__)

NOBODY = ConsentSource.NONE
BESIDE = "beside an open session to which somebody here agreed"
CAPABILITIES = ("checks", "steps", WAKE, *registry.names())
MAX_JOBS = 64
QUEUED = (SessionEnded, messages.ConsentWithdrawn)
MAX_QUESTIONS = 5
CHECKS_AT_ONCE = 3


class Agent:
    """``send`` hands a message to the control connection, if there is one; what must not be lost is in the store."""

    def __init__(self, settings: Settings, identity: Identity, store: Store) -> None:
        self.settings = settings
        self.identity = identity
        self.store = store
        self.clock = store.clock
        self.outbox = store.outbox
        self.policy: LocalPolicy = policies.load(settings.folder)
        self.audit = AuditLog(settings.folder)
        self.desk = Desk()
        self.updates = Updates(self, identity.server, Slots.find())
        self.again = asyncio.Event()  # set: to be started again
        self.send: Callable[[Message], None] = lambda _message: None
        self.cooperative = ""
        self._steps = Steps(store, self.decide)
        self._load = Watching(lambda message: self.send(message))
        self._waking = Waking(audit=self.audit, decide=self.decide, send=lambda message: self.send(message))
        self.scheduled = Scheduled(store.db, store.outbox, store.clock, self._look_as_scheduled, self.tell)
        self.host = SessionHost(
            settings=settings,
            identity=identity,
            store=store,
            audit=self.audit,
            decide=self.decide,
            desk=self.desk,
            send=self.tell,
        )
        self._agreeing = Agreeing(
            folder=settings.folder,
            audit=self.audit,
            policy=self._fresh_policy,
            ask=self._ask,
            send=lambda message: self.send(message),
        )
        self._jobs: set[asyncio.Task[None]] = set()
        self._questions: dict[str, asyncio.Task[consent.Reply]] = {}
        self._asking = asyncio.Lock()
        self._checking = asyncio.Semaphore(CHECKS_AT_ONCE)
        for attempt_id in store.close_interrupted(self.clock.now()):
            self.audit.note("step.interrupted", {"attempt": attempt_id})

    # -- life

    def begin(self, job: Coroutine[Any, Any, None]) -> bool:
        """Run ``job`` beside the connection; False (and nothing runs) when there is too much to do already."""
        if len(self._jobs) >= MAX_JOBS:
            job.close()
            return False
        task = asyncio.create_task(job)
        self._jobs.add(task)
        task.add_done_callback(self._ended)
        return True

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._jobs.discard(task)
        if not task.cancelled() and task.exception():
            log.error("unexpected", exc_info=task.exception())

    async def close(self) -> None:
        self._load.stop()
        for task in list(self._jobs):
            task.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)

    @property
    def idle(self) -> bool:
        """Nobody is being helped, and nothing is asked or run."""
        return not (self.host.sessions or self._questions or self._steps.busy)

    def restart(self, why: str) -> None:
        """End in good order, and be started again."""
        log.warning("restarting: %s", why)
        self.audit.note("restart", {"why": why})
        self.again.set()

    def reload_policy(self) -> None:
        """Take over an edited policy file; a broken one changes nothing but the log."""
        try:
            fresh = policies.load(self.settings.folder)
        except PolicyError as fault:
            log.error("%s (the old policy stays)", fault)
            return
        if fresh != self.policy:
            self.policy = fresh
            self.audit.note("policy.changed", {"mode": fresh.mode})
            self.outbox.put(self.policy_report())

    def tell(self, message: Message) -> None:
        """What must not be lost goes through the queue; of all else, what cannot be sent now is left out."""
        if not (isinstance(message, QUEUED) and self.outbox.put(message)):
            self.send(message)

    def _fresh_policy(self) -> LocalPolicy:
        self.reload_policy()
        return self.policy

    def policy_report(self) -> messages.Policy:
        return self.policy.report(self.settings.root_note)

    def decide(self, request: Request, write_down: bool = True) -> Decision:
        """Ask, and write the answer down (a refusal always). What cannot be written down is not allowed."""
        try:
            return self._decide(request, write_down)
        except (OSError, sqlite3.Error) as fault:
            log.error("no decision: %s", fault)
            return Decision(allowed=False, reason=f"{CANNOT_WRITE} ({fault})")

    def _decide(self, request: Request, write_down: bool) -> Decision:
        self.reload_policy()
        now = self.clock.now()
        if isinstance(request, ChecksRequest | StepRequest):
            answered, left = self.store.answered(now)
            request = replace(request, sight=replace(request.sight, answered=answered, left=left))
        decision = authorise(request, policy=self.policy, grants=self.store.grants(now), now=now)
        if write_down or not decision.allowed:
            details = {**describe(request), "allowed": decision.allowed, "reason": decision.reason}
            withheld = {"withheld": len(decision.withheld)} if decision.withheld else {}
            self.audit.record("decision", {**details, **withheld})
        if decision.allowed:
            self.store.remember(decision.asked, now)
        return decision

    # -- what the server asks

    def handle(self, message: Message) -> None:
        """One message of an authenticated server. Never blocks: work goes on beside the connection."""
        handler = self._handlers.get(type(message))
        if handler is None:
            log.info("ignored: %s", getattr(message, "name", message.TYPE))
        else:
            try:
                handler(self, message)
            except (OSError, sqlite3.Error) as fault:
                log.error("%s: %s", message.TYPE, fault)
                self.send(Problem(about=message.TYPE, reason=f"{CANNOT_WRITE} ({fault})"[:500]))

    def _watch(self, message: messages.WatchLoad) -> None:
        """Somebody looks at this machine's page. Written down when it begins; what is said again only goes on."""
        decision = self.decide(LoadRequest(), write_down=not self._load.on)
        if decision.allowed:
            self._load.renew(seconds=message.seconds, every=message.every)
        else:
            self._load.stop()

    def _work(self, about: str, job: Coroutine[Any, Any, None]) -> None:
        if not self.begin(job):
            self.send(Problem(about=about, reason="the agent has too much to do: ask again later"))

    def _audit_line(self, number: int) -> None:
        """Whether what was told of this machine's own record is still in it."""
        found = self.audit.line(number)
        self.send(messages.AuditLine(number=number, hash=found.hash, gone=found.gone))

    async def _look_as_scheduled(self, schedule: Schedule) -> tuple[CheckResult, ...]:
        async with self._checking:
            return await self._look(schedule.checks, LIMIT)

    def _check_now(self, request: CheckNow) -> None:
        if not self.scheduled.now(request.request_id):
            self.send(Problem(about=request.request_id, reason="there is no schedule, or too much to do already"))

    async def _checks(self, request: CheckRequest) -> None:
        async with self._checking:
            try:
                bound = bind_checks(request.checks, request.parameters, shell=execute.CHECK_SHELL)
                results = await self._look(bound, request.timeout)
            except (ParameterError, CheckError) as fault:
                results = tuple(withheld(check, str(fault)) for check in request.checks)
        self.send(fitting_results(CheckResults(request_id=request.request_id, results=results)))

    async def _look(self, checks: tuple[Check, ...], timeout: float) -> tuple[CheckResult, ...]:
        """What was decided against is answered at once, and nothing of it is evaluated."""
        decision = self.decide(ChecksRequest(checks=checks, sight=await sight_of(checks)))
        everything = {} if decision.allowed else dict.fromkeys(range(len(checks)), decision.reason)
        against = {**everything, **decision.withheld}
        allowed = [check for index, check in enumerate(checks) if index not in against]
        results = iter(await evaluate(allowed, timeout=timeout, commands=False))
        return tuple(
            withheld(check, against[index]) if index in against else next(results) for index, check in enumerate(checks)
        )

    async def _step(self, request: Execute) -> None:
        result = await self._steps.attempt(request)
        if result:
            self.audit.note("step", {"attempt": request.attempt_id, "step": request.step_id, "state": result.state})
            self.send(result)

    def _cancel(self, message: messages.Cancel) -> None:
        asked = self._questions.get(message.id)
        if asked:
            asked.cancel()
        self._steps.cancel(message.id)

    # -- consent

    async def _consent(self, request: ConsentRequest) -> None:
        try:
            wanted = wanted_grant(request)
        except (WireError, ParameterError) as fault:
            self.send(
                ConsentAnswer(request_id=request.request_id, granted=False, source=NOBODY, reason=str(fault)[:500])
            )
            return
        self.reload_policy()
        now = self.clock.now()
        first = beside(wanted, live=self.host.sessions, grants=self.store.grants(now), now=now)
        if first is not None:
            reply = consent.Reply(granted=True, source=first.source, reason=BESIDE)
            self._answer(request, reply, first, first.until - now)
            return
        allowed = self.policy.grants_for(wanted.subject, present=consent.somebody())
        longest = min(timedelta(seconds=request.seconds), self.policy.longest())
        if allowed is not None:
            reply = consent.Reply(granted=True, source=ConsentSource.POLICY)
            longest = min(longest, allowed)
        else:
            reply = await self._ask(request.request_id, lambda: question(request, longest.total_seconds()))
        self._answer(request, reply, replace(wanted, source=reply.source, until=self.clock.now() + longest), longest)

    async def _ask(self, request_id: str, make: Callable[[], Question]) -> consent.Reply:
        if len(self._questions) >= MAX_QUESTIONS:
            return consent.Reply(granted=False, reason="too many questions are open already")
        task = asyncio.create_task(self._ask_in_turn(make))
        self._questions[request_id] = task
        try:
            return await task
        except asyncio.CancelledError:
            if task.cancelled() and not _being_cancelled():
                return consent.Reply(granted=False, reason="the question was withdrawn")
            task.cancel()
            raise
        finally:
            self._questions.pop(request_id, None)

    async def _ask_in_turn(self, make: Callable[[], Question]) -> consent.Reply:
        try:
            asked = make()
        except TooLong as fault:
            return consent.Reply(granted=False, reason=str(fault))
        async with self._asking:
            return await consent.ask(asked, self.desk)

    def _answer(self, request: ConsentRequest, reply: consent.Reply, grant: Grant, longest: timedelta) -> None:
        try:
            self._write_answer(request, reply, grant)
        except (OSError, sqlite3.Error) as fault:  # a yes that cannot be kept is none
            reply = consent.Reply(granted=False, reason=f"{CANNOT_WRITE} ({fault})"[:500])
        granted = reply.granted is True
        self.send(
            ConsentAnswer(
                request_id=request.request_id,
                granted=granted,
                source=reply.source,
                reason=reply.reason,
                until=grant.until if granted else None,
                seconds=int(longest.total_seconds()) if granted else None,
                person=(reply.person or consent.person()) if reply.source is not ConsentSource.POLICY else "",
            )
        )

    def _write_answer(self, request: ConsentRequest, reply: consent.Reply, grant: Grant) -> None:
        granted = reply.granted is True
        asked: dict[str, JSON] = {"request": request.request_id, "kind": request.kind, "ticket": request.ticket_id}
        answered: dict[str, JSON] = {"granted": granted, "source": reply.source, "member": request.member_name}
        noted: dict[str, JSON] = {"beside": True} if reply.reason == BESIDE else {}
        self.audit.record("consent", {**asked, **answered, **noted})
        if granted:
            self.store.add_grant(grant)

    # -- at the machine

    def withdraw_agreement(self) -> bool:
        """Taken back at the machine: what it granted ends, and what goes on under it."""
        known = self._agreeing.withdraw()
        for grant in self.store.grants(self.clock.now()) if known else ():
            by_policy = grant.source is ConsentSource.POLICY and self.policy.grants_for(grant.subject) is None
            if by_policy and grant.session_id:
                self.host.stop(grant.session_id)
        return known

    def withdraw_all(self) -> int:
        """Every consent given here is taken back, every session and every running step stops."""
        self.withdraw_agreement()
        self.host.stop()
        self._steps.cancel_all()
        count = self.store.withdraw_all()
        self.audit.note("consent.withdrawn", {"grants": count})
        self.outbox.put(messages.ConsentWithdrawn(reason="all consents were taken back at the machine"))
        return count

    _handlers: Mapping[type[Message], Callable[[Agent, Any], None]] = {
        CheckRequest: lambda self, message: self._work(message.request_id, self._checks(message)),
        Execute: lambda self, message: self._work(message.attempt_id, self._step(message)),
        ConsentRequest: lambda self, message: self._work(message.request_id, self._consent(message)),
        OpenSession: lambda self, message: self._work(message.session_id, self.host.open(message)),
        messages.PolicyProposal: lambda self, message: self._work(message.request_id, self._agreeing.propose(message)),
        SessionEnded: lambda self, message: self.host.end(message),
        messages.Cancel: lambda self, message: self._cancel(message),
        messages.StepAck: lambda self, message: self.store.acknowledge(message.attempt_id),
        messages.ReleaseOffer: lambda self, message: self.updates.offered(message),
        messages.Kept: lambda self, message: self.outbox.acknowledge(message.queue, message.number),
        Schedule: lambda self, message: self.scheduled.take(message),
        CheckNow: lambda self, message: self._check_now(message),
        messages.WatchLoad: lambda self, message: self._watch(message),
        messages.Wake: lambda self, message: self._work(message.request_id, self._waking.wake(message)),
        messages.WatchLink: lambda self, message: self.host.watching.answered(message),
        messages.AuditQuery: lambda self, message: self._audit_line(message.number),
        messages.Heartbeat: lambda self, message: None,
        messages.Problem: lambda self, message: log.warning("server: %s: %s", message.about, message.reason),
    }


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
