"""Architectures written once with plain modules, in batch-norm form; `create` puts the normaliser in."""

from renorm import catalogue
from renorm.models.registry import ArchDescription, build, create, describe, list_archs, register_arch

__all__ = ["ArchDescription", "build", "create", "describe", "list_archs", "register_arch"]

catalogue.import_room("arch")
