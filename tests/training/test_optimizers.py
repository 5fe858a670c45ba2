"""The optimizers against torch's classes of the same names, bit for bit."""

import subprocess
import sys

import pytest
import torch

from renorm.training import optimizers

SHAPES = ((7, 5), (5,), (3, 2, 3, 3))
KINDS = {
    "momentum": ({"name": "sgd", "momentum": 0.9, "weight_decay": 1e-3}, torch.optim.SGD),
    "plain": ({"name": "sgd", "momentum": 0.0, "weight_decay": 0.0}, torch.optim.SGD),
    "nesterov": ({"name": "sgd", "momentum": 0.9, "weight_decay": 1e-3, "nesterov": True}, torch.optim.SGD),
    "adamw": ({"name": "adamw", "weight_decay": 1e-2, "betas": [0.8, 0.99]}, torch.optim.AdamW),
    "adam": ({"name": "adam", "weight_decay": 1e-2}, torch.optim.Adam),
}


def parameters(device: str) -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(1)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator).to(device)) for shape in SHAPES]


def give_gradients(step: int, *lists, without: int | None = None) -> None:
    """Gradients of step `step` to the parameters of all `lists`; the parameter `without` has none."""
    generator = torch.Generator().manual_seed(100 + step)
    for row, shape in enumerate(SHAPES):
        gradient = torch.randn(shape, generator=generator)
        for owned in lists:
            owned[row].grad = None if row == without else gradient.to(owned[row].device)


def ours_and_torchs(kind: str, device: str):
    options, torchs = KINDS[kind]
    mine, theirs = parameters(device), parameters(device)
    rest = {key: value for key, value in options.items() if key != "name"}
    return mine, theirs, optimizers.create(mine, {"lr": 0.1} | options), torchs(theirs, lr=0.1, fused=True, **rest)


def assert_equal(mine, theirs):
    assert all(torch.equal(a, b) for a, b in zip(mine, theirs, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_steps_equal_torchs_while_the_rate_changes(kind, device):
    mine, theirs, our, torchs = ours_and_torchs(kind, device)
    before = [p.detach().clone() for p in mine]
    for step in range(20):
        give_gradients(step, mine, theirs)
        our.lr = torchs.param_groups[0]["lr"] = 0.1 / (1 + step)
        our.step()
        torchs.step()
        assert_equal(mine, theirs)
    assert not any(torch.equal(a, b) for a, b in zip(mine, before, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_a_parameter_without_gradient_stays(kind):
    mine, theirs, our, torchs = ours_and_torchs(kind, "cpu")
    untouched = mine[1].detach().clone()
    for step in range(3):
        give_gradients(step, mine, theirs, without=1)
        our.step()
        torchs.step()
    assert torch.equal(mine[1], untouched)
    assert_equal(mine, theirs)
    our.zero_grad()
    our.step()
    assert_equal(mine, theirs)
    assert all(p.grad is None for p in mine)


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_state_goes_on_as_if_nothing_was(kind, device):
    mine, theirs, our, torchs = ours_and_torchs(kind, device)
    for step in range(3):
        give_gradients(step, mine, theirs)
        our.step()
        torchs.step()
    state = {name: [t.clone().cpu() for t in tensors] for name, tensors in our.state_dict().items()}
    again = [torch.nn.Parameter(p.detach().clone()) for p in mine]
    other = optimizers.create(again, {"lr": 0.1} | KINDS[kind][0])
    other.load_state_dict(state)
    for step in range(3, 6):
        give_gradients(step, again, theirs)
        other.step()
        torchs.step()
    assert_equal(again, theirs)


def test_a_cell_starts_without_the_compiler(prepared_digits, tmp_path):
    """It takes as long to import as torch, and every cell would wait for it."""
    arguments = (
        f"['train', '--dataset', 'digits', '--arch', 'tiny_vgg', '--norm', 'deconv', '--epochs', '1', '--quiet', "
        f"'--set', 'train_images=64', '--set', 'test_images=20', '--device', 'cpu', '--prepared', "
        f"{str(prepared_digits)!r}, '--out', {str(tmp_path / 'run')!r}]"
    )
    code = (
        f"import sys; from renorm.cli import main; sys.argv[1:] = {arguments}\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print([name for name in ('torch._dynamo', 'torch._inductor', 'torchvision') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]", done.stdout
    assert (tmp_path / "run/run.json").exists()
