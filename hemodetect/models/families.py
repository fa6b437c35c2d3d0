"""The five families by key."""

from hemodetect.models.family import Family
from hemodetect.models.network_family import NetworkFamily

_NETWORKS = NetworkFamily()
FAMILIES: dict[str, Family] = {
    "cnn": _NETWORKS,
    "rnn": _NETWORKS,
    "attention_rnn": _NETWORKS,
}
