"""Laws of policy files: every mistake is refused, with its place and a suggestion."""

import pytest

from rose_guard import Policy, PolicyError


def problems(text):
    with pytest.raises(PolicyError) as caught:
        Policy.from_yaml(text, name="p.yaml")
    return caught.value.problems


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("version: 1\nmesages: {}", "p.yaml:2:1: unknown key 'mesages'; did you mean 'messages'?"),
        ("version: 1\nhazards:\n  hat: {}", "p.yaml:3:3: unknown hazard 'hat'; did you mean 'hate'?"),
        ("version: 1\nattacks:\n  jailbrake: {}", "p.yaml:3:3: unknown attack 'jailbrake'; did you mean 'jailbreak'?"),
        ("version: 1\nhazards:\n  hate: {alfa: 0.3}", "p.yaml:3:10: unknown key 'alfa'; did you mean 'alpha'?"),
        ("version: 1\ndefaults: {treshold: 0.3}", "p.yaml:2:12: unknown key 'treshold'; did you mean 'threshold'?"),
        (
            "version: 1\nhazards:\n  hate:\n    bands:\n      - {at: 0.5, acton: steer, action: steer}",
            "p.yaml:5:19: unknown key 'acton'; did you mean 'action'?",
        ),
        (
            "version: 1\nhazards:\n  hate: {safe_prompt: genric}",
            "p.yaml:3:10: unknown safe prompt 'genric'; did you mean 'generic'?",
        ),
        (
            "version: 1\nhazards:\n  hate:\n    bands:\n    - {at: 0.5, action: refuse, message: crysis}",
            "p.yaml:5:33: unknown message 'crysis'; did you mean 'crisis'?",
        ),
        (
            "version: 1\ndefaults: {reverse_prompt: hatred}",
            "p.yaml:2:12: unknown reverse prompt 'hatred'; did you mean 'hate'?",
        ),
        ("version: 1\nhazards:\n  hate: {action: stear}", "'stear'"),
        ("version: 1\nhazards:\n  hate: {alpha: 1.0}", "p.yaml:3:10: hazards.hate.alpha: input should be less than 1"),
        ("version: 1\nhazards:\n  hate: {alpha: -0.5}", "greater than 0"),
        ("version: 1\nhazards:\n  hate: {alpha: .nan}", "finite"),
        ("version: 1\nhazards:\n  hate: {alpha: .inf}", "p.yaml:3:10"),
        ("version: 1\nhazards:\n  hate: {threshold: 1.5}", "less than or equal to 1"),
        ("version: 1\nmax_total_alpha: 1.0", "p.yaml:2:1: max_total_alpha: input should be less than 1"),
        ("version: 2", "p.yaml:1:1: version"),
        ("hazards: {}", "p.yaml:1:1: `version` is missing"),
        ("version: 1\nmode: shado", "p.yaml:2:1: mode"),
        ("version: 1\nclassifier: {on_error: allow}", "p.yaml:2:14: classifier.on_error"),
        ("version: 1\nclassifier: {on_error: steer}", "p.yaml:2:14: classifier.on_error"),
        ("version: 1\nversion: 1", "duplicate key"),
        ("version: 1\nhazards:\n  hate: {action: steer}\n  hate: {action: block}", 'p.yaml:4:3: duplicate key "hate"'),
        (
            "version: 1\nhazards:\n  hate:\n    bands: [{at: 0.5, action: steer}, {at: 0.4, action: refuse}]",
            "p.yaml:3:3: bands must be listed with rising `at`",
        ),
        (
            "version: 1\nhazards:\n  hate:\n    bands:\n    - {at: 0.4, action: refuse}\n    - {at: 0.5, action: steer}",
            "p.yaml:6:7: hate: a higher score gives a weaker action",
        ),
        (
            "version: 1\nhazards:\n  hate:\n    bands: [{at: 0.4, action: steer, alpha: 0.6}, "
            "{at: 0.5, action: steer, alpha: 0.3}]",
            "smaller alpha",
        ),
        ("version: 1\nhazards:\n  hate: {threshold: 0.4, bands: [{at: 0.5, action: steer}]}", "not both"),
        ("version: 1\nhazards:\n  hate: {bands: []}", "p.yaml:3:10"),
        ("version: 1\nhazards:\n  hate: {horizon: 0}", "p.yaml:3:10"),
        ("version: 1\nsafe_prompts: {mine: {fr: bonjour}}", "p.yaml:2:16: 'mine' has no `en` text"),
        ("version: 1\nsafe_prompts: {mine: {}}", "p.yaml:2:16"),
        ("a: &x 1\nb: *x", "p.yaml:1:4: YAML anchors and aliases are not allowed"),
        ("version: !!python/object/apply:os.system ['true']", "p.yaml:1:10: YAML tags are not allowed"),
        ("version: [", "p.yaml:1:11"),
        ("", "p.yaml:1:1: a policy is a mapping"),
        ("- 1", "p.yaml:1:1: a policy is a mapping"),
        ("just text", "p.yaml:1:1: a policy is a mapping"),
        ("version: 1\nhazards: 3", "p.yaml:2:1: hazards"),
        ("version: 1\nhazards:\n  hate: {bands: }", "p.yaml:3:10: `bands` has no value"),
        ("version: 1\nhazards:", "p.yaml:2:1: `hazards` has no value"),
        ("version: 1\nhazards:\n  hate: {threshold: true}", "p.yaml:3:10: hazards.hate.threshold"),
        ("version: 1\nhazards:\n  hate: {alpha: '0.3'}", "p.yaml:3:10: hazards.hate.alpha"),
        ("version: " + "[" * 3000 + "]" * 3000, "p.yaml:1:25: nested more than 16 levels deep"),
        (
            "version: 1\nhazards:\n  hate:\n    bands: [{at: 0.3, action: steer}, {at: 0.8, action: steer, horizon: 1}]",
            "shorter horizon",
        ),
    ],
)
def test_each_mistake_is_named_with_its_place_and_a_suggestion(text, expected):
    assert any(expected in problem for problem in problems(text)), problems(text)


@pytest.mark.parametrize("group", ["safe_prompts", "reverse_prompts", "messages"])
def test_the_text_of_a_prompt_is_never_repeated_in_a_mistake(group):
    assert not any("my words" in problem for problem in problems(f"version: 1\n{group}: {{mine: my words}}"))
    assert not any("my words" in problem for problem in problems(f"version: 1\n{group}: my words"))
    twice = f"version: 1\n{group}:\n  mine:\n    en: my words\n    en: my words again"
    assert not any("my words" in problem for problem in problems(twice))


def test_all_mistakes_are_listed_at_once_in_the_order_of_the_file():
    found = problems("version: 1\nmesages: {}\nhazards:\n  hat: {}\n  hate: {alpha: 3}")
    assert [problem.split(":")[1] for problem in found] == ["2", "4", "5"]


@pytest.mark.parametrize("entry", ["{action: steer}", "{action: allow}", "{action: refuse, threshold: 1}"])
def test_locks_of_the_shipped_policy_cannot_be_loosened(entry):
    (problem,) = problems(f"version: 1\nhazards:\n  indiscriminate_weapons: {entry}")
    assert problem.startswith("p.yaml:3:3: indiscriminate_weapons is locked")


def test_locks_can_be_tightened_and_stay_locked():
    policy = Policy.from_yaml("version: 1\nhazards:\n  indiscriminate_weapons: {action: block, threshold: 0.1}")
    rule = policy.rules["indiscriminate_weapons"]
    assert (rule.bands[0].action, rule.bands[0].at, rule.locked) == ("block", 0.1, True)


def test_what_a_file_does_not_list_comes_from_the_shipped_policy_and_its_defaults_from_the_file():
    policy = Policy.from_yaml("version: 1\ndefaults: {alpha: 0.3}\nhazards:\n  hate: {threshold: 0.1}")
    shipped = Policy.default()
    assert policy.rules["privacy"] == shipped.rules["privacy"]
    assert policy.rules["hate"].bands[0].alpha == 0.3
    assert policy.rules["hate"].bands[0].reverse_prompt == "generic"


def test_an_empty_file_of_the_right_version_is_the_shipped_policy():
    assert Policy.from_yaml("version: 1") == Policy.default()


@pytest.mark.parametrize(
    "same",
    [
        "hazards: {privacy: {threshold: 0, alpha: 0.4}, hate: {threshold: 1}}\nmax_total_alpha: 0.5\nversion: 1",
        "# told twice\nversion: 1\nmax_total_alpha: 5e-1\nhazards:\n  hate: {threshold: 1.0}\n"
        "  privacy:\n    bands: [{at: -0.0, action: steer}]  # all of it\n    alpha: 0.40\n",
        "version: 1\nmode: enforce\nmax_total_alpha: 0.5\noutput: {}\ntenants: {}\ndefaults: {severity: medium}\n"
        "hazards: {hate: {threshold: 1, locked: false}, privacy: {threshold: 0, alpha: 0.4, reverse_prompt: generic}}",
    ],
)
def test_what_means_the_same_has_the_same_digest(same):
    text = "version: 1\nmax_total_alpha: 0.5\nhazards: {hate: {threshold: 1}, privacy: {threshold: 0.0, alpha: 0.4}}"
    assert Policy.from_yaml(same).digest == Policy.from_yaml(text).digest
    assert Policy.from_yaml(same) == Policy.from_yaml(text)


def test_a_file_is_loaded_from_its_path(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text("version: 1\nsafe_prompts: {mine: {en: Be kind.}}\nhazards:\n  hate: {safe_prompt: mine}")
    policy = Policy.load(path)
    assert policy.safe_prompt(policy.rules["hate"].bands[0].safe_prompt) == "Be kind."


@pytest.mark.parametrize("kind", ["missing", "folder", "binary", "huge"])
def test_an_unreadable_file_is_a_policy_error_that_names_it(tmp_path, kind):
    path = tmp_path / "policy.yaml"
    if kind == "folder":
        path.mkdir()
    elif kind == "binary":
        path.write_bytes(b"\xff\xfe\x00")
    elif kind == "huge":
        path.write_text("#" * 1_000_001)
    with pytest.raises(PolicyError, match=r"policy\.yaml"):
        Policy.load(path)
