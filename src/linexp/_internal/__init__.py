"""What every room needs and no user does: checks and the wording of errors, files written whole, progress, threads."""
