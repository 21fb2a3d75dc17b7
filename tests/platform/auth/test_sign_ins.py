from __future__ import annotations

import asyncio
import time

import argon2.profiles
import pytest

from compagnon.audit import Actor
from compagnon.auth import attempts, passwords
from compagnon.auth.sign_ins import SignIns
from compagnon.errors import Forbidden, Invalid, TooMany
from compagnon.kernel import Kernel

PASSWORD = "correct horse battery"
PRODUCTION = passwords.HASHER  # the tests have a quicker one


@pytest.fixture
def sign_ins(bare: Kernel) -> SignIns:
    return SignIns(bare.db, bare.settings, bare.members)


async def age(bare: Kernel, column: str, interval: str) -> None:
    async with bare.db.connection() as conn:
        await conn.execute(f"UPDATE sign_ins SET {column} = now() - interval '{interval}'")


async def test_the_token_opens_and_is_not_kept(bare: Kernel, sign_ins: SignIns, people) -> None:
    opened = await sign_ins.sign_in(" Alice@Example.org", PASSWORD, address="10.0.0.1", browser="Fire\x00fox")
    found = await sign_ins.resolve(opened.token)
    assert found is not None
    assert found[0].id == people.alice.id
    assert (found[1].address, found[1].browser) == ("10.0.0.1", "Firefox")
    assert len(opened.token) >= 43  # 256 bits
    async with bare.db.connection() as conn:
        rows = await (await conn.execute("SELECT token_hash::text FROM sign_ins")).fetchall()
    assert opened.token.encode().hex() not in rows[0][0]


@pytest.mark.parametrize("token", ["", "x", "x" * 5000, "\x00"])
async def test_other_tokens_open_nothing(sign_ins: SignIns, token: str) -> None:
    assert await sign_ins.resolve(token) is None


async def test_a_wrong_password_an_unknown_and_a_closed_account_are_told_apart_by_nobody(
    bare: Kernel, sign_ins: SignIns, people
) -> None:
    await bare.members.set_active(people.chloe.id, False, actor=Actor.system())
    said = set()
    for email, password in (
        ("alice@example.org", "wrong"),
        ("nobody@example.org", PASSWORD),
        ("chloe@example.org", PASSWORD),
        ("x" * 300, PASSWORD),
        ("alice@example.org", "x" * 300),
    ):
        with pytest.raises(Forbidden) as refused:
            await sign_ins.sign_in(email, password)
        said.add(refused.value.message)
    assert len(said) == 1


async def test_an_unknown_account_costs_the_same_work(
    sign_ins: SignIns, people, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = []
    monkeypatch.setattr(passwords, "HASHER", Counting(passwords.HASHER, checked))
    for email in ("alice@example.org", "nobody@example.org"):
        with pytest.raises(Forbidden):
            await sign_ins.sign_in(email, "wrong")
    assert len(checked) == 2


class Counting:
    def __init__(self, real, checked) -> None:
        self.real, self.checked = real, checked

    def verify(self, known, password):
        self.checked.append(known)
        return self.real.verify(known, password)

    def __getattr__(self, name):
        return getattr(self.real, name)


async def test_five_wrong_passwords_close_the_door_for_this_address_only(
    bare: Kernel, sign_ins: SignIns, people
) -> None:
    for _ in range(attempts.PER_ACCOUNT_AND_ADDRESS):
        with pytest.raises(Forbidden):
            await sign_ins.sign_in("alice@example.org", "wrong", address="10.0.0.1")
    with pytest.raises(TooMany) as refused:
        await sign_ins.sign_in("alice@example.org", PASSWORD, address="10.0.0.1")
    assert 0 < refused.value.retry_after <= attempts.WINDOW
    await sign_ins.sign_in("alice@example.org", PASSWORD, address="10.0.0.2")
    async with bare.db.connection() as conn:
        await conn.execute("UPDATE sign_in_attempts SET at = at - interval '16 min'")
    await sign_ins.sign_in("alice@example.org", PASSWORD, address="10.0.0.1")


async def test_a_new_password_from_an_administrator_opens_the_door_at_once(
    bare: Kernel, sign_ins: SignIns, people
) -> None:
    for email in ("alice@example.org", "bruno@example.org"):
        for _ in range(attempts.PER_ACCOUNT_AND_ADDRESS):
            with pytest.raises(Forbidden):
                await sign_ins.sign_in(email, "wrong", address="10.0.0.1")
    await bare.members.reset_password(people.alice.id, "a quite new password", actor=Actor.system())
    await sign_ins.sign_in("alice@example.org", "a quite new password", address="10.0.0.1")
    with pytest.raises(TooMany):
        await sign_ins.sign_in("bruno@example.org", PASSWORD, address="10.0.0.1")


async def test_unknown_accounts_are_limited_alike(sign_ins: SignIns, people) -> None:
    for _ in range(attempts.PER_ACCOUNT_AND_ADDRESS):
        with pytest.raises(Forbidden):
            await sign_ins.sign_in("nobody@example.org", "wrong", address="10.0.0.1")
    with pytest.raises(TooMany):
        await sign_ins.sign_in("nobody@example.org", "wrong", address="10.0.0.1")


async def test_tries_at_the_same_time_are_all_counted(sign_ins: SignIns, people) -> None:
    tries = [sign_ins.sign_in("alice@example.org", "wrong", address="10.0.0.1") for _ in range(12)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(result, Forbidden) for result in results) == attempts.PER_ACCOUNT_AND_ADDRESS
    assert sum(isinstance(result, TooMany) for result in results) == 12 - attempts.PER_ACCOUNT_AND_ADDRESS


async def test_one_address_cannot_try_account_after_account(
    sign_ins: SignIns, people, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "PER_ADDRESS", 3)
    for number in range(3):
        with pytest.raises(Forbidden):
            await sign_ins.sign_in(f"m{number}@example.org", "wrong", address="10.0.0.9")
    with pytest.raises(TooMany):
        await sign_ins.sign_in("alice@example.org", PASSWORD, address="10.0.0.9")


async def test_a_right_password_forgets_the_wrong_ones(bare: Kernel, sign_ins: SignIns, people) -> None:
    for _ in range(3):
        for _ in range(attempts.PER_ACCOUNT_AND_ADDRESS - 1):
            with pytest.raises(Forbidden):
                await sign_ins.sign_in("alice@example.org", "wrong", address="10.0.0.1")
        await sign_ins.sign_in("alice@example.org", PASSWORD, address="10.0.0.1")


async def test_the_table_of_tries_names_nobody(bare: Kernel, sign_ins: SignIns, people) -> None:
    with pytest.raises(Forbidden):
        await sign_ins.sign_in("alice@example.org", "wrong", address="10.0.0.1")
    async with bare.db.connection() as conn:
        rows = await (await conn.execute("SELECT sign_in_attempts::text FROM sign_in_attempts")).fetchall()
    assert len(rows) == 3
    assert "alice" not in str(rows)


async def test_signing_in_replaces_what_the_browser_held(sign_ins: SignIns, people) -> None:
    first = await sign_ins.sign_in("alice@example.org", PASSWORD)
    second = await sign_ins.sign_in("alice@example.org", PASSWORD, replaces=first.token)
    assert first.token != second.token
    assert await sign_ins.resolve(first.token) is None
    assert await sign_ins.resolve(second.token)


async def test_sign_in_ends_when_idle_and_in_any_case(bare: Kernel, sign_ins: SignIns, people) -> None:
    token = await sign_ins.open(people.alice.id)
    await age(bare, "last_seen_at", f"{bare.settings.session_idle_minutes - 1} min")
    assert await sign_ins.resolve(token)  # and is fresh again
    await age(bare, "last_seen_at", f"{bare.settings.session_idle_minutes + 1} min")
    assert await sign_ins.resolve(token) is None
    token = await sign_ins.open(people.alice.id)
    await age(bare, "expires_at", "1 s")
    assert await sign_ins.resolve(token) is None


async def test_signing_out(bare: Kernel, sign_ins: SignIns, people, audited) -> None:
    here, there = await sign_ins.open(people.alice.id), await sign_ins.open(people.alice.id)
    other = await sign_ins.open(people.ada.id)
    await sign_ins.sign_out(here)
    assert await sign_ins.resolve(here) is None
    assert await sign_ins.resolve(there)
    await sign_ins.open(people.alice.id)
    assert await sign_ins.sign_out_everywhere(people.alice.id) == 2
    assert await sign_ins.resolve(there) is None
    assert await sign_ins.resolve(other)
    assert (await audited())[-1] == "member.signed_out_everywhere"


async def test_confirming_the_password_is_limited_too(bare: Kernel, people) -> None:
    await bare.members.confirm_password(people.alice, PASSWORD)
    for _ in range(attempts.PER_ACCOUNT_AND_ADDRESS):
        with pytest.raises(Invalid) as refused:
            await bare.members.confirm_password(people.alice, "wrong")
        assert refused.value.field == "password"
    with pytest.raises(TooMany):
        await bare.members.confirm_password(people.alice, PASSWORD)


async def test_a_new_password_signs_out_everywhere(bare: Kernel, sign_ins: SignIns, people) -> None:
    token = await sign_ins.open(people.alice.id)
    with pytest.raises(Invalid):
        await bare.members.change_password(people.alice, PASSWORD, PASSWORD)
    await bare.members.change_password(people.alice, PASSWORD, "a quite new password")
    assert await sign_ins.resolve(token) is None
    await sign_ins.sign_in("alice@example.org", "a quite new password")


async def test_weaker_hashes_are_renewed_at_sign_in(bare: Kernel, sign_ins: SignIns, people, monkeypatch) -> None:
    from argon2 import PasswordHasher

    stronger = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
    monkeypatch.setattr(passwords, "HASHER", stronger)
    await sign_ins.sign_in("alice@example.org", PASSWORD)
    async with bare.db.connection() as conn:
        row = await (await conn.execute("SELECT password_hash FROM members WHERE email LIKE 'alice%'")).fetchone()
    assert row is not None
    assert not stronger.check_needs_rehash(row[0])


async def test_hashing_does_not_stop_the_server(people) -> None:
    """The event loop goes on while production's parameters hash in a thread."""
    from argon2 import PasswordHasher

    longest, running = 0.0, True

    async def watch() -> None:
        nonlocal longest
        while running:
            before = time.monotonic()
            await asyncio.sleep(0.001)
            longest = max(longest, time.monotonic() - before)

    slow = PasswordHasher(time_cost=12)
    watching = asyncio.create_task(watch())
    started = time.monotonic()
    await asyncio.to_thread(slow.hash, "x")
    took = time.monotonic() - started
    running = False
    await watching
    assert longest < took / 2


def test_production_hashes_as_rfc_9106_recommends() -> None:
    recommended = argon2.profiles.RFC_9106_LOW_MEMORY
    assert PRODUCTION.type is argon2.Type.ID
    assert (PRODUCTION.time_cost, PRODUCTION.memory_cost, PRODUCTION.parallelism) == (
        recommended.time_cost,
        recommended.memory_cost,
        recommended.parallelism,
    )
