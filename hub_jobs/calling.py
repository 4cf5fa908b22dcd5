"""Around every call of the client: errors as sentences, no prints, no leftovers, and no token let out."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import tempfile
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import InputError, MissingStepError
from .connection import Connection
from .faults import GoneError, RefusedError, UnauthorisedError, UnavailableError

NOT_AI_HUB = "answers, but not as AI Hub does; perhaps a login page or a proxy is in between"

CONTACT = re.compile(r"\s*Please contact support at \S+ if you need assistance")  # the client adds it without a space

# Standard output, the temporary folder and the method of `requests` that `one_post` guards belong to the whole process.
ONE_CALL = threading.RLock()


class Caller:
    """Calls to one AI Hub. Raises what is in `faults`, or InputError where the client itself refuses."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Around every call: no prints of the client, no leftovers in the temporary folder, errors as sentences."""
        with ONE_CALL, tempfile.TemporaryDirectory() as scratch, _temporary_folder(scratch):
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    yield
            except Exception as error:
                self.redacted(error)
                translated = self._translated(error)
                if translated is error:
                    raise
                raise translated from self._safe_cause(error)

    def _translated(self, error: Exception) -> Exception:
        from google.protobuf.message import DecodeError

        requests = requests_library()
        chain = list(chain_of(error))
        status = next((code for each in chain if (code := _status_of(each)) is not None), None)
        if status == 401:
            return self.unauthorised()
        if status == 404:
            return GoneError(
                f"{self.connection.called} says: {self.plain(str(error)).rstrip('.')}.", "Check the id and the account."
            )
        network = next((each for each in chain if isinstance(each, requests.exceptions.RequestException)), None)
        if status is not None and 400 <= status < 500:
            return self.refused(status, "too many requests" if network is not None else str(error))
        if status is not None and status >= 500:
            return self.unavailable(f"answers with {status}")
        if status is not None:
            return self.unavailable(NOT_AI_HUB)  # a 200 that is no message of AI Hub's
        if network is not None:
            return self.unavailable(f"does not answer ({reason_of(network)})")
        qai_hub = qai_hub_library()
        if isinstance(error, qai_hub.UserError):
            return InputError(self.plain(str(error)), "")
        if isinstance(error, qai_hub.InternalError):
            return self.unavailable(self.plain(str(error)))
        if (
            isinstance(error, OSError) and error.errno and error.filename is None
        ):  # a full disk, in what the client wrote
            return OSError(error.errno, os.strerror(error.errno), tempfile.gettempdir())
        if isinstance(error, ValueError | AssertionError | DecodeError):  # of what the client was answered
            return self.unavailable(f"{NOT_AI_HUB} ({self.plain(str(error)).rstrip('.')})")
        return error

    def unauthorised(self) -> UnauthorisedError:
        where = self.connection
        return UnauthorisedError(
            f"{where.called} at {where.api_url} does not accept the token of {where.config_file}.",
            where.renewal,
        )

    def refused(self, status: int, body: str, retry_after_s: float | None = None) -> RefusedError:
        told = CONTACT.sub("", self.plain(_detail(body))) or "no reason given"
        remedy = {
            413: "Send less at a time.",
            426: "Update the client: `pip install -U qai-hub`.",
            429: "Type the command again later; nothing is lost.",
        }.get(status, "Mend that and type the command again; nothing is lost.")
        return RefusedError(
            f"{self.connection.called} refused ({status}): {told.rstrip('.')}.", remedy, status, retry_after_s
        )

    def unavailable(self, what: str) -> UnavailableError:
        where = self.connection
        otherwise = "`--hub local` rehearses without it."
        if where.rehearsal:  # which is what rehearses
            otherwise = "`lpcv hub serve` with its --root starts one that has ended." if where.stand_in else ""
        return UnavailableError(
            f"{where.called} at {where.api_url} {what}.",
            f"Type the same command again later: it goes on where it stopped. {otherwise}".rstrip(),
        )

    def plain(self, text: str) -> str:
        """One line, without the client's text boxes, and without the token, whoever put it there."""
        return " ".join(re.sub(r"[─┌┐└┘|\s]+", " ", self.connection.without_secrets(text)).split())

    def redacted(self, error: BaseException) -> BaseException:
        """Take the token out of an error and all that led to it, since `--debug` shows them."""
        for each in chain_of(error):
            each.args = self._clean(each.args)
            for name, value in list(vars(each).items()):
                setattr(each, name, self._clean(value))
            for name in ("strerror", "filename"):  # of an OSError, beside its args
                if getattr(each, name, None) is not None:
                    setattr(each, name, self._clean(getattr(each, name)))
        return error

    def _clean(self, value: Any) -> Any:
        """The same value with the token taken out of every text in it; what is of another type stays as it is."""
        if isinstance(value, str):
            return self.connection.without_secrets(value)
        if isinstance(value, bytes):
            token = self.connection.token.encode()
            return value.replace(token, b"[token]") if token else value
        if type(value) in (tuple, list):
            return type(value)(self._clean(each) for each in value)
        if type(value) is dict:
            return {self._clean(key): self._clean(each) for key, each in value.items()}
        return value

    def _safe_cause(self, error: Exception) -> Exception | None:
        """The error as a cause to be shown, or None where the token would still be seen."""
        shown = "".join(traceback.format_exception(error))
        return None if self.connection.token and self.connection.token in shown else error


def _status_of(error: BaseException) -> int | None:
    """The HTTP status that an error stands for: the client's own, or what `requests` gave up retrying."""
    if isinstance(code := getattr(error, "status_code", None), int):
        return code
    retried = re.search(r"too many (\d{3}) error responses", str(error))
    return int(retried[1]) if retried else None


def qai_hub_library() -> Any:
    try:
        import qai_hub
    except ImportError:
        raise MissingStepError("Qualcomm AI Hub's client is not installed.", "Run `pip install 'lpcv[hub]'`.") from None
    return qai_hub


def requests_library() -> Any:
    qai_hub_library()  # brings it; without, the sentence is about the client
    import requests

    return requests


def chain_of(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def reason_of(error: BaseException) -> str:
    """The innermost reason of a network error, without addresses in memory."""
    requests = requests_library()
    if isinstance(error, requests.exceptions.ConnectTimeout | requests.exceptions.ReadTimeout):
        return "no answer in time"
    inner: Any = getattr(error.args[0], "reason", None) or error.args[0] if error.args else error
    while isinstance(inner, BaseException) and len(inner.args) > 1 and isinstance(inner.args[-1], Exception):
        inner = inner.args[-1]  # ("Connection aborted.", RemoteDisconnected(...))
    text = str(inner)
    return re.sub(r"<[^>]*>:?\s*|^\w+\(host=[^)]*\):\s*", "", text).strip(" :'") or type(error).__name__


def _detail(body: str) -> str:
    with contextlib.suppress(ValueError, TypeError, KeyError):
        return str(json.loads(body)["detail"])
    return body


@contextmanager
def _temporary_folder(folder: str) -> Iterator[None]:
    before = tempfile.tempdir
    tempfile.tempdir = folder
    try:
        yield
    finally:
        tempfile.tempdir = before
