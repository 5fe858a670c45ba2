"""The whole Newton-Schulz iteration of small matrices, and its gradient, as one Triton kernel each.

A program (a thread block of the GPU) takes one matrix and works through the formulas of newton_schulz.py tile by tile;
what one product leaves in global memory the next one reads after a barrier of the block, so that no registers have to
hold a matrix. Products and sums are float32 by fused multiply-adds (`ieee`, never TF32), norms and inner products
float64. Nothing is added up atomically: the same input gives the same bits.

Imported only where it is used, since Triton comes with torch on Linux with CUDA and nowhere else. Triton's interpreter
(TRITON_INTERPRET=1, set before Triton is imported) runs it on the CPU.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

DEPTH = 16  # columns and rows that a product of tiles takes in at a time


@triton.jit
def _load(matrix, rows, columns, SIZE: tl.constexpr):
    inside = (rows[:, None] < SIZE) & (columns[None, :] < SIZE)
    return tl.load(matrix + rows[:, None] * SIZE + columns[None, :], mask=inside, other=0.0)


@triton.jit
def _load_transposed(matrix, rows, columns, SIZE: tl.constexpr):
    inside = (rows[:, None] < SIZE) & (columns[None, :] < SIZE)
    return tl.load(matrix + columns[None, :] * SIZE + rows[:, None], mask=inside, other=0.0)


@triton.jit
def _store(matrix, rows, columns, SIZE: tl.constexpr, value):
    inside = (rows[:, None] < SIZE) & (columns[None, :] < SIZE)
    tl.store(matrix + rows[:, None] * SIZE + columns[None, :], value, mask=inside)


@triton.jit
def _product(a, b, rows, columns, SIZE: tl.constexpr, TILE: tl.constexpr, DEPTH: tl.constexpr):
    """The tile (rows, columns) of a·b."""
    total = tl.zeros((TILE, TILE), tl.float32)
    for first in range(0, SIZE, DEPTH):
        depth = first + tl.arange(0, DEPTH)
        left, right = _load(a, rows, depth, SIZE), _load(b, depth, columns, SIZE)
        total = tl.dot(left, right, total, input_precision="ieee")
    return total


@triton.jit
def _product_transposed(a, b, rows, columns, SIZE: tl.constexpr, TILE: tl.constexpr, DEPTH: tl.constexpr):
    """The tile (rows, columns) of a·bᵀ."""
    total = tl.zeros((TILE, TILE), tl.float32)
    for first in range(0, SIZE, DEPTH):
        depth = first + tl.arange(0, DEPTH)
        left, right = _load(a, rows, depth, SIZE), _load_transposed(b, depth, columns, SIZE)
        total = tl.dot(left, right, total, input_precision="ieee")
    return total


@triton.jit
def _inner(a, b, SIZE: tl.constexpr, TILE: tl.constexpr, TILES: tl.constexpr):
    """⟨a, b⟩ in float64."""
    total = tl.zeros((TILE,), tl.float64)
    for i in range(TILES):
        for j in range(TILES):
            rows, columns = i * TILE + tl.arange(0, TILE), j * TILE + tl.arange(0, TILE)
            left, right = _load(a, rows, columns, SIZE), _load(b, rows, columns, SIZE)
            total += tl.sum(left.to(tl.float64) * right.to(tl.float64), 1)
    return tl.sum(total, 0)


@triton.jit
def _times_t(out, x, w, SIZE: tl.constexpr, TILE: tl.constexpr, TILES: tl.constexpr, DEPTH: tl.constexpr):
    """out = x·T = 1.5 x − 0.5 x·w."""
    for i in range(TILES):
        for j in range(TILES):
            rows, columns = i * TILE + tl.arange(0, TILE), j * TILE + tl.arange(0, TILE)
            product = _product(x, w, rows, columns, SIZE, TILE, DEPTH)
            _store(out, rows, columns, SIZE, 1.5 * _load(x, rows, columns, SIZE) - 0.5 * product)


@triton.jit
def _next_w(w, v, before, SIZE: tl.constexpr, TILE: tl.constexpr, TILES: tl.constexpr, DEPTH: tl.constexpr):
    """w = half + halfᵀ with half = 0.75 v − 0.25 v·before, by pairs of tiles that mirror each other."""
    for i in range(TILES):
        for j in range(i + 1):
            rows, columns = i * TILE + tl.arange(0, TILE), j * TILE + tl.arange(0, TILE)
            low = _product(v, before, rows, columns, SIZE, TILE, DEPTH)
            low = 0.75 * _load(v, rows, columns, SIZE) - 0.25 * low
            high = _product(v, before, columns, rows, SIZE, TILE, DEPTH)
            high = 0.75 * _load(v, columns, rows, SIZE) - 0.25 * high
            both = low + tl.trans(high)
            _store(w, rows, columns, SIZE, both)
            _store(w, columns, rows, SIZE, tl.trans(both))


@triton.jit
def _forward(a, norms, d, w0, pairs, SIZE: tl.constexpr, STEPS: tl.constexpr, TILE: tl.constexpr, TILES: tl.constexpr,
             DEPTH: tl.constexpr):  # fmt: skip
    """newton_schulz.forward of matrix number `program`; d serves as V until the end."""
    program = tl.program_id(0).to(tl.int64)
    square = SIZE * SIZE
    a += program * square
    d += program * square
    w0 += program * square
    pairs += program * (2 * (STEPS - 1)) * square
    norm = tl.sqrt(_inner(a, a, SIZE, TILE, TILES)).to(tl.float32)
    root = tl.sqrt(norm)
    tl.store(norms + program, norm)
    for i in range(TILES):
        for j in range(TILES):
            rows, columns = i * TILE + tl.arange(0, TILE), j * TILE + tl.arange(0, TILE)
            w = _load(a, rows, columns, SIZE) / norm
            z = w - tl.where(rows[:, None] == columns[None, :], 3.0, 0.0)
            _store(w0, rows, columns, SIZE, w)
            if STEPS == 1:
                _store(d, rows, columns, SIZE, -0.5 * z / root)
            else:
                _store(pairs + square, rows, columns, SIZE, z)
    if STEPS > 1:
        tl.debug_barrier()
        _times_t(d, w0, w0, SIZE, TILE, TILES, DEPTH)
        before, w = w0, pairs
        for _ in range(2, STEPS):
            tl.debug_barrier()
            _next_w(w, d, before, SIZE, TILE, TILES, DEPTH)
            tl.debug_barrier()
            _times_t(d, w, w, SIZE, TILE, TILES, DEPTH)
            _times_t(w + 3 * square, w + square, w, SIZE, TILE, TILES, DEPTH)
            before = w
            w += 2 * square
        tl.debug_barrier()
        _next_w(w, d, before, SIZE, TILE, TILES, DEPTH)
        tl.debug_barrier()
        z = w + square
        for i in range(TILES):
            for j in range(TILES):
                rows, columns = i * TILE + tl.arange(0, TILE), j * TILE + tl.arange(0, TILE)
                last = 0.25 * _product(z, w, rows, columns, SIZE, TILE, DEPTH)
                _store(d, rows, columns, SIZE, (last - 0.75 * _load(z, rows, columns, SIZE)) / root)


@triton.jit
def _cubic_half(s, w, e, SIZE: tl.constexpr, TILE: tl.constexpr, TILES: tl.constexpr, DEPTH: tl.constexpr):
    """s = H + ½Hᵀ with H = ½(e − w·e)."""
    for i in range(TILES):
        for j in range(i + 1):
            rows, columns = i * TILE + tl.arange(0, TILE), j * TILE + tl.arange(0, TILE)
            low = _product(w, e, rows, columns, SIZE, TILE, DEPTH)
            low = 0.5 * _load(e, rows, columns, SIZE) - 0.5 * low
            high = _product(w, e, columns, rows, SIZE, TILE, DEPTH)
            high = 0.5 * _load(e, columns, rows, SIZE) - 0.5 * high
            _store(s, rows, columns, SIZE, low + 0.5 * tl.trans(high))
            _store(s, columns, rows, SIZE, high + 0.5 * tl.trans(low))


@triton.jit
def _adjoint(w, s, z, g, rows, columns, SIZE: tl.constexpr, FIRST: tl.constexpr, LAST: tl.constexpr, TILE: tl.constexpr,
             DEPTH: tl.constexpr):  # fmt: skip
    """A tile of N: 1.5 S − ½ w·S but in the first step back, and what comes along the Z chain."""
    if LAST:
        n = -0.25 * _load(g, rows, columns, SIZE)
    else:
        n = 0.125 * _product_transposed(g, z, rows, columns, SIZE, TILE, DEPTH)
    if not FIRST:
        n += 1.5 * _load(s, rows, columns, SIZE) - 0.5 * _product(w, s, rows, columns, SIZE, TILE, DEPTH)
    return n


@triton.jit
def _step_back(e, w, s, z, g, SIZE: tl.constexpr, FIRST: tl.constexpr, LAST: tl.constexpr,
               TILE: tl.constexpr, TILES: tl.constexpr, DEPTH: tl.constexpr):  # fmt: skip
    """e = N + Nᵀ."""
    for i in range(TILES):
        for j in range(i + 1):
            rows, columns = i * TILE + tl.arange(0, TILE), j * TILE + tl.arange(0, TILE)
            low = _adjoint(w, s, z, g, rows, columns, SIZE, FIRST, LAST, TILE, DEPTH)
            high = _adjoint(w, s, z, g, columns, rows, SIZE, FIRST, LAST, TILE, DEPTH)
            both = low + tl.trans(high)
            _store(e, rows, columns, SIZE, both)
            _store(e, columns, rows, SIZE, tl.trans(both))


@triton.jit
def _times_t_left(out, w, g, SIZE: tl.constexpr, TILE: tl.constexpr, TILES: tl.constexpr, DEPTH: tl.constexpr):
    """out = T·g = 1.5 g − 0.5 w·g."""
    for i in range(TILES):
        for j in range(TILES):
            rows, columns = i * TILE + tl.arange(0, TILE), j * TILE + tl.arange(0, TILE)
            product = _product(w, g, rows, columns, SIZE, TILE, DEPTH)
            _store(out, rows, columns, SIZE, 1.5 * _load(g, rows, columns, SIZE) - 0.5 * product)


@triton.jit
def _backward(grad, norms, d, w0, pairs, scratch, e, SIZE: tl.constexpr, STEPS: tl.constexpr, TILE: tl.constexpr,
              TILES: tl.constexpr, DEPTH: tl.constexpr):  # fmt: skip
    """newton_schulz.backward of matrix number `program`; e is the gradient with respect to W, then to A."""
    program = tl.program_id(0).to(tl.int64)
    square = SIZE * SIZE
    grad += program * square
    d += program * square
    w0 += program * square
    e += program * square
    pairs += program * (2 * (STEPS - 1)) * square
    scratch += program * 3 * square
    s, g, g_next = scratch, scratch + square, scratch + 2 * square
    norm = tl.load(norms + program)
    root = tl.sqrt(norm)
    inner = _inner(grad, d, SIZE, TILE, TILES)
    for i in range(TILES):
        for j in range(TILES):
            rows, columns = i * TILE + tl.arange(0, TILE), j * TILE + tl.arange(0, TILE)
            _store(g, rows, columns, SIZE, _load(grad, rows, columns, SIZE) / root)
    if STEPS > 1:
        w = pairs + 2 * (STEPS - 2) * square
        tl.debug_barrier()
        _step_back(e, w, s, w + square, g, SIZE, True, False, TILE, TILES, DEPTH)
        _times_t_left(g_next, w, g, SIZE, TILE, TILES, DEPTH)
        g, g_next = g_next, g
        for _ in range(2, STEPS):
            w -= 2 * square
            tl.debug_barrier()
            _cubic_half(s, w, e, SIZE, TILE, TILES, DEPTH)
            tl.debug_barrier()
            _step_back(e, w, s, w + square, g, SIZE, False, False, TILE, TILES, DEPTH)
            _times_t_left(g_next, w, g, SIZE, TILE, TILES, DEPTH)
            g, g_next = g_next, g
    tl.debug_barrier()
    if STEPS > 1:
        _cubic_half(s, w0, e, SIZE, TILE, TILES, DEPTH)
        tl.debug_barrier()
    _step_back(e, w0, s, w0, g, SIZE, STEPS == 1, True, TILE, TILES, DEPTH)
    tl.debug_barrier()
    # A enters through W₀ = A/‖A‖ and through the final division by √‖A‖
    along = (_inner(e, w0, SIZE, TILE, TILES) + 0.5 * inner).to(tl.float32)
    tl.debug_barrier()
    for i in range(TILES):
        for j in range(TILES):
            rows, columns = i * TILE + tl.arange(0, TILE), j * TILE + tl.arange(0, TILE)
            value = _load(e, rows, columns, SIZE) - along * _load(w0, rows, columns, SIZE)
            _store(e, rows, columns, SIZE, value / norm)


def shape(size: int) -> dict[str, int]:
    """Tiles a side, their width, and warps of a thread block for matrices of `size`."""
    tile = 64 if size > 32 else 32 if size > 16 else 16
    return {"TILE": tile, "TILES": triton.cdiv(size, tile), "DEPTH": DEPTH,
            "num_warps": {16: 1, 32: 4, 64: 8}[tile], "num_stages": 1}  # fmt: skip


def forward(a: Tensor, iterations: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of contiguous float32 matrices (…, F, F): D, ‖A‖ (…), W₀ and the pairs (…, iterations − 1, 2, F, F)."""
    size = a.shape[-1]
    norms, d, w0 = a.new_empty(a.shape[:-2]), torch.empty_like(a), torch.empty_like(a)
    pairs = a.new_empty(*a.shape[:-2], iterations - 1, 2, size, size)
    _forward[(norms.numel(),)](a, norms, d, w0, pairs, size, STEPS=iterations, **shape(size))
    return d, norms, w0, pairs


def backward(grad: Tensor, d: Tensor, norms: Tensor, w0: Tensor, pairs: Tensor) -> Tensor:
    """dL/dA, symmetric, for dL/dD (…, F, F) and what `forward` returned."""
    size, e = grad.shape[-1], torch.empty_like(grad)
    scratch = grad.new_empty(*grad.shape[:-2], 3, size, size)
    steps = pairs.shape[-4] + 1 if pairs.dim() > 3 else 1
    _backward[(norms.numel(),)](grad, norms, d, w0, pairs, scratch, e, size, STEPS=steps, **shape(size))
    return e
