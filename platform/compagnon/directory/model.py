"""Clients, sites, contacts, phones and mails; how a search is understood. Pure rules."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from compagnon.auth.model import DEPARTEMENT, EMAIL, EMAIL_LIMIT
from compagnon.errors import Invalid

NAME_LIMIT = 200
NOTES_LIMIT = 10_000
PHONE = re.compile(r"\+?[0-9][0-9 ().\-/]*")
POSTCODE = re.compile(r"[0-9A-Z][0-9A-Z \-]{1,11}")
TERMS_LIMIT = 5
FRAGMENT_LIMIT = 100


class ClientKind(StrEnum):
    COMPANY = "company"
    PERSON = "person"


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    id: int
    kind: ClientKind
    name: str
    notes: str
    active: bool
    created_at: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", ClientKind(self.kind))


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    id: int
    client_id: int
    label: str
    address: str
    postcode: str
    town: str
    departement: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """A person at the client's. ``job`` is what they do there."""

    id: int
    client_id: int
    name: str
    job: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Phone:
    """``number`` as said, ``digits`` as compared; of a contact, or of the client when ``contact_id`` is None."""

    id: int
    client_id: int
    contact_id: int | None
    number: str
    digits: str
    label: str

    @property
    def href(self) -> str:
        return "tel:" + re.sub(r"[^0-9+]", "", self.number.replace("(0)", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    id: int
    client_id: int
    contact_id: int | None
    address: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """All that is known about a client."""

    client: Client
    sites: tuple[Site, ...]
    contacts: tuple[Contact, ...]
    phones: tuple[Phone, ...]
    mails: tuple[Mail, ...]

    def phones_of(self, contact_id: int | None) -> tuple[Phone, ...]:
        return tuple(phone for phone in self.phones if phone.contact_id == contact_id)

    def mails_of(self, contact_id: int | None) -> tuple[Mail, ...]:
        return tuple(mail for mail in self.mails if mail.contact_id == contact_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientHit:
    """A client as search results and lists show it: with its first site, phone and mail, "" where there is none.

    Where the search was for a phone or a mail, ``phone`` or ``mail`` is the one that was found.
    """

    id: int
    kind: ClientKind
    name: str
    town: str
    departement: str
    phone: str
    mail: str
    contact: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", ClientKind(self.kind))


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSite:
    town: str
    departement: str = ""  # taken from the postcode when empty
    postcode: str = ""
    address: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewContact:
    name: str
    job: str = ""
    phones: tuple[str, ...] = ()
    mails: tuple[str, ...] = ()


def digits_of(raw: str) -> str:
    """A number as it is compared: digits only, France's +33, 0033 and (0) folded into the leading 0."""
    text = re.sub(r"^(\+33|0033)(\s*\(0\))?\s*0?", "0", re.sub(r"[.\-/\s]", "", raw))
    return re.sub(r"[^0-9]", "", text)


def check_number(raw: str) -> tuple[str, str]:
    """The number as said and its digits. Raises Invalid(field="number")."""
    number = " ".join(raw.split())
    digits = digits_of(number)
    if len(number) > 40 or not PHONE.fullmatch(number) or not 3 <= len(digits) <= 20:
        raise Invalid("“{phone}” is not a phone number.", field="number", phone=number[:40])
    return number, digits


def check_mail(raw: str) -> str:
    """The address in lower case. Raises Invalid(field="address")."""
    address = raw.strip().lower()
    if len(address) > EMAIL_LIMIT or not EMAIL.fullmatch(address):
        raise Invalid("“{email}” is not an e-mail address.", field="address", email=address[:80])
    return address


def check_line(raw: str, limit: int, field: str, *, required: bool = False) -> str:
    text = " ".join(raw.split())
    if required and not text:
        raise Invalid("Please fill this in.", field=field)
    if len(text) > limit or not text.isprintable():
        raise Invalid("This is too long: {limit} characters at most.", field=field, limit=limit)
    return text


def check_notes(raw: str) -> str:
    text = raw.replace("\r\n", "\n").replace("\x00", "").strip()
    if len(text) > NOTES_LIMIT:
        raise Invalid("This is too long: {limit} characters at most.", field="notes", limit=NOTES_LIMIT)
    return text


def check_site(new: NewSite) -> NewSite:
    """A site with its département, found from the postcode when it was not given. Raises Invalid."""
    postcode = new.postcode.strip().upper()
    if postcode and not POSTCODE.fullmatch(postcode):
        raise Invalid("“{postcode}” is not a postcode.", field="postcode", postcode=postcode[:12])
    departement = new.departement.strip().upper() or departement_of(postcode)
    if not DEPARTEMENT.fullmatch(departement):
        raise Invalid("Please give the département (such as 35, 2A or 974) or a postcode.", field="departement")
    return NewSite(
        town=check_line(new.town, 120, "town", required=True),
        departement=departement,
        postcode=postcode,
        address=check_line(new.address, 300, "site_address"),
        label=check_line(new.label, 120, "label"),
    )


def departement_of(postcode: str) -> str:
    """The département of a French postcode, "" for anything else. Corsica: 200, 201 are 2A, 202, 206 are 2B."""
    if not re.fullmatch(r"[0-9]{5}", postcode):
        return ""
    if postcode.startswith("20"):
        return "2A" if postcode[2] in "01" else "2B"
    return postcode[:3] if postcode.startswith(("97", "98")) else postcode[:2]


def terms(fragment: str) -> tuple[str, ...]:
    """What a search looks for: a phone's digits, or up to five words (addresses of mail stay whole).

    Every term must occur somewhere in the client's search text; each is lower-cased and unaccented by the database.
    Groups of digits side by side are one number; single letters (d', l') count only when nothing else was typed.
    """
    text = fragment.replace("\x00", "")[:FRAGMENT_LIMIT].strip()
    if re.fullmatch(r"[+0-9().\-/\s]+", text):
        digits = digits_of(text)
        return (digits,) if digits else ()
    found: list[str] = []
    for word in _words(text):
        if found and word.isdecimal() and found[-1].isdecimal():
            found[-1] += word
        else:
            found.append(word)
    return tuple([word for word in found if len(word) > 1] or found)[:TERMS_LIMIT]


def _words(text: str) -> list[str]:
    found: list[str] = []
    for word in text.split():
        parts = re.findall(r"[^\W_]+", word)
        found.extend([word] if "@" in word and parts else parts)
    return found
