"""Standard English and the field's terms: expressions that are not used, each with what to write instead."""

import re

import pytest

# Word-bounded and without a legitimate use in these files; docs/glossary.md defines the terms.
STOOD = r"in(?! for)|at|twice|already|beside|under|below|above|behind|where|there|here|alone|as"
WORDS = {
    r"[Hh](eld|olds?|olding) (it |them |[a-z]+ )?against": "compared with",
    rf"\b[Ss]t(ands?|ood) ({STOOD})\b": "is",
    r"\bas (it|they) stands?\b": "as it is",
    r"\b[Tt]old\b": "reported, given",
    r"\b[Tt]wins?\b": "concurrent job; deconvolved counterpart",
    r"\b[Ll]adders?\b": "equivalence verdict",
    r"\b[Rr]ungs?\b": "criterion",
    r"\b[Ll]edgers?\b": "statements",
    r"\b[Ff]oret(ell|ells|old)\b": "predicted",
    r"\b(go|goes|went|going) on where": "resumes",
    r"\bthe way back\b": "recovery",
    r"\bha(s|ve) not (its|their|the|a|an|been)\b": "does not match, is missing",
    r"\bborn deaf\b": "started with these signals blocked",
    r"\b[Ss]o many\b": "n",
    r"(?<!platform\.)\b[Pp]rocessors?\b": "CPU",
    r"(?<!derived_seed\(\")\b[Pp]ictures?\b": "image",
    r"\b[Rr]ooms?\b": "package",
    r"\b[Dd]rawings?\b": "layer view",
    r"\b[Ll]ooks? into\b": "layer view, inspect",
    r"(?<![Tt]here )\b(is|are) no (?!longer|more|less|better|worse|larger|smaller)": "is not a",
    r"\bfor machines\b": "machine-readable",
    r"\b[Ss]peaks? (to|for)\b": "covers",
    r"\b[Hh]angs? on\b": "depends on",
    r"\b[Bb]e_patient|\bpatience\b": "patch_slurm_plugin",
    r"\b([Tt]eller|[Ff]ollowers?)\b": "RunLogger; worker",
    r"\b(two|in) camps\b": "clusters",
    r"\bby (its|their) existing\b": "automatically",
    r"\bpassed over\b": "skipped, ignored",
    r"\bof no worth\b": "no longer valid",
    r"\bcounts? more than\b": "takes precedence over",
    r"\b[Ss]lips? of the hand\b": "typing error",
    r"\bgo(es)? on with\b": "continues, resumes with",
    r"\bnobody says\b": "not stated",
}
PLACES = (
    "src/renorm", "docs", "report", "workflow", "slurm", "config", "examples",
    "README.md", "CONTRIBUTING.md", "SECURITY.md", "config.yaml", "Snakefile", "Makefile", "mkdocs.yml",
)  # fmt: skip
KINDS = {".py", ".md", ".yaml", ".yml", ".j2", ".css", ".js", ".smk", ".json", ".txt", ""}


def findings(root, place):
    """`file:line: words: write …`, for a file or everything in a folder."""
    start = root / place
    for path in sorted(start.rglob("*")) if start.is_dir() else [start]:
        if path.is_file() and not path.is_symlink() and path.suffix in KINDS and "bundled" not in path.parts:
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
                for pattern, better in WORDS.items():
                    if found := re.search(pattern, line):
                        yield f"{path.relative_to(root)}:{number}: '{found[0]}': write: {better}"


@pytest.mark.parametrize("place", PLACES)
def test_the_language_is_standard(root, place):
    found = list(findings(root, place))
    assert not found, "\n".join(found)


def test_every_pattern_finds_its_expression(tmp_path):
    """The list can fail: a file with one expression of each is reported once for each."""
    said = ["held against", "stands in", "as it stands", "told", "twin", "ladder", "rung", "ledger", "foretold",
            "goes on where", "the way back", "has not its", "born deaf", "so many", "processor", "picture", "room",
            "drawing", "look into", "is no number", "for machines", "speaks to", "hangs on", "patience", "teller",
            "in camps", "by its existing", "passed over", "of no worth", "counts more than", "slip of the hand",
            "goes on with", "nobody says"]  # fmt: skip
    (tmp_path / "page.md").write_text("\n".join(said))
    assert len(list(findings(tmp_path, "page.md"))) == len(said) == len(WORDS)
