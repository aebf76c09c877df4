"""`crosslift models why` and `compare`: how what serves came to serve, and two versions side by side."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.output import AsJson, print_json, print_table, quiet
from pipeline.folders import Home

if TYPE_CHECKING:
    from pipeline.registry.chain import Link
    from pipeline.runs.comparing import Side

Version = Annotated[str, typer.Argument(metavar="A", help="NAME/VERSION or NAME@ALIAS, such as crosslift.demo/3.")]
Other = Annotated[str, typer.Argument(metavar="B", help="Another one, such as crosslift.demo@champion.")]


def why(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Such as crosslift.demo.")], as_json: AsJson = False
) -> None:
    """Why a model serves what it serves: the chain of verdicts back to the first version, with every reason."""
    from pipeline.registry.chain import chain_of

    with quiet(as_json):
        chain = chain_of(Home.from_env(), name)
    if as_json:
        print_json(asdict(chain))
        return
    print(f"{chain.name}: version {chain.links[0].version} ({chain.links[0].lane}) serves.")
    for link in (*chain.links, *chain.rolled_back):
        _print_link(link)


def _print_link(link: "Link") -> None:
    against = f"version {link.judged_against}" if link.judged_against else "nothing that served"
    print(f"\nVersion {link.version} ({link.lane}), {', '.join(link.aliases) or 'no alias'}, of {link.registered}")
    print(f"  run      {link.run_id or 'not noted'}")
    print(f"  verdict  {link.verdict or 'not noted'}, judged against {against}. {link.reason}".rstrip())
    print(f"  outcome  {link.outcome or 'not noted'}. {link.outcome_reason}".rstrip())
    if link.approved:
        print(f"  approved {link.approved}")
    if link.rolled_back:
        print(f"  rolled back at {link.rolled_back}")


def compare(one: Version, other: Other, as_json: AsJson = False) -> None:
    """Hold two registered versions against each other: test metric, verdict, data, settings, and their difference.

    The metric of each stands with its interval and the rows that it was judged on; where these are not the same rows,
    that is said, and the two numbers must not be compared. Where both runs are still kept and judged the same rows, the
    paired difference of the two is given with its interval.
    """
    from pipeline.runs.comparing import compare_versions

    with quiet(as_json):
        found = compare_versions(Home.from_env(), one, other)
    if as_json:
        print_json(found.as_json())
        return
    names = (found.first.name, found.second.name)
    columns = [_column(side) for side in (found.first, found.second)]
    print_table(("", *names), [(key, columns[0][key], columns[1][key]) for key in columns[0]])
    if found.settings:
        print("\nSettings that differ:")
        print_table(("", *names), [(key, *pair) for key, pair in found.settings.items()])
    print(f"\nData: {found.data}.\n{found.rows}\nDifference: {found.difference}")
    for side in (found.first, found.second):
        print(f"\n{side.name}: {side.link.verdict}. {side.link.reason}")
        print(f"{side.link.outcome}. {side.link.outcome_reason}")


def _column(side: "Side") -> dict[str, str]:
    """What a table says of one version."""
    link = side.link
    against = f"version {link.judged_against}" if link.judged_against else "nothing that served"
    return {
        "lane": link.lane,
        "aliases": ", ".join(link.aliases) or "none",
        "registered": link.registered,
        "validation": side.valid or "not known",
        "test": side.test or "not known",
        "judged on": side.judged_on or "not known",
        "judged against": against,
        "verdict": link.verdict,
        "outcome": link.outcome,
        "seed": side.seed,
        "share of target data": side.target_share,
        "run": link.run_id,
    }
