"""The examples run as they are shown."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("norm", ["deconv", "batch_norm"])
def test_the_loss_falls_in_a_plain_loop(root, norm):
    done = subprocess.run(
        [sys.executable, root / "examples" / "train_with_deconv.py", norm, "3"],
        env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = [line.rsplit(" ", 1) for line in done.stdout.splitlines()]
    assert [words for words, _ in lines] == [f"epoch {number}: loss" for number in (1, 2, 3)]
    first, second, third = (float(loss) for _, loss in lines)
    assert 1.5 > first > second > third and third < 0.3
