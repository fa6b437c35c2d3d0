"""Errors whose message is one sentence for a person: what was found, where, and what to do.

Pages and the command line show the message unchanged. Anything that is not a `HemodetectError`
is a defect of this program: pages log it and show a general sentence instead.
"""


class HemodetectError(Exception):
    """Base of every error that a user can cause and correct."""


class UnreadableFile(HemodetectError):
    """One file cannot be used. The message is the reason alone, without the file's name."""


class EmptyStudy(HemodetectError):
    """Nothing in what was given can be read as a slice."""


class DatasetError(HemodetectError):
    """A folder of training or test data is missing, empty or not laid out as any known set."""


class SplitError(HemodetectError):
    """A split cannot be made, or does not fit the data set it is used with."""


class BundleError(HemodetectError):
    """A bundle is missing, incomplete, altered, or made by something that cannot be trusted."""


class SettingError(HemodetectError):
    """A setting has a value that cannot be used."""
