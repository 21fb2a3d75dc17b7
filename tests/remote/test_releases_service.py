"""Releases on the server: who may publish what, to which share of the machines, and what the machines say."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from compagnon.audit import Actor
from compagnon.directory.model import ClientKind
from compagnon.errors import Conflict, Forbidden, Invalid, NotFound
from compagnon_agent.protocol.releases import (
    ReleaseManifest,
    ReleaseReport,
    ReleaseState,
    place,
    release_proof,
    write_manifest,
)
from remote.machines.model import EnrolRequest
from remote.releases.model import RolloutState, Signed

CONTENT = b"the file of a release"


@pytest.fixture
def releases(services):
    return services.remote.releases


@pytest.fixture
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


def signed(key: Ed25519PrivateKey, *, content: bytes = CONTENT, **fields) -> Signed:
    given = {
        "version": "1.2.3",
        "counter": 1,
        "sha256": hashlib.sha256(content).digest(),
        "size": len(content),
        "minimum": "0.1.0",
        "expires": datetime.now(UTC) + timedelta(days=30),
    }
    source = write_manifest(ReleaseManifest(**{**given, **fields}))
    return Signed(manifest=source, signature=key.sign(release_proof(source)))


async def trusted(releases, cast, key):
    await releases.trust(cast.ada, key.public_key().public_bytes_raw())


async def machine(services, cast, name: str):
    kernel, machines = services.kernel, services.remote.machines
    client = await kernel.directory.add_client(
        kind=ClientKind.COMPANY, name=f"Client {name}", actor=Actor.member(cast.alice.id), phones=(), sites=()
    )
    offer = await machines.offer(cast.alice, client.id)
    public = hashlib.sha256(name.encode()).digest()
    found = await machines.enrol(
        EnrolRequest(code=offer.code, public_key=public, hostname=name, os="Debian", version="0.1.0"), "127.0.0.1"
    )
    return await machines.approve(cast.ada, found.id, name=name, site_id=None, environment=None)


async def test_a_signed_release_is_published_and_offered_to_its_share(services, releases, cast, key):
    await trusted(releases, cast, key)
    given = signed(key)
    release_id = await releases.publish(cast.ada, given, CONTENT, share=25)
    release = await releases.get(release_id)
    assert (release.version, release.counter, release.share, release.state) == (
        "1.2.3",
        1,
        25,
        RolloutState.PUBLISHED,
    )
    lucky = next(number for number in range(1, 1000) if place(number, 1) < 25)
    unlucky = next(number for number in range(1, 1000) if place(number, 1) >= 25)
    offer = await releases.offer(lucky, 0)
    assert (offer.manifest, offer.signature) == (given.manifest, given.signature)
    assert await releases.offer(unlucky, 0) is None
    assert await releases.offer(lucky, 1) is None, "what was taken once is not offered again"
    assert await releases.file(hashlib.sha256(CONTENT).hexdigest()) == CONTENT

    await releases.roll_out(cast.ada, release, state=RolloutState.PAUSED, share=25)
    assert await releases.offer(lucky, 0) is None
    with pytest.raises(NotFound):
        await releases.file(hashlib.sha256(CONTENT).hexdigest())
    paused = await releases.get(release_id)
    await releases.roll_out(cast.ada, paused, state=RolloutState.PUBLISHED, share=100)
    assert await releases.offer(unlucky, 0) is not None


async def test_who_is_outside_the_newest_share_gets_the_release_before(releases, cast, key):
    await trusted(releases, cast, key)
    await releases.publish(cast.ada, signed(key), CONTENT, share=100)
    await releases.publish(cast.ada, signed(key, counter=2, version="1.2.4"), CONTENT, share=1)
    outside = next(number for number in range(1, 1000) if place(number, 2) >= 1)
    inside = next(number for number in range(1, 5000) if place(number, 2) < 1)
    assert '"counter":1' in (await releases.offer(outside, 0)).manifest
    assert '"counter":2' in (await releases.offer(inside, 0)).manifest
    assert '"counter":2' in (await releases.offer(inside, 1)).manifest


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"by": "another"}, "manifest"),
        ({"content": b"another file"}, "file"),
        ({"expires": datetime(2020, 1, 1, tzinfo=UTC)}, "manifest"),
        ({"counter": 4}, "manifest"),
        ({"counter": 5}, "manifest"),
        ({"text": "{}"}, "manifest"),
        ({"text": "[" * 3000}, "manifest"),
    ],
)
async def test_what_is_not_right_is_not_published(releases, cast, key, change, field):
    await trusted(releases, cast, key)
    await releases.publish(cast.ada, signed(key, counter=5), CONTENT, share=5)
    given = dict(change)
    by = Ed25519PrivateKey.generate() if given.pop("by", "") else key
    content = given.pop("content", CONTENT)
    wrong = signed(by, **{"counter": 6, **{name: value for name, value in given.items() if name != "text"}})
    if "text" in given:
        wrong = Signed(manifest=given["text"], signature=key.sign(release_proof(given["text"])))
    with pytest.raises(Invalid) as fault:
        await releases.publish(cast.ada, wrong, content, share=5)
    assert fault.value.field == field
    assert len(await releases.listed()) == 1


async def test_without_a_key_nothing_is_published_and_only_administrators_may(releases, cast, key):
    with pytest.raises(Invalid, match="no release key"):
        await releases.publish(cast.ada, signed(key), CONTENT, share=5)
    for member in (cast.alice, cast.chloe):
        with pytest.raises(Forbidden):
            await releases.trust(member, bytes(32))
        with pytest.raises(Forbidden):
            await releases.publish(member, signed(key), CONTENT, share=5)
    await trusted(releases, cast, key)
    release = await releases.get(await releases.publish(cast.ada, signed(key), CONTENT, share=5))
    with pytest.raises(Forbidden):
        await releases.roll_out(cast.alice, release, state=RolloutState.PAUSED, share=5)


async def test_two_at_once_one_is_told(releases, cast, key):
    await trusted(releases, cast, key)
    seen = await releases.get(await releases.publish(cast.ada, signed(key), CONTENT, share=5))
    await releases.roll_out(cast.ada, seen, state=RolloutState.PAUSED, share=5)
    with pytest.raises(Conflict):
        await releases.roll_out(cast.ada, seen, state=RolloutState.PUBLISHED, share=100)
    assert (await releases.get(seen.id)).state is RolloutState.PAUSED


async def test_what_machines_say_is_kept_once_and_shown(services, releases, cast, key):
    await trusted(releases, cast, key)
    release_id = await releases.publish(cast.ada, signed(key, counter=3), CONTENT, share=100)
    first, second = await machine(services, cast, "un"), await machine(services, cast, "deux")
    for state in (ReleaseState.TRIAL, ReleaseState.CONFIRMED, ReleaseState.CONFIRMED):
        await releases.reported(first, ReleaseReport(counter=3, state=state))
    hostile = ReleaseReport(counter=3, state=ReleaseState.ROLLED_BACK, reason="<b>\x00" + "x" * 490)
    await releases.reported(second, hostile)
    await releases.reported(second, ReleaseReport(counter=99, state=ReleaseState.CONFIRMED))
    release = await releases.get(release_id)
    assert (release.trying, release.confirmed, release.rolled_back) == (0, 1, 1)
    outcomes = await releases.outcomes(release_id)
    assert [(one.machine_name, one.state) for one in outcomes] == [("deux", "rolled_back"), ("un", "confirmed")]
    history = [event.kind for event in await services.remote.machines.history(first.id)]
    assert history.count("release_confirmed") == 1
    assert [one.machines for one in await releases.versions()] == [2]


async def test_a_machine_cannot_fill_the_log(services, releases, cast, key):
    await trusted(releases, cast, key)
    await releases.publish(cast.ada, signed(key, counter=3), CONTENT, share=100)
    noisy = await machine(services, cast, "bruyant")
    for number in range(200):
        await releases.reported(noisy, ReleaseReport(counter=3, state=ReleaseState.REFUSED, reason=str(number)))
    assert len(await services.remote.machines.history(noisy.id, limit=500)) < 100
