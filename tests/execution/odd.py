"""A schema with every kind of field, over objects that may hold anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator, Iterator
from enum import Enum
from typing import Annotated, Any, Final, Generic, NewType, TypeVar, cast

import strawberry
from graphql import GraphQLError, GraphQLSchema, Undefined
from strawberry import UNSET
from strawberry.extensions import FieldExtension
from strawberry.permission import BasePermission
from strawberry.scalars import JSON
from strawberry.schema.config import StrawberryConfig
from strawberry.types.lazy_type import LazyType
from strawberry.types.scalar import ScalarDefinition

from graph.errors import ErrorCode, RequestError
from graph.loaders import Loader
from graph.types.fields import computed, contextual, looked_up

T = TypeVar("T")


@strawberry.enum
class Color(Enum):
    RED = "red"
    GREEN = 2


class Other(Enum):
    RED = "red"
    BLUE = "blue"


def _stamped(value: object) -> object:
    if value == "refused":
        raise GraphQLError("This is no stamp.")
    return None if value == "nothing" else f"<{value}>"


Stamp = NewType("Stamp", object)


class Later:
    """What has to be awaited, as often as one likes."""

    def __init__(self, value: object, turns: int = 0) -> None:
        self.value = value
        self.turns = turns

    def __await__(self) -> Generator[None, None, Any]:
        for _ in range(self.turns):
            yield None
        if isinstance(self.value, Exception):
            raise self.value
        return self.value

    def __repr__(self) -> str:
        return f"Later({self.value!r}, {self.turns})"


class Row:
    """A list that is none."""

    def __iter__(self) -> Iterator[object]:
        return iter(("first", 2))


class Flow:
    """A list that comes bit by bit."""

    def __aiter__(self) -> AsyncIterator[object]:
        return self._items()

    async def _items(self) -> AsyncIterator[object]:
        yield "first"
        await asyncio.sleep(0)
        yield 2


class Word(str):
    """A text of its own kind."""


class Whole(int):
    """A number of its own kind."""


class OddError(Exception):
    """What an object holds in place of a value."""


ODD: Final[tuple[object, ...]] = (
    *(None, Undefined, "", "text", "refused", "nothing", "red", b"bytes", Word("word")),
    *(0, 7, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**70, Whole(7), True),
    *(1.0, 1.5, 1e300, float("nan"), float("inf"), object(), Color.RED, Other.RED, Other.BLUE),
    *([], [1, None], ("a",), {}, {"a": 1}, Row(), Flow()),
    *(OddError("held"), GraphQLError("held"), RequestError(ErrorCode.BUSY, "Held.", retryAfter=1)),
    *(Later(None), Later("text", 1), Later(7, 3), Later(OddError("later")), Later(OddError("much later"), 5)),
)
"""What may stand anywhere."""


class Given:
    """What has the values that it was given; those that it was not raise what was given in their place."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.__repr__ = object.__repr__  # type: ignore[method-assign]  # that of a dataclass would read values, and raise

    @classmethod
    def empty(cls) -> Any:
        """Make an object that has nothing yet."""
        return object.__new__(cls)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise vars(self).get("raised", {}).get(name) or AttributeError(f"There is no {name}.")

    def given(self, name: str) -> Any:
        """Return a value, or raise what was given in its place."""
        values = vars(self)
        return values[name] if name in values else Given.__getattr__(self, name)


class Open(BasePermission):
    message = "It is closed."

    def has_permission(self, source: Any, info: strawberry.Info, **_: Any) -> bool:
        return bool(source.given("open"))


class Aloud(FieldExtension):
    def resolve(self, next_: Any, source: Any, info: strawberry.Info, **arguments: Any) -> Any:
        said = next_(source, info, **arguments)
        return said.upper() if type(said) is str else said


def by_resolver(name: str, type_: Any, **options: Any) -> Any:
    """A field with a resolver, which returns what the object was given."""

    def resolve(root: Any) -> Any:
        return root.given(name)

    return strawberry.field(resolver=resolve, graphql_type=type_, **options)


def by_coroutine(name: str, type_: Any, **options: Any) -> Any:
    """As `by_resolver`, by a coroutine."""

    async def resolve(root: Any) -> Any:
        value = root.given(name)
        for _ in range(root.given("turns")):
            await asyncio.sleep(0)
        return value

    return strawberry.field(resolver=resolve, graphql_type=type_, **options)


def by_key(name: str, type_: Any, *, missing: bool = False) -> Any:
    """A field that is looked up by a key, which is what the object was given."""
    return looked_up(
        "A record.",
        name,
        lambda loaders, _fields: cast("Loader[Any]", loaders),
        lambda record: record.given("self") if isinstance(record, Given) else record,
        graphql_type=type_,
        missing=(lambda: OddError("missing")) if missing else None,
    )


THING: Final = LazyType[object, object]("Thing", "tests.execution.odd")
EITHER: Final = LazyType[object, object]("Either", "tests.execution.odd")


@strawberry.interface
class Named:
    name: str
    mood: Color | None
    fellow: Named | None
    kin: list[Named | None] | None


@strawberry.type
class Loose(Given):
    """Of no interface, so that nothing tells what is one."""

    text: str
    number: int | None
    loose: Loose | None
    mate: Loose
    echo: str = by_resolver("echo", str)


@strawberry.type
class Box(Named, Given, Generic[T]):
    value: T
    values: list[T | None]


def _echoed(root: Any, number: int = 1, color: Color | None = None, texts: list[str] | None = None) -> str:
    return f"{root.given('echoed')} {number} {color} {texts}"


@strawberry.input
class Wish:
    what: str
    stamps: list[Stamp] = strawberry.field(default_factory=list)
    more: Wish | None = None


async def _echoed_later(
    root: Any,
    info: strawberry.Info,
    *,
    number: int = 1,
    ratio: float | None = UNSET,
    color: Color = Color.RED,
    colors: list[Color] | None = None,
    stamp: Stamp | None = None,
    wish: Wish | None = UNSET,
    which: Annotated[strawberry.ID | None, strawberry.argument(name="id")] = None,
) -> str:
    told = [number, ratio, color, colors, stamp, wish, which, info.path.as_list(), len(info._raw_info.field_nodes)]
    if colors is not None:
        colors.append(Color.GREEN)  # what it was given is its own
    return f"{root.given('echoed_later')} {told}"


@strawberry.type
class Thing(Named, Given):
    text: str
    maybe_text: str | None
    id: strawberry.ID
    number: int
    maybe_number: int | None
    ratio: float
    maybe_ratio: float | None
    flag: bool
    color: Color
    stamp: Stamp
    maybe_stamp: Stamp | None
    blob: JSON
    texts: list[str]
    maybe_texts: list[str | None] | None
    colors: list[Color]
    matrix: list[list[int]]
    maybe_matrix: list[list[int | None] | None] | None
    half_matrix: list[list[int] | None]
    thing: Thing
    maybe_thing: Thing | None
    things: list[Thing]
    maybe_things: list[Thing | None] | None
    maybe_all_things: list[Thing] | None
    nested: list[list[Thing]]
    loose: Loose
    maybe_loose: Loose | None
    looses: list[Loose]
    named: Named
    nameds: list[Named]
    maybe_nameds: list[Named | None] | None
    either: Either
    eithers: list[Either | None]
    whole_box: Box[int]
    text_box: Box[str] | None
    read: str = computed("Read by a function.", lambda root: root.given("read"))
    read_thing: Annotated[Thing, strawberry.lazy("tests.execution.odd")] = computed(
        "Likewise.", lambda root: root.given("read_thing")
    )
    told: str = contextual("Made of the context.", lambda record, _: record.given("told"), graphql_type=str)
    told_things: list[Thing | None] = contextual(
        "Likewise.",
        lambda record, _: record.given("told_things"),
        graphql_type=list[THING | None],  # type: ignore[valid-type]
    )
    resolved_number: int = by_resolver("resolved_number", int)
    resolved_thing: Thing = by_resolver("resolved_thing", THING)
    resolved_things: list[Thing] = by_resolver("resolved_things", list[THING] | None)  # type: ignore[valid-type]
    awaited_text: str = by_coroutine("awaited_text", str)
    awaited_thing: Thing | None = by_coroutine("awaited_thing", THING | None)
    awaited_things: list[Thing] = by_coroutine("awaited_things", list[THING])  # type: ignore[valid-type]
    permitted: str | None = by_resolver("permitted", str | None, permission_classes=[Open])
    permitted_plainly: str = strawberry.field(permission_classes=[Open])
    aloud: str = strawberry.field(extensions=[Aloud()])
    echoed: str = strawberry.field(resolver=_echoed)
    echoed_later: str = strawberry.field(resolver=_echoed_later)
    found: Thing = by_key("found", THING | None)
    found_surely: Thing = by_key("found_surely", THING, missing=True)
    found_named: Named | None = by_key("found_named", Named | None)


@strawberry.type
class Special(Thing):
    """Every one is a thing as well."""

    extra: str


@strawberry.type
class Item(Named, Given):
    weight: float
    thing: Thing


Either = Annotated[Thing | Loose | Item, strawberry.union("Either")]


@strawberry.type
class Query(Given):
    thing: Thing | None
    surely: Thing
    things: list[Thing]
    maybe_things: list[Thing | None] | None
    named: Named | None
    nameds: list[Named]
    either: Either | None
    loose: Loose | None
    looses: list[Loose]
    box: Box[int] | None
    awaited: Thing | None = by_coroutine("awaited", THING | None)
    awaited_surely: Thing = by_coroutine("awaited_surely", THING | None)


def build() -> GraphQLSchema:
    stamps: dict[object, ScalarDefinition] = {
        Stamp: strawberry.scalar(name="Stamp", serialize=_stamped, parse_value=lambda value: value)
    }
    config = StrawberryConfig(scalar_map=stamps)
    return strawberry.Schema(query=Query, types=[Special, Item, Box[str], Box[int]], config=config)._schema
