"""Where the samples of a layer's statistics come from: gather them from the input, scatter gradients back.

Every sampler gathers into a matrix with one row per feature and one column per sample, in an order of samples that
is convenient: mean and covariance do not depend on it.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from renorm.norms.products import few_launches


@dataclass(frozen=True)
class Patches:
    """The patches that a k×k convolution sees, every `stride` pixels (im2col, zero padding)."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]

    def count(self, x: Tensor) -> int:
        """Columns that `gather` returns."""
        rows, columns = self._counts(x.shape[2] + 2 * self.padding[0], x.shape[3] + 2 * self.padding[1])
        return len(x) * rows * columns

    def gather(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """(N, C, H, W) -> (C·k², L·N), rows ordered by channel, then kernel position.

        On a CPU images come last, so that what is copied are runs of N numbers and not of a map's few columns.
        """
        ph, pw = self.padding
        if few_launches(x.device):
            view = self._view((F.pad(x, (pw, pw, ph, ph)) if ph or pw else x).permute(1, 2, 3, 0))
            view = view.permute(0, 1, 2, 5, 3, 4)  # of an image at a time: (C·k², N·L)
            return view.to(dtype, memory_format=torch.contiguous_format, copy=True).view(view.shape[:3].numel(), -1)
        n, c, h, w = x.shape
        rows, columns = self._counts(h + 2 * ph, w + 2 * pw)
        out = torch.empty(c, *self.kernel, rows, columns, n, dtype=dtype, device=x.device)
        for taps, _, outside in self._spans(0, h, rows):
            for part in outside:
                out[:, taps, :, part].zero_()
        for taps, _, outside in self._spans(1, w, columns):
            for part in outside:
                out[:, :, taps, :, part].zero_()
        for place, pixels in self._inside(_images_last(x), rows, columns):
            out[place].copy_(pixels)
        return out.view(c * math.prod(self.kernel), -1)

    def scatter(self, grad: Tensor, like: Tensor) -> Tensor:
        """The adjoint of `gather`: gradients of (C·k², L·N) summed into a tensor shaped as `like`."""
        n, c, h, w = like.shape
        ph, pw = self.padding
        if few_launches(like.device):
            padded = grad.new_zeros(n, c, h + 2 * ph, w + 2 * pw)
            view = self._view(padded.permute(1, 2, 3, 0)).permute(0, 1, 2, 5, 3, 4)
            grad = grad.view(view.shape)
            for rows in self._apart(0, view.shape[4]):
                for columns in self._apart(1, view.shape[5]):
                    view[:, rows, columns].add_(grad[:, rows, columns])
            return padded[..., ph : ph + h, pw : pw + w]
        summed = grad.new_zeros(h, w, c, n).permute(2, 0, 1, 3) if _channels_last(like) else grad.new_zeros(c, h, w, n)
        down, across = self._counts(h + 2 * ph, w + 2 * pw)
        grad = grad.view(c, *self.kernel, down, across, n)
        for place, pixels in self._inside(summed, down, across):
            pixels.add_(grad[place])
        return _images_first(summed, like)

    def _inside(self, x: Tensor, rows: int, columns: int) -> Iterator[tuple[tuple[slice, ...], Tensor]]:
        """Places in (C, k, k, rows, columns, N) that lie within the image, and views of their pixels in x (C, H, W, N).

        The patches of one view share no pixel. What is left out is padding.
        """
        (dh, dw), (sh, sw), every = self.dilation, self.stride, slice(None)
        c, height, width, n = x.shape
        sc, sy, sx, sn = x.stride()
        for row_taps, down, _ in self._spans(0, height, rows):
            for column_taps, across, _ in self._spans(1, width, columns):
                first = (
                    down.start * sh + row_taps.start * dh - self.padding[0],
                    (across.start * sw + column_taps.start * dw - self.padding[1]),
                )
                place = every, row_taps, column_taps, down, across
                shape = c, *(part.stop - part.start for part in place[1:]), n
                if 0 not in shape:
                    strides = sc, dh * sy, dw * sx, sh * sy, sw * sx, sn
                    yield place, x.as_strided(shape, strides, x.storage_offset() + first[0] * sy + first[1] * sx)

    def _spans(self, axis: int, size: int, count: int) -> Iterator[tuple[slice, slice, list[slice]]]:
        """The kernel's rows (axis 0) or columns (1) in groups: taps, their patches inside the image, and those outside.

        `size`: pixels without padding, `count`: patches. No two patches of a group share a pixel.
        """
        dilation, stride, padding = self.dilation[axis], self.stride[axis], self.padding[axis]
        for together in self._apart(axis, count):
            taps = range(together.start, min(together.stop, self.kernel[axis]))
            for (start, stop), group in groupby(
                taps, lambda tap: _within(tap * dilation - padding, stride, size, count)
            ):
                first, *others = group
                outside = [part for part in (slice(0, start), slice(stop, count)) if part.start < part.stop]
                yield slice(first, first + len(others) + 1), slice(start, stop), outside

    def _view(self, x: Tensor) -> Tensor:
        """All patches of a padded input (C, H, W, N) as a view (C, k, k, rows, columns, N) of its memory."""
        (kh, kw), (dh, dw), (sh, sw) = self.kernel, self.dilation, self.stride
        c, height, width, n = x.shape
        rows, columns = self._counts(height, width)
        sc, sy, sx, sn = x.stride()
        return x.as_strided((c, kh, kw, rows, columns, n), (sc, dh * sy, dw * sx, sh * sy, sw * sx, sn))

    def _counts(self, height: int, width: int) -> tuple[int, int]:
        (kh, kw), (dh, dw), (sh, sw) = self.kernel, self.dilation, self.stride
        return (height - dh * (kh - 1) - 1) // sh + 1, (width - dw * (kw - 1) - 1) // sw + 1

    def _apart(self, axis: int, count: int) -> list[slice]:
        """The kernel's rows (axis 0) or columns (1) in groups within which `count` patches share no pixel."""
        kernel, dilation, stride = self.kernel[axis], self.dilation[axis], self.stride[axis]
        group = kernel if count == 1 else max(1, (stride - 1) // dilation + 1)
        return [slice(first, first + group) for first in range(0, kernel, group)]


@dataclass(frozen=True)
class Pixels:
    """Every `step`-th pixel of the batch in N·H·W order, without padding: what a 1×1 convolution sees."""

    step: int

    def count(self, x: Tensor) -> int:
        """Columns that `gather` returns."""
        return -(-len(x) * x.shape[2] * x.shape[3] // self.step)

    def gather(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """(N, C, H, W) -> (C, ceil(N·H·W / step))."""
        n, c, h, w = x.shape
        if few_launches(x.device):
            image, pixel = _places(x, self.step)
            return x.flatten(2).transpose(0, 1)[:, image, pixel].to(dtype).contiguous()
        if _channels_last(x):
            # A copy whatever follows: of a single pixel the transposed view is contiguous, and would be the input's.
            rows = x.permute(0, 2, 3, 1).reshape(-1, c)[:: self.step].to(dtype, copy=True)
            return rows.t().contiguous()
        out = torch.empty(c, self.count(x), dtype=dtype, device=x.device)
        for part, columns in self._parts(x.reshape(n, c, h * w), out):
            columns.copy_(part.transpose(0, 1))
        return out

    def scatter(self, grad: Tensor, like: Tensor) -> Tensor:
        """The adjoint of `gather`."""
        n, c, h, w = like.shape
        if few_launches(like.device):
            out = grad.new_zeros(n, c, h * w)
            image, pixel = _places(like, self.step)
            out.transpose(0, 1)[:, image, pixel] = grad.view(c, -1)
            return out.view(like.shape)
        if _channels_last(like):
            rows = grad.new_zeros(n * h * w, c)
            rows[:: self.step] = grad.view(c, -1).t().contiguous()
            return rows.view(n, h, w, c).permute(0, 3, 1, 2)
        out = grad.new_zeros(n, c, h * w)
        for part, columns in self._parts(out, grad.reshape(c, -1)):
            part.copy_(columns.transpose(0, 1))
        return out.view(like.shape)

    def _parts(self, x: Tensor, columns: Tensor):
        """Pairs of views: a regular part of x (images, C, pixels), and its place in the columns (C, images, pixels).

        The first sampled pixel of an image depends on the image's number only through a period of at most `step`
        images, so that a handful of strided copies replaces a gather through a permuted copy of the whole input.
        """
        n, _, pixels = x.shape
        start = 0
        for first in range(min(n, self.step // math.gcd(pixels, self.step))):
            images = x[first :: self.step // math.gcd(pixels, self.step)]
            part = images[:, :, (-first * pixels) % self.step :: self.step]
            size = part.shape[0] * part.shape[2]
            if size:
                yield part, columns[:, start : start + size].unflatten(1, (part.shape[0], part.shape[2]))
            start += size


@dataclass(frozen=True)
class Features:
    """All consecutive blocks of `block` features of a fully connected layer's input."""

    block: int

    def count(self, x: Tensor) -> int:
        """Columns that `gather` returns."""
        return x.numel() // self.block

    def gather(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """(..., in) -> (block, samples · in / block)."""
        return x.reshape(-1, self.block).to(dtype, copy=True).t()

    def scatter(self, grad: Tensor, like: Tensor) -> Tensor:
        """The adjoint of `gather`."""
        return grad.t().reshape(like.shape)


Sampler = Patches | Pixels | Features


def _within(offset: int, stride: int, size: int, count: int) -> tuple[int, int]:
    """The range of o in 0 … count − 1 for which 0 ≤ o·stride + offset < size."""
    start = min(max(0, -(offset // stride)), count)
    return start, max(start, min(count, -((offset - size) // stride)))


def _places(x: Tensor, step: int) -> tuple[Tensor, Tensor]:
    """Image and pixel within it of every `step`-th pixel of the batch `x` (N, C, H, W), in N·H·W order."""
    place = len(x), x.shape[2] * x.shape[3], step, x.device
    # Fake tensors are not kept
    return _kept_places(*place) if type(x) in (Tensor, nn.Parameter) else _kept_places.__wrapped__(*place)


@lru_cache(maxsize=256)
def _kept_places(n: int, pixels: int, step: int, device: torch.device) -> tuple[Tensor, Tensor]:
    with torch.inference_mode(False):
        places = torch.arange(0, n * pixels, step, device=device)
        return places // pixels, places % pixels


def _channels_last(x: Tensor) -> bool:
    """Whether the pixels of `x` (N, C, H, W) lie in memory with their channels together."""
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def _images_last(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (C, H, W, N) with the images' numbers together, and the rest in the order in which it lay."""
    n, c, h, w = x.shape
    if _channels_last(x):
        return x.permute(0, 2, 3, 1).reshape(n, -1).t().contiguous().view(h, w, c, n).permute(2, 0, 1, 3)
    return x.reshape(n, -1).t().contiguous().view(c, h, w, n)


def _images_first(x: Tensor, like: Tensor) -> Tensor:
    """(C, H, W, N) -> (N, C, H, W), laid out as `like`."""
    n, c, h, w = like.shape
    if _channels_last(like):
        return x.permute(1, 2, 0, 3).reshape(-1, n).t().contiguous().view(n, h, w, c).permute(0, 3, 1, 2)
    return x.reshape(-1, n).t().contiguous().view(n, c, h, w)
