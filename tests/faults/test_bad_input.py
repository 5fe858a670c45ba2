"""Mutated configurations, claims, statements, run records, tables and arguments: valid, or one clear line.

The mutations are seeded by their number, so that a failing case can be run again by itself.
"""

import csv
import io
import json
import random
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from renorm.cli import app as cli
from renorm.core import files
from renorm.core.errors import RenormError
from renorm.judging import load_runs_csv
from renorm.runs import finished, run_record
from renorm.runs.collect import Found, _cell_row, _provenance_row, _run_rows, _step_rows
from renorm.study import claims, config
from renorm.training.job import train

from ..training.cells import SMALL, small_job
from .conftest import cases

ROOT = Path(__file__).parents[2]
NASTY = [
    "", " ", "../../x", "/etc/passwd", "a b", "a'b", 'a"b', "$(touch pwned)", "`touch pwned`", "a\nb", "a;b", "-rf",
    "NaN", "nan", "inf", "-inf", "1e400", "-1", "0", "1.5", "9" * 400, "true", "null", "~", "{}", "[]", "<script>",
    "\x00", "ü", "—", "*", "&a", "!!python/object/apply:os.system [id]", None, True, False, 0, -1, 1.5, 10**40,
    float("nan"), float("inf"), [], {}, [[]], {"a": {}}, ["a", "a"], [None],
]  # fmt: skip


def mutate(value, rng: random.Random):
    """A copy of a nested document with one place changed: replaced, removed, renamed, doubled or wrapped."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        out = dict(value)
        kind = rng.random()
        if kind < 0.1:
            del out[key]
        elif kind < 0.2:
            out[str(rng.choice(NASTY))] = out.pop(key)
        else:
            out[key] = mutate(out[key], rng)
        return out
    if isinstance(value, list) and value and rng.random() < 0.7:
        place = rng.randrange(len(value))
        changed = mutate(value[place], rng)
        return [*value[:place], changed, *value[place + rng.choice([0, 1]) :]]
    return rng.choice(NASTY)


def outcome(call) -> str:
    """'valid' or 'refused'; anything but one clear line per mistake fails the test."""
    try:
        call()
    except RenormError as error:
        lines = str(error).splitlines()
        assert lines and all(map(is_clear, lines)), repr(str(error))
        return "refused"
    return "valid"


def is_clear(line: str) -> bool:
    return bool(line.strip()) and line.isprintable()


def tried(count: int, one, tally, what: str) -> None:
    """`one(number)` for every number, after what is not mutated (number None) was found valid."""
    assert one(None) == "valid"
    outcomes = [one(number) for number in range(count)]
    assert "refused" in outcomes
    tally(what, count, len(outcomes), f"{outcomes.count('refused')} refused in one line, the rest valid")


def test_configurations(tally):
    good = [yaml.safe_load((ROOT / name).read_text()) for name in ("config.yaml", "config/demo.yaml")]

    def one(number):
        rng = random.Random(number)
        values = rng.choice(good) if number is None else mutate(rng.choice(good), rng)
        return outcome(lambda: config.validate(values))

    tried(cases(300, 5000), one, tally, "mutated configurations")


def test_text_of_configurations(tmp_path, tally):
    """The bytes of the file itself: characters changed, cut, doubled."""
    good, path = (ROOT / "config/demo.yaml").read_bytes(), tmp_path / "config.yaml"

    def one(number):
        rng = random.Random(number)
        bad = bytearray(good)
        if number is not None:
            at = rng.randrange(len(bad))
            bad[at : at + rng.choice([0, 1, 20])] = rng.choice(
                [b"", b"\t", b":", b"&a ", b"*a", b"\xff", b"\x00", b"- ", b"{"]
            )
        path.write_bytes(bad)
        return outcome(lambda: config.load(path))

    tried(cases(200, 5000), one, tally, "configuration files with changed bytes")


def copied(source: str, target: Path) -> Path:
    """The claims of `source` to be changed on purpose: without the checksums that would refuse every change."""
    return shutil.copytree(ROOT / "claims" / source, target / source, ignore=shutil.ignore_patterns(claims.SUMS))


@pytest.mark.parametrize("table", ["ye2020/table1.csv", "southampton/table2.csv"])
def test_claims(tmp_path, tally, table):
    path = copied(Path(table).parent.name, tmp_path) / Path(table).name
    rows = list(csv.reader(io.StringIO(path.read_text())))

    def one(number):
        rng = random.Random(number)
        changed = [list(row) for row in rows]
        if number is not None:
            row = changed[rng.randrange(len(changed))]
            row[rng.randrange(len(row))] = str(rng.choice(NASTY))
            if rng.random() < 0.1:
                row.append("more")
        out = io.StringIO()
        csv.writer(out).writerows(changed)
        path.write_text(out.getvalue())
        return outcome(lambda: claims.load_claims(path.parent))

    tried(cases(100, 5000), one, tally, f"mutated claims ({table})")


@pytest.mark.parametrize("name", ["statements.yaml", "source.yaml"])
def test_statements_and_sources(tmp_path, tally, name):
    folder = copied("obadage2024", tmp_path)
    good = yaml.safe_load((folder / name).read_text())

    def one(number):
        (folder / name).write_text(yaml.safe_dump(good if number is None else mutate(good, random.Random(number))))
        return outcome(lambda: claims.load_claims(folder))

    tried(cases(60, 5000), one, tally, f"mutated {name}")


@pytest.fixture(scope="module")
def record(tmp_path_factory, prepared_digits):
    """A real run's record and the study that it belongs to."""
    job = small_job(tmp_path_factory.mktemp("run"), prepared_digits, norm="deconv", epochs=1)
    train(job)
    study = config.validate({
        "study": "s", "recipes": {"small": SMALL}, "results_dir": "none",
        "experiments": {"e": {"dataset": ["digits"], "arch": ["tiny_vgg"], "norm": ["deconv"], "recipe": ["small"],
                              "epochs": [1], "seeds": [1]}},
    })  # fmt: skip
    return study, job.cell, json.loads((job.out / "run.json").read_text())


def test_records(tmp_path, tally, record):
    """Changed records, half of them sealed again as a mistaken tool would: refused, or tables are made from them."""
    study, cell, good = record
    path = tmp_path / "run.json"

    def rows():
        found = run_record.read(path)
        if not finished.identity(study, cell).differences(found):
            whole = Found(cell, ["e"], found, [], found.status, "")
            (
                _run_rows(study, cell, found, study.registry),
                _cell_row(whole),
                _provenance_row(cell, found),
                _step_rows(cell, found),
            )

    def one(number):
        values = good if number is None else mutate(good, random.Random(number))
        files.write_atomic(path, json.dumps(values))
        if number is not None and isinstance(values, dict) and number % 2:
            with suppress(ValueError):  # NaN cannot be written in the first place
                files.write_sealed(path, values)
        return outcome(rows)

    tried(cases(400, 5000), one, tally, "mutated run records")


def test_tables_of_somebody_else(tmp_path, tally):
    good = (ROOT / "claims/obadage2024/table5.csv").read_text()
    rows = list(csv.reader(io.StringIO(good)))

    def one(number):
        rng = random.Random(number)
        changed = [list(row) for row in rows[: rng.randrange(2, len(rows))]]
        if number is not None:
            row = changed[rng.randrange(len(changed))]
            row[rng.randrange(len(row))] = str(rng.choice(NASTY))
        out = io.StringIO()
        csv.writer(out).writerows(changed)
        (tmp_path / "runs.csv").write_text(out.getvalue())
        return outcome(lambda: load_runs_csv(tmp_path / "runs.csv"))

    tried(cases(100, 2000), one, tally, "mutated tables for the audit")


def test_arguments(tmp_path, tally, monkeypatch):
    """Mutated command lines: exit code 0, 1 or 2 and no file where none belongs."""
    monkeypatch.chdir(tmp_path)
    good = ["train", "--dataset", "digits", "--arch", "tiny_vgg", "--norm", "deconv", "--epochs", "1", "--seed", "1",
            "--recipe", "paper", "--set", "optimizer.lr=0.1", "--threads", "1"]  # fmt: skip
    # Whatever still is a good command line must not really train.
    import renorm.training.job

    monkeypatch.setattr(renorm.training.job, "train", lambda job: (_ for _ in ()).throw(RenormError("would train")))

    def one(number):
        rng = random.Random(number)
        words = list(good)
        for _ in range(0 if number is None else rng.choice([1, 1, 2])):
            words[rng.randrange(1, len(words))] = str(rng.choice(NASTY)).replace("\x00", "")
        result = CliRunner().invoke(cli.app, words)
        if isinstance(result.exception, RenormError):
            assert all(map(is_clear, str(result.exception).splitlines())), words
            return "valid" if str(result.exception) == "would train" else "refused"
        assert result.exit_code == 2 and isinstance(result.exception, SystemExit), (words, result.exception)
        return "refused"

    tried(cases(150, 5000), one, tally, "mutated command lines")
    assert list(tmp_path.iterdir()) == []


def test_a_yaml_bomb_is_one_line(tmp_path):
    bomb = "a: &a [x, x]\n" + "".join(f"{c}: &{c} [*{p}, *{p}]\n" for p, c in zip("abcdefgh", "bcdefghi", strict=True))
    (tmp_path / "bomb.yaml").write_text(bomb)
    with pytest.raises(RenormError, match="YAML aliases"):
        config.load(tmp_path / "bomb.yaml")


def test_deep_nesting_is_one_line(tmp_path):
    (tmp_path / "deep.yaml").write_text("a: " + "[" * 5000 + "]" * 5000)
    with pytest.raises(RenormError, match="deep.yaml"):
        config.load(tmp_path / "deep.yaml")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(RenormError, match="deep.json: cannot be read as JSON"):
        files.read_json(tmp_path / "deep.json", "try again")
