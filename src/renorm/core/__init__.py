"""What knows nothing of studies: errors, files, metrics, tables."""
