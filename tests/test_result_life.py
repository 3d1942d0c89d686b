"""A result's life in any order: explained, scored, ablated, copied, moved, killed, aged; its numbers stay as they are.

Every number is held against ``tests/life/recorded.py``, which reads the files without linexp. Promises:

- a result's own test score never changes, whatever else was scored, and wherever the result lies;
- files, tables, page and Python say the same number for the same thing;
- what is refused is refused by every detour, and leaves the result as it was;
- the same inputs give the same bytes as in a world in which nothing else ever happened.

First lives that went wrong once, then lives at random. ``LINEXP_FUZZ=5000 pytest tests/test_result_life.py`` lives
fifty of these, other ones each time.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.fuzzing import ASKED
from tests.life.looking import Life
from tests.life.making import METHODS, SWAPS, WORDS
from tests.life.world import FOREIGN, make_world

USUAL = 3
# What is asked for is a hundredth of other tests' cases: a life takes as long as a hundred of these.
LIVES = max(USUAL, ASKED // 100)
PICTURES, COPY = 0, 1

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(scope="module", autouse=True)
def template(tmp_path_factory: pytest.TempPathFactory) -> None:
    Life.template = make_world(tmp_path_factory.mktemp("template") / "world")


@pytest.fixture
def life() -> Generator[Life, None, None]:
    life = Life()
    yield life
    life.teardown()


def look(life: Life, pick: int = 0) -> None:
    """Look at a result in every way there is."""
    life.own_scores_never_change()
    life.report(pick, 0, PICTURES, False)
    life.summarize(pick)
    life.show(pick, 0)


@pytest.mark.parametrize("how", range(len(METHODS)))
def test_every_method_is_judged_and_shown(life: Life, how: int):
    life.begin(how)
    life.score(0, "", PICTURES)
    life.simulate(0)
    look(life)


def test_copied_and_touched_pictures_are_the_same_pictures(life: Life):
    life.begin(0)
    life.touch_pictures()
    life.copy_pictures()
    for folder in (PICTURES, COPY):
        life.report(0, 0, folder, True)
        life.score(0, "judge", folder)
        life.ablate(0, False, folder)


def test_changed_and_renamed_pictures_are_others(life: Life):
    life.begin(0)
    for spoil in (life.change_pictures, life.rename_pictures):
        spoil(PICTURES)
        life.report(0, 0, PICTURES, True)
        life.score(0, "judge", PICTURES)
        life.ablate(0, False, PICTURES)
        look(life)
        spoil(PICTURES)  # and back
        life.report(0, 0, PICTURES, True)


def test_nobody_guesses_how_pictures_become_inputs(life: Life):
    life.explain_without_preprocessing()


def test_what_has_seen_the_test_images_is_scored_by_no_detour(life: Life):
    life.begin(0)
    life.explain(1, 0, 1)
    for detour in ("", "copy", "option"):
        life.score_others(0, len(FOREIGN) + 1, detour, "judge", PICTURES)
    life.swap_explanations(0, 1)
    life.score_together(0, 1, "")
    look(life)


@pytest.mark.parametrize("source", range(len(FOREIGN)))
def test_scores_of_others_are_not_the_own_ones(life: Life, source: int):
    life.begin(0)
    for judge in ("judge", ""):
        life.score_others(0, source, "", judge, PICTURES)
        look(life)
    life.score_others(0, source, "option", "judge", PICTURES)
    look(life)


def test_scores_on_images_that_were_fitted_on_are_not_the_own_ones(life: Life):
    life.begin(0)
    for part in ("val", "train"):
        life.score_on_seen_images(0, part, "")
        look(life)


def test_ablation_and_impact_are_shown_as_what_they_are(life: Life):
    life.begin(0)
    life.ablate(0, True, PICTURES)
    look(life)
    life.impact(0)
    look(life)
    life.explain(0, WORDS, 0)
    look(life)


def test_silent_neurons_count(life: Life):
    life.begin(SWAPS)
    life.explain(1, 0, 0)
    for judge in ("", "judge"):
        life.score(0, judge, PICTURES)
        life.score_together(0, 1, judge)
    look(life)


@pytest.mark.parametrize("when", [1, 3, 5, 6, 7])
def test_what_was_killed_is_whole_or_nothing(life: Life, when: int):
    life.begin(0)
    life.score(0, "", PICTURES)
    life.kill(0, WORDS, 1, when)
    look(life)


def test_an_older_result_lives_on(life: Life):
    life.begin(SWAPS)
    life.age(0)
    look(life)
    life.ablate(0, False, PICTURES)
    life.touch_pictures()  # which an older one cannot tell from other pictures
    life.ablate(0, False, PICTURES)
    life.score(0, "", PICTURES)
    look(life)


def test_a_result_may_lie_anywhere(life: Life):
    life.begin(0)
    life.score(0, "judge", PICTURES)
    life.score_others(0, 0, "", "judge", PICTURES)
    life.impact(0)
    for how in ("copy", "move", "save"):
        life.put_elsewhere(0, how)
        look(life, len(life.results) - 1)


@pytest.mark.parametrize("when", [0, 5, 9, 16])
def test_methods_are_compared_in_one_folder(life: Life, when: int):
    life.begin(0)
    life.compare(0, 0, "judge", 0)
    life.score(1, "", PICTURES)
    life.compare(1, 0, "", when)  # one method has other settings
    look(life, 1)
    look(life, 2)
    life.ablate_comparison("judge")
    life.look_at_comparison("judge", 0)
    life.change_pictures(PICTURES)
    life.look_at_comparison("judge", 1)
    life.compare(1, 0, "judge", when)
    look(life, 1)


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=LIVES,
    stateful_step_count=30,
    deadline=None,
    derandomize=LIVES == USUAL,
    phases=[Phase.explicit, Phase.generate],  # a life takes seconds: shrinking one would take an hour
    suppress_health_check=list(HealthCheck),
)
