"""promote: the run's lanes into MLflow, the candidate into the registry, and the alias where the gate says so."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import CrossliftError, StorageError
from pipeline.folders import digest, exclusive, read_json
from pipeline.results import PROMOTE, VERDICT, Outcome, PackageFacts, PromoteFacts, StepResult, VerdictFacts
from pipeline.runs.aftermath import aftermath
from pipeline.runs.champion import serving
from pipeline.runs.logged import night_key, run_log, run_tags
from pipeline.runs.reference import keep_reference
from pipeline.runs.registered import candidate_of
from pipeline.runs.run import Run
from pipeline.runs.telling import tell
from pipeline.steps.judging import judge_again
from pipeline.steps.packaging import packaged
from pipeline.steps.report import publish_report

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from pipeline.registry.promote import Serving
    from pipeline.registry.replay import Logged

# By lane: the candidate, then what stands in for it, if anything does.
Packages = Mapping[str, StepResult[PackageFacts]]


def promote(run: Run) -> StepResult[PromoteFacts]:
    """Log the run, register what validation picked as challenger, and make champion what the gate chose.

    The candidate is registered whatever the verdict says, so that a rejected one can be looked up with its reason. If
    what serves by now is not what the verdict was made against, the candidate is judged again before anything moves;
    the lock is that of every command that moves an alias. All registry work is looked up before it is done: a repeat,
    also after a crash, ends in the same state. A night that says what an earlier one said is not logged again while
    the version serves that served at its end. The manifest of the result is the package's.

    Returns:
        Facts: verdict, and all of `Outcome`, with which the report is published again.

    Raises:
        MissingResultError: the verdict or the lane that it names did not succeed in this run.
        StorageError: MLflow cannot be reached; the champion is untouched.
        CrossliftError: the registered model does not serve in a fresh process; the champion is untouched.
    """
    run.forget(PROMOTE)
    judged = run.result(VERDICT)
    packages = _packages(run, judged)
    champion = serving(run)  # what is damaged is put back first, perhaps from one of these packages
    unreadable = champion.version if champion and champion.damage else None

    from pipeline.registry.lookup import experiment_name, model_name
    from pipeline.registry.promote import find_serving, settle
    from pipeline.registry.replay import find_repeated, log_run
    from pipeline.registry.tracking import connect, reached

    name = model_name(run.scenario)
    client = connect(run.home)  # also quiets what MLflow says while it is imported
    with exclusive(run.home.lock("promote")):
        with reached(client.tracking_uri):
            registry = _Registry(run, client, name, find_serving(client, name))
        final, unjudged = registry.judged_by_now(judged, packages, unreadable)
        packages = {lane: packages.get(lane) or packaged(run, lane) for lane in _lanes(final)}
        before = registry.serving.version if registry.serving else None
        night = night_key(run, final, unjudged)
        earlier = find_repeated(client, run.home, experiment_name(run.scenario), night, before)
        logged = earlier or log_run(client, run.home, run_log(run, final, night))
        versions, changed = registry.register(final, packages, logged, again=earlier is not None)
        outcome = registry.conclude(final, versions, unjudged)
        if earlier and outcome.serving != before:  # a person has opened the way since
            earlier, logged = None, log_run(client, run.home, run_log(run, final, night))
        repeats = earlier.run_id if earlier and earlier.run_id != run.run_id else ""
        if repeats:
            told = f"{outcome.reason} All is as it was at the end of run {repeats}, of which MLflow tells."
            outcome = outcome.model_copy(update={"reason": told})
        if outcome.serves:
            keep_reference(run)
        registry.tell(final, versions, outcome, logged, again=earlier is not None)
        package = packages[outcome.lane]
        news = earlier is None or changed or outcome.outcome == "promoted"
        result = StepResult[PromoteFacts](
            step=PROMOTE.name,
            fingerprint=digest([name, final.manifest, package.manifest])[:32],
            folder=package.folder,
            manifest=package.manifest,
            reused=not news,
            facts=_facts(final, logged, repeats, outcome),
        )
        run.record(result)
        if outcome.outcome == "promoted":
            settle(client, name, outcome.version)
    tell(run, result)
    return result


def _facts(final: StepResult[VerdictFacts], logged: "Logged", repeats: str, outcome: Outcome) -> PromoteFacts:
    from pipeline.registry.tracking import store_name

    told = {"verdict": final.facts.verdict, "logged": logged.parent, "experiment": logged.experiment}
    own = {"fitted": dict(logged.steps), "repeats": repeats, "store": store_name()}
    return PromoteFacts(**told, **own, **outcome.model_dump())


def _lanes(judged: StepResult[VerdictFacts]) -> list[str]:
    """Name the candidate, and what the gate chose in its place."""
    return [lane for lane in dict.fromkeys((judged.facts.candidate, judged.facts.lane)) if lane]


def _packages(run: Run, judged: StepResult[VerdictFacts]) -> Packages:
    return {lane: packaged(run, lane) for lane in _lanes(judged)}


@dataclass(frozen=True)
class _Registry:
    """The registry while its lock is held: `serving` is the champion of the model `name`, before anything moves."""

    run: Run
    client: "MlflowClient"
    name: str
    serving: "Serving | None"

    def judged_by_now(
        self, judged: StepResult[VerdictFacts], packages: Packages, unreadable: int | None
    ) -> tuple[StepResult[VerdictFacts], str]:
        """Give the verdict that counts, and why there is none against what serves by now, if there is none.

        The kept verdict counts if what serves is what it was made against or a package of this very run, or if the
        version that it is about was the champion before: no run brings that back, whatever it is held against. Where
        what serves is `unreadable`, only a verdict counts that left it out.
        """
        from pipeline.registry.promote import find_version
        from pipeline.registry.tracking import reached
        from pipeline.runs.outcome import has_served, named

        kept = read_json(self.run.path(judged) / "verdict.json")["champion"]
        identities = [package.manifest for package in packages.values()]
        by_now = self.serving.package if self.serving else None
        if unreadable is None and (by_now == (kept["package"] if kept else None) or by_now in identities):
            return judged, ""
        if unreadable is not None and judged.facts.unreadable == unreadable:
            return judged, ""
        with reached(self.client.tracking_uri):
            about = find_version(self.client, self.name, identities[-1])
        if about is not None and has_served(about.tags):
            return judged, ""
        try:
            return judge_again(self.run, judged), ""
        except CrossliftError as error:
            before = f"version {kept['version']}" if kept else "nothing"
            return judged, (
                f"The verdict was made when {before} served; by now {named(self.serving)} serves, and the candidate "
                f"could not be judged against that: {error}"
            )

    def register(
        self, final: StepResult[VerdictFacts], packages: Packages, logged: "Logged", *, again: bool
    ) -> tuple[dict[str, int], bool]:
        """Register the candidate as challenger, then what stands in for it; `again`: an earlier run said all of them.

        Returns:
            Lane -> version in that order, and whether anything is new.
        """
        from pipeline.registry.mend import mend
        from pipeline.registry.register import register
        from pipeline.registry.tracking import reached
        from pipeline.serving.save import save_predictor

        versions: dict[str, int] = {}
        changed = False
        for lane, package in packages.items():
            serves = self.serving is not None and self.serving.package == package.manifest
            if versions and not (self.run.may_promote or serves):
                continue  # a trial's stand-in, which nobody asked to serve
            made = candidate_of(self.run, package, final, logged)
            versions[lane], new = register(self.client, self.run.home, made, save_predictor, again=again)
            changed |= new
            if damage := "" if new else mend(self.client, self.run.home, self.name, versions[lane], save_predictor):
                raise StorageError(f"{self.name} version {versions[lane]}: {damage}. No alias was moved.")
        with reached(self.client.tracking_uri):
            changed |= self._challenge(versions[final.facts.candidate])
        return versions, changed

    def _challenge(self, version: int) -> bool:
        """Make the candidate challenger; a trial leaves the place to a candidate that waits for a person there."""
        from pipeline.registry.promote import CHALLENGER, NO_TRIAL, TRIAL, aliases, point
        from pipeline.runs.approve import NEEDED

        now = aliases(self.client, self.name).get(CHALLENGER)
        if not self.run.may_promote and now is not None and (self.serving is None or self.serving.version != now):
            tags = self.client.get_model_version(self.name, str(now)).tags
            if tags.get("approval") == NEEDED and tags.get(TRIAL) == NO_TRIAL:
                return False
        return point(self.client, self.name, CHALLENGER, version)

    def conclude(self, final: StepResult[VerdictFacts], versions: dict[str, int], unjudged: str) -> Outcome:
        """Make the last of the versions champion unless something holds it back, and say what came of it."""
        from pipeline.registry.promote import CHALLENGER, CHAMPION, Move, aliases, promote_version
        from pipeline.registry.tracking import reached
        from pipeline.runs.outcome import Place, held_back, moved, overtaken

        lane, version = [*versions.items()][-1]
        with reached(self.client.tracking_uri):
            tags = self.client.get_model_version(self.name, str(version)).tags
            challenger = aliases(self.client, self.name).get(CHALLENGER) == version
        place = Place(self.name, version, lane, tags, challenger, self.serving)
        held = held_back(self.run, place, bool(final.facts.lane), final.facts.verdict, unjudged)
        if held is None:
            before = self.serving.version if self.serving else None
            move = Move(self.name, version, before, run_id=self.run.run_id)
            done = promote_version(self.client, self.run.home, move)
        with reached(self.client.tracking_uri):
            serving = aliases(self.client, self.name).get(CHAMPION)
        word, reason = held or (("promoted", moved(self.run, place)) if done else ("not promoted", overtaken(place)))
        alias = CHAMPION if serving == version else CHALLENGER if challenger else ""
        return Outcome(
            outcome=word, reason=reason, model=self.name, version=version, lane=lane, alias=alias, serving=serving,
            trial=self.run.trial,
        )  # fmt: skip

    def tell(
        self, final: StepResult[VerdictFacts], versions: dict[str, int], outcome: Outcome, logged: "Logged",
        *, again: bool,
    ) -> None:  # fmt: skip
        """Publish the report again, and say in MLflow how the run ended and what came of its versions.

        MLflow is told nothing where an earlier run, `again`, has said it all.
        """
        from pipeline.registry.outcome import tell_run, tell_version
        from pipeline.registry.promote import NO_TRIAL, TRIAL
        from pipeline.registry.tracking import reached
        from pipeline.runs.outcome import has_served

        report = publish_report(self.run, final, aftermath(self.run, self.client, logged, outcome))
        if again:
            return
        pages = [self.run.path(report) / page for page in report.facts.shared]
        with reached(self.client.tracking_uri):
            for version in versions.values():
                tags = self.client.get_model_version(self.name, str(version)).tags
                another = tags.get(TRIAL) != (self.run.trial or NO_TRIAL)  # run registered it, and has told
                if another or has_served(tags) or version == outcome.serving:
                    continue
                word, reason = outcome.outcome, outcome.reason
                if version != outcome.version:
                    word = "not promoted"
                    reason = f"The gate chose version {outcome.version} ({outcome.lane}) in its place."
                tell_version(self.client, self.name, version, word, reason)
            pages.append(self.run.path(final) / "verdict.json")
            tell_run(self.client, logged.parent, run_tags(final, outcome, report), pages)
