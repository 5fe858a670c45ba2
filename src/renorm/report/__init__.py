"""The CSVs of a study become tables, figures and one page. Nothing here computes a number that is not in a CSV."""
