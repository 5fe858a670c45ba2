"""The names that are read from the source are the names that register themselves."""

from renorm import catalogue


def test_datasets():
    from renorm import data

    assert list(catalogue.names("dataset")) == data.list_datasets()


def test_archs():
    from renorm import models

    assert list(catalogue.names("arch")) == models.list_archs()


def test_norms():
    from renorm import norms

    assert list(catalogue.names("norm")) == norms.list_norms()


def test_no_torch_is_imported_for_the_names(root):
    import subprocess
    import sys

    code = "import sys; from renorm import collect, config; config.schema(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
