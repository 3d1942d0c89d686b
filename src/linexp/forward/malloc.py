"""A setting of the C library that makes networks on a CPU up to a half faster."""

from __future__ import annotations

import ctypes
import platform

# From malloc.h of the GNU C library.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def reuse_large_buffers() -> bool:
    """Let freed feature maps be handed out again instead of returned to the system; tell whether that worked.

    By default the GNU C library fetches every large block anew from the system, which must clear it page by page:
    for feature maps that costs more than filling them. The setting holds for the whole process, whose memory then
    never shrinks; so the command line uses it and the library leaves it to its user.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    return bool(libc.mallopt(_M_MMAP_MAX, 0) and libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))
