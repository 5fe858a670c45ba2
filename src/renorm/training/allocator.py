"""The C library's allocator in training on a CPU."""

import ctypes

import torch

# Of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def keep_freed_memory(device: torch.device) -> bool:
    """Let the process keep what it frees when it works on a CPU, for the next step needs it again; whether it does.

    glibc gives large blocks back at once and takes them anew, page by page zeroed and mapped by the system: at batch
    128 a third of a step of MobileNetV2 with batch norm. In exchange the peak grows by up to three tenths, since a
    block that is kept may have the wrong size for the next one.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if device.type != "cpu" or mallopt is None:
        return False
    # -1 is the largest threshold: the top of the heap stays.
    return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, -1))
