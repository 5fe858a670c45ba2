"""The network of a cell, with the weights that its training starts from."""

from typing import Any

import torch
from torch import nn

from renorm import models
from renorm.core import plugins
from renorm.core.errors import RenormError
from renorm.data import Dataset
from renorm.norms import NormSpec
from renorm.study.cell import Cell


def network(cell: Cell, hyper: dict[str, Any], dataset: Dataset) -> nn.Module:
    """The cell's network with its initial weights; the seed fixes them on the CPU, whatever device trains them.

    Args:
        cell: Its architecture, normaliser and seed are used.
        hyper: Resolved hyper-parameters; `norm`, the options of the normaliser, is used.
        dataset: Number of classes, image size in pixels, and channels are taken from it.

    Returns:
        (N, channels, size, size) images → (N, classes) logits, on the CPU in training mode.

    Raises:
        RenormError: The architecture or the normaliser is unknown, or does not take the data set's images.
    """
    torch.manual_seed(cell.seed)
    weights = hyper.get("pretrained")
    model = models.create(
        cell.arch, _spec(cell.norm, hyper.get("norm", {})), dataset.classes, dataset.image_size, dataset.channels,
        (lambda network: load_pretrained(network, weights)) if weights else None,
    )  # fmt: skip
    _check_first_layer(model, cell, dataset)
    return model


def _spec(norm: str, values: dict[str, Any]) -> NormSpec:
    own = plugins.settings("norm", norm)
    return NormSpec(name=norm, own=own.model_validate(values)) if own else NormSpec(name=norm, **values)


def load_pretrained(model: nn.Module, path: str) -> None:
    """Load a state dict from a file into a network in batch-norm form.

    The classifier keeps its initial weights where its number of classes differs.

    Raises:
        RenormError: The file cannot be read as weights, or a tensor is missing or has another shape.
    """
    try:
        saved: Any = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise RenormError(f"pretrained: {path}: cannot be read: {error.strerror}: correct its path") from None
    except Exception:  # of torch's unpickler, nearly any
        raise RenormError(
            f"pretrained: {path}: is not a state dict saved by torch.save: save model.state_dict()"
        ) from None
    saved = saved if isinstance(saved, dict) else {}
    saved = saved.get("state_dict", saved.get("model", saved))
    wanted = model.state_dict()
    head = next((p for p, m in reversed(list(model.named_modules())) if isinstance(m, nn.Linear | nn.Conv2d)), "")
    for key, tensor in wanted.items():
        found = saved.get(key, saved.get(f"module.{key}"))
        if not isinstance(found, torch.Tensor) or found.shape != tensor.shape:
            if key.rpartition(".")[0] == head:
                continue
            shape = list(found.shape) if isinstance(found, torch.Tensor) else "missing"
            raise RenormError(
                f"pretrained: {path}: {key}: expected {list(tensor.shape)}, found {shape}: use weights of this network"
            )
        tensor.copy_(found)


def parameter_count(model: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def _check_first_layer(model: nn.Module, cell: Cell, dataset: Dataset) -> None:
    """Raise `RenormError` when the first layer does not take the data set's images.

    A builder may ignore the number of channels that it is given, and the order of a network's modules need not be that
    of its computation: only where they seem not to match, one image is sent through to be sure.
    """
    channels, size = dataset.channels, dataset.image_size
    found = next(((path, m) for path, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)), None)
    if found is None:
        return
    path, layer = found
    if isinstance(layer, nn.Conv2d):
        taken, given = layer.in_channels, channels
        unit = "channels"
    else:
        taken, given = layer.in_features, channels * size * size
        unit = "values"
    if taken == given:
        return
    try:
        with torch.no_grad():
            model.eval()(torch.zeros(1, channels, size, size))
    except (RuntimeError, ValueError):
        raise RenormError(
            f"arch: {cell.arch}: its first layer ('{path}') takes {taken} {unit} and an image of {cell.dataset} has "
            f"{given} ({channels}×{size}×{size}): choose an architecture or a data set that matches"
        ) from None
    model.train()
