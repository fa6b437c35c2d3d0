"""The five families by key."""

from hemodetect.models.family import Family
from hemodetect.models.logistic import LogisticFamily
from hemodetect.models.network_family import NetworkFamily
from hemodetect.models.svm import SvmFamily

_NETWORKS = NetworkFamily()
FAMILIES: dict[str, Family] = {
    "svm": SvmFamily(),
    "logistic": LogisticFamily(),
    "cnn": _NETWORKS,
    "rnn": _NETWORKS,
    "attention_rnn": _NETWORKS,
}
