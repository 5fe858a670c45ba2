"""How much the fault tests try."""

import os

from ..pipeline.conftest import make_checkout

__all__ = ["cases", "make_checkout"]


def cases(quick: int, long: int) -> int:
    """How often to try: `make test` is quick, `make torture` is long."""
    return long if os.environ.get("RENORM_TORTURE") == "1" else quick
