"""Gathering against torch's own unfold, scattering against its gradient."""

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from renorm.norms.patches import Patches, Pixels

layouts = st.sampled_from([torch.contiguous_format, torch.channels_last])
pair = st.tuples(st.integers(1, 4), st.integers(1, 4))


@st.composite
def samplers(draw) -> tuple[Patches, tuple[int, ...]]:
    """A sampler, and the shape of an input that has room for a patch."""
    kernel, stride, dilation = draw(pair), draw(pair), draw(pair)
    padding = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    least = [d * (k - 1) + 1 - 2 * p for k, p, d in zip(kernel, padding, dilation, strict=True)]
    height, width = (max(1, size) + draw(st.integers(0, 7)) for size in least)
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 3)), height, width)
    return Patches(kernel, stride, padding, dilation), shape


def unfolded(x: torch.Tensor, sampler: Patches) -> torch.Tensor:
    """(C·k², L·N): the columns in the sampler's order."""
    columns = F.unfold(x, sampler.kernel, sampler.dilation, sampler.padding, sampler.stride)
    return columns.permute(1, 2, 0).flatten(1)


@settings(max_examples=200, deadline=None)
@given(samplers(), layouts)
def test_it_gathers_as_unfold_and_scatters_as_its_gradient(device, drawn, layout):
    sampler, shape = drawn
    x = torch.randn(shape, dtype=torch.float64, device=device).contiguous(memory_format=layout).requires_grad_()
    expected = unfolded(x, sampler)
    found = sampler.gather(x.detach(), torch.float64)
    assert torch.equal(found, expected) and sampler.count(x) == found.shape[1]
    found.add_(1)  # as its owner may: the input is not touched
    assert torch.equal(unfolded(x, sampler), expected)
    grad = torch.randn_like(found)
    expected.backward(grad)
    scattered = sampler.scatter(grad, x)
    assert scattered.shape == x.shape and scattered.is_contiguous(memory_format=layout)
    torch.testing.assert_close(scattered, x.grad, rtol=1e-12, atol=1e-12)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 12), st.tuples(*[st.integers(1, 6)] * 4), layouts)
def test_every_so_many_pixels_of_the_batch(device, step, shape, layout):
    x = torch.randn(shape, dtype=torch.float64, device=device).contiguous(memory_format=layout)
    sampler = Pixels(step)
    expected = x.permute(1, 0, 2, 3).flatten(1)[:, ::step]
    found = sampler.gather(x, torch.float64)
    # In any order, but the same in all channels: what they are used for are mean and covariance.
    order, wanted = found[0].argsort(), expected[0].argsort()
    assert torch.equal(found[:, order], expected[:, wanted]) and sampler.count(x) == found.shape[1]
    before = x.clone()
    found.mul_(2)
    assert torch.equal(x, before)
    scattered = sampler.scatter(found / 2, x)
    mask = torch.zeros(shape[0] * shape[2] * shape[3], dtype=torch.float64, device=device)
    mask[::step] = 1
    assert torch.equal(scattered, x * mask.view(shape[0], 1, *shape[2:]))
    assert scattered.is_contiguous(memory_format=layout)
