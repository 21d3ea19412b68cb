"""`mgx approve`, `reject`, `request-changes` and `cancel`: what a person decides about a run."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from typing import Final

from graph.client import Data
from graph.commands.command import Command
from graph.commands.operations import add_url, client, mutate, run_api


def _decision(
    field: str, done: str, values: Callable[[Namespace], Data], add_arguments: Callable[[ArgumentParser], None]
) -> Command:
    """Make a command that runs one mutation on a run.

    Args:
        field: Of the mutation root.
        done: What is said afterwards, before the run's status.
        values: Makes the input, but for the run's id.
        add_arguments: Declares the flags that `values` reads.
    """

    def declare(parser: ArgumentParser) -> None:
        parser.add_argument("run", metavar="RUN", help="id of the run")
        add_arguments(parser)
        add_url(parser)

    def run(arguments: Namespace) -> int:
        given = {"runId": arguments.run, **values(arguments)}
        payload = run_api(mutate(client(arguments), field, given))
        print(f"{done} {arguments.run}, which is {payload['run']['status']} now.")
        return 0

    return Command(add_arguments=declare, run=run)


def _add_plan_version(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--plan-version",
        type=int,
        metavar="N",
        help="version of the plan that you saw; the decision is refused if there is another by now",
    )


def _add_optional_feedback(parser: ArgumentParser) -> None:
    parser.add_argument("--feedback", metavar="TEXT", help="why; kept with the decision")
    _add_plan_version(parser)


def _add_feedback(parser: ArgumentParser) -> None:
    parser.add_argument("--feedback", metavar="TEXT", required=True, help="what the next version of the plan must heed")
    _add_plan_version(parser)


def _add_reason(parser: ArgumentParser) -> None:
    parser.add_argument("--reason", metavar="TEXT", help="why; kept with the run's events")


def _review(arguments: Namespace) -> Data:
    return {"feedback": arguments.feedback, "planVersion": arguments.plan_version}


APPROVE: Final = _decision(
    "approveRun", "Approved the plan of", lambda given: {"approved": True, **_review(given)}, _add_optional_feedback
)
REJECT: Final = _decision(
    "approveRun", "Rejected the plan of", lambda given: {"approved": False, **_review(given)}, _add_optional_feedback
)
REQUEST_CHANGES: Final = _decision("requestPlanChanges", "Sent back the plan of", _review, _add_feedback)
CANCEL: Final = _decision("cancelRun", "Cancelled", lambda given: {"reason": given.reason}, _add_reason)
