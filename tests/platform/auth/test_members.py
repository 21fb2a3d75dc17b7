from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from compagnon.audit import Actor
from compagnon.auth.model import Role
from compagnon.auth.sign_ins import SignIns
from compagnon.errors import Conflict, Invalid, NotFound
from compagnon.kernel import Kernel

PASSWORD = "correct horse battery"
SYSTEM = Actor.system()


def changed(member, **more):
    values = {
        "email": member.email,
        "name": member.name,
        "role": member.role,
        "phone": member.phone,
        "departements": member.departements,
        "skills": {},
        "actor": SYSTEM,
    }
    return {**values, **more}


async def test_a_member_is_created_with_skills_and_departements(bare: Kernel, audited) -> None:
    made = await bare.members.create(
        email=" Bruno@Example.ORG ",
        name=" Bruno   Leroy ",
        password=PASSWORD,
        departements=["2a", "35", "35"],
        skills={"impression": 3, "nouveau-metier": 1},
    )
    assert (made.email, made.name, made.departements) == ("bruno@example.org", "Bruno Leroy", ("2A", "35"))
    assert made.available
    skills = await bare.members.skills(made.id)
    assert [(skill.name, skill.level, skill.label) for skill in skills] == [
        ("impression", 3, "Impression"),
        ("nouveau-metier", 1, "Nouveau metier"),
    ]
    assert await audited() == ["member.created"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "no address"),
        ("email", "a@b@c"),
        ("name", "  "),
        ("name", "x" * 121),
        ("phone", "call me"),
        ("departements", ["99"]),
        ("skills", {"Not a slug!": 1}),
        ("skills", {"impression": 4}),
        ("locale", "de"),
        ("password", "short"),
        ("password", "x" * 300),
        ("password", "aaaaaaaaaaaaaa"),
        ("password", "alice@example.org"),
    ],
)
async def test_bad_values_are_refused_by_field(bare: Kernel, field: str, value: object) -> None:
    values = {"email": "alice@example.org", "name": "Alice Martin", "password": PASSWORD, field: value}
    with pytest.raises(Invalid) as refused:
        await bare.members.create(**values)
    assert refused.value.field == field


async def test_an_address_belongs_to_one_member(bare: Kernel, people) -> None:
    with pytest.raises(Conflict):
        await bare.members.create(email="ALICE@example.org", name="Other", password=PASSWORD)
    with pytest.raises(Conflict):
        await bare.members.update(people.chloe.id, **changed(people.chloe, email="alice@example.org"))


async def test_finding_by_fragment_ignores_accents_and_wildcards(bare: Kernel, people) -> None:
    async def find(fragment: str) -> list[str]:
        return [one.name for one in await bare.members.find(fragment, reader=people.alice.id)]

    assert await find("CHLOE") == ["Chloé Petit"]
    assert await find("ada@") == ["Ada Bernard"]
    assert await find("%") == []
    assert await find("_") == []
    assert await find("\x00x\\") == []


async def test_by_skill_puts_the_most_skilled_and_then_the_available_first(bare: Kernel, people) -> None:
    members = bare.members
    for name, level in (("Bruno", 3), ("Denis", 3), ("Eva", 1)):
        await members.create(email=f"{name}@x.org", name=name, password=PASSWORD, skills={"impression": level})
    bruno = (await members.find("bruno", reader=people.alice.id))[0]
    await members.set_availability(bruno.id, False)
    found = await members.by_skill("impression", level=2)
    assert [(one.member.name, one.level) for one in found] == [("Denis", 3), ("Bruno", 3), ("Alice Martin", 2)]


async def test_availability_turns_over_by_itself(bare: Kernel, people) -> None:
    members, alice = bare.members, people.alice.id
    until = datetime.now(UTC) + timedelta(hours=1)
    await members.set_availability(alice, False, until)
    away = await members.get(alice)
    assert (away.available, away.available_until) == (False, until)
    async with bare.db.connection() as conn:
        await conn.execute("UPDATE members SET available_until = now() - interval '1 s'")
    back = await members.get(alice)
    assert (back.available, back.available_until) == (True, None)


@pytest.mark.parametrize("delta", [timedelta(seconds=-1), timedelta(days=400)])
async def test_availability_ends_in_the_near_future(bare: Kernel, people, delta: timedelta) -> None:
    with pytest.raises(Invalid):
        await bare.members.set_availability(people.alice.id, False, datetime.now(UTC) + delta)


async def test_a_new_role_signs_out_everywhere(bare: Kernel, people) -> None:
    sign_ins = SignIns(bare.db, bare.settings, bare.members)
    token = await sign_ins.open(people.alice.id)
    await bare.members.update(people.alice.id, **changed(people.alice, name="Alice M."))
    assert await sign_ins.resolve(token)
    await bare.members.update(people.alice.id, **changed(people.alice, role=Role.REVIEWER))
    assert await sign_ins.resolve(token) is None


async def test_the_last_administrator_stays(bare: Kernel, people) -> None:
    with pytest.raises(Conflict):
        await bare.members.update(people.ada.id, **changed(people.ada, role=Role.MEMBER))
    with pytest.raises(Conflict):
        await bare.members.set_active(people.ada.id, False, actor=SYSTEM)
    await bare.members.update(people.alice.id, **changed(people.alice, role=Role.ADMINISTRATOR))
    await bare.members.set_active(people.ada.id, False, actor=SYSTEM)


async def test_who_is_kept_out_is_signed_out_and_not_proposed(bare: Kernel, people) -> None:
    sign_ins = SignIns(bare.db, bare.settings, bare.members)
    token = await sign_ins.open(people.alice.id)
    await bare.members.set_active(people.alice.id, False, actor=SYSTEM)
    assert await sign_ins.resolve(token) is None
    assert await bare.members.by_skill("impression") == []
    assert not (await bare.members.get(people.alice.id)).available
    with pytest.raises(Conflict):
        await bare.members.set_active(people.alice.id, False, actor=SYSTEM)


async def test_an_unknown_member_is_not_found(bare: Kernel) -> None:
    with pytest.raises(NotFound):
        await bare.members.get(404)


async def test_roles_are_ordered() -> None:
    assert Role.ADMINISTRATOR.covers(Role.REVIEWER)
    assert Role.REVIEWER.covers(Role.REVIEWER)
    assert not Role.MEMBER.covers(Role.REVIEWER)


async def test_pages_know_what_skills_are_called_from_the_start(server, cast):
    from compagnon.auth import skill_words
    from compagnon.i18n import use_locale

    with use_locale("fr"):
        assert (skill_words.label("reseau"), skill_words.label("unheard-of")) == ("Réseau", "unheard-of")
