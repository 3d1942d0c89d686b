"""A model of the user's own function, and every way it can go wrong."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from linexp.models import PhotoTransform, describe_preprocess, load_model, to_unit_tensor

CODE = """
from torch import nn, zeros
from linexp.models import VisionModel
LIMIT = 3
module = nn.Flatten()
def bare(): return nn.Conv2d(3, 2, 1)
def black(picture): return zeros(3, 4, 4)
def white(picture): return zeros(3, 4, 4) + 1
def same(picture): return picture
def pair(): return nn.Dropout(), black
def complete(): return VisionModel("mine", nn.Dropout(), black)
def nothing(): return None
def kind(): return nn.Conv2d
def number(): return 3
def three(): return nn.ReLU(), black, 1
def fails(): return 1 / 0
def wants(size): return nn.ReLU()
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Write modules into an otherwise empty current directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("own_models", "own_broken", "own_package", "own_package.nets"):
        monkeypatch.delitem(sys.modules, name, raising=False)

    def write(name: str, code: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(code, encoding="utf-8")

    write("own_models.py", CODE)
    return write


@pytest.mark.usefixtures("home")
def test_bare_module() -> None:
    model = load_model("own_models:bare", preprocess="unit")
    assert model.name == "own_models:bare"
    assert model.preprocess is to_unit_tensor
    assert not model.module.training
    picture = Image.new("RGB", (5, 4), (255, 0, 51))
    assert model.module(model.preprocess(picture)[None]).shape == (1, 2, 4, 5)


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(("function", "name"), [("pair", "own_models:pair"), ("complete", "mine")])
def test_module_with_its_transform(function: str, name: str) -> None:
    model = load_model(f"own_models:{function}")
    assert model.name == name
    assert not model.module.training
    assert torch.equal(model.preprocess(Image.new("RGB", (5, 4))), torch.zeros(3, 4, 4))


@pytest.mark.usefixtures("home")
def test_weights_of_a_file(tmp_path: Path) -> None:
    state = {"weight": torch.ones(2, 3, 1, 1), "bias": torch.tensor([1.0, 2.0])}
    torch.save(state, tmp_path / "w.pth")
    model = load_model("own_models:bare", weights=tmp_path / "w.pth", preprocess=to_unit_tensor)
    assert model.module.state_dict()["bias"].tolist() == [1, 2]


def test_package(home: Callable[[str, str], None]) -> None:
    home("own_package/__init__.py", "")
    home("own_package/nets.py", CODE)
    assert load_model("own_package.nets:bare", preprocess="unit").name == "own_package.nets:bare"


@pytest.mark.usefixtures("home")
def test_a_bare_module_needs_its_preprocessing() -> None:
    with pytest.raises(ValueError, match="nothing says how pictures become its inputs") as told:
        load_model("own_models:bare")
    assert str(told.value) == (
        "The function 'own_models:bare' returns a Conv2d alone, and nothing says how pictures become its inputs. "
        "Return a pair (module, transform), with the transform it was trained with; or give --preprocess "
        "package.module:function, or --preprocess unit, which only scales to [0, 1] (preprocess= in Python)."
    )


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("function", ["bare", "pair", "complete"])
def test_preprocessing_that_is_named_is_used(function: str) -> None:
    model = load_model(f"own_models:{function}", preprocess="own_models:white")
    assert torch.equal(model.preprocess(Image.new("RGB", (5, 4))), torch.ones(3, 4, 4))
    assert describe_preprocess(model.preprocess) == "own_models.white"


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("asked", "kind", "message"),
    [
        ("units", ValueError, r"no preprocessing 'units'\. Did you mean 'unit'\? Give unit, which only scales"),
        (
            "own_models:whit",
            ValueError,
            r"no function 'whit'\. Did you mean 'white'\? Name a function from a picture to",
        ),
        ("own_models:LIMIT", TypeError, r"'own_models:LIMIT' is a int\. Name a function from a picture to a tensor"),
        ("own_models:number", ValueError, r"'own_models:number' failed on a grey picture \(TypeError: "),
        ("own_models:same", TypeError, r"'own_models:same' made a Image of a picture\. Let it return a tensor"),
    ],
)
def test_preprocessing_that_is_none_is_told_at_once(asked: str, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        load_model("own_models:bare", preprocess=asked)


def test_preprocessing_in_words() -> None:
    assert describe_preprocess(to_unit_tensor) == "linexp.models.base.to_unit_tensor"
    photo = PhotoTransform(224, 256, (0.5, 0.5, 0.5), (1.0, 1.0, 1.0))
    assert describe_preprocess(photo).startswith("PhotoTransform(side=224, resize=256, mean=(0.5, 0.5, 0.5)")

    class Silent:
        def __call__(self, picture: Image.Image) -> torch.Tensor:
            return torch.zeros(3, 1, 1)

    assert describe_preprocess(Silent()).endswith("Silent")  # no address: two runs would differ


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("own_modles:bare", ModuleNotFoundError, "There is no module 'own_modles' to import from '.*'. *Run from"),
        ("own_models.deep:bare", ModuleNotFoundError, "There is no module 'own_models.deep'"),
        ("torchvison:resnet50", ModuleNotFoundError, "Did you mean 'torchvision:resnet50'?"),
        ("own_models:bear", ValueError, r"has no function 'bear'. Did you mean 'bare'\? Name a function"),
        ("own_models:module", ValueError, "'own_models:module' is a Flatten and not a function"),
        ("own_models:LIMIT", ValueError, "'own_models:LIMIT' is a int and not a function"),
        ("own_models:fails", RuntimeError, r"'own_models:fails' failed \(ZeroDivisionError: division by zero\)"),
        ("own_models:wants", RuntimeError, r"\(TypeError: .*missing 1 required .*'size'\). It is called without"),
        ("own_models:nothing", TypeError, "'own_models:nothing' returned None. Return a torch.nn.Module, a pair"),
        ("own_models:kind", TypeError, "returned the class Conv2d and not an instance of it"),
        ("own_models:number", TypeError, "returned a int. Return"),
        ("own_models:three", TypeError, r"returned a tuple of 3 \(ReLU, function, int\)"),
    ],
)
def test_mistakes_are_told(name: str, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        load_model(name)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import no_such_dependency", "ModuleNotFoundError: No module named 'no_such_dependency'"),
        ("def f(:", "SyntaxError: invalid syntax"),
        ("open('weights.pth')", "FileNotFoundError: .*weights.pth"),
    ],
)
def test_failing_import_shows_its_cause(code: str, told: str, home: Callable[[str, str], None]) -> None:
    home("own_broken.py", code)
    with pytest.raises(ImportError, match=rf"'own_broken' was found and failed .*{told}.*python -c 'import") as caught:
        load_model("own_broken:f")
    assert caught.value.__cause__ is not None
