"""The one exception that users see: its text names the file or field and says what to do."""


class CeaeError(Exception):
    """Bad input, a missing file or an impossible request.

    The command line prints the text in one line, without a traceback, and exits with status 2.
    """
