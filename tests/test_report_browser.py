"""The report in a real browser: it shows what it should, loads nothing, and runs nobody else's code."""

import re
from dataclasses import replace

import pytest
import torch

import linexp as le
from linexp.results import Column
from tests.browser import Page, open_browser
from tests.report_world import EVIL, N_NEURONS, make_findings, make_pictures, make_run

NUMBERS = [100 + place for place in range(N_NEURONS)]


@pytest.fixture(scope="module")
def browser():
    yield from open_browser()


@pytest.fixture(scope="module")
def findings():
    return make_findings()


@pytest.fixture(scope="module")
def path(tmp_path_factory, findings):
    return le.write_report(findings, tmp_path_factory.mktemp("report"))


@pytest.fixture
def page(browser, path):
    opened = Page(browser, path)
    yield opened
    assert opened.complaints == []
    opened.context.close()


def test_it_loads_nothing_but_its_own_files(page, path):
    page.page.locator("#neurons").scroll_into_view_if_needed()
    page.page.wait_for_selector(".card.drawn img")
    page.page.wait_for_function("[...document.querySelectorAll('.card.drawn img')].some(one => one.naturalWidth > 0)")
    home = path.resolve().parent.as_uri()
    assert any(url.endswith(".webp") for url in page.requests)
    assert all(url.startswith((home, "data:")) for url in page.requests), page.requests


def test_names_are_shown_and_never_run(page):
    page.choose("text", EVIL.lower())
    assert page.shown()
    concepts = page.page.locator(".card.drawn .concept").all_text_contents()
    assert any(text.startswith(EVIL) for text in concepts)
    assert page.ask("document.title") == "Neurons of layer4.<b> – linexp"
    assert page.page.locator("h1").text_content() == "Neurons of layer4.<b>"
    assert page.ask("document.querySelectorAll('script').length") == 3
    assert page.ask("document.querySelectorAll('img[src=x], h1 b').length") == 0


def test_a_script_that_got_in_would_not_run(page):
    """The second wall: the page's policy runs its own script only."""
    made = "const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s);"
    page.ask(f"() => {{ {made} }}")
    assert page.ask("window.ran === undefined")
    page.complaints[:] = [text for text in page.complaints if "Content Security Policy" not in text]


def test_cards_are_sorted(page, findings):
    scores = findings[0].columns[0].values
    falling = sorted(scores, key=lambda neuron: (-round(scores[neuron], 4), neuron))
    assert page.shown()[: len(falling)] == falling
    assert set(page.shown()) == set(NUMBERS)  # those without a score come last
    page.choose("sort", "score-up")
    assert page.shown()[0] == falling[-1]
    page.choose("sort", "index")
    assert page.shown() == NUMBERS
    page.choose("sort", "length")
    lengths = [len(findings[0].explanations[neuron].terms) for neuron in page.shown()]
    assert lengths == sorted(lengths, reverse=True)
    page.choose("sort", "impact")
    assert [neuron % 7 for neuron in page.shown()[:3]] == [6, 6, 6]


def test_cards_are_filtered(page, findings):
    page.choose("text", "SNOW")
    wanted = {item.neuron for item in findings[0].explanations.about("snow")}
    assert set(page.shown()) == wanted
    assert page.page.locator("#status").text_content() == f"{len(wanted)} of {N_NEURONS} neurons"
    page.choose("text", "107")
    assert page.shown() == [107]
    page.choose("text", "no such concept")
    assert page.shown() == []
    page.choose("text", "")
    values = findings[0].columns[0].values
    middle = round(sorted(values.values())[len(values) // 2], 4)
    page.choose("low", str(middle))
    assert all(values[neuron] >= middle - 1e-4 for neuron in page.shown())
    page.choose("high", str(middle))
    assert 1 <= len(page.shown()) < N_NEURONS / 2


def test_the_method_that_leads_can_be_chosen(page, findings):
    page.choose("method", "1")
    page.choose("sort", "index")
    first = findings[1].explanations[100]
    assert page.page.locator("#neuron-100 .formula").text_content().endswith(first.concepts[0])
    # on the card the other one can be looked at
    page.page.locator("#neuron-100").scroll_into_view_if_needed()
    page.page.locator("#neuron-100 button", has_text="ours").click()
    assert page.page.locator("#neuron-100 .method.chosen h4").text_content() == "ours"


@pytest.mark.parametrize("fragment", ["#neuron-117", f"#{'layer4.%3Cb%3E'}/neuron-117"])
def test_a_link_leads_to_a_neuron(browser, path, fragment):
    page = Page(browser, path, fragment)
    page.page.wait_for_selector("#neuron-117 .area svg")
    assert page.ask("document.activeElement.id") == "neuron-117"
    top = page.ask("document.getElementById('neuron-117').getBoundingClientRect().top")
    assert 0 < top < 200
    assert page.complaints == []
    page.context.close()


def test_a_link_to_a_neuron_that_is_not_there_says_so(browser, path):
    page = Page(browser, path, "#neuron-7")
    assert page.page.locator("#status").text_content() == "There is no neuron 7 on this page."
    page.context.close()


def test_a_link_to_a_neuron_that_is_filtered_out_lifts_the_filter(page):
    page.choose("text", "101")
    page.ask("() => { location.hash = '#neuron-110'; }")
    page.page.wait_for_selector("#neuron-110 .area svg")
    assert set(page.shown()) == set(NUMBERS)


def test_the_keyboard_goes_from_card_to_card(page):
    page.choose("sort", "index")
    page.page.locator("body").click(position={"x": 5, "y": 5})
    for key, neuron in (("j", 100), ("j", 101), ("ArrowRight", 102), ("k", 101), ("ArrowLeft", 100), ("k", 100)):
        page.page.keyboard.press(key)
        page.settle()
        assert page.ask("document.activeElement.id") == f"neuron-{neuron}", key
        assert page.ask("location.hash") == f"#neuron-{neuron}"
    page.page.keyboard.press("/")
    assert page.ask("document.activeElement.name") == "text"
    page.page.keyboard.type("jk")  # typing is no command
    assert page.ask("document.activeElement.name") == "text"
    page.page.keyboard.press("Escape")
    assert page.ask("document.activeElement === document.body")


def test_a_card_shows_terms_ranges_pictures_and_points(page, findings):
    page.choose("sort", "index")
    card = page.page.locator("#neuron-100")
    card.scroll_into_view_if_needed()
    page.page.wait_for_selector("#neuron-100 .predicted svg")
    item = findings[0].explanations[100]
    chosen = card.locator(".method.chosen .concept").all_text_contents()
    assert len(chosen) == len(item.terms)
    assert all(text.startswith(term.concept) for text, term in zip(chosen, item.terms, strict=True))
    assert card.locator(".method").count() == 2
    assert card.locator(".range").count() == 8
    assert "± " in card.locator(".method.chosen .weight").first.text_content()
    assert card.locator(".predicted .point").count() == len(findings[0].split.test)
    counts = [int(text) for text in card.locator(".area .count").all_text_contents()]
    column = findings[0].activations.select([100]).values[:, 0]
    assert sum(counts) == len(column) - int((column < 0).sum())
    pictures = card.locator(".picture img").evaluate_all("all => all.map(one => one.alt)")
    assert all(re.match(r"class \d/\d+&<i>\.png: activation \S+, predicted \S+$", text) for text in pictures)
    shown = [float(text.replace("−", "-")) for text in card.locator(".meter.actual .value").all_text_contents()]
    assert shown == sorted(shown, reverse=True)
    assert shown[0] <= float(column.max()) + 0.01


def test_cards_are_sorted_by_what_is_sure(browser, tmp_path, findings):
    """0.9 ± 0.5 comes after 0.5 ± 0.01, and 0.6 of unknown error after both."""
    column = Column("correlation", "", {100: 0.9, 101: 0.5, 102: 0.6}, {100: 0.5, 101: 0.01})
    only = replace(findings[0], known=(column,))
    page = Page(browser, le.write_report(only, tmp_path))
    assert page.shown()[:3] == [101, 100, 102]
    page.choose("sort", "score")
    assert page.shown()[:3] == [100, 102, 101]
    assert page.complaints == []
    page.context.close()


def test_a_term_that_a_judge_does_not_know_is_marked(browser, tmp_path, findings):
    names = findings[0].explanations.concepts[:3]
    values = torch.tensor([0.6, 0.02, float("nan")])
    judged = replace(findings[0], simulability=(le.Simulability(names, values, 24, "a judge"),))
    opened = Page(browser, le.write_report(judged, tmp_path))
    for name, said in zip(names, ("0.60", "0.02", "undefined"), strict=True):
        neuron = next(item.neuron for item in judged.explanations if name in item.concepts)
        opened.page.goto(f"{(tmp_path / 'index.html').resolve().as_uri()}#neuron-{neuron}")
        opened.page.wait_for_selector(f"#neuron-{neuron}.drawn .term")
        titled = opened.page.locator(f"#neuron-{neuron} .concept [title='simulability by a judge {said}']")
        assert titled.first.text_content() == name
        whole = titled.first.locator("xpath=..").text_content()
        assert ("not known to a judge" in whole) == (said != "0.60")
    assert opened.complaints == []
    opened.context.close()


def test_what_chose_the_terms_comes_last_and_says_so(page, findings):
    page.choose("sort", "index")
    card = page.page.locator("#neuron-100")
    card.scroll_into_view_if_needed()
    page.page.wait_for_selector("#neuron-100 .predicted svg")
    item = findings[0].explanations[100]
    *scores, val = card.locator(".method.chosen .score-list li").all_text_contents()
    assert len(scores) == len(findings[0].columns)
    assert re.fullmatch(rf"val {item.val_correlation:.2f} ± \S+, selected", val)


def test_formulas_and_what_the_method_measures_are_on_the_card(browser, tmp_path, findings):
    result = findings[0]
    formula = le.Formula.parse("dog AND NOT (snow OR canine)")
    logic = le.Explanation(100, (le.Term(formula, 1.5),), 0.0, measure=le.Measure("IoU", 0.125, 3e-7))
    plain = replace(result.explanations[101], measure=le.Measure("AUROC", 0.9))
    items = (logic, plain, *result.explanations.items[2:])
    judged = replace(result, explanations=replace(result.explanations, items=items))
    opened = Page(browser, le.write_report(judged, tmp_path))
    for neuron, said in ((102, None), (101, "AUROC 0.90"), (100, "IoU 0.13, p 3.0·10⁻⁷")):
        opened.page.goto(f"{(tmp_path / 'index.html').resolve().as_uri()}#neuron-{neuron}")
        opened.page.wait_for_selector(f"#neuron-{neuron}.drawn")
        listed = opened.page.locator(f"#neuron-{neuron} .score-list li").all_text_contents()
        assert (listed[-1] == said) if said else not any("IoU" in one or "AUROC" in one for one in listed)
    assert opened.page.locator("#neuron-100 .term .concept").first.text_content() == f"({formula})"
    assert f"1.50·({formula})" in opened.page.locator("#neuron-100 .formula").text_content()
    assert opened.complaints == []
    opened.context.close()


def test_a_dead_neuron_is_said_to_be_dead(page):
    page.choose("text", str(NUMBERS[-1]))
    card = page.page.locator(f"#neuron-{NUMBERS[-1]}")
    card.scroll_into_view_if_needed()
    page.page.wait_for_selector(f"#neuron-{NUMBERS[-1]}.drawn")
    assert "Constant on the training images (0.00)" in card.locator(".method.chosen").text_content()
    assert card.locator(".headline .dead").text_content() == "dead: below 0.01 on all images"
    assert page.page.locator(".headline .dead").count() == 1
    assert card.locator("svg").count() == 0


def test_the_overview_draws_every_score_and_its_points_lead_to_neurons(page):
    titles = page.page.locator(".panel h3").all_text_contents()
    assert titles == ["Scores", "Score and length", "Ablation and correlation", "Most used concepts"]
    links = page.page.locator(".panel .dot").evaluate_all("all => all.map(one => one.getAttribute('href'))")
    assert len(links) > N_NEURONS
    assert set(links) <= {f"#neuron-{neuron}" for neuron in NUMBERS}
    page.page.locator(".panel .dot").first.dispatch_event("click")
    page.page.wait_for_selector(f"{links[0]}.drawn .area svg")
    assert page.ask("document.activeElement.id") == links[0][1:]


def test_a_bar_of_the_histogram_and_a_concept_filter_the_cards(page):
    page.page.locator(".panel .target").last.dispatch_event("click")
    page.settle()
    assert 0 < len(page.shown()) < N_NEURONS
    assert float(page.page.locator("[name=low]").input_value()) > 0
    page.choose("low", "")
    page.choose("high", "")
    page.page.locator(".used button", has_text="snow").click()
    page.settle()
    assert page.page.locator("[name=text]").input_value() == "snow"


def test_without_ablation_scores_there_is_no_such_figure(browser, tmp_path, findings):
    page = Page(browser, le.write_report(findings[1], tmp_path))
    assert page.page.locator(".panel h3").all_text_contents() == ["Scores", "Score and length", "Most used concepts"]
    assert page.page.locator("[name=method]").count() == 0
    assert page.complaints == []
    page.context.close()


def luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    dark, light = sorted([luminance(first), luminance(second)])
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_light_and_dark(browser, path, scheme):
    page = Page(browser, path, color_scheme=scheme)
    ground_of = "e => getComputedStyle(e).backgroundColor"
    body, card = (page.page.locator(place).first.evaluate(ground_of) for place in ("body", ".card"))
    assert (luminance(body) < 0.1) == (scheme == "dark")
    for place in ("h1", ".lede", ".formula", ".card .quiet", ".card h3 a", ".status"):
        colour = page.page.locator(place).first.evaluate("e => getComputedStyle(e).color")
        assert min(contrast(colour, ground) for ground in (body, card)) >= 4.5, place
    page.page.locator("#theme").click()
    turned = page.page.locator("body").evaluate(ground_of)
    assert (luminance(turned) < 0.1) == (scheme == "light")
    page.context.close()


@pytest.mark.parametrize("width", [360, 768, 1280, 1920])
def test_no_width_needs_scrolling_to_the_side(browser, path, width):
    page = Page(browser, path, viewport={"width": width, "height": 800})
    page.page.locator("#neurons").scroll_into_view_if_needed()
    page.page.wait_for_selector(".card.drawn svg")
    assert page.ask("document.documentElement.scrollWidth") <= width
    page.context.close()


def test_one_file_is_enough(browser, tmp_path, findings):
    path = le.write_report(findings, tmp_path / "all.html", single_file=True)
    assert [file.name for file in tmp_path.iterdir()] == ["all.html"]
    page = Page(browser, path)
    page.page.locator("#neurons").scroll_into_view_if_needed()
    page.page.wait_for_function("[...document.querySelectorAll('.card.drawn img')].some(one => one.naturalWidth > 0)")
    assert [url for url in page.requests if not url.startswith("data:")] == [path.resolve().as_uri()]
    assert page.complaints == []
    page.context.close()


def test_it_prints(page):
    assert page.page.pdf()[:5] == b"%PDF-"
    page.page.emulate_media(media="print")
    assert not page.page.locator("#toolbar").is_visible()
    assert page.page.locator(".scores").is_visible()


def test_a_big_layer_draws_only_what_is_seen(browser, tmp_path):
    run = make_run(400, 2048)
    explanations = le.LinearExplainer().explain(run.activations, run.concepts, run.split)
    path = le.write_report(le.Result.of(run, explanations), tmp_path, make_pictures(400))
    page = Page(browser, path)
    assert len(page.shown()) == 2048
    assert page.page.locator(".card.drawn").count() < 12
    page.ask("() => { location.hash = '#neuron-1500'; }")
    page.page.wait_for_selector("#neuron-1500.drawn")
    page.page.wait_for_function("document.querySelectorAll('.card.drawn').length < 12")
    assert page.complaints == []
    page.context.close()
