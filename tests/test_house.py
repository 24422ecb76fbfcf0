"""The house's own rules: who may know whom, style, types, light imports, and words for every error."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path
from string import Formatter

import pytest

from core.settings import ROOT

LOCALE = ROOT / "assets" / "locales" / "zh.toml"
HEAVY = (
    "torch",
    "transformers",
    "chromadb",
    "streamlit",
    "peft",
    "sentence_transformers",
    "pandas",
    "scipy",
    "datasets",
    "markitdown",
    "pypdfium2",
    "rapidocr_onnxruntime",
)
LIGHT_MODULES = [
    "core.cli",
    "core.settings",
    "core.errors",
    "core.files",
    "core.jobs",
    "core.lifecycle",
    "core.queue",
    "core.watch",
    "core.hardware",
    "core.models.cards",
    "core.models.store",
    "core.models.preparing",
    "core.models.downloads",
    "core.models.worker",
    "core.models.loading",
    "core.models.memory",
    "core.models.own",
    "core.generation.prompts",
    "core.generation.engine",
    "core.generation.likelihood",
    "core.generation.check",
    "core.generation.chats",
    "core.generation.strategies",
    "core.generation.templates",
    "core.generation.turns",
    "core.training.config",
    "core.training.data.checks",
    "core.training.data.datasets",
    "core.training.data.intake",
    "core.training.data.preview",
    "core.training.runs",
    "core.training.curves",
    "core.training.dependents",
    "core.training.estimate",
    "core.training.merge",
    "core.training.portable",
    "core.training.provenance",
    "core.training.worker",
    "core.duplicates",
    "core.rag.chunks",
    "core.rag.cleaning",
    "core.rag.documents",
    "core.rag.knowledge",
    "core.rag.rows",
    "core.rag.store",
    "core.rag.worker",
    "core.commands.compare",
    "core.evaluation.experiments",
    "core.evaluation.export",
    "core.evaluation.forgetting",
    "core.evaluation.freezing",
    "core.evaluation.lengths",
    "core.evaluation.metrics",
    "core.evaluation.overlap",
    "core.evaluation.questions",
    "core.evaluation.results",
    "core.evaluation.retrieval",
    "core.evaluation.sweep",
    "core.evaluation.sweep_worker",
    "core.evaluation.stability",
    "core.evaluation.statistics",
]


def tool(name: str, *arguments: str) -> None:
    """Run a tool that lies beside this interpreter."""
    program = Path(sys.executable).with_name(name)
    if not program.exists():
        pytest.skip(f"{name} is not installed (requirements-dev.txt)")
    done = subprocess.run([str(program), *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nobody_imports_whom_the_house_forbids() -> None:
    tool("lint-imports", "--no-cache")


def test_style() -> None:
    tool("ruff", "check", "--no-cache", ".")


def test_format() -> None:
    tool("ruff", "format", "--check", "--no-cache", ".")


def test_types() -> None:
    tool("mypy")


def test_light_modules_load_nothing_heavy() -> None:
    """The first page paints and the command line answers before any of these is needed."""
    code = (
        "import importlib, sys\n"
        f"for name in {LIGHT_MODULES!r}:\n"
        "    importlib.import_module(name)\n"
        f"    loaded = [heavy for heavy in {HEAVY!r} if heavy in sys.modules]\n"
        "    assert not loaded, (name, loaded)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def texts_of(node: ast.expr, known: dict[str, str]) -> list[str]:
    """The texts an argument can be: a literal (also joined implicitly), a name for one, or either side of a choice."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.IfExp):
        return texts_of(node.body, known) + texts_of(node.orelse, known)
    if isinstance(node, ast.Name) and node.id in known:
        return [known[node.id]]
    raise AssertionError(f"line {node.lineno}: a UserError's text must be a literal, or it cannot be translated")


def named_texts(tree: ast.AST) -> dict[str, str]:
    """Names in a module that stand for a text."""
    assigned = [
        node for node in ast.walk(tree) if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
    ]
    return {
        target.id: node.value.value
        for node in assigned
        for target in node.targets
        if isinstance(target, ast.Name) and isinstance(node.value.value, str)
    }


def user_errors() -> list[tuple[str, list[str], set[str]]]:
    """(place, texts, names of values) of every UserError made in core."""
    found = []
    trees = {path: ast.parse(path.read_text("utf-8")) for path in sorted((ROOT / "core").rglob("*.py"))}
    classes = [node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    kinds = {"UserError"} | {c.name for c in classes if any(getattr(b, "id", "") == "UserError" for b in c.bases)}
    for path, tree in trees.items():
        known = named_texts(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in kinds:
                place = f"{path.relative_to(ROOT)}:{node.lineno}"
                texts = [text for argument in node.args for text in texts_of(argument, known)]
                found.append((place, texts, {keyword.arg or "**" for keyword in node.keywords}))
    return found


def braces(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_the_collector_sees_the_errors() -> None:
    texts = {text for _, texts, _ in user_errors() for text in texts}
    assert "There is no “{name}” here." in texts
    assert "Put it back, or start anew." in texts
    assert len(texts) > 60


def test_every_brace_of_an_error_has_its_value_and_every_value_its_brace() -> None:
    for place, texts, values in user_errors():
        if values and "**" not in values:
            assert set().union(*map(braces, texts)) == values, place


def test_every_error_a_person_may_see_is_said_in_chinese_too() -> None:
    words = tomllib.loads(LOCALE.read_text("utf-8")).get("errors", {})
    texts = {text for _, texts, _ in user_errors() for text in texts if text}
    assert not sorted(texts - words.keys()), "not translated"
    assert not sorted(words.keys() - texts), "translated, but said nowhere any more"


def test_a_translation_has_the_same_braces() -> None:
    for english, chinese in tomllib.loads(LOCALE.read_text("utf-8")).get("errors", {}).items():
        if braces(chinese) or "[{" not in english:
            assert braces(chinese) == braces(english), english


def test_no_path_of_one_machine_is_in_the_project() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode:
        pytest.skip("not a git checkout")
    place = f"{ROOT}/"
    if len(place) < 4:
        pytest.skip("the project lies at the root of the disk")
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".txt", ".yml", ".yaml", ".json", ".sh"} and path.is_file():
            assert place not in path.read_text("utf-8"), name
