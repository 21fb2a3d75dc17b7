"""What members and sign-in add to the application."""

from __future__ import annotations

from compagnon.auth.account_web import AccountPages
from compagnon.auth.members_web import MemberPages
from compagnon.auth.model import Member
from compagnon.auth.sign_in_web import SignInPages
from compagnon.auth.sign_ins import SignIns
from compagnon.i18n import N_
from compagnon.kernel import Kernel
from compagnon.web.feature import Action, Feature, NavItem


def build(kernel: Kernel, sign_ins: SignIns) -> Feature:
    return Feature(
        package="compagnon",
        handlers=[SignInPages, MemberPages, AccountPages],
        dependencies={"sign_ins": sign_ins},
        nav=[NavItem(href="/members", label=N_("Members"), icon="users", order=80)],
        actions=[Action(href="/account", label=N_("My account"), icon="user-cog")],
        topics={"member": _own, "members": _everyone},
    )


async def _own(member: Member, key: str) -> bool:
    return key == str(member.id)


async def _everyone(member: Member, key: str) -> bool:
    return key == "all"
