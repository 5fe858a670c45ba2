"""Architectures written once with plain modules, in batch-norm form; `create` puts the normaliser in."""

from renorm.core import plugins
from renorm.models.registry import ArchDescription, build, create, describe, list_archs, register_arch

__all__ = ["ArchDescription", "build", "create", "describe", "list_archs", "register_arch"]

plugins.import_plugins("arch")
