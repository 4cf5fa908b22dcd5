"""What a call to AI Hub can end with instead of an answer, told apart by what may be done next."""

from __future__ import annotations

from ..errors import LpcvError, UnreachableError


class UnauthorisedError(LpcvError):
    """401: the token is not accepted."""


class RefusedError(LpcvError):
    """Another 4xx: AI Hub read the request and did not act on it, so it may be sent again once it is mended.

    status: the HTTP status; retry_after_s: what a 429 asks to wait, None where it does not say
    """

    def __init__(self, problem: str, remedy: str, status: int, retry_after_s: float | None = None) -> None:
        super().__init__(problem, remedy)
        self.status, self.retry_after_s = status, retry_after_s


class GoneError(LpcvError):
    """404: there is no such job, model or dataset, or it belongs to somebody else."""


class UnavailableError(UnreachableError):
    """A 5xx, silence, or no connection: nobody knows whether the request was acted on."""
