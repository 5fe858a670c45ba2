"""Network deconvolution as the textbook would write it: to be read, not to be fast.

Ye et al. 2020, algorithm 1, with the coupled Newton-Schulz iteration; gradients by autograd. All in one function of
the input, the weight and the bias, so that a test can look at every tensor.
"""

import math

import torch
import torch.nn.functional as F


def inverse_square_root(a, steps):
    """Z/√‖a‖ after `steps` coupled Newton-Schulz steps, for matrices (…, F, F)."""
    norm = a.pow(2).sum((-2, -1), keepdim=True).sqrt()
    identity = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device).expand_as(a)
    y, z = a / norm, identity
    for _ in range(steps):
        t = 0.5 * (3 * identity - z @ y)
        y, z = y @ t, t @ z
    return z / norm.sqrt()


def conv_samples(x, conv, block, sampling_stride, channels_only=False):
    """The samples that enter the statistics, (groups, samples, features)."""
    if conv.kernel_size == (1, 1) or channels_only:
        pixels = x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])  # in N·H·W order
        stride = (1, 1) if channels_only else conv.stride
        columns = pixels[:: sampling_stride**2 * math.prod(stride)]
        taps = 1
    else:
        stride = [sampling_stride * s for s in conv.stride]
        patches = F.unfold(x, conv.kernel_size, conv.dilation, conv.padding, stride)  # N, C·k², L
        columns = patches.transpose(1, 2).reshape(-1, patches.shape[1])
        taps = math.prod(conv.kernel_size)
    if conv.groups > 1:
        return columns.reshape(len(columns), conv.groups, -1).transpose(0, 1)
    # feature number f goes to block f mod blocks, as its feature f div blocks; all blocks are samples alike
    return columns.reshape(len(columns), block * taps, -1).transpose(1, 2).reshape(1, -1, block * taps)


def statistics(samples, eps, steps):
    """Mean (groups, features) and D (groups, features, features)."""
    mean = samples.mean(1)
    centred = samples - mean[:, None]
    covariance = centred.transpose(1, 2) @ centred / samples.shape[1]
    covariance = covariance + eps * torch.eye(samples.shape[2], dtype=samples.dtype, device=samples.device)
    return mean, inverse_square_root(covariance, steps)


def conv2d(x, weight, bias, conv, mean, d, channels_only=False):
    """The convolution of the whitened input: the transform folded into weight and bias."""
    out, features = len(weight), d.shape[-1]
    taps = weight[0, 0].numel() if channels_only else 1
    # out, features, blocks, taps -> one row of features per (output, block, tap), per group
    rows = weight.reshape(conv.groups, out // conv.groups, features, -1, taps).permute(0, 1, 3, 4, 2)
    white = (rows.reshape(conv.groups, -1, features) @ d).reshape(rows.shape)
    shift = (white @ mean[:, None, None, :, None]).reshape(out, -1).sum(1)
    weight = white.permute(0, 1, 4, 2, 3).reshape(weight.shape)
    return F.conv2d(x, weight, bias - shift, conv.stride, conv.padding, conv.dilation, conv.groups)


def linear(x, weight, bias, mean, d):
    """The fully connected layer of the whitened input."""
    white = weight.reshape(-1, d.shape[-1]) @ d[0]
    shift = (white @ mean[0]).reshape(len(weight), -1).sum(1)
    return F.linear(x, white.reshape(weight.shape), bias - shift)


def block_of(channels, block):
    """Channels a covariance."""
    if channels < block:
        return channels
    return block if channels % block == 0 else math.gcd(block, channels)
