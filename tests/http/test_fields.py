"""L14, of every endpoint that asks the store: over random stores no field is constant, and none may be missing; all are looked at."""

from __future__ import annotations

import copy
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any
from urllib.parse import quote

import jsonschema
import pytest

from queue_metrics.http import asgi_app
from queue_metrics.http.routes import Text
from queue_metrics.storage.base import StorageDriver
from queue_metrics.storage.manager import StorageManager
from queue_metrics.storage.memory import MemoryStorageDriver
from tests.http.asking import ROUTES, app_of, ask
from tests.http.constant_fields import CONSTANT, NEVER_OF, OF_THE_KIND, OPTIONAL
from tests.http.leaves import Leaves, Schema
from tests.http.varied import SEEDS, Store, Varied, names, targets, vary
from tests.support.servers import RedisServer

PATHS = [path for path, route in ROUTES.items() if route.listed and route.question is not None and not isinstance(route.reply, Text)]
PATHS.remove("/")  # to programs
OF_NO_STORE = ("/", "/ready")
"""The same whatever a store holds: what there is to ask for, and that the server lives."""
KINDS = ("sqlite", "redis")
AWAY = (0, 1)
"""Seeds whose store goes away in the end."""

Answers = dict[tuple[int, str], Any]
"""By seed and what was asked."""
Told = dict[str, Answers]
"""By route."""


@cache
def interface() -> dict[str, Any]:
    return dict(ask(app_of(), "/openapi.json").json())


def schema_of(path: str) -> Schema:
    (operation,) = interface()["paths"][path].values()
    return dict(operation["responses"]["200"]["content"]["application/json"]["schema"])


@cache
def leaves() -> Leaves:
    return Leaves(interface()["components"]["schemas"])


@cache
def varied(seed: int) -> Varied:
    return vary(seed)


@pytest.fixture(scope="module")
def told_by(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Told]]:
    """What every route answers about every store of a kind."""
    folder = tmp_path_factory.mktemp("stores")
    with RedisServer(folder) as server:
        manager = StorageManager()

        def opened(kind: str, seed: int) -> StorageDriver:
            if kind == "memory":
                return MemoryStorageDriver()
            return manager.open(f"sqlite:///{folder}/{seed}.db" if kind == "sqlite" else f"redis://127.0.0.1:{server.port}/{seed}")

        @cache
        def told(kind: str) -> Told:
            found: Told = {path: {} for path in PATHS}
            for seed in SEEDS if kind in KINDS else AWAY:
                driver = opened(kind, seed)
                for path, target, answer in _answers(varied(seed), varied(seed).store(driver)):
                    found[path][seed, target] = answer
                driver.close()
            return found

        yield told


def _answers(made: Varied, store: Store) -> Iterator[tuple[str, str, Any]]:
    app = asgi_app(store, now=lambda: made.now)  # type: ignore[arg-type]
    app._reading._clock = itertools.count(
        0.0, 1.5 + made.seed
    ).__next__  # what is told while the store is away ages alike in every kind of store

    def asked(path: str, target: str) -> Any:
        bare, mark, query = target.partition("?")
        place = "/".join(quote(part.format_map(names(made)), safe="") for part in bare.split("/"))
        answer = ask(app, place + mark + query, method=ROUTES[path].method)
        assert answer.status in ((200, 503) if path == "/health" else (200,)), (target, answer.text)
        return answer.json()

    for path in PATHS:
        for target in targets(path, made):
            yield path, target, asked(path, target)
            if made.seed in AWAY and path.startswith("/v1/"):
                store.away = True
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr("queue_metrics.http.shared.FRESH_SECONDS", 0.0)
                    yield path, f"{target} while it is away", asked(path, target)
                store.away = False


def known_values(told: Told) -> dict[str, list[frozenset[Any]]]:
    """Of each leaf the values in each answer; unknown ones are none."""
    found: dict[str, list[frozenset[Any]]] = defaultdict(list)
    for path, answers in told.items():
        for answer in answers.values():
            values: dict[str, set[Any]] = defaultdict(set)
            for leaf, value in leaves().of(answer, schema_of(path), path):
                values[leaf].add(value)
            for leaf, each in values.items():
                found[leaf].append(frozenset(each))
    return found


Values = Callable[[str], dict[str, list[frozenset[Any]]]]


@pytest.fixture(scope="module")
def values_by(told_by: Callable[[str], Told]) -> Values:
    """The values of every leaf in stores of a kind."""
    return cache(lambda kind: known_values(told_by(kind)))


@cache
def every_leaf() -> tuple[str, ...]:
    return tuple(dict.fromkeys(leaf for path in PATHS for leaf in leaves().told(schema_of(path), path)))


def within(leaf: str, place: str) -> bool:
    """A place is a leaf, or an object that is null wherever it may be."""
    return leaf == place or leaf.startswith((f"{place}.", f"{place}["))


@pytest.mark.parametrize("kind", KINDS)
def test_no_field_stays_constant(kind: str, values_by: Values) -> None:
    """
    Fields that nobody filled were always 0, and no test saw it.

    What moves is taken from the schema, so no leaf is left out: each has other values in other answers, or stands in the list, by its
    full path and with a reason. What stands there without need is found, too.
    """
    values = values_by(kind)
    moving = {leaf for leaf in every_leaf() if len(set(values.get(leaf, ()))) > 1}
    excused = [place for places in (*CONSTANT.values(), OF_THE_KIND, NEVER_OF[kind]) for place in places]
    assert len(every_leaf()) > 2000
    assert set(values) <= set(every_leaf())
    assert len(set(excused)) == len(excused)
    still = [leaf for leaf in every_leaf() if leaf not in moving and not any(within(leaf, place) for place in excused)]
    assert still == [], "constant, and no reason is given"
    needless = [place for place in excused if not any(within(leaf, place) for leaf in every_leaf())]
    assert needless == [], "no reply has this any more"
    moved = [leaf for leaf in moving if any(within(leaf, place) for places in (*CONSTANT.values(), NEVER_OF[kind]) for place in places)]
    assert moved == [], "it moves: nothing to excuse"


def test_what_is_of_the_kind_of_store_differs_between_kinds(values_by: Values) -> None:
    values = [values_by(kind) for kind in KINDS]
    for leaf in OF_THE_KIND:
        first, second = ({value for each in found[leaf] for value in each} for found in values)
        assert first, leaf
        assert first.isdisjoint(second), leaf


def test_every_kind_of_store_tells_the_same(told_by: Callable[[str], Told]) -> None:
    """So what is counted by hand in memory holds in all."""
    first, second, memory = (told_by(kind) for kind in (*KINDS, "memory"))
    for path in PATHS:
        if path == "/v1/footprint":
            continue
        for asked, answer in first[path].items():
            assert _shared(answer) == _shared(second[path][asked]), asked
        for asked, answer in memory[path].items():
            assert _shared(answer) == _shared(first[path][asked]), asked


def _shared(answer: Any) -> Any:
    """All but what the store and the moment of asking have of their own."""
    if isinstance(answer, dict):
        return {name: _shared(value) for name, value in answer.items() if name not in ("stale_seconds", "storage_driver")}
    return [_shared(value) for value in answer] if isinstance(answer, list) else answer


@pytest.mark.parametrize("path", [*PATHS, *OF_NO_STORE])
def test_an_answer_without_a_field_is_off_schema(path: str, told_by: Callable[[str], Told]) -> None:
    """Any field of any object that is taken away is missed, but for those that may be absent, each by its full path and with a reason."""
    validator = jsonschema.Draft202012Validator({**schema_of(path), "components": interface()["components"]})
    told = {(0, path): ask(app_of(), path).json()} if path in OF_NO_STORE else told_by(KINDS[0])[path]
    unseen = set(leaves().fields(schema_of(path), path))
    for (seed, _), answer in told.items():
        if not unseen:
            break
        if seed == 0:
            validator.validate(answer)
        for place, holder, schema, shape in leaves().objects(copy.deepcopy(answer), schema_of(path), path):
            fresh = [name for name in holder if (f"{place}.{name}", name in shape["required"]) in unseen]
            if not fresh:
                continue
            _cut(holder)
            here = validator.evolve(schema=schema)
            assert here.is_valid(holder), place
            for name in fresh:
                required = name in shape["required"]
                unseen.remove((f"{place}.{name}", required))
                value = holder.pop(name)
                assert here.is_valid(holder) == (not required), f"{place}.{name}"
                holder[name] = value
    excused = [place for places in CONSTANT.values() for place in places]
    assert [place for place, _ in unseen if place not in OPTIONAL and not any(within(place, each) for each in excused)] == []


def _cut(holder: Any) -> None:
    """One entry of each list says as much as all."""
    for value in holder.values() if isinstance(holder, dict) else holder:
        if isinstance(value, list):
            del value[1:]
        if isinstance(value, (dict, list)):
            _cut(value)


def test_every_field_that_may_be_absent_is_listed() -> None:
    fields = itertools.chain.from_iterable(leaves().fields(schema_of(path), path) for path in (*PATHS, *OF_NO_STORE))
    assert {place for place, required in fields if not required} == set(OPTIONAL)
