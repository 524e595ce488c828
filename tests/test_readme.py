"""The README cannot lie: its commands and its Python run, its tables and links are checked.

Commands run as they stand, in order, in one folder; only what takes long is cut short (SHORTER).
"""

from __future__ import annotations

import csv
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from semistylegan.cli.program import COMMANDS, main
from semistylegan.data.pictures import save_png
from semistylegan.scenes import sprites

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RESOLUTION = 16
SHORTER = {
    "import": ["--resolution", str(RESOLUTION)],
    "train": ["--kimg", "0.064", "--device", "cpu"],
    "eval": ["--images", "200"],
    "edit": ["--steps", "20"],
}
"""What is added to a command here; the last of two options of one name counts."""
IMAGES, LABELLED = 48, 24


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def command_lines(block: str) -> list[str]:
    """Lines of a shell block, continued ones joined, comments left out."""
    return [line for line in block.replace("\\\n", " ").splitlines() if line.strip() and not line.startswith("#")]


def make_photos(folder: Path, table: str) -> None:
    """Sprites as loose files, half of them labelled in the columns that the README's table has."""
    columns = table.splitlines()[0].split(",")
    with (folder.parent / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        step = sprites.FACTORS.total // IMAGES + 1
        for i in range(IMAGES):
            index = i * step % sprites.FACTORS.total
            save_png(folder / f"{i:06d}.png", sprites.render(index, RESOLUTION))
            levels = sprites.FACTORS.levels_of_indices(sprites.FACTORS.values_of(index))
            value = {f.name: f.value_of(u) for f, u in zip(sprites.FACTORS, levels, strict=True)}
            if i < LABELLED:
                writer.writerow([f"{i:06d}.png", *(value[name] for name in columns[1:])])
    (folder.parent / "rows.csv").rename(folder / "metadata.csv")


def test_commands_and_python_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEMISTYLEGAN_CACHE", str(tmp_path / "cache"))
    (table,) = blocks("csv")
    make_photos(tmp_path / "photos", table)
    ran = []
    for block in blocks("bash"):
        for line in command_lines(block):
            words = shlex.split(line, comments=True)
            assert words[0] == "semistylegan", line
            status = main([*words[1:], *SHORTER.get(words[1], [])])
            assert status == 0, f"{line}\n{capsys.readouterr().err}"
            ran.append(words[1])
    # Those in the other blocks, those that never end and those that take long have tests of their own.
    assert set(ran) == set(COMMANDS) - {"demo", "render", "app", "label", "export", "sweep", "eval-codes"}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), {})  # noqa: S102  (our own words)


def test_the_table_of_labels_is_read_as_it_stands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (table,) = blocks("csv")
    make_photos(tmp_path / "photos", table)
    (tmp_path / "photos" / "metadata.csv").write_text(table, encoding="utf-8")
    assert main(["check", str(tmp_path / "photos")]) == 0, capsys.readouterr()


@pytest.mark.skipif(shutil.which("make") is None, reason="no make here")
def test_make_targets_exist() -> None:
    targets = {t for block in blocks("sh") for t in re.findall(r"^make (\w+)$", block, flags=re.MULTILINE)}
    targets |= set(re.findall(r"`make (\w+)`", README))
    assert "demo" in targets
    for target in targets:
        said = subprocess.run(
            ["make", "--no-print-directory", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert target != "demo" or said.stdout.splitlines()[-1].endswith("semistylegan demo --out runs/demo")


def test_the_table_of_commands_is_complete() -> None:
    rows = re.findall(r"^\| `semistylegan ([\w-]+)", README, flags=re.MULTILINE)
    assert sorted(rows) == sorted(COMMANDS)


DOCUMENTS = ["README.md", *(str(p.relative_to(ROOT)) for p in sorted((ROOT / "docs").rglob("*.md")))]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    assert [link for link in links if link and not (ROOT / document).parent.joinpath(link).exists()] == []


def test_the_plan_of_the_house_names_every_file() -> None:
    plan = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").split("```")[1]
    named = sorted(re.findall(r"^ +(\w+\.py) ", plan, flags=re.MULTILINE))
    there = sorted(p.name for p in (ROOT / "src").rglob("*.py") if p.name != "__init__.py")
    assert named == there
