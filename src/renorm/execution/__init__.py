"""How cells are planned, costed and run on machines."""
