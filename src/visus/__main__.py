"""`python -m visus` is the `visus` command."""

from visus.cli.main import main

main()
