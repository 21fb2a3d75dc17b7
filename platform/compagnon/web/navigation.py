"""What the navigation and the command palette offer to a member."""

from __future__ import annotations

from collections.abc import Sequence

from compagnon.auth.model import Member
from compagnon.i18n import gettext
from compagnon.web.feature import Action, Feature, NavItem


class Navigation:
    def __init__(self, features: Sequence[Feature]) -> None:
        items = [item for feature in features for item in feature.nav]
        self._items = tuple(sorted(items, key=lambda item: (item.order, item.label)))
        self._actions = tuple(action for feature in features for action in feature.actions)

    def items(self, member: Member | None) -> tuple[NavItem, ...]:
        """The entries this member may use, in their order."""
        return tuple(item for item in self._items if member and member.role.covers(item.role))

    def actions(self, member: Member | None) -> tuple[Action, ...]:
        return tuple(action for action in self._actions if member and member.role.covers(action.role))

    def current(self, path: str) -> str:
        """The ``href`` of the entry that ``path`` belongs to: the longest that begins it."""
        fitting = [
            (len(begin), item.href)
            for item in self._items
            for begin in (item.href, *item.also)
            if path == begin or (begin != "/" and path.startswith(begin + "/"))
        ]
        return max(fitting, default=(0, ""))[1]


def entries(items: Sequence[NavItem | Action], here: str) -> list[dict[str, str]]:
    """For the command palette's script: where each leads and what it is called in the reader's language."""
    return [{"href": item.href, "label": gettext(item.label), "icon": item.icon} for item in items if item.href != here]
