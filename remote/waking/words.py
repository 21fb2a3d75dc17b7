"""Why a machine cannot be woken, for the page. Keys are what the rules and the agents say."""

from __future__ import annotations

from collections.abc import Mapping

from compagnon.i18n import N_
from compagnon_agent.protocol.waking import NotWoken
from remote.control.lines import OFFLINE, SILENT
from remote.waking.model import Obstacle

OBSTACLES: Mapping[Obstacle, str] = {
    Obstacle.UNKNOWN: N_(
        "It cannot be woken from here: its agent has never told a network card in a network (an older version does "
        "not)."
    ),
    Obstacle.ALONE: N_(
        "It cannot be woken from here: no other machine of this client was seen in its network, and only a neighbour "
        "can send it the packet that wakes it."
    ),
    Obstacle.ABSENT: N_("It cannot be woken now: the other machines of this client in its network are offline too."),
    Obstacle.UNABLE: N_(
        "It cannot be woken now: the agents of its neighbours are of an older version, or their owner does not let "
        "them wake others."
    ),
}

NOT_WOKEN: Mapping[str, str] = {
    NotWoken.POLICY.value: N_("The neighbour's owner does not let it wake others."),
    NotWoken.ADDRESS.value: N_("What is known as the machine's network card is none."),
    NotWoken.ELSEWHERE.value: N_("The neighbour is not in that network any more."),
    NotWoken.OFTEN.value: N_("The neighbour was to wake too many machines in the last minute: try again in a minute."),
    NotWoken.NETWORK.value: N_("The neighbour's own network did not take the packet."),
    OFFLINE: N_("The neighbour that was asked went offline."),
    SILENT: N_("The neighbour that was asked did not answer in time."),
}
