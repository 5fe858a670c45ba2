"""axe-core, the accessibility checker, from the npm registry: one file, pinned here and nowhere else, not committed."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from browser import Browser

from renorm.core.files import sha256, write_atomic

VERSION = "4.14.1"
SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
RUN = """axe.run(document, {resultTypes: ['violations'], preload: false}).then(found => JSON.stringify(
    found.violations.map(rule => [rule.id, rule.help, rule.nodes.map(node => node.html.slice(0, 160))])))"""


class NotThereError(Exception):
    """axe-core cannot be had, and why."""


def script(folder: Path) -> str:
    """The checker's source; `folder` keeps it between test runs."""
    path = folder / f"axe-{VERSION}.min.js"
    if not path.exists():
        write_atomic(path, _fetched())
    if sha256(path) != SHA256:
        path.unlink()
        raise NotThereError(f"axe-core {VERSION} has not the checksum pinned in {Path(__file__).name}")
    return path.read_text(encoding="utf-8")


def _fetched() -> bytes:
    npm = shutil.which("npm")
    if npm is None:
        raise NotThereError("npm is not installed, so there is no axe-core")
    with TemporaryDirectory() as folder:
        command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", folder]
        environment = {**os.environ, "npm_config_fetch_retries": "0", "npm_config_update_notifier": "false"}
        try:
            subprocess.run(
                [*command, f"axe-core@{VERSION}"], check=True, timeout=120, capture_output=True, env=environment
            )
        except (subprocess.SubprocessError, OSError) as error:
            raise NotThereError(f"npm cannot install axe-core {VERSION}: {type(error).__name__}") from None
        return (Path(folder) / "node_modules/axe-core/axe.min.js").read_bytes()


def violations(page: Browser, source: str) -> list:
    """What axe finds on the open page: rule, what it means, and where."""
    page.value(f"{source}; true")
    return json.loads(page.value(RUN))
