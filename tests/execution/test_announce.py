"""What a start of Snakemake prints: a line a finished cell, and how many are done."""

import logging

from snakemake_interface_logger_plugins.common import LogEvent

from renorm.execution import announce

from .test_status import cell, real, study, write_run  # noqa: F401 - fixtures


def test_a_line_for_every_cell_that_ended_well(study, capsys):  # noqa: F811
    for seed, status in ((1, "completed"), (2, "diverged")):
        write_run(study, cell(seed), status)
    listening = announce.Announcer(study, {4: cell(1), 7: cell(2), 9: cell(3)})
    log = logging.Logger("snakemake")
    log.addHandler(listening)
    log.info("Finished", extra={"event": LogEvent.JOB_FINISHED, "job_id": 4})
    log.info("Finished", extra={"event": LogEvent.JOB_FINISHED, "job_id": 5})  # another rule's
    log.info("Started", extra={"event": LogEvent.JOB_STARTED, "job_id": 9})
    log.info("Finished", extra={"event": LogEvent.JOB_FINISHED, "job_id": 7})
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"{cell(1)}: top-1 ") and first.endswith(" % in 10 s, 2 cells to go")
    assert second == f"{cell(2)}: diverged in 10 s, 1 cell to go"


def test_a_record_that_cannot_be_read_is_one_line(study):  # noqa: F811
    assert announce.cell_line(study, cell(1), 0).count("run.json") == 1


def test_how_many_cells_are_done(study):  # noqa: F811
    write_run(study, cell(1))
    assert announce.closing_line(study) == "1 of 7 cells, 6 missing: renorm status"
    (announce.run_folder(study, cell(2))).mkdir(parents=True)
    (announce.run_folder(study, cell(2)) / "log.txt").write_text("renorm: no space left\n")
    assert announce.closing_line(study) == "1 of 7 cells, 1 failed, 5 missing: renorm status"
    for seed in range(2, 8):
        write_run(study, cell(seed))
    assert announce.closing_line(study) == "7 of 7 cells"
