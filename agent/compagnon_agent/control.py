"""The control connection: dialled for ever, with full jitter between failures; heartbeats, facts, answers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime

from websockets.exceptions import WebSocketException

from .agent import CAPABILITIES, Agent
from .connection import Connection
from .facts import collect, likeness
from .link import (
    PROTOCOL_ERROR,
    SILENT,
    Backoff,
    Handshake,
    Untrusted,
    dial,
    receive,
    refused,
    retry_after,
    shake_hands,
    why_closed,
)
from .protocol import messages
from .protocol.messages import (
    HEARTBEAT,
    SILENCE,
    Facts,
    FactsRequest,
    Heartbeat,
    KeyChanged,
    Message,
    Pending,
    Revoked,
    Successor,
    Welcome,
    encode,
)
from .protocol.signing import CONTROL
from .protocol.wire import WireError
from .rotation import Rotation
from .signer import apart
from .tasks import first_of

log = logging.getLogger(__name__)

IN_FLIGHT = 8
"""Messages of the queue that may wait to be acknowledged."""

BURST = 40
PACE = 0.25
"""Seconds between two messages of the queue, after the first :data:`BURST` of a connection: the server's patience."""

OUTGOING = 256
"""Messages that may wait to be sent before the connection is given up."""

POLICY_EVERY = 5.0


class Stopped(Exception):
    """The server has revoked this machine: there is nothing left to do."""


@dataclass(slots=True)
class Status:
    """For ``compagnon-agent status``."""

    state: str = "connecting"
    since: datetime | None = None
    trouble: str = ""


class Control:
    """``run`` never returns but by :class:`Stopped` or cancellation; everything that can fail is in ``_once``."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._backoff = Backoff(agent.settings.backoff_base, agent.settings.backoff_cap)
        self._outgoing: asyncio.Queue[Message] | None = None
        self._facts_wanted = asyncio.Event()
        self._asked = False
        self._collected: datetime | None = None
        self.status = Status()
        self.rotation = Rotation(agent.identity, agent.audit, agent.outbox)
        self._told_record = ("", "")
        agent.send = self._send

    async def run(self) -> None:
        while True:
            asked = 0.0
            try:
                await self._once()
            except Untrusted as fault:
                self._failed("not trusted", str(fault))
                log.error("%s", fault)
                if fault.shown:
                    self.rotation.stranger(fault.shown)
            except (OSError, WebSocketException, WireError, TimeoutError, sqlite3.Error) as fault:
                self._failed("disconnected", why_closed(fault))
                log.info("%s", why_closed(fault))
                asked = retry_after(fault)
                if refused(fault):
                    self.rotation.refused()
            await asyncio.sleep(self._backoff.pause(asked))

    def rotate_key(self) -> bool:
        """Make a new key for this machine; False while there is no connection (it is made at the next one)."""
        return self._outgoing is not None and self._agent.begin(self._change_key())

    async def _change_key(self) -> None:
        self._send(await self.rotation.change())

    def _failed(self, state: str, trouble: str) -> None:
        self.status = Status(state=state, since=datetime.now(UTC), trouble=trouble)

    def _send(self, message: Message) -> None:
        """Without a connection it is left out: what must not be lost is in the store and sent after ``welcome``."""
        if self._outgoing is None:
            return
        try:
            self._outgoing.put_nowait(message)
        except asyncio.QueueFull:
            log.warning("the server reads too slowly: %s is left out", message.TYPE)

    async def _once(self) -> None:
        identity = self._agent.identity
        async with dial(identity, "/agent/control") as socket:
            async with apart(identity.folder) as signer:
                handshake, verdict = await shake_hands(
                    socket,
                    identity,
                    CONTROL,
                    CAPABILITIES,
                    schedule=self._agent.scheduled.digest,
                    signer=signer,
                    key_file=self.rotation.file,
                )
            self._judge(verdict)
            self.rotation.met(handshake.server_key)
            outgoing: asyncio.Queue[Message] = asyncio.Queue(OUTGOING)
            serving = asyncio.Event()
            if isinstance(verdict, Welcome):
                self._welcome(outgoing, serving)
            try:
                await first_of(
                    self._read(socket, handshake, outgoing, serving),
                    self._write(socket, outgoing),
                    self._beat(outgoing),
                    self._report(outgoing, serving),
                    self._report_facts(serving),
                    self._watch_policy(serving),
                    self._attend_updates(serving),
                )
            finally:
                self._outgoing = None

    def _judge(self, verdict: Message) -> None:
        if isinstance(verdict, Revoked):
            self._agent.store.withdraw_all()
            raise Stopped(verdict.reason)
        state = "connected" if isinstance(verdict, Welcome) else "waiting for approval"
        self.status = Status(state=state, since=datetime.now(UTC))
        log.info("%s: %s", self._agent.identity.server, state)
        if isinstance(verdict, Welcome):
            self._agent.cooperative = verdict.cooperative

    def _welcome(self, outgoing: asyncio.Queue[Message], serving: asyncio.Event) -> None:
        self._backoff.reset()
        self._outgoing = outgoing
        self.rotation.accepted()
        if self.rotation.wanted:
            self._agent.begin(self._change_key())
        policy = self._agent.policy_report()
        self._agent.outbox.put(policy, likeness=encode(policy) + self._today())
        serving.set()

    async def _read(
        self, socket: Connection, handshake: Handshake, outgoing: asyncio.Queue[Message], serving: asyncio.Event
    ) -> None:
        while True:
            try:
                async with asyncio.timeout(SILENCE):
                    message = await receive(socket)
            except TimeoutError:
                await socket.close(SILENT, "silent")
                raise
            except WireError as fault:
                await socket.send(encode(messages.Problem(about="message", reason=str(fault)[:500])))
                await socket.close(PROTOCOL_ERROR, "malformed message")
                raise
            if isinstance(message, Welcome | Pending | Revoked):
                async with apart(self._agent.identity.folder) as signer:
                    await handshake.verify(message, signer)
                self._judge(message)
                if isinstance(message, Welcome) and not serving.is_set():
                    self._welcome(outgoing, serving)
            elif isinstance(message, FactsRequest):
                self._asked = True
                self._facts_wanted.set()
            elif isinstance(message, Successor):
                self._agent.begin(self.rotation.announced(message))
            elif isinstance(message, KeyChanged):
                self.rotation.changed()
            elif serving.is_set():
                self._agent.handle(message)

    async def _write(self, socket: Connection, outgoing: asyncio.Queue[Message]) -> None:
        while True:
            message = await outgoing.get()
            if isinstance(message, Heartbeat):
                await socket.send("")
                continue
            try:
                text = encode(message)
            except WireError as fault:
                log.error("not sent: %s", fault)
                continue
            await socket.send(text)

    async def _beat(self, outgoing: asyncio.Queue[Message]) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT)
            await outgoing.put(Heartbeat())

    async def _report(self, outgoing: asyncio.Queue[Message], serving: asyncio.Event) -> None:
        """Journalled results first, then the queue: in order, a few at a time, never faster than the server likes."""
        await serving.wait()
        for result in self._agent.store.pending():
            await outgoing.put(result)
        outbox, sent, count, waiting = self._agent.outbox, 0, 0, set[int]()
        while True:
            outbox.news.clear()
            waiting &= outbox.waiting()
            batch = outbox.after(sent, IN_FLIGHT - len(waiting)) if len(waiting) < IN_FLIGHT else ()
            for item in batch:
                await outgoing.put(item)
                sent, count = item.number, count + 1
                waiting.add(item.number)
                await asyncio.sleep(PACE if count > BURST else 0)
            if not batch:
                await outbox.news.wait()

    async def _report_facts(self, serving: asyncio.Event) -> None:
        """Collected when the server asks and from time to time; told when they are others than before."""
        await serving.wait()
        clock = self._agent.clock
        while True:
            stale = self._collected is None or clock.age(self._collected) >= self._agent.settings.facts_every
            facts = None
            if stale or self._facts_wanted.is_set():
                self._facts_wanted.clear()
                facts = await collect(self._agent.settings.root_note)
                self._collected = clock.now()
            if facts is not None:
                found = Facts(collected=clock.now(), facts=facts)
                self._agent.outbox.put(found, likeness=likeness(facts, self._wanted()))
            self._tell_record()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._agent.settings.facts_every):
                    await self._facts_wanted.wait()

    def _tell_record(self) -> None:
        """Not through the queue: only how it is now counts, and a store that was put back might not deliver it."""
        audit = self._agent.audit
        if self._told_record != (audit.head, self._today()):
            self._send(messages.AuditHead(head=audit.head, number=audit.number))
            self._told_record = (audit.head, self._today())

    async def _attend_updates(self, serving: asyncio.Event) -> None:
        await serving.wait()
        await self._agent.updates.attend()

    def _wanted(self) -> str:
        """Facts that were asked for are told although they are much the same as the last ones."""
        asked, self._asked = self._asked, False
        return secrets.token_hex(8) if asked else self._today()

    def _today(self) -> str:
        """Everything is told again once a day, whether or not the server should still know it."""
        return str(self._agent.clock.now().date())

    async def _watch_policy(self, serving: asyncio.Event) -> None:
        """The machine's page shows the policy as it is now, not as it was at the last request."""
        await serving.wait()
        while True:
            await asyncio.sleep(POLICY_EVERY)
            self._agent.reload_policy()
