"""``user`` and ``group``: the accounts the machine knows, wherever it has them from (NSS). Not on Windows yet."""

from __future__ import annotations

import sys

from ..protocol.wire import JSON
from .common import Observed, Question, Unsupported


def observe_user(question: Question) -> Observed:
    if sys.platform == "win32":
        raise Unsupported("accounts cannot be checked on Windows yet")
    import pwd

    try:
        entry = pwd.getpwnam(question.key)
    except (KeyError, UnicodeError):
        return {"exists": False, **{name: None for name in question.wanted if name != "exists"}}
    return {
        "exists": True,
        "uid": entry.pw_uid,
        "gid": entry.pw_gid,
        "groups": _groups(question.key, entry.pw_gid),
        "home": entry.pw_dir,
        "shell": entry.pw_shell,
    }


def _groups(user: str, first: int) -> list[JSON]:
    import grp

    return [group.gr_name for group in grp.getgrall() if group.gr_gid == first or user in group.gr_mem]


def observe_group(question: Question) -> Observed:
    if sys.platform == "win32":
        raise Unsupported("groups cannot be checked on Windows yet")
    import grp

    try:
        return {"exists": True, "gid": grp.getgrnam(question.key).gr_gid}
    except (KeyError, UnicodeError):
        return {"exists": False, "gid": None}
