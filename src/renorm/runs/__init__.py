"""The records of finished cells, without torch."""
