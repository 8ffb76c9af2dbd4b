"""The one error that may be shown to a user as it stands."""


class UserError(ValueError):
    """Something the user gave cannot be used.

    The message is one sentence that names the input and says what to do, fit for the browser,
    the command line and the API alike.

    Args:
        message: The sentence.
        korean: The same in Korean, where a user of the browser can come upon it.
    """

    def __init__(self, message: str, korean: str = "") -> None:
        super().__init__(message)
        self.korean = korean

    def said(self, language: str) -> str:
        """The sentence in ``en`` or ``ko``; in English where it is not there in Korean."""
        return self.korean if language == "ko" and self.korean else str(self)
