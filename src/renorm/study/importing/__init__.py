"""Results that exist already → a claims folder: a file is read as a grid, and a map says what its columns are."""

from renorm.study.importing.convert import Imported, convert
from renorm.study.importing.first_map import first_map
from renorm.study.importing.grid import Grid
from renorm.study.importing.header import guessed
from renorm.study.importing.mapping import Map, Read, load_map
from renorm.study.importing.readers import is_history, read_grids
from renorm.study.importing.write import write

__all__ = ["Grid", "Imported", "Map", "Read", "convert", "first_map", "guessed", "is_history", "load_map", "read_grids",
           "write"]  # fmt: skip
