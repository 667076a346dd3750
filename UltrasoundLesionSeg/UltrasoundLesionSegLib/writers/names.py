"""Names that cannot be those of folders and files on every system."""

from __future__ import annotations

import re

_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")


def is_reserved(name: str) -> bool:
    """Whether Windows keeps a name for a device, with any suffix: who works there could not open such a folder."""
    return _RESERVED.fullmatch(name) is not None
