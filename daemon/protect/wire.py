"""Typed messages: a frozen dataclass each, one JSON document on its way to another process, checked where it arrives.

What comes back from a process that decodes strangers' files is never unpickled, and is no more than its type says.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, Generic, TypeAlias, TypeVar, get_args, get_origin

from pydantic import TypeAdapter

from uncnn.daemon.text import printable, system_words
from uncnn.plugins.api import Fault, UncnnError
from uncnn.plugins.recognisers.canary_answers import CanaryAnswers

Answer = TypeVar("Answer")


class Ask(Generic[Answer]):
    """What is asked: each message is a frozen dataclass below `Ask[A]`, where A is the type of its answer."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Stage:
    """How far a long request is."""

    name: str  # what a person reads
    done: float = 0.0
    of: float = 0.0  # 0: it is not counted


Report: TypeAlias = Callable[[Stage], None]
"""Hears of the progress of a long request."""


def silent(_stage: Stage) -> None:
    """Hear of the progress, and say nothing."""


Handlers: TypeAlias = Mapping[type[Ask[Any]], Callable[[Any, Report], Any]]
"""What a process answers: for each type of message the function that does."""


class RequestError(UncnnError):
    """The process answered with an error that a person can fix.

    `fault` is where it lies, `kind` what it is: of a PhotoError its own, of an OSError that of `system_words`.
    `canaries` is what the models said of known pictures, where one of them is not sound.
    """

    def __init__(
        self, message: str, fault: Fault = "other", kind: str = "", canaries: CanaryAnswers | None = None
    ) -> None:
        """Keep what went wrong."""
        super().__init__(message)
        self.fault: Fault = fault  # type: ignore[misc] # that of the error in the process
        self.kind = kind
        self.canaries = canaries

    @classmethod
    def of(cls, error: Exception) -> RequestError:
        """Return what is said of an error that a handler raised."""
        if isinstance(error, RequestError):
            return error
        if isinstance(error, MemoryError):
            return cls("not enough memory for this photo: close other programs, or make the photo smaller")
        if isinstance(error, UncnnError):
            kind, canaries = str(getattr(error, "kind", "")), getattr(error, "canaries", None)
            return cls(str(error), error.fault, kind, canaries)
        if isinstance(error, OSError) and error.errno:
            kind, words = system_words(error)
            return cls(f"{printable(str(error.filename))}: {words}" if error.filename else words, kind=kind)
        return cls(f"internal error, {type(error).__name__}: {error}; please report it")

    @classmethod
    def read(cls, values: dict[str, Any]) -> RequestError:
        """Return the one that `values` was called of in the process."""
        canaries = values["canaries"]
        return cls(**{**values, "canaries": None if canaries is None else CanaryAnswers.of(canaries)})

    @property
    def values(self) -> dict[str, Any]:
        """Return it as JSON values."""
        canaries = None if self.canaries is None else asdict(self.canaries)
        return {"message": str(self), "fault": self.fault, "kind": self.kind, "canaries": canaries}


class UnknownMessage(UncnnError):
    """A message that its receiver has no handler for."""


def answer(handlers: Handlers, asked: Ask[Answer], report: Report) -> Answer:
    """Return what the handler of this message answers. Raises UnknownMessage, and what the handler raises."""
    handler = handlers.get(type(asked))
    if handler is None:
        raise _unknown(type(asked).__name__, handlers)
    answered: Answer = handler(asked, report)
    return answered


def pack(asked: Ask[Any]) -> bytes:
    """Return a message as JSON."""
    content = _adapter(type(asked)).dump_python(asked, mode="json")
    return json.dumps({"ask": type(asked).__name__, "content": content}).encode()


def unpack(handlers: Handlers, packed: bytes) -> Ask[Any]:
    """Return the message that `pack` made JSON of.

    Raises UnknownMessage: there is no handler for it. pydantic.ValidationError: its fields are not those of its type.
    """
    read = json.loads(packed)
    kind = next((kind for kind in handlers if kind.__name__ == read["ask"]), None)
    if kind is None:
        raise _unknown(read["ask"], handlers)
    message: Ask[Any] = _adapter(kind).validate_python(read["content"])
    return message


def pack_answer(asked: Ask[Any], answered: Any) -> Any:
    """Return the answer to a message as JSON values."""
    return _adapter(_answer_type(type(asked))).dump_python(answered, mode="json")


def unpack_answer(asked: Ask[Answer], packed: Any) -> Answer:
    """Return the answer that `pack_answer` made JSON values of. Raises pydantic.ValidationError: it is none."""
    answered: Answer = _adapter(_answer_type(type(asked))).validate_python(packed)
    return answered


@cache
def _cached_adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _adapter(kind: Any) -> TypeAdapter[Any]:  # mypy does not take the classes of messages for hashable
    return _cached_adapter(kind)


def _answer_type(kind: type[Ask[Any]]) -> Any:
    bases: tuple[Any, ...] = kind.__orig_bases__  # type: ignore[attr-defined] # every class below a Generic has it
    return next(get_args(base)[0] for base in bases if get_origin(base) is Ask)


def _unknown(name: str, handlers: Handlers) -> UnknownMessage:
    known = ", ".join(kind.__name__ for kind in handlers)
    return UnknownMessage(f"internal error: nobody answers the message {name}, only {known}; please report it")
