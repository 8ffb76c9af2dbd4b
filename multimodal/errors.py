"""The one error that may be shown to a user as it stands."""


class UserError(ValueError):
    """Something the user gave cannot be used.

    The message is one sentence that names the input and says what to do, fit for the browser,
    the command line and the API alike.
    """
