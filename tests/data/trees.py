"""A handful of images laid out as ILSVRC2012 is, for the tests."""

import os
import random
from pathlib import Path

from PIL import Image

CLASSES = ("n01440764", "n02102040", "n03000684")
PER_CLASS = {"train": 4, "val": 2}


def image_file(path: Path, seed: int, mode: str = "RGB", size: tuple[int, int] = (50, 40)) -> Path:
    """A JPEG of smooth random colours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = len(Image.new(mode, (1, 1)).getbands())
    small = Image.frombytes(mode, (5, 4), random.Random(seed).randbytes(20 * channels))
    small.resize(size, Image.Resampling.BICUBIC).save(path, "JPEG")
    return path


def kaggle(root: Path, table: str = "csv") -> Path:
    """ILSVRC/Data/CLS-LOC/{train/<synset>, val} with the classes of val in the competition's table or annotations."""
    tree = root / "ILSVRC" / "Data" / "CLS-LOC"
    for c, name in enumerate(CLASSES):
        for i in range(PER_CLASS["train"]):
            image_file(tree / "train" / name / f"{name}_{i}.JPEG", 100 * c + i)
    rows = [(f"ILSVRC2012_val_{n:08d}", CLASSES[n % 3]) for n in range(3 * PER_CLASS["val"])]
    for n, (stem, _) in enumerate(rows):
        image_file(tree / "val" / f"{stem}.JPEG", 1000 + n)
    if table == "csv":
        lines = [f"{stem},{name} 1 2 30 40 {name} 3 4 5 6" for stem, name in reversed(rows)]
        (root / "LOC_val_solution.csv").write_text("\n".join(["ImageId,PredictionString", *lines]) + "\n")
    elif table == "xml":
        for stem, name in rows:
            path = root / "ILSVRC" / "Annotations" / "CLS-LOC" / "val" / f"{stem}.xml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"<annotation><object><name>{name}</name></object></annotation>")
    return root


def listing(folder: Path) -> list[str]:
    return sorted(str(Path(where, f).relative_to(folder)) for where, _, files in os.walk(folder) for f in files)
