"""The exceptions that users see: their text names the file or field and says what to do."""


class CeaeError(Exception):
    """Bad input, a missing file or an impossible request.

    The command line prints the text in one line, without a traceback, and exits with status 2.
    """


class NotRun(CeaeError):
    """What cannot be had here (weights, package or compiler missing); the text says why and what would help.

    Tables show it as "not run" with this reason; nothing else ever takes its name.
    """
