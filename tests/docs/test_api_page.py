import re

import pytest
from graphql import GraphQLObjectType, GraphQLSchema, build_schema

from graph.errors import ErrorCode
from tests.docs.api_page import PAGE, ROOT, rendered


@pytest.fixture
def schema() -> GraphQLSchema:
    return build_schema((ROOT / "schema.graphql").read_text())


async def test_every_answer_on_the_page_is_the_servers() -> None:
    page = PAGE.read_text()
    assert await rendered(page) == page, "docs/api.md is stale: run python -m tests.docs.api_page"


def test_every_operation_stands_on_the_page_with_its_answer(schema: GraphQLSchema) -> None:
    page = PAGE.read_text()
    for root in (schema.query_type, schema.mutation_type, schema.subscription_type):
        assert isinstance(root, GraphQLObjectType)
        answered = re.findall(r"^```(?:json|json-lines|text) answer\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
        missing = [name for name in root.fields if not any(f'"{name}": ' in answer for answer in answered)]
        assert not missing


def test_every_code_of_an_error_is_explained(schema: GraphQLSchema) -> None:
    page = PAGE.read_text()
    codes = [*schema.type_map["UserErrorCode"].values, *ErrorCode]  # type: ignore[attr-defined]  # an enum
    assert [code for code in codes if f"| `{code}` |" not in page] == []
