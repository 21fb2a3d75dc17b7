"""Members, roles, skills and sign-ins; pure rules."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from compagnon.errors import Invalid

LOCALES = ("fr", "en")
THEMES = ("auto", "light", "dark")
LEVELS = (1, 2, 3)
NAME_LIMIT = 120
EMAIL_LIMIT = 254  # RFC 5321 §4.5.3.1.3
PHONE_LIMIT = 40
PASSWORD_MINIMUM = 12  # characters; ASVS 5.0 §6.2.1 asks for 8 and recommends more
PASSWORD_LIMIT = 256  # ASVS 5.0 §6.2.9: at least 64 must be allowed; a bound keeps hashing cheap
PASSWORD_DISTINCT = 5

EMAIL = re.compile(r"[^@\s,;<>\"']{1,64}@[^@\s,;<>\"']{1,189}")
PHONE = re.compile(r"[0-9+().\-/\s]*")
SKILL = re.compile(r"[a-z][a-z0-9-]{1,39}")
DEPARTEMENT = re.compile(r"(0[1-9]|[1-8][0-9]|9[0-5]|2A|2B|97[1-6]|98[4-8])")


class Role(StrEnum):
    """Ordered: each role may do what the ones before it may."""

    MEMBER = "member"
    REVIEWER = "reviewer"
    ADMINISTRATOR = "administrator"

    def covers(self, other: Role) -> bool:
        """Whether someone of this role may do what needs ``other``."""
        order = tuple(Role)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member of the co-operative. ``available`` holds now; at ``available_until`` it turns over by itself."""

    id: int
    email: str
    name: str
    role: Role
    locale: str
    theme: str
    departements: tuple[str, ...]
    available: bool
    available_until: datetime | None
    active: bool
    phone: str

    def __post_init__(self) -> None:  # rows come from PostgreSQL as text and lists
        object.__setattr__(self, "role", Role(self.role))
        object.__setattr__(self, "departements", tuple(self.departements))

    @property
    def initials(self) -> str:
        words = self.name.split() or ["?"]
        return "".join(word[0] for word in (words[0], *words[1:][-1:])).upper()


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """What a member can do. ``name`` is a slug ("impression"), ``level`` 1 (knows), 2 (masters) or 3 (teaches)."""

    name: str
    level: int
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillName:
    """A skill of the co-operative's list."""

    name: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SkilledMember:
    member: Member
    level: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """One signed-in browser. ``id`` names it in lists; the token itself is never kept."""

    id: int
    member_id: int
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    address: str
    browser: str


def check_email(raw: str) -> str:
    """The address in lower case. Raises Invalid(field="email")."""
    email = unicodedata.normalize("NFC", raw).strip().lower()
    if len(email) > EMAIL_LIMIT or not EMAIL.fullmatch(email):
        raise Invalid("“{email}” is not an e-mail address.", field="email", email=email[:80])
    return email


def check_name(raw: str, *, field: str = "name") -> str:
    name = " ".join(unicodedata.normalize("NFC", raw).split())
    if not name:
        raise Invalid("Please give a name.", field=field)
    if len(name) > NAME_LIMIT or not name.isprintable():
        raise Invalid("The name is too long or holds characters that cannot be shown.", field=field)
    return name


def check_phone(raw: str, *, field: str = "phone") -> str:
    phone = " ".join(raw.split())
    if len(phone) > PHONE_LIMIT or not PHONE.fullmatch(phone):
        raise Invalid("“{phone}” is not a phone number.", field=field, phone=phone[:40])
    return phone


def check_departements(raw: Collection[str]) -> tuple[str, ...]:
    """Codes such as 35, 2A or 974, sorted, without doubles. Raises Invalid(field="departements")."""
    codes = sorted({code.strip().upper() for code in raw if code.strip()})
    for code in codes:
        if not DEPARTEMENT.fullmatch(code):
            raise Invalid(
                "“{code}” is not a département (such as 35, 2A or 974).", field="departements", code=code[:10]
            )
    if len(codes) > 20:
        raise Invalid("Please choose 20 départements at most.", field="departements")
    return tuple(codes)


def check_skill(name: str, level: int) -> tuple[str, int]:
    slug = name.strip().lower()
    if not SKILL.fullmatch(slug):
        raise Invalid("“{name}” is not a skill's name.", field="skills", name=name[:40])
    if level not in LEVELS:
        raise Invalid("A skill's level is 1, 2 or 3.", field="skills")
    return slug, level


def check_password(raw: str, *, about: Collection[str] = ()) -> str:
    """A new password as it will be hashed (NFC). ``about``: words it must not consist of (name, address, co-operative).

    Length and no composition rules: ASVS 5.0 §6.2.1 to §6.2.5. Raises Invalid(field="password").
    """
    password = unicodedata.normalize("NFC", raw)
    if len(password) < PASSWORD_MINIMUM:
        raise Invalid(
            "A password needs {minimum} characters or more: four words are easy to remember.",
            field="password",
            minimum=PASSWORD_MINIMUM,
        )
    if len(password) > PASSWORD_LIMIT:
        raise Invalid("A password has {limit} characters at most.", field="password", limit=PASSWORD_LIMIT)
    rest = password.casefold()
    for word in about:
        rest = rest.replace(word.casefold(), "") if len(word) >= 4 else rest
    if len(set(rest)) < PASSWORD_DISTINCT:
        raise Invalid("This password is too easy to guess: please choose another.", field="password")
    return password
