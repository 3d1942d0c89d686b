"""A layer explained in one way, with its scores: made, kept in a folder, judged, compared, and told in text."""

from linexp.results.ablating import Ablation, prepare_ablations, tell_ablation, with_constants
from linexp.results.cases import check_unseen_cases, check_whole_images, open_cases, tell_rows, tell_seen
from linexp.results.columns import Column, column_of
from linexp.results.compare import tell_failing, tell_tables, tell_without_dead
from linexp.results.comparing import Explained, ablate_methods, explain_methods, judge_methods
from linexp.results.comparison import Comparison, compare
from linexp.results.comparison_folder import begin_comparison, check_comparison, end_comparison
from linexp.results.digests import only_readable
from linexp.results.explaining import (
    Prepared,
    choose_folders,
    choose_run,
    explain_run,
    leave_out,
    prepare,
    prepare_regions,
    prepare_unread,
    record_runs,
    tell_explanations,
    tell_next,
)
from linexp.results.folder import load_explanations, load_run, save_explanations, save_run, save_scores
from linexp.results.judge import (
    Judge,
    file_name,
    judge_cases,
    judge_parts,
    said_in,
    shared_pictures,
    warn_of_same_model,
)
from linexp.results.judges import ENCODER, suggest_judge
from linexp.results.known import save_simulability, tell_simulability
from linexp.results.layers import by_layer, give_images
from linexp.results.looking import METHODS, results_in, with_methods
from linexp.results.neuron import tell_neuron
from linexp.results.pictures import reopen_pictures, with_pictures
from linexp.results.renamed import Finding, read_finding
from linexp.results.result import Result, own_score, read_result
from linexp.results.run import Run
from linexp.results.score_files import free_name, read_columns
from linexp.results.scoring import check_part, save_apart, score_case
from linexp.results.summaries import summarize_files
from linexp.results.tables import Cell, Measured, Table, draw_table, write_tables

__all__ = [
    "ENCODER",
    "METHODS",
    "Ablation",
    "Cell",
    "Column",
    "Comparison",
    "Explained",
    "Finding",
    "Judge",
    "Measured",
    "Prepared",
    "Result",
    "Run",
    "Table",
    "ablate_methods",
    "begin_comparison",
    "by_layer",
    "check_comparison",
    "check_part",
    "check_unseen_cases",
    "check_whole_images",
    "choose_folders",
    "choose_run",
    "column_of",
    "compare",
    "draw_table",
    "end_comparison",
    "explain_methods",
    "explain_run",
    "file_name",
    "free_name",
    "give_images",
    "judge_cases",
    "judge_methods",
    "judge_parts",
    "leave_out",
    "load_explanations",
    "load_run",
    "only_readable",
    "open_cases",
    "own_score",
    "prepare",
    "prepare_ablations",
    "prepare_regions",
    "prepare_unread",
    "read_columns",
    "read_finding",
    "read_result",
    "record_runs",
    "reopen_pictures",
    "results_in",
    "said_in",
    "save_apart",
    "save_explanations",
    "save_run",
    "save_scores",
    "save_simulability",
    "score_case",
    "shared_pictures",
    "suggest_judge",
    "summarize_files",
    "tell_ablation",
    "tell_explanations",
    "tell_failing",
    "tell_neuron",
    "tell_next",
    "tell_rows",
    "tell_seen",
    "tell_simulability",
    "tell_tables",
    "tell_without_dead",
    "warn_of_same_model",
    "with_constants",
    "with_methods",
    "with_pictures",
    "write_tables",
]
