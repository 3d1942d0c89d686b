"""What ``make test-fast`` leaves out: tests whose cases take half a second or more together, by measurement.

They are about whole runs, whole networks and other processes; what they are about has quick tests beside them.
"""

from __future__ import annotations

# File → its tests, or all of them.
SLOW = {
    "ablation": "interrupted_work_goes_on scores_are_the_literal_ones the_recorded_activations_score_the_ceiling",
    "behind_libraries": "*",
    "bounds": "*",
    "calibrate": "blocks_agree_with_the_literal_twin",
    "cli": "a_terminal_that_knows_few_letters_ends_nothing explain_opens_each_picture_twice",
    "cli_ablate": (
        "a_text_the_simulator_cannot_encode_is_traced every_score_has_a_file_of_its_own "
        "explanations_that_do_not_fit explanations_whose_layer_is_called_otherwise_are_taken_by_force "
        "images_without_labels inner_layers methods_in_one_table"
    ),
    "cli_encoder": "*",
    "cli_foreign": "*",
    "cli_score": "every_score_has_a_file_of_its_own_that_says_what_it_is what_is_wrong_is_said",
    "cli_store": "list_verify_and_prune the_second_run_reads_and_gives_the_same_files",
    "cli_text": "*",
    "compared": "clip_dissect_is_the_literal_twin more_rows_and_neurons_than_a_block_give_the_same",
    "conse": "drawings_are_near_their_words images_by_the_formula one_class_is_exactly_its_word",
    "demo": "*",
    "demo_pictures": "any_number_of_processes_draws_the_same",
    "device": "every_command_takes_the_best_device_and_says_so",
    "elastic_net": "equals_scikit_learn_with_exact_copies strong_penalty_leaves_nothing",
    "encoders_by_name": "conse",
    "encoders_open_clip": "order_and_batches",
    "examples": "*",
    "explanation_csv": "comes_back_to_the_last_bit",
    "fitted_encoder": "*",
    "formula": "texts_of_strangers what_is_printed_is_read_back",
    "formula_everywhere": "come_back_from_csv",
    "formula_search": (
        "beams_are_their_literal_twins clusters_are_the_best_of_all_divisions "
        "never_below_the_beam_of_the_methods_own_package"
    ),
    "fuzz_cli": "*",
    "fuzz_files": "calibrations explanations pictures saved_activations vocabulary",
    "fuzz_numbers": "*",
    "impact": "every_image_and_neuron standard_errors_are_those_of_drawing_images_anew",
    "impact_of_layers": "*",
    "layering": "importing_every_public_name_needs_no_optional_package public_names_are_what_their_homes_define",
    "linear_explainer": "recovers_planted_terms the_same_bytes_in_whatever_company",
    "models": "importing_models_imports_no_library",
    "models_huggingface": "folder",
    "models_libraries": (
        "torchvision torchvision_inception_as_published "
        "torchvision_says_which_weights_it_took_and_prepares_pictures_for_them "
        "torchvision_weights_from_a_file_are_prepared_as_the_tag_says"
    ),
    "moments": "merging_parts_gives_the_whole number_of_threads_does_not_change_a_bit",
    "new_explainer": "*",
    "numbers": "sixteen_thousand_neurons",
    "outputs": "the_command_line_names_the_one_taken_once_and_writes_it_down",
    "own_blocks": "*",
    "progress": "hashing_is_shown_from_where_it_takes_time",
    "readme": "*",
    "result_life": "*",
    "recipe": "any_recipe_is_steps_or_a_sentence",
    "recording_libraries": "resnet",
    "reliability": "drawing_leaves_the_users_figures_alone odd_curves_are_drawn the_picture_is_the_same_each_time",
    "report": "a_page_of_2048_neurons_is_small the_same_results_give_the_same_bytes",
    "report_browser": "*",
    "report_origin": "the_own_score_is_measured_where_only_others_were_scored what_people_do_in_sequence",
    "sanity": "neurons_that_are_their_concepts spearman_fails_where_most_activations_say_nothing",
    "searches": "greedy_equals_the_literal_algorithm of_equal_candidates_the_first_is_taken",
    "sheet": (
        "every_picture_lies_in_its_part importing_the_report_leaves_matplotlib_alone "
        "long_texts_stay_in_their_column the_best_ten_of_twelve_are_written_with_score_and_terms "
        "the_same_file_twice the_sheet_is_a_wide_png"
    ),
    "stepwise": "equals_literal_least_squares equals_literal_least_squares_on_hard_problems",
    "store_faults": "*",
    "store_hashing": "another_process_finds_the_same_content",
    "store_text": "conse_is_recorded_into_the_store every_ingredient_changes_the_key",
    "swaps": "equals_the_literal_search equals_the_literal_search_on_hard_problems",
    "untrusted": "odd_words_come_through_the_whole_line",
}


def is_slow(file: str, test: str) -> bool:
    """Tell whether a test of a file is left out: ``"test_demo"``, ``"test_a_report_shows_all_of_them"``."""
    names = SLOW.get(file.removeprefix("test_"), "").split()
    return "*" in names or test.removeprefix("test_") in names
