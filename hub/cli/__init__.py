"""The command `hub`: one module for each subcommand."""
