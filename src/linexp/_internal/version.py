"""The version, in one place: read by the build, the command line and the result files."""

__version__ = "0.1.0"
