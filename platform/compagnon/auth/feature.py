"""What members and sign-in add to the application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from compagnon.auth.account_web import AccountPages
from compagnon.auth.members_web import MemberPages
from compagnon.auth.model import Member
from compagnon.auth.sign_in_web import SignInPages
from compagnon.auth.sign_ins import SignIns
from compagnon.i18n import LOCALES, N_
from compagnon.kernel import Kernel
from compagnon.web.feature import Action, Feature, NavItem


def build(kernel: Kernel, sign_ins: SignIns) -> Feature:
    @asynccontextmanager
    async def skills_known() -> AsyncIterator[None]:
        for locale in LOCALES:
            await kernel.members.all_skills(locale=locale)
        yield

    return Feature(
        package="compagnon",
        handlers=[SignInPages, MemberPages, AccountPages],
        dependencies={"sign_ins": sign_ins},
        nav=[NavItem(href="/members", label=N_("Members"), icon="users", order=80)],
        actions=[Action(href="/account", label=N_("My account"), icon="user-cog")],
        topics={"member": _own, "members": _everyone},
        lifespan=[skills_known],
    )


async def _own(member: Member, key: str) -> bool:
    return key == str(member.id)


async def _everyone(member: Member, key: str) -> bool:
    return key == "all"
