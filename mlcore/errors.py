"""The one error that signal and model code raises on purpose."""


class AnalysisError(Exception):
    """What went wrong, in words a person can act on.

    `code` is stable and machine-readable; `permanent` tells that a retry cannot help.
    """

    def __init__(self, code: str, message: str, *, permanent: bool = True) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.permanent = permanent
