"""GraphiQL's example operations against the published schema."""

import json
from pathlib import Path

import pytest
from graphql import GraphQLSchema, OperationDefinitionNode, build_schema, parse, validate
from graphql.execution.values import get_variable_values

ROOT = Path(__file__).parents[2]
OPERATIONS = sorted((ROOT / "console" / "graphiql" / "operations").glob("*.graphql"))


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return build_schema((ROOT / "schema.graphql").read_text())


def test_there_is_one_operation_for_each_step() -> None:
    assert [path.stem for path in OPERATIONS] == [
        "1-create-task",
        "2-start-run",
        "3-approve-run",
        "4-follow-run",
        "5-inspect-run",
    ]


@pytest.mark.parametrize("path", OPERATIONS, ids=lambda path: path.stem)
def test_an_example_operation_fits_the_schema_and_its_variables_fit_the_operation(
    schema: GraphQLSchema, path: Path
) -> None:
    document = parse(path.read_text())
    assert validate(schema, document) == []

    (operation,) = document.definitions
    assert isinstance(operation, OperationDefinitionNode)
    variables = json.loads(path.with_suffix(".json").read_text())
    declared = {definition.variable.name.value for definition in operation.variable_definitions or ()}
    assert set(variables) <= declared
    coerced = get_variable_values(schema, operation.variable_definitions or (), variables)
    assert not isinstance(coerced, list), coerced
