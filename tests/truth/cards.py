"""What the page draws on its cards, as a browser shows it to people."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.browser import Page
from tests.truth.page import bare
from tests.truth.said import NUMBER as N
from tests.truth.said import Key, Said, printed

READ = """
() => {
  window.dispatchEvent(new Event("beforeprint"));  // draws every card
  const text = (one) => one.textContent;
  return [...document.querySelectorAll("#neurons .card")].map((card) => ({
    neuron: Number(card.id.slice(7)),
    headline: [...card.querySelectorAll(".headline p")].map(text),
    methods: [...card.querySelectorAll("section.method")].map((method) => ({
      name: text(method.querySelector("h4")),
      scores: [...method.querySelectorAll(".score-list li")].map(text),
      weights: [...method.querySelectorAll(".term .weight")].map(text),
      kept: [...method.querySelectorAll(".term")].map((term) => [...term.querySelectorAll(".kept")].map(text)),
      bias: [...method.querySelectorAll(".bias")].map(text),
    })),
  }));
}
"""


def cards(page: Page) -> Iterator[Said]:
    for card in page.ask(READ):
        value, title, *_ = card["headline"]
        yield from _score(
            f"{title} {value}", card["methods"][0]["name"], card["neuron"], f"head of card {card['neuron']}"
        )
        for method in card["methods"]:
            yield from _method(method, card["neuron"])


def _method(method: dict[str, list[str]], neuron: int) -> Iterator[Said]:
    name, where = str(method["name"]), f"card {neuron}"
    key = name, neuron
    for line in method["scores"]:
        yield from _score(line, name, neuron, where)
    yield from printed(("n_terms", *key), str(len(method["weights"])), where)
    for place, (weight, notes) in enumerate(zip(method["weights"], method["kept"], strict=True)):
        yield from _pair("weight", "weight error", (*key, place), weight, where)
        for told in filter(None, (re.fullmatch(r"chosen again in (\d+)% of redraws", note) for note in notes)):
            yield from printed(("kept", *key, place), f"{int(told[1]) / 100:.2f}", where)
    for line in method["bias"]:
        yield from printed(("bias", *key), _plain(line.removeprefix("bias ")), where)


def _score(line: str, name: str, neuron: int, where: str) -> Iterator[Said]:
    """Yield a score of the list, whose title comes before the number; last what chose the terms, and the measure."""
    told = re.fullmatch(rf"(?P<title>.+?) (?P<value>{N}[⁻⁰¹²³⁴⁵⁶⁷⁸⁹·]*(?: ± \S+)?)(?P<rest>, selected|, p \S+)?", line)
    assert told, f"nobody knows what this line means: {line!r}"
    title, value = told["title"], told["value"]
    if title == "val":
        yield from _pair("val", "val error", (name, neuron), value, where)
    elif title in ("AUROC", "train correlation"):
        yield from printed(("measure", name, neuron), _plain(value), where)
        yield from printed(("p", name, neuron), _plain((told["rest"] or "").removeprefix(", p ")), where)
    else:
        heading, _, method = title.partition(", of ")
        metric, _, judge = heading.partition(", judged by ")
        yield from _pair("score", "error", (method or name, judge, bare(metric), neuron), value, where)


def _pair(what: str, error: str, key: Key, text: str, where: str) -> Iterator[Said]:
    value, _, spread = text.partition(" ± ")
    yield from printed((what, *key), _plain(value), where)
    yield from printed((error, *key), _plain(spread), where)


def _plain(text: str) -> str:
    """Return 1.5·10⁻³ as 1.5e-3."""
    digits, _, power = text.partition("·10")
    return f"{digits}e{power.translate(str.maketrans('⁻⁰¹²³⁴⁵⁶⁷⁸⁹', '-0123456789'))}" if power else digits
