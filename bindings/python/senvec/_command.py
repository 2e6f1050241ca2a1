"""The command `senvec`, where the package needs it."""

from __future__ import annotations

import os
import shutil
import sysconfig

from ._library import ModelNotFoundError


def find_command(given: str | None = None) -> str:
    """The program: `given`, else $SENVEC_COMMAND, else the one that came with the wheel, else senvec on the PATH.

    Raises FileNotFoundError where there is none."""
    if given:
        return given
    beside = os.pathsep.join((sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)))
    found = os.environ.get("SENVEC_COMMAND") or shutil.which("senvec", path=beside)
    if not found:
        raise ModelNotFoundError(
            "the command senvec isn't on the PATH; it comes with the wheel, not where the package was built from its sources: "
            "there, build it with './run build', and name it by command= or SENVEC_COMMAND",
            "SENVEC_NOT_FOUND",
        )
    return found
