"""Architectures written once with plain modules, in batch-norm form; `create` puts the normaliser in."""

from renorm.models import densenet, dpn, imagenet, mobilenet, pnasnet, preact, resnet, resnext, simple, vgg
from renorm.models.registry import ArchDescription, build, create, describe, list_archs, register_arch

__all__ = ["ArchDescription", "build", "create", "describe", "list_archs", "register_arch"]

# imported for their registrations
del densenet, dpn, imagenet, mobilenet, pnasnet, preact, resnet, resnext, simple, vgg
