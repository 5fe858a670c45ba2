"""What a study is: its configuration, its grid of cells, its claims."""
