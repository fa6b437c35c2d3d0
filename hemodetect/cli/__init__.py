"""The work of the pages on the command line; `hemodetect --help` lists the commands."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Sequence

from hemodetect import RESEARCH_USE_ONLY, __version__
from hemodetect.cli import bundles, data, doctor, jobs, pacs, studies, trail, training
from hemodetect.errors import HemodetectError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns 0 on success; on failure returns 1 and prints a sentence on stderr."""
    # Before TensorFlow is imported. Its oneDNN kernels are off by default on processors
    # without AVX-512; on those the CNN trains 1.6 times faster with them.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    options = parser().parse_args(arguments)
    try:
        return options.run(options)
    except HemodetectError as error:
        print(f"hemodetect: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nhemodetect: stopped; the same command goes on from here.", file=sys.stderr)
        return 130
    except Exception as error:
        sentence = _machine_sentence(error)
        if sentence is None:
            raise
        print(f"hemodetect: {sentence}", file=sys.stderr)
        return 1


def _machine_sentence(error: Exception) -> str | None:
    """A sentence where the machine ran out of something; None where the error is ours."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        file_name = f" ({error.filename})" if error.filename else ""
        return f"The disk is full{file_name}. Make room; the same command goes on from here."
    # TensorFlow has ResourceExhaustedError; JAX and others only name it in the message.
    exhausted = (
        "resource_exhausted" in str(error).lower() or "ResourceExhausted" in type(error).__name__
    )
    if isinstance(error, MemoryError) or exhausted:
        return (
            "The device is out of memory. Choose a smaller batch (--batch) or another device; a"
            " training goes on from its last epoch only with the same batch."
        )
    return None


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    top = argparse.ArgumentParser(prog="hemodetect", description=__doc__, epilog=RESEARCH_USE_ONLY)
    top.add_argument("--version", action="version", version=f"hemodetect {__version__}")
    subparsers = top.add_subparsers(required=True, metavar="COMMAND")
    for group in (data, training, jobs, bundles, trail, studies, pacs, doctor):
        group.add_commands(subparsers)
    return top
