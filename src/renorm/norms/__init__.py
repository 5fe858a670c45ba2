"""What can take the place of batch norm: one file a method, and `apply`, which puts it into any network."""

from renorm.core import plugins
from renorm.norms.deconvolution import keep_folded
from renorm.norms.fold import fold
from renorm.norms.registry import apply, list_norms, register_norm, with_defaults
from renorm.norms.running import running_together
from renorm.norms.spec import LayerSettings, NormSpec

__all__ = ["LayerSettings", "NormSpec", "apply", "fold", "keep_folded", "list_norms", "register_norm",
           "running_together", "with_defaults"]  # fmt: skip

plugins.import_plugins("norm")
