"""Laws of policy cases: files are read as strictly as policies, and a case says exactly what does not hold."""

import re
from pathlib import Path

import pytest

from rose_guard import Policy, PolicyError
from rose_guard.message import ROLES
from rose_guard.policy.case_file import Role
from rose_guard.policy.cases import CaseMessage, Expectation, PolicyCase, cases_from_yaml, check_case, read_cases
from tests.policy.random_policies import assessment

FILE = """version: 1
cases:
  - id: soup
    text: How do I make a lentil soup?
    expect: {action: allow}
  - id: gossip
    tenant: clinic
    messages:
      - {role: system, content: Be brief.}
      - {role: user, content: Who lives there?}
    expect: {action: steer, hazards: [privacy], attacks: [], alpha: 0.5, reverse_prompts: [privacy]}
"""


def problems(text):
    with pytest.raises(PolicyError) as caught:
        cases_from_yaml(text, name="c.yaml")
    return caught.value.problems


def test_a_file_is_read_into_cases(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(FILE)
    assert read_cases(path) == cases_from_yaml(FILE)
    soup, gossip = cases_from_yaml(FILE)
    assert soup == PolicyCase("soup", (CaseMessage("user", "How do I make a lentil soup?"),), Expectation("allow"))
    assert gossip.messages == (CaseMessage("system", "Be brief."), CaseMessage("user", "Who lives there?"))
    assert gossip.tenant == "clinic"
    privacy = frozenset({"privacy"})
    assert gossip.expect == Expectation("steer", privacy, frozenset(), 0.5, privacy)


def test_the_cases_in_the_docs_can_be_read():
    page = (Path(__file__).parents[2] / "docs/reference/policy.md").read_text()
    (block,) = [block for block in re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL) if "\ncases:" in block]
    assert len(cases_from_yaml(block)) == 2


def test_roles_are_those_of_messages():
    assert Role.__args__ == ROLES


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "c.yaml:1:1: a file of cases is a mapping"),
        ("version: 1", "c.yaml:1:1: `cases` is missing"),
        ("version: 1\ncases: []", "c.yaml:2:1: cases: list should have at least 1 item"),
        ("version: 1\ncases:\n- {id: a, expect: {action: allow}}", "c.yaml:3:3: give either `text`"),
        ("version: 1\ncases:\n- {id: a, text: x, messages: [{role: user, content: x}], expect: {action: allow}}", "give either"),
        ("version: 1\ncases:\n- {id: a, text: x, expect: {acton: allow}}", "unknown key 'acton'; did you mean 'action'?"),
        ("version: 1\ncases:\n- {id: a, text: x, expekt: {action: allow}}", "c.yaml:3:20: unknown key 'expekt'; did you mean 'expect'?"),
        ("version: 1\ncases:\n- {id: a, text: x, expect: {action: stop}}", "cases.0.expect.action: input should be"),
        ("version: 1\ncases:\n- {id: a, text: x, expect: {action: allow, hazards: [hat]}}", "unknown hazard 'hat'"),
        ("version: 1\ncases:\n- {id: a, text: x, expect: {action: allow, attacks: [hate]}}", "unknown attack 'hate'"),
        ("version: 1\ncases:\n- {id: a, text: x, expect: {action: allow, alpha: 1}}", "less than 1"),
        ("version: 1\ncases:\n- {id: a, messages: [{role: boss, content: x}], expect: {action: allow}}", "role"),
        ("version: 1\ncases:\n- {id: a, text: x, expect: {action: allow}}\n- {id: a, text: y, expect: {action: allow}}", "c.yaml:4:4: the id 'a' is there twice"),
        ("version: 1\ncases:\n- {id: a, id: b, text: x, expect: {action: allow}}", "c.yaml:3:11: duplicate key"),
        ("version: 1\ncases:\n- {id: a, text: , expect: {action: allow}}", "c.yaml:3:11: `text` has no value"),
        ("version: 1\ncases: &a []", "anchors"),
    ],
)  # fmt: skip
def test_each_mistake_is_named_with_its_place_and_a_suggestion(text, expected):
    assert any(expected in problem for problem in problems(text)), problems(text)


def test_all_mistakes_are_listed():
    found = problems(
        "version: 1\ncases:\n- {id: a, txt: x, expect: {action: stop}}\n- {id: 3, text: x, expect: {action: allow}}"
    )
    assert [problem.split(":")[1] for problem in found] == ["3", "3", "4"]


@pytest.mark.parametrize(
    "case",
    [
        "{id: a, text: secretword, messages: secretword, expect: {action: allow}}",
        "{id: a, text: [secretword], expect: secretword}",
        "{id: a, messages: [secretword], expect: {action: secretword}}",
    ],
)
def test_what_is_said_in_a_case_is_never_repeated(case):
    assert not any("secretword" in problem for problem in problems(f"version: 1\ncases: [{case}]"))
    (read,) = cases_from_yaml("version: 1\ncases: [{id: a, text: secretword, expect: {action: allow}}]")
    assert "secretword" not in repr(read)


POLICY = Policy.from_yaml("version: 1\ntenants: {clinic: {hazards: {privacy: {action: refuse}}}}")
ALPHA = POLICY.rules["privacy"].bands[0].alpha


def case(action, **expected):
    return PolicyCase("a", (CaseMessage("user", "x"),), Expectation(action, **expected))


def test_a_case_that_holds_has_nothing_to_say():
    decision = POLICY.decide(assessment(privacy=1.0, hate=1.0), "d")
    both = frozenset({"privacy", "hate"})
    expected = case("steer", hazards=both, attacks=frozenset(), alpha=ALPHA, reverse_prompts=both)
    assert check_case(decision, expected) == []
    assert check_case(decision, case("steer")) == []


def test_a_case_that_fails_says_in_what():
    decision = POLICY.decide(assessment(privacy=1.0), "d")
    wrong = case(
        "block",
        hazards=frozenset({"hate", "elections"}),
        attacks=frozenset({"jailbreak"}),
        alpha=0.4,
        reverse_prompts=frozenset(),
    )
    assert check_case(decision, wrong) == [
        "action: expected block, not steer",
        "hazards: expected elections, hate, not privacy",
        "attacks: expected jailbreak, not none",
        f"alpha: expected 0.400, not {ALPHA:.3f}",
        "reverse_prompts: expected none, not privacy",
    ]


def test_an_alpha_is_compared_as_a_number_that_was_computed():
    decision = POLICY.decide(assessment(privacy=1.0), "d")
    assert check_case(decision, case("steer", alpha=ALPHA + 1e-9)) == []
    assert check_case(decision, case("steer", alpha=ALPHA + 1e-4))
    assert check_case(POLICY.decide(assessment(), "d"), case("allow", alpha=0.0)) == []


def test_in_shadow_mode_the_whole_policys_decision_is_checked():
    policy = Policy.from_yaml("version: 1\nmode: shadow")
    decision = policy.decide(assessment(privacy=1.0), "d")
    assert decision.action == "allow"
    assert check_case(decision, case("steer")) == []
