"""Before any score: whether the explanations were fitted or chosen on the images that they are to be scored on."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from linexp.results.judge import ScoreOptions
from linexp.results.result import Result


def check_unseen_cases(cases: Sequence[Result], options: ScoreOptions) -> None:
    """Refuse explanations that have seen some of the test images; warn of those of which nobody knows.

    Raises
    ------
    ValueError
        Some were seen, and nobody insists.
    """
    if options.part != "test":
        return  # only by insisting, and on images that a result's own explanations have all seen
    for case in cases:
        n_seen, n_test = case.n_seen("test"), len(case.rows("test"))
        if n_seen is None:
            _warn(
                f"{_why_unknown(case)}: up to all {n_test:,} test images of '{case.folder}', and then the scores are "
                "too high. If their split is known, make the result with it (linexp explain --split)."
            )
        elif n_seen:
            fact = (
                f"The explanations in '{case.shown}' were fitted or chosen on {n_seen:,} of the {n_test:,} test images "
                f"of '{case.folder}', so the scores {'are' if options.force else 'would be'} too high."
            )
            if not options.force:
                raise ValueError(
                    f"{fact} Score them with the result they are from, explain anew with one split for both (--seed, "
                    "--split), or insist with --force."
                )
            _warn(fact)


def tell_seen(case: Result, part: str) -> str:
    """Return what is to be said beside a score; "" if no image was seen."""
    n_seen = case.n_seen(part)
    if n_seen is None:
        return "  it is not known on which of these images they were fitted or chosen"
    return f"  fitted or chosen on {n_seen:,} of these {len(case.rows(part)):,} images" if n_seen else ""


def _why_unknown(case: Result) -> str:
    fitted = case.explanations.fitted_on
    if fitted is None:
        return f"It is not known on which images the explanations in '{case.shown}' were fitted or chosen"
    return (
        f"The explanations in '{case.shown}' were fitted on another collection of images (fingerprint "
        f"{fitted.images[:12]}), which may hold some of this one"
    )


def _warn(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=3)
