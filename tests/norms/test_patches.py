"""Gathering against torch's own unfold, scattering against its gradient."""

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from renorm.norms.patches import Patches

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
@given(samplers())
def test_it_gathers_as_unfold_and_scatters_as_its_gradient(drawn):
    sampler, shape = drawn
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    expected = unfolded(x, sampler)
    found = sampler.gather(x.detach(), torch.float64)
    assert torch.equal(found, expected) and sampler.count(x) == found.shape[1]
    grad = torch.randn_like(found)
    expected.backward(grad)
    scattered = sampler.scatter(grad, x)
    assert scattered.shape == x.shape and scattered.is_contiguous()
    torch.testing.assert_close(scattered, x.grad, rtol=1e-12, atol=1e-12)
