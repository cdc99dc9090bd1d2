"""The one exception that means: what you gave me cannot be used."""


class InputError(ValueError):
    """Bad input from the user: a file, a folder, an option.

    The message is a sentence that says what was expected, what was received and how to repair it. The command
    line prints it without a traceback and exits with code 2.
    """
