"""New versions of the agent itself: offered by the server, believed for the release key's signature only.

Fetched into the free slot, tested there, put on trial by the launcher when nobody is being helped, confirmed after a
while of healthy connection. What fails on the way is told the server, and the version in force goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import platform
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from . import __version__
from .authorise import Decision, ReleaseRequest, Request
from .protocol.messages import Message
from .protocol.releases import (
    ReleaseManifest,
    ReleaseOffer,
    ReleaseQuery,
    ReleaseReport,
    ReleaseState,
    read_manifest,
    refusal,
)
from .protocol.wire import WireError
from .release_key import ReleaseKey
from .settings import Settings
from .slots import BadRelease, Slots
from .web import opened

log = logging.getLogger(__name__)
FETCH_SECONDS = 300.0
TEST_SECONDS = 90.0
IDLE_EVERY = 5.0


class Host(Protocol):
    """What the running agent is to its updates."""

    settings: Settings
    send: Callable[[Message], None]

    @property
    def idle(self) -> bool: ...

    def decide(self, request: Request) -> Decision: ...

    def restart(self, why: str) -> None: ...


class Refused(Exception):
    """The release is not installed; the text says why."""


class Updates:
    """``slots`` is None where somebody else keeps the agent up to date: then nothing is asked and nothing is taken."""

    def __init__(self, host: Host, server: str, slots: Slots | None) -> None:
        self._host = host
        self._server = server
        self._slots = slots
        self._offers: asyncio.Queue[ReleaseOffer] = asyncio.Queue(1)

    def offered(self, offer: ReleaseOffer) -> None:
        if not self._offers.full():
            self._offers.put_nowait(offer)

    async def attend(self) -> None:
        """Runs as long as one connection to the server; never ends by itself."""
        slots = self._slots
        if slots is None:
            await asyncio.Event().wait()
            return
        if slots.on_trial:
            await self._prove(slots)
        while True:
            self._tell_outcome(slots)
            self._host.send(ReleaseQuery(counter=slots.counter))
            try:
                async with asyncio.timeout(self._host.settings.releases_every):
                    offer = await self._offers.get()
            except TimeoutError:
                continue
            await self._consider(slots, offer)

    async def _prove(self, slots: Slots) -> None:
        """Staying connected is the proof; who is cut off before begins anew with the next connection."""
        trial = slots.state["trial"]
        self._host.send(ReleaseReport(counter=int(trial["counter"]), state=ReleaseState.TRIAL))
        await asyncio.sleep(self._host.settings.healthy_after)
        counter = await asyncio.to_thread(slots.confirm)
        log.info("release %s (version %s) is confirmed", counter, __version__)

    def _tell_outcome(self, slots: Slots) -> None:
        outcome = slots.outcome()
        if outcome:
            counter, state, reason = outcome
            self._host.send(ReleaseReport(counter=counter, state=ReleaseState(state), reason=reason))
            with contextlib.suppress(OSError):  # a full disk: it is told again
                slots.told()

    async def _consider(self, slots: Slots, offer: ReleaseOffer) -> None:
        try:
            manifest = read_manifest(offer.manifest)
        except WireError as fault:
            log.warning("a release that cannot be read: %s", fault)
            return
        try:
            await self._install(slots, offer, manifest)
        except (Refused, BadRelease, OSError, TimeoutError) as fault:
            reason = (str(fault) or type(fault).__name__)[:500]
            log.warning("release %s is not installed: %s", manifest.counter, reason)
            self._host.send(ReleaseReport(counter=manifest.counter, state=ReleaseState.REFUSED, reason=reason))
            await asyncio.sleep(self._host.settings.releases_every)

    async def _install(self, slots: Slots, offer: ReleaseOffer, manifest: ReleaseManifest) -> None:
        decision = self._host.decide(self._request(slots, offer, manifest))
        if not decision.allowed:
            raise Refused(decision.reason)
        content = await asyncio.to_thread(fetch, self._server, manifest)
        slot = await asyncio.to_thread(slots.fill, content)
        await self._test(slots, slot, manifest)
        await self._until_idle()
        slots.take(manifest)
        slots.put_on_trial(slot, manifest)
        self._host.restart(f"release {manifest.counter}: version {manifest.version} is tried")

    def _request(self, slots: Slots, offer: ReleaseOffer, manifest: ReleaseManifest) -> ReleaseRequest:
        key = ReleaseKey.load(self._host.settings.folder)
        against = refusal(
            manifest,
            running=__version__,
            counter=slots.counter,
            python=platform.python_version(),
            now=datetime.now(UTC),
        )
        signed = key is not None and key.signed(offer.manifest, offer.signature)
        return ReleaseRequest(manifest=manifest, pinned=key is not None, signed=signed, against=against)

    async def _test(self, slots: Slots, slot: str, manifest: ReleaseManifest) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", str(slots.launcher), "--slot", slot, "self-test", "--expect", manifest.version,
            "--state-dir", str(self._host.settings.folder),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            async with asyncio.timeout(TEST_SECONDS):
                _, said = await process.communicate()
        except TimeoutError:
            raise Refused("its self-test did not end") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            last = said.decode("utf-8", "replace").strip().splitlines()[-1:]
            raise Refused(f"its self-test failed: {' '.join(last)}")

    async def _until_idle(self) -> None:
        idle = self._host.idle
        while not idle:
            await asyncio.sleep(IDLE_EVERY)
            idle = self._host.idle


def fetch(server: str, manifest: ReleaseManifest) -> bytes:
    """The file that the manifest describes, to the byte. Raises :class:`Refused`, ``OSError``."""
    address = f"{server}/agent/releases/{manifest.sha256.hex()}"
    import urllib.request  # large, and used once in a while

    request = urllib.request.Request(address, headers={"User-Agent": "compagnon-agent"})  # noqa: S310 - as enrolled
    try:
        with opened(request, FETCH_SECONDS) as answer:
            content: bytes = answer.read(manifest.size + 1)
    except ValueError as fault:
        raise Refused(f"the file cannot be fetched: {fault}") from None
    if len(content) != manifest.size or hashlib.sha256(content).digest() != manifest.sha256:
        raise Refused(f"the file is not the one that was signed ({len(content)} of {manifest.size} bytes)")
    return content
