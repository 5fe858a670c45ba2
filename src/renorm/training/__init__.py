"""One cell in, one run out."""
