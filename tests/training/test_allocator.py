"""That freed memory stays, counted in pages that the system had to map."""

import platform
import subprocess
import sys

import pytest

CODE = """
import resource, torch
from renorm.training.allocator import keep_freed_memory
print({told})
for _ in range(20):
    torch.ones(64 << 20, dtype=torch.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.ones(64 << 20, dtype=torch.uint8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def told_and_faults(told: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", CODE.format(told=told)], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_blocks_are_mapped_once():
    _, before = told_and_faults("None")
    told, after = told_and_faults("keep_freed_memory(torch.device('cpu'))")
    assert told == "True"
    # Aligned blocks leave holes a few bytes too short for the next one; by default every one is mapped anew.
    assert int(after) <= int(before) / 5
