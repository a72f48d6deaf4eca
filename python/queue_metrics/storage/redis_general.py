"""The general operations in Redis: planned by `redis_commands.py`, sent in one request, refused with the words that all drivers have."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from queue_metrics.storage import redis_commands, redis_errors
from queue_metrics.storage.base import Commit
from queue_metrics.storage.general import Call
from queue_metrics.storage.redis_commands import Plan, Planner
from queue_metrics.storage.redis_connection import Command
from queue_metrics.storage.redis_store import RedisStore

_ONLY_READ = ("get_", "count_", "is_", "exists", "ttl", "scan_")
"""How the names of operations begin that change nothing: with them the version of the store is asked in the same request."""


class RedisGeneral:
    """Does general operations in a store. All of them lie in shard 0, so that a transaction has one slot."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store
        self._planner = Planner(store.keys.general)
        self._home = store.keys.of(0)

    def execute(self, calls: Sequence[Call]) -> list[Any]:
        if not all(call.name.startswith(_ONLY_READ) for call in calls):
            self._store.recognise()
        answers: list[Any] = []
        waiting: list[Call] = []
        for call in calls:
            if call.name == "scan_keys":  # it has an answer of its own for each thousand keys
                answers += self._in_one_request(waiting)
                answers.append(self._scan(*call.arguments))
                waiting = []
            else:
                waiting.append(call)
        return answers + self._in_one_request(waiting)

    def commands(self, calls: Sequence[Call]) -> list[tuple[int, Command]]:
        """For calls that only read, beside whatever else is asked: commands, each with its shard."""
        return [(0, command) for call in calls for command in self._planner.plan(call).commands]

    def meanings(self, calls: Sequence[Call], answers: Iterator[Any]) -> list[Any]:
        """What the answers to `commands` mean, of which as many are taken."""
        plans = [self._planner.plan(call) for call in calls]
        return [plan.read([next(answers) for _ in plan.commands]) for plan in plans]

    def _in_one_request(self, calls: Sequence[Call]) -> list[Any]:
        plans = [self._planner.plan(call) for call in calls]
        commands: list[Command] = []
        for call, plan in zip(calls, plans, strict=True):
            if _as_whole(call, plan):
                commands += [("MULTI",), *plan.commands, ("EXEC",)]
            elif plan.commands[0][0] == "ZINCRBY":
                commands.append(redis_commands.whole(plan.commands))
            else:
                commands += plan.commands
        question = self._store.question()
        answers = iter(self._store.ask(self._home, [*question, *commands]) if commands else [])
        if question and commands:
            self._known(next(answers))
        return [self._meaning(call, plan, answers) for call, plan in zip(calls, plans, strict=True)]

    def _known(self, found: Any) -> None:
        if isinstance(found, Exception):
            raise redis_errors.store_error(found, self._store.url) from found
        self._store.recognised(found)

    def _meaning(self, call: Call, plan: Plan, answers: Iterator[Any]) -> Any:
        if _as_whole(call, plan):
            queued = [next(answers) for _ in range(len(plan.commands) + 1)]
            done = next(answers)
            found = done if isinstance(done, list) else [*(one for one in queued if isinstance(one, Exception)), done]
        else:
            found = [next(answers) for _ in plan.commands]
            if plan.commands[0][0] == "ZINCRBY" and not isinstance(found[0], Exception):
                found = self._of_script(found[0], [call])
        for one in found:
            if isinstance(one, Exception):
                raise redis_errors.refusal(one, call, self._store.url)
        return plan.read(found)

    def _of_script(self, answer: list[Any], calls: Sequence[Call]) -> list[Any]:
        """The answers in an answer of `redis_commands.lua`, which says of which command a refusal is."""
        if answer[0] == b"done":
            return answer[1:]
        owners = [call for call in calls for _ in self._planner.plan(call).commands]
        raise redis_errors.refusal(redis_errors.answered(answer[2]), owners[answer[1] - 1], self._store.url)

    def _scan(self, pattern: str) -> list[str]:
        return self._planner.names(
            pattern, self._store.all_keys(self._store.connections.by_node([self._home])[0][0], self._planner.scan_pattern(pattern))
        )

    @contextlib.contextmanager
    def watching(self, names: Sequence[str]) -> Iterator[Commit]:
        self._store.recognise()
        keys = [key for name in names for key in self._planner.all_of(name)]
        with contextlib.ExitStack() as stack:
            with self._store.translated():
                session = stack.enter_context(self._store.connections.session(self._home))
                if keys:
                    self._store.sent(session, [("WATCH", *keys)])
            watched = bool(keys)

            def commit(calls: Sequence[Call]) -> list[Any] | None:
                nonlocal watched
                plans = [self._planner.plan(call) for call in calls]
                commands: list[Command] = [command for plan in plans for command in plan.commands]
                as_script = any(plan.refusable for plan in plans)
                inside = [redis_commands.whole(commands)] if as_script else commands
                with self._store.translated():
                    *queued, done = self._store.sent(session, [("MULTI",), *inside, ("EXEC",)], raising=False)
                    watched = False
                    for answer in (*queued, done):
                        if isinstance(answer, Exception):
                            raise answer
                    if done is None:
                        return None
                    for answer in done:
                        if isinstance(answer, Exception):
                            raise answer
                answers = iter(self._of_script(done[0], calls) if as_script else done)
                return [plan.read([next(answers) for _ in plan.commands]) for plan in plans]

            try:
                yield commit
            finally:
                if watched:
                    session.in_step = False  # closed then: nobody else is to get a connection that watches


def _as_whole(call: Call, plan: Plan) -> bool:
    """Whether the commands must all be done or none, as a value and its lifetime."""
    return len(plan.commands) > 1 and not call.reads
