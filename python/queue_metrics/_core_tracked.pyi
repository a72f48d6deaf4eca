"""
The part of `queue_metrics._core` that stands around jobs, and tells how they ended; types only, a file of its own for its length.

At run time there is no such module.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, final

from queue_metrics._core import Messages, Recorder

_Rule: TypeAlias = tuple[type[BaseException], int, int] | tuple[type[BaseException], int, int, str, object]  # see Tracked

@final
class Tracked:
    """
    A native callable around the function that runs a job.

    Native because soft limits and terminate are asynchronous exceptions, which break a Python try / except around the call
    (13,812 of 59,050 ends lost; native none). An exception of the call is passed on unchanged; only an interruption that comes
    while ends are told (`listen`) takes its place. As a class attribute it
    binds like a function.
    """

    def __new__(
        cls,
        recorder: Recorder,
        inner: Callable[..., Any],
        probe: Callable[..., tuple[int, object, int, int, bool] | None],
        rules: Sequence[_Rule],
        *,
        terminating: Callable[[], bool] | None = None,
        pass_self: bool = False,
        messages: Messages | None = None,
    ) -> Tracked:
        """
        Args:
            inner: called with exactly the arguments of the call.
            probe: asked before each call, without arguments (with the first argument if `pass_self`): (handle, job id, attempt,
                ready_at µs, an ordinary exception means a retry follows); None: this call is no execution. An Exception it raises
                counts as hook error and the call goes untracked; one that a rule without ASK_TERMINATING names, or that is no
                Exception, is an interruption of the job: recorded as the end of an execution that began, and passed on.
            rules: (exception class, outcome, flags), or with two more, (.., name of an attribute of the exception, value that it
                must equal); the first that matches the exception decides. Else: with retries left RETRIED and RETRY_FOLLOWS,
                else FAILED. An attribute that is missing or cannot be compared does not match.
            terminating: for rules with ASK_TERMINATING.
            messages: of a `method`: the note of its first argument tells the execution, `probe` is asked only where it does not.
        """

    @property
    def inner(self) -> Callable[..., Any]: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

def method(tracked: Tracked) -> Method:
    """
    The `Tracked` as an attribute of a class.

    It binds like a function, and the interpreter remembers it as one: 700 instructions over the bare function, 1,700 by way of
    `types.MethodType`.
    """

@final
class Method:
    """A native callable as an attribute of a class: what `method` makes of a `Tracked` with `pass_self`, and `Messages.storing`."""

    @property
    def target(self) -> Any: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
    def __get__(self, instance: object, owner: type | None = None, /) -> Any: ...

@final
class Track:
    """A context manager that records its body as one execution; `with Track(recorder, handle, job_id, attempt, ready_at, rules):`."""

    def __new__(cls, recorder: Recorder, handle: int, job_id: object, attempt: int, ready_at: int, rules: Sequence[_Rule]) -> Track: ...
    def __enter__(self) -> Track: ...
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> bool: ...

_Told: TypeAlias = tuple[str, str, str, str, str]  # host, connection, queue, task, job id

def listen(
    ended: Callable[[tuple[int, int, BaseException | None], _Told, tuple[int, int | None, int | None, int | None]], int],
    discarded: Callable[[int, _Told], int],
) -> None:
    """
    Have ends told in this process and its children, right after each was recorded; the same two functions for the life of the process.

    They answer how many errors they met, which count as hook errors, as does an Exception of theirs; only what is no Exception, an
    interruption of the job that came meanwhile, is passed on into it.

    Args:
        ended: (outcome, flags, exception), (host, connection, queue, task, job id), (run time ns, CPU time ns, peak KiB, change KiB);
            what is not known is None.
        discarded: reason, (host, connection, queue, task, job id).

    Raises:
        ValueError: two others listen already.
    """

def listen_no_more() -> None:
    """Have nothing told any more."""
