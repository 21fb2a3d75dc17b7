"""What a capability is to the session that serves it: methods that the server calls, under the session's grant."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ..protocol.wire import JSON

if TYPE_CHECKING:
    from .calls import CallSession

Arguments: TypeAlias = Mapping[str, JSON]
Handler: TypeAlias = Callable[[Arguments], Awaitable[Arguments]]


class CallError(Exception):
    """A call that cannot be carried out: ``code`` for programs, the text for people, in one sentence."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """``changes``: something on the machine is different afterwards, so each call is written into the audit log (of
    those that only look, the first). ``needs``: the capability it takes, where that is not the session's own.
    """

    handler: Handler
    changes: bool
    needs: str = ""


class Capability:
    """One for each session. Arguments come from the server and are hostile: read them with the ``wire`` codecs.

    A handler raises :class:`CallError` or ``WireError`` (wrong arguments); ``OSError`` is told as it is.
    """

    def __init__(self, session: CallSession) -> None:
        self.session = session

    @property
    def methods(self) -> Mapping[str, Method]:
        """By the name after the point: ``list`` of ``processes.list``."""
        return {}

    async def begin(self) -> None:
        """Raises ``OSError`` when this machine does not have it."""

    async def reset(self) -> None:
        """Another server took over: transfers and channels of the old one are gone."""

    async def close(self) -> None:
        """Nothing is left running."""
