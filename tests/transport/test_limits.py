"""The price of documents, taken before validation."""

import pytest
from graphql import get_introspection_query

from graph.execution.engine import Engine, EngineOptions, Failure, Operation, Request
from graph.execution.limits import Limits
from tests.transport import schema


def prepare(query: str, limits: Limits | None = None, **variables: object) -> Operation | Failure:
    options = EngineOptions(limits=limits or Limits(), introspection=True)
    return Engine(schema.build(), options).prepare(Request(query=query, variables=variables, request_id="r"))


def refusal(query: str, limits: Limits | None = None, **variables: object) -> tuple[str, object, object]:
    """Return what the message starts with, the value and the limit."""
    failure = prepare(query, limits, **variables)
    assert isinstance(failure, Failure)
    (error,) = failure.errors
    extensions = error["extensions"]
    assert extensions["code"] == "LIMIT_EXCEEDED"
    assert str(extensions["limit"]) in error["message"]
    return error["message"].split(" is ")[0], extensions.get("value"), extensions["limit"]


def accepted(query: str, limits: Limits | None = None, **variables: object) -> bool:
    return isinstance(prepare(query, limits, **variables), Operation)


def nested(levels: int) -> str:
    return "{ item " + "{ parent " * (levels - 2) + "{ id" + " }" * levels


def doubling(times: int, item: str = "item") -> str:
    fragments = [
        f"fragment F{n} on Item {{ a: parent {{ ...F{n + 1} }} b: parent {{ ...F{n + 1} }} }}" for n in range(times)
    ]
    return f"{{ {item} {{ ...F0 }} }} {' '.join(fragments)} fragment F{times} on Item {{ id }}"


def test_a_refusal_is_a_sentence_with_both_numbers() -> None:
    failure = prepare(nested(13))
    assert isinstance(failure, Failure)
    assert failure.errors[0]["message"] == "The operation's depth is 13; the limit is 12."


def test_depth_is_limited_through_fragments_too() -> None:
    assert accepted(nested(12))
    assert refusal(nested(13)) == ("The operation's depth", 13, 12)
    fragments = "{ item { ...A } } fragment A on Item { parent { ...B } } fragment B on Item { parent { id } }"
    assert refusal(fragments, Limits(depth=3)) == ("The operation's depth", 4, 3)


def test_nesting_that_is_no_depth_is_limited_before_it_exhausts_the_stack() -> None:
    inline = "{ item " + "{ ... on Item " * 150 + "{ id" + " }" * 152
    assert refusal(inline)[0] == "The nesting of selections"
    chain = " ".join(f"fragment F{n} on Item {{ ...F{n + 1} }}" for n in range(150))
    assert refusal(f"{{ item {{ ...F0 }} }} {chain} fragment F150 on Item {{ id }}")[0] == "The nesting of selections"


def test_aliases_are_counted_as_written() -> None:
    aliases = " ".join(f"a{n}: hello" for n in range(31))
    assert refusal(f"{{ {aliases} }}") == ("The number of aliases", 31, 30)
    shared = "{ a: item { ...F } b: item { ...F } } fragment F on Item { c: id }"
    assert accepted(shared, Limits(aliases=3))


def test_tokens_and_comments_are_counted() -> None:
    assert refusal("{" + " hello" * 1_999 + "}") == ("The document has more than 2000 tokens or comments.", None, 2_000)
    assert refusal("#\n" * 2_001 + "{ hello }")[2] == 2_000


def test_a_message_that_quotes_the_limit_is_still_a_syntax_error() -> None:
    failure = prepare('"Document contains more than 2000 tokens."')
    assert isinstance(failure, Failure)
    assert failure.code == "GRAPHQL_PARSE_FAILED"


def test_fragments_are_counted_as_often_as_they_are_spread() -> None:
    fields = 3 * 2**10 - 1
    assert accepted(doubling(10), Limits(fields=fields))
    assert refusal(doubling(10), Limits(fields=fields - 1)) == ("The number of fields", fields, fields - 1)


@pytest.mark.parametrize("times", [24, 45])
def test_doubling_fragments_are_refused_without_being_followed(times: int) -> None:
    wide = Limits(aliases=1_000, depth=1_000)
    assert refusal(doubling(times), wide) == ("The number of fields", min(3 * 2**times - 1, 10**9), 5_000)
    assert refusal(doubling(times)) == ("The operation's depth", times + 2, 12)


@pytest.mark.parametrize(
    "query",
    [
        "{" + " hello" * 1_990 + "}",
        "{ " + " ".join(f'hello(name: "{n}")' for n in range(330)) + " }",
        "{ " + "item { parent { id } } " * 200 + "}",
        "{ " + "... { hello } " * 300 + "}",
        "{ " + "...F " * 300 + "} fragment F on Query { hello }",
        "{ hello } fragment Unused on Query { " + "hello " * 300 + "}",
    ],
)
def test_fields_that_validation_would_compare_in_pairs_are_limited(query: str) -> None:
    what, value, limit = refusal(query)
    assert (what, limit) == ("The number of pairs of fields to be merged", 10_000)
    assert isinstance(value, int)


def test_the_same_field_for_each_of_many_types_is_no_overlap_to_speak_of() -> None:
    assert accepted("{ item { " + "... on Item { id parent { id items { id } } } " * 25 + "} }")


def test_operations_that_are_not_executed_count_for_validation() -> None:
    many = " ".join(f"query Q{n} {{ item {{ ...F0 }} }}" for n in range(9))
    rest = doubling(10).partition("}")[2].partition("}")[2]
    failure = Engine(schema.build()).prepare(Request(query=many + rest, operation_name="Q0", request_id="r"))
    assert isinstance(failure, Failure)
    assert failure.errors[0]["message"] == "The document's number of fields is 20001; the limit is 20000."


def test_a_cycle_of_fragments_is_left_to_validation() -> None:
    failure = prepare("{ item { ...A } } fragment A on Item { ...B } fragment B on Item { ...A id }")
    assert isinstance(failure, Failure)
    assert failure.code == "GRAPHQL_VALIDATION_FAILED"


@pytest.mark.parametrize(
    ("query", "cost"),
    [
        ("{ items(first: 50) { id } }", 50),
        ("{ items(last: 20) { id } }", 20),
        ("{ items { id } }", 10),
        ("{ items(first: null) { id } }", 10),
        ("{ items(first: -5) { id } }", 0),
        ("{ items(first: 100) { items(first: 20) { id } } }", 100 + 100 * 20),
        ("{ items(first: 10) { ...F } } fragment F on Item { items(first: 5) { id } }", 10 + 10 * 5),
        ("{ item { a: items(first: 3) { id } b: items(first: 4) { id } } }", 7),
        ("{ item { ... on Item { items(first: 3) { id } } ... { items(first: 3) { id } } } }", 6),
        ("{ item { logs } }", 200),
        ("{ item { series } }", 50),
        ("{ item { series(maxPoints: 41) } }", 5),
        ('{ nodes(ids: ["a", "b", "c"]) { items(first: 5) { id } } }', 3 + 15),
        ('{ nodes(ids: "a") { id } }', 1),
        ("{ items(first: 99999999999999999999) { id } }", 5_000),
        ("query ($n: Int) { items(first: $n) { id } }", 10),
        ("query ($n: Int = 30) { items(first: $n) { id } }", 30),
        ("{ hello }", 0),
        ("{ nothing(first: 5) { deeper(first: 5) } }", 0),
    ],
)
def test_cost_multiplies_page_sizes_down_the_tree(query: str, cost: int) -> None:
    limits = Limits(page_sizes={"Item.logs": 200}, cost=cost - 1)
    assert refusal(query, limits) == ("The operation's cost in nodes", cost, cost - 1)


def test_page_sizes_in_variables_count_with_their_value() -> None:
    engine = Engine(schema.build())
    query = "query ($n: Int, $ids: [ID!] = []) { items(first: $n) { items(first: $n) { id } } nodes(ids: $ids) { id } }"

    def outcome(**variables: object) -> str:
        prepared = engine.prepare(Request(query=query, variables=variables, request_id="r"))
        return prepared.code if isinstance(prepared, Failure) else "accepted"

    for _ in range(2):
        assert outcome(n=99) == "accepted"
        assert outcome(n=100) == "LIMIT_EXCEEDED"
        assert outcome() == "accepted"
        assert outcome(n=None) == "accepted"
        assert outcome(n=99, ids=["a"] * 100) == "accepted"
        assert outcome(n=99, ids=["a"] * 101) == "LIMIT_EXCEEDED"
        assert outcome(n=True) == "BAD_USER_INPUT"


def test_prices_are_remembered_for_a_bounded_number_of_values() -> None:
    engine = Engine(schema.build())
    query = "query ($n: Int) { items(first: $n) { items(first: $n) { id } } }"
    for n in range(300):
        engine.prepare(Request(query=query, variables={"n": n}, request_id="r"))
    refused = engine.prepare(Request(query=query, variables={"n": 150}, request_id="r"))
    assert isinstance(refused, Failure)


def test_the_introspection_of_tools_passes_and_a_second_whole_one_too_but_not_a_third() -> None:
    query = get_introspection_query(
        specified_by_url=True, directive_is_repeatable=True, schema_description=True, input_value_deprecation=True
    )
    assert accepted(query)
    many = "{ a: __schema { types { name } } b: __schema { types { name } } c: __schema { types { name } } }"
    assert refusal(many) == ("The operation's cost in nodes", 12_000, 10_000)


def test_introspection_has_a_depth_of_its_own() -> None:
    deep = "{ __schema { types " + "{ ofType " * 16 + "{ name" + " }" * 19
    assert refusal(deep)[:2] == ("The depth below __schema", 18)
