"""A layer explained in one way, with its scores: kept in a folder, judged, compared."""

from linexp.results.columns import Column, column_of
from linexp.results.compare import on_shared_neurons, print_tables, same_neurons, tell_without_dead
from linexp.results.digests import keep_digests
from linexp.results.folder import Run, load_explanations, load_run, save_explanations, save_run, save_scores
from linexp.results.judge import (
    Judgement,
    ScoreOptions,
    file_name,
    judge_cases,
    judge_parts,
    open_cases,
    origin_of,
    save_apart,
)
from linexp.results.judges import ENCODER, suggest_judge
from linexp.results.known import measure_simulability, save_simulability, tell_simulability
from linexp.results.pictures import reopen_pictures
from linexp.results.result import LABELS, Finding, Result, by_layer, give_images, own_score, read_finding, read_result
from linexp.results.score_files import free_name, read_columns
from linexp.results.seen import check_unseen_cases, tell_seen
from linexp.results.tables import Cell, Measured, Table, print_table, write_tables

__all__ = [
    "ENCODER",
    "LABELS",
    "Cell",
    "Column",
    "Finding",
    "Judgement",
    "Measured",
    "Result",
    "Run",
    "ScoreOptions",
    "Table",
    "by_layer",
    "check_unseen_cases",
    "column_of",
    "file_name",
    "free_name",
    "give_images",
    "judge_cases",
    "judge_parts",
    "keep_digests",
    "load_explanations",
    "load_run",
    "measure_simulability",
    "on_shared_neurons",
    "open_cases",
    "origin_of",
    "own_score",
    "print_table",
    "print_tables",
    "read_columns",
    "read_finding",
    "read_result",
    "reopen_pictures",
    "same_neurons",
    "save_apart",
    "save_explanations",
    "save_run",
    "save_scores",
    "save_simulability",
    "suggest_judge",
    "tell_seen",
    "tell_simulability",
    "tell_without_dead",
    "write_tables",
]
