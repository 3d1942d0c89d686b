"""Anybody's explanations: a neuron and a text, in whatever two columns or JSON; what is missing is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from linexp import Explanation, Explanations, Term

LONG = "Items with straight features, " * 200 + '"mostly" outdoors'
SAID = Explanations((Explanation(3, (Term("snow, wet", 1.0),)), Explanation(0, (Term("null", 1.0),))))


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    return path


@pytest.mark.parametrize(
    "text",
    [
        'neuron,text\n3,"snow, wet"\n0,null\n',
        'unit,description,sim correlation\n3,"snow, wet",0.5\n0,null,\n',
        'unit,whatever they call it\n3,"snow, wet"\n0,null\n',
        '"snow says",neuron\n"snow, wet",3\nnull,0.0\n',
        'score,neuron,n,label\n1,3,x,"snow, wet"\n2,0,y,null\n',
        '3,"snow, wet"\r\n0,null\r\n',
    ],
)
def test_csv(tmp_path: Path, text: str):
    assert Explanations.from_csv(write(tmp_path / "e.csv", text)) == SAID


@pytest.mark.parametrize(
    "text",
    [
        '{"3": "snow, wet", "0": "null"}',
        '[[3, "snow, wet"], ["0", "null"]]',
        '[{"neuron": 3, "text": "snow, wet"}, {"score": 1, "unit": 0, "label": "null"}]',
        '[{"unit": 3, "snow": "snow, wet"}, {"concept": "null", "neuron": "0", "explained": true}]',
    ],
)
def test_json(tmp_path: Path, text: str):
    assert Explanations.from_csv(write(tmp_path / "e.JSON", text)) == SAID


@pytest.mark.parametrize("word", ["null", "nan", "0", "None", "NA"])
def test_words_that_look_like_nothing_are_words(tmp_path: Path, word: str):
    for name, text in (("e.csv", f"neuron,text\n7,{word}\n"), ("e.json", f'{{"7": "{word}"}}')):
        assert Explanations.from_csv(write(tmp_path / name, text))[7].concepts == (word,)


def test_a_text_of_any_length_is_one_term(tmp_path: Path):
    quoted = LONG.replace('"', '""')
    explanations = Explanations.from_csv(write(tmp_path / "e.csv", f'neuron,text\n7,"{quoted}"\n'))
    assert explanations[7].terms == (Term(LONG, 1.0),)
    assert explanations.mean_terms == 1
    explanations.to_csv(tmp_path / "ours.csv")
    assert Explanations.from_csv(tmp_path / "ours.csv").items == explanations.items


def test_the_layer_is_read(tmp_path: Path):
    assert Explanations.from_csv(write(tmp_path / "e.csv", "layer,neuron,text\nlayer4,1,a\n")).layer == "layer4"


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("caption,score", r"\(caption, score\) are of no known layout\. Expected"),
        (
            "neuron,score,rank",
            r"no known layout: none is called description or text or explanation or label or",
        ),
        ("description,score", r"no known layout: none is called neuron or unit\. Expected"),
        ("unit,weight0,concept0", r"no known layout: for the paper's, val correlation, bias is missing\. Expected"),
        ("neuron,outcome,bias,weight0,concept0", r"for linexp's, n_terms, val_correlation is missing\. Expected"),
        ("neuron,text,neuron", "has two columns 'neuron'. Remove or rename one"),
    ],
)
def test_missing_columns_are_named(tmp_path: Path, header: str, said: str):
    with pytest.raises(ValueError, match=said):
        Explanations.from_csv(write(tmp_path / "e.csv", f"{header}\n"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("neuron,text\n1,\n", r"Line 2 of '.*': text is empty\. Correct"),
        ("neuron,text\n1.5,a\n", r"Line 2 of '.*': neuron is '1.5', not a whole number from 0 on"),
        ("1,a\nb,c\n", r"Line 2 of '.*': neuron is 'b', not a number"),
        ("1,a\n2,b\n1,c\n", r"Line 3 of '.*': neuron 1 was already explained on line 1\. Keep one of the two"),
        ("neuron,text\n", r"holds no explanation\. Give a file with at least one"),
    ],
)
def test_nonsense_in_csv(tmp_path: Path, text: str, said: str):
    with pytest.raises(ValueError, match=said):
        Explanations.from_csv(write(tmp_path / "e.csv", text))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", r"The file '.*' is not JSON \(.*\)\. Write it anew"),
        ("[" * 100_000, "is not JSON"),
        ('"snow"', r'holds a str\. Expected: \{"3": "snow"\}, \[\[3, "snow"\]\] or'),
        ("[]", r"holds no explanation\. Give"),
        ('{"3": null}', r"Entry 1 of '.*' says None of neuron 3, not a text\. Correct or remove it"),
        ('{"3": "  "}', "says '  ' of neuron 3, not a text"),
        ('{"3": ["a"]}', r"says \['a'\] of neuron 3, not a text"),
        ('{"-3": "a"}', "is of neuron '-3', not a whole number from 0 on"),
        ('{"three": "a"}', "is of neuron 'three', not a whole number"),
        (f'{{"{"9" * 5000}": "a"}}', "is of neuron '999.*', not a whole number from 0 on"),
        ('[[true, "a"]]', "is of neuron True, not a whole number"),
        ('[[1.5, "a"]]', "is of neuron 1.5, not a whole number"),
        ('["a"]', r"Entry 1 of '.*' is \"a\", not a neuron with a text"),
        ('[[1, "a"], [2, "b", 0.5]]', r'Entry 2 of .* is \[2, "b", 0.5\], not a neuron with a text'),
        ('[{"neuron": 1, "score": 2, "rank": 3}]', "Entry 1 of .* has neuron, score, rank, but no neuron with a text"),
        ('{"1": "a", "2": "b", "1": "c"}', r"Entry 3 of '.*': neuron 1 was already explained on entry 1\. Keep one"),
    ],
)
def test_nonsense_in_json(tmp_path: Path, text: str, said: str):
    with pytest.raises(ValueError, match=said):
        Explanations.from_csv(write(tmp_path / "e.json", text))


DISSECTED = (
    "layer,unit,description,similarity\nlayer3,0,sky,0.2\nlayer3,1,dog,0.3\nlayer4,0,cat,0.1\nlayer4,1,sea,0.4\n"
)


def test_of_several_layers_one_is_taken(tmp_path: Path):
    """CLIP-Dissect writes all layers into one file, each with its own units from 0."""
    path = tmp_path / "descriptions.csv"
    path.write_text(DISSECTED)
    found = Explanations.from_csv(path, "layer4")
    assert (found.layer, [item.concepts for item in found]) == ("layer4", [("cat",), ("sea",)])
    for layer, said in ((None, "none is asked for"), ("layer5", "none is 'layer5'")):
        with pytest.raises(ValueError, match=rf"of 2 layers \(layer3, layer4\), and {said}\. Keep the lines of one"):
            Explanations.from_csv(path, layer)
    path.write_text(DISSECTED + "layer4,1,sea,0.4\n")
    with pytest.raises(ValueError, match=r"Line 6 of '.*': neuron 1 was already explained on line 5"):
        Explanations.from_csv(path, "layer4")
    assert len(Explanations.from_csv(path, "layer3")) == 2


def test_published_files_say_their_network(tmp_path: Path):
    """By their names, where their columns are the authors'."""
    path = tmp_path / "resnet50_imagenet_layer4.csv"
    for header, network in (("unit,description", "torchvision:resnet50:IMAGENET1K_V1"), ("neuron,text", "")):
        path.write_text(f"{header}\n0,sky\n")
        found = Explanations.from_csv(path)
        assert (found.network, found[:1].network, found.only([0]).network) == (network,) * 3
