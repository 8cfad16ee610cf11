"""Random policies and assessments, for laws that hold of every one of them."""

import dataclasses

from hypothesis import strategies as st

from rose_guard.assessment import RiskAssessment
from rose_guard.policy import Escalation, Policy
from rose_guard.policy.decision import ACTIONS, strictness
from rose_guard.policy.rule import Band, Rule
from rose_guard.policy.severity import SEVERITIES
from rose_guard.taxonomy import ATTACKS, HAZARDS

LABELS = [*HAZARDS, *ATTACKS]
SHIPPED = Policy.default()

# Few values, so that ties, equal prompts and scores on a threshold are common.
probabilities = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.5000001, 0.75, 0.9, 1.0]) | st.floats(0, 1)
alphas = st.sampled_from([5e-324, 1e-300, 0.1, 0.3, 0.5, 0.7, 0.999]) | st.floats(
    0, 1, exclude_min=True, exclude_max=True
)
horizons = st.none() | st.integers(1, 50)
reverse_prompts = st.sampled_from(["generic", "hate", "privacy", "null"])
escalations = st.builds(
    Escalation,
    st.integers(1, 4),
    st.sampled_from([1.0, 60.0, 600.0]),
    st.sampled_from(["refuse", "block"]),
    st.booleans(),
) | st.builds(Escalation, st.integers(1, 4), st.just(60.0), st.none(), st.just(True))


@st.composite
def rules(draw, locked=None):
    """A rule whose bands rise in everything."""
    ats = sorted(draw(st.sets(probabilities, min_size=1, max_size=3)))
    bands: list[Band] = []
    for at in ats:
        band = Band(
            at,
            draw(st.sampled_from(ACTIONS)),
            draw(alphas),
            draw(horizons),
            "generic",
            draw(reverse_prompts),
            "refusal",
        )
        bands.append(at_least(band, bands[-1]) if bands else band)
    return Rule(
        tuple(bands),
        draw(st.sampled_from(SEVERITIES)),
        draw(st.booleans()) if locked is None else locked,
        draw(st.none() | escalations),
    )


def at_least(band, floor):
    """A band, made as strong as another one where it is weaker."""
    action = max(band.action, floor.action, key=strictness)
    reach = max(band.reach, floor.reach)
    horizon = None if reach == float("inf") else int(reach)
    return dataclasses.replace(band, action=action, alpha=max(band.alpha, floor.alpha), horizon=horizon)


def tightened(rule, at=0.0):
    """A rule that does from a low score on what another one does at most, and as soon."""
    return dataclasses.replace(rule, bands=(dataclasses.replace(rule.bands[-1], at=min(at, rule.bands[0].at)),))


@st.composite
def rulesets(draw):
    """A rule for every label, shipped or random; those that the shipped policy locks stay locked and as strict."""
    found = dict(SHIPPED.rules)
    for label in draw(st.sets(st.sampled_from(LABELS), min_size=4, max_size=9)):
        shipped = SHIPPED.rules[label]
        found[label] = draw(st.sampled_from([shipped, tightened(shipped)]) if shipped.locked else rules())
    return found


@st.composite
def policies(draw):
    """A policy with two tenants."""
    own = draw(rulesets())
    tenants = {name: draw(tenant_rules(own)) for name in ("clinic", "school")}
    return dataclasses.replace(SHIPPED, rules=own, tenants=tenants, max_total_alpha=draw(alphas))


@st.composite
def tenant_rules(draw, own):
    """For a few labels another rule; where the policy's own is locked, a stricter one."""
    labels = draw(st.sets(st.sampled_from(LABELS), max_size=6))
    return {
        label: tightened(own[label], draw(probabilities)) if own[label].locked else draw(rules(locked=False))
        for label in labels
    }


def only_locked(rules):
    """The rules, of which all that nobody locked do nothing."""
    silent = Band(0.0, "allow", 0.5, None, "generic", "generic", "refusal")
    return {label: rule if rule.locked else Rule((silent,), "low", locked=False) for label, rule in rules.items()}


tenants = st.sampled_from([None, "clinic", "school"])
scores = st.fixed_dictionaries(dict.fromkeys(LABELS, probabilities))
risky_turns = st.none() | st.dictionaries(st.sampled_from(LABELS), st.integers(0, 5) | st.just(float("inf")))


def assessment(given_scores=None, **some):
    values = {**dict.fromkeys(LABELS, 0.0), **(given_scores or {}), **some}
    return RiskAssessment(max(values.values()), {h: values[h] for h in HAZARDS}, {a: values[a] for a in ATTACKS})


def strength(decision):
    """How much a decision does, to be compared part by part: the action first, then the contrast of a steer."""
    steers = decision.action == "steer"
    reach = (float("inf") if decision.horizon is None else decision.horizon) if steers else 0.0
    return strictness(decision.action), decision.alpha, reach


def is_weaker(one, other):
    """Whether a decision does less than another one."""
    (action, alpha, reach), (other_action, other_alpha, other_reach) = strength(one), strength(other)
    return action < other_action or (action == other_action and (alpha < other_alpha or reach < other_reach))


def same(one, other):
    """Whether two decisions say the same, whatever their ids."""
    bare = [dataclasses.replace(d, decision_id="", policy_digest="", shadow=None) for d in (one, other)]
    return bare[0] == bare[1]
