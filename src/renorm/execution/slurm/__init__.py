"""Around Snakemake's Slurm executor: checks before the first job, repairs of the plugin, submission, recovery.

Imports nothing, since every submission starts `python -m renorm.execution.slurm.submit`.
"""
