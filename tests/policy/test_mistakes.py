"""Laws of mistakes: none gets into force, all are told at once with their place, and none repeats a prompt."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rose_guard import Policy, PolicyError

PLACE = re.compile(r"p\.yaml:\d+:\d+: \S")


def problems(text):
    with pytest.raises(PolicyError) as caught:
        Policy.from_yaml(text, name="p.yaml")
    return caught.value.problems


def hate(entry):
    return f"version: 1\nhazards:\n  hate: {entry}"


def tenant(entry):
    return f"version: 1\ntenants:\n  clinic: {entry}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("version: true", "p.yaml:1:1: version must be the whole number 1"),
        ("version: 1.0", "p.yaml:1:1: version must be the whole number 1"),
        ("version: 1\non_audit_error: continue", "p.yaml:2:1: on_audit_error: input should be 'refuse' or 'block'"),
        ("version: 1\nunsteerable: allow", "p.yaml:2:1: unsteerable: input should be 'warn', 'route' or 'refuse'"),
        ("version: 1\nunsteerable: {action: refuse}", "p.yaml:2:1: unsteerable: input should be"),
        ("version: 1\nclassifier: {timeout_s: '2'}", "p.yaml:2:14: classifier.timeout_s"),
        ("version: 1\nclassifier: {timeout_s: 1e9}", "p.yaml:2:14: classifier.timeout_s"),
        ("version: 1\nclassifier: {timeout: 2}", "unknown key 'timeout'; did you mean 'timeout_s'?"),
        (hate("{horizon: 5.0}"), "p.yaml:3:10: hazards.hate.horizon"),
        (hate("{horizon: true}"), "p.yaml:3:10: hazards.hate.horizon"),
        (hate("{locked: yes}"), "p.yaml:3:10: hazards.hate.locked"),
        (hate("{horizon: 1" + "0" * 5000 + "}"), "p.yaml:3:10: `horizon` is a number too long to be meant"),
        (hate("{horizon: 1000000000000}"), "p.yaml:3:10: hazards.hate.horizon: input should be less than or equal"),
        (hate("{threshold: 1e400}"), "p.yaml:3:10: hazards.hate.threshold: input should be a finite number"),
        (hate("{threshold: -0.1}"), "p.yaml:3:10: hazards.hate.threshold"),
        (hate("{threshold: 2024-13-45}"), "p.yaml:3:10: hazards.hate.threshold"),
        (hate("{alpha: 0}"), "for plain decoding use `action: allow`"),
        (hate("{alpha: -0.0}"), "for plain decoding use `action: allow`"),
        (hate("{alpha: -0.5}"), "a negative alpha would decode towards the reverse prompt"),
        (hate("{alpha: -.inf}"), "p.yaml:3:10: hazards.hate.alpha: input should be a finite number"),
        (hate("{alpha: 1}"), "the reverse prompt outweighs the safe one"),
        (hate("{alpha: 7}"), "input should be less than 1"),
        (hate("steer"), "p.yaml:3:3: hazards.hate: must be a mapping, not 'steer'"),
        (hate("{bands: {at: 0.5, action: steer}}"), "p.yaml:3:10: hazards.hate.bands: must be a list"),
        (hate("{bands: [{at: 0.5, action: steer}, {at: 0.5, action: refuse}]}"), "rising `at`"),
        (hate("{bands: [{action: steer}]}"), "p.yaml:3:18: `at` is missing"),
        (hate("{bands: [{at: 0.5, action: steer, threshold: 0.5}]}"), "unknown key 'threshold'"),
        (hate("{? [a, b] : 1}"), "a key must be a text; write it in quotes"),
        (hate("{<<: {alpha: 0.3}}"), "p.yaml:3:10: unknown key (a text of 2 characters)"),
        ("version: 1\nhazards: {jailbreak: {}}", "unknown hazard 'jailbreak'"),
        ("version: 1\nattacks: {hate: {}}", "unknown attack 'hate'"),
        ("version: 1\n1: 2", "p.yaml:2:1: a key must be a text"),
        # Escalations
        (hate("{escalate: {}}"), "`after` is missing"),
        (hate("{escalate: {after: 2, within_s: 60}}"), "give an `action`, `notify: true`, or both"),
        (hate("{escalate: {after: 2, within_s: 60, action: steer}}"), "p.yaml:3:45: hazards.hate.escalate.action"),
        (hate("{escalate: {after: 0, within_s: 60, notify: true}}"), "p.yaml:3:21: hazards.hate.escalate.after"),
        (hate("{escalate: {after: 2.5, within_s: 60, notify: true}}"), "hazards.hate.escalate.after"),
        (hate("{escalate: {after: 2, within_s: 0, notify: true}}"), "hazards.hate.escalate.within_s"),
        (hate("{escalate: {after: 2, within_s: .nan, notify: true}}"), "hazards.hate.escalate.within_s"),
        (hate("{escalate: {after: 2, within_s: 1e12, notify: true}}"), "hazards.hate.escalate.within_s"),
        (hate("{escalate: {after: 2, within: 60}}"), "unknown key 'within'; did you mean 'within_s'?"),
        ("version: 1\ndefaults: {escalate: {after: 2, within_s: 60, notify: true}}", "p.yaml:2:12: unknown key 'escalate'"),
        # Texts
        ("version: 1\nmessages: {mine: {en: ''}}", "p.yaml:2:19: the text of 'mine' is empty"),
        ("version: 1\nsafe_prompts: {mine: {en: x, fr: ' '}}", "p.yaml:2:30: the text of 'mine' is empty"),
        ("version: 1\nsafe_prompts: {'null': {en: ''}}", "p.yaml:2:25: the text of 'null' is empty"),
        ("version: 1\nreverse_prompts: {mine: {en: ''}}", "p.yaml:2:26: the text of 'mine' is empty"),
        ("version: 1\nmessages: {mine: {en: x, english: y}}", "p.yaml:2:26: 'english' is no language code"),
        ("version: 1\nmessages: {mine: {en: x, fr_CA: y}}", "use one such as 'fr' or 'fr-CA'"),
        ("version: 1\nmessages: {mine: {en: x, EN: y}}", "the language 'EN' is there twice"),
        ("version: 1\nmessages: {mine: {en: x, 1: y}}", "p.yaml:2:26: a key must be a text"),
        ("version: 1\nmessages: {mine: {en: x, true: y}}", "p.yaml:2:26: a key must be a text"),
        ("version: 1\nreverse_prompts: {null: {en: x}}", "p.yaml:2:19: a key must be a text; write it in quotes"),
        ("version: 1\nmessages: {mine: {en: 3}}", "messages.mine.en: must be a text"),
        ("version: 1\nmessages: {mine: {en: }}", "p.yaml:2:19: `en` has no value"),
        # Output
        ("version: 1\noutput: {enable: true}", "p.yaml:2:10: unknown key 'enable'; did you mean 'enabled'?"),
        ("version: 1\noutput: {action: block}", "output.action: input should be 'refuse' or 'restart'"),
        ("version: 1\noutput: {message: refusa}", "p.yaml:2:10: unknown message 'refusa'; did you mean 'refusal'?"),
        ("version: 1\noutput: {action: restart, safe_prompt: nope}", "p.yaml:2:27: unknown safe prompt 'nope'"),
        ("version: 1\noutput: {reverse_prompt: nope}", "p.yaml:2:10: unknown reverse prompt 'nope'"),
        ("version: 1\noutput: {window_tokens: 7}", "greater than or equal to 8"),
        ("version: 1\noutput: {window_tokens: 16, hold_back_tokens: 17}", "from 1 to window_tokens, 16"),
        ("version: 1\noutput: {hold_back_tokens: 0}", "output.hold_back_tokens"),
        ("version: 1\noutput: {restarts: 2}", "`restarts` goes with `action: restart` only"),
        ("version: 1\noutput: {action: restart, restarts: 6}", "output.restarts"),
        ("version: 1\nmax_total_alpha: 0.4\noutput: {action: restart, restart_alpha: 0.5}", "p.yaml:3:27: restart_alpha must be"),
        ("version: 1\nmax_total_alpha: 0.4\noutput: {action: restart}", "at most max_total_alpha, 0.4"),
        ("version: 1\nmax_total_alpha: 0.4\noutput: {restart_alpha: 0.5}", "at most max_total_alpha, 0.4"),
        ("version: 1\noutput: {on_error: allow}", "output.on_error"),
        # Tenants
        (tenant("{hazzards: {}}"), "p.yaml:3:12: unknown key 'hazzards'; did you mean 'hazards'?"),
        (tenant("{hazards: {hat: {}}}"), "p.yaml:3:22: unknown hazard 'hat'; did you mean 'hate'?"),
        (tenant("{attacks: {hate: {}}}"), "unknown attack 'hate'"),
        (tenant("{hazards: {hate: {alfa: 0.3}}}"), "unknown key 'alfa'; did you mean 'alpha'?"),
        (tenant("{hazards: {hate: {bands: [{at: 0.1, acton: steer}]}}}"), "unknown key 'acton'; did you mean 'action'?"),
        (tenant("{hazards: {hate: {escalate: {aftr: 2}}}}"), "unknown key 'aftr'; did you mean 'after'?"),
        (tenant("{hazards: {hate: {alpha: -0.1}}}"), "towards the reverse prompt"),
        (tenant("{hazards: {hate: {locked: true}}}"), "a tenant cannot set 'locked'"),
        (tenant("{hazards: {hate: {message: nope}}}"), "p.yaml:3:29: unknown message 'nope'"),
        (tenant("{hazards: {hate: {bands: [{at: 0.1, action: steer, safe_prompt: nope}]}}}"), "unknown safe prompt 'nope'"),
        *[
            (tenant(f"{{{key}: {{}}}}"), f"p.yaml:3:12: a tenant cannot set '{key}'")
            for key in ("mode", "defaults", "output", "messages", "classifier", "safe_prompts", "on_audit_error", "unsteerable", "tenants")
        ],
        (tenant("3"), "p.yaml:3:3: tenants.clinic: must be a mapping"),
        ("version: 1\ntenants: {' clinic': {}}", "p.yaml:2:11: a tenant's name has"),
        ("version: 1\ntenants: {'': {}}", "p.yaml:2:11: a tenant's name has"),
        ('version: 1\ntenants: {"a\\nb": {}}', "p.yaml:2:11: a tenant's name has"),
        ("version: 1\ntenants: {" + "x" * 129 + ": {}}", "p.yaml:2:11: a tenant's name has"),
        ("version: 1\ntenants: {7: {}}", "p.yaml:2:11: a key must be a text"),
        # YAML
        ("%YAML 1.1\n---\nversion: 1", "p.yaml:1:1: YAML directives are not allowed"),
        ("version: 1\n---\nversion: 1", "p.yaml:2:1: but found another document"),
        ("version: ! 1", "p.yaml:1:10: YAML tags are not allowed"),
        ("version: 1\nmessages: &a {}\nsafe_prompts: *a", "p.yaml:2:11: YAML anchors and aliases are not allowed"),
        ("version: 1\nmessages:\n  a: b\x00", "p.yaml:3:7: a character that YAML does not allow"),
        ("version: 1\nhazards:\n\thate: {}", "p.yaml:3:1: found character"),
        ("version: " + "{a: " * 200 + "1" + "}" * 200, "p.yaml:1:70: nested more than 16 levels deep"),
        ("version: 1\n" + "- " * 400 + "x", "p.yaml:2:"),
        ("# " + "x" * 1_000_000, "p.yaml:1:1: larger than 1000000 bytes"),
    ],
)  # fmt: skip
def test_each_mistake_is_named_with_its_place_and_a_suggestion(text, expected):
    found = problems(text)
    assert any(expected in problem for problem in found), found
    assert all(PLACE.match(problem) for problem in found)


def test_an_alias_bomb_is_refused_at_its_first_anchor():
    bomb = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))
    assert problems(bomb) == ("p.yaml:1:5: YAML anchors and aliases are not allowed",)


def test_a_file_that_is_not_utf8_is_refused_at_its_first_wrong_byte(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_bytes("version: 1\nmessages: {mine: {en: déjà}}".encode("latin-1"))
    with pytest.raises(PolicyError, match=r"p\.yaml:2:24: not UTF-8 text; save the file as UTF-8"):
        Policy.load(path)


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_bytes("\ufeffversion: 1\r\nhazards:\r\n  hate: {alpha: 0.25}\r\n".encode())
    assert Policy.load(path).rules["hate"].bands[0].alpha == 0.25


def test_all_mistakes_of_a_file_are_listed_in_its_order_whatever_their_kind():
    found = problems(
        """version: 1
on_audit_error: continue
safe_prompts: {mine: {en: ""}, other: {2: x, en: y}}
hazards:
  hate: {alpha: -1, safe_prompt: nope}
  hat: {}
  privacy:
    bands: [{at: 0.5, action: refuse}, {at: 0.7, action: steer}]
  indiscriminate_weapons: {action: steer}
  elections: {locked: true, action: block}
  hate: {}
  defamation:
output: {enabled: 3}
tenants:
  clinic: {mode: shadow, hazards: {elections: {action: allow}}}
  school: {hazards: {elections: {action: refuse}, hate: {alpha: 2}, suicide_self_harm: {action: allow}}}
"""
    )
    kinds = {
        2: "on_audit_error", 3: "empty", 5: "nope", 6: "'hat'", 8: "weaker action", 9: "locked by the shipped",
        11: "duplicate key", 12: "no value", 13: "output.enabled", 15: "cannot set 'mode'", 16: "locked for tenants",
    }  # fmt: skip
    for line, kind in kinds.items():
        assert any(problem.startswith(f"p.yaml:{line}:") and kind in problem for problem in found), (line, found)
    assert any("towards the reverse prompt" in problem for problem in found)
    assert any("suicide_self_harm has 2 bands" in problem for problem in found)
    lines = [int(problem.split(":")[1]) for problem in found]
    assert lines == sorted(lines)
    assert len(found) == len(set(found)) == 16


def test_a_mistake_in_one_key_hides_none_elsewhere():
    assert len(problems("version: 1\nunsteerable: allow\nhazards: {hat: {}}\nmessages: {mine: {en: ''}}")) == 3


def test_what_is_wrong_with_the_first_of_two_equal_keys_is_told_too():
    found = problems("version: 1\nhazards:\n  hate: 3\n  hate: {}")
    assert found == ("p.yaml:3:3: hazards.hate: must be a mapping, not 3", 'p.yaml:4:3: duplicate key "hate"')


def test_a_file_of_nothing_but_mistakes_is_told_up_to_a_hundred():
    found = problems("version: 1\nhazards:\n" + "".join(f"  h{i}: {{}}\n" for i in range(150)))
    assert len(found) == 101
    assert found[-1] == "p.yaml:103:3: and 50 more mistakes from here on"


def test_what_follows_only_from_another_mistake_is_not_told():
    """A misspelled section would make everything that refers to it look wrong."""
    assert problems("version: 1\nmesages: {mine: {en: x}}\nhazards: {hate: {message: mine}}") == (
        "p.yaml:2:1: unknown key 'mesages'; did you mean 'messages'?",
    )
    (only,) = problems("version: 1\nmessages: {mine: {en: 3}}\nhazards: {hate: {message: mine}}")
    assert "must be a text" in only
    (only,) = problems(
        "version: 1\nhazards: {hate: {alpha: 2}}\ntenants: {clinic: {hazards: {hate: {threshold: 0.1}}}}"
    )
    assert "less than 1" in only
    own = "hazards: {suicide_self_harm: {threshold: 0.5, alpha: 2}}"
    (only,) = problems(
        f"version: 1\n{own}\ntenants: {{clinic: {{hazards: {{suicide_self_harm: {{threshold: 0.1}}}}}}}}"
    )
    assert "less than 1" in only
    (only,) = problems("version: 1\ndefaults: {action: refuze}\nhazards: {indiscriminate_weapons: {}}")
    assert "defaults.action" in only


@pytest.mark.parametrize(
    "text",
    [
        hate("{safe_prompt: my secret words}"),
        hate("{my secret words: 1}"),
        hate("my secret words"),
        hate("{action: my secret words}"),
        "version: 1\nmy secret words: 1\nmy secret words: 2",
        "version: 1\nsafe_prompts: {mine: {en: x, my secret words: y}}",
        "version: 1\nsafe_prompts: {my secret words: {en: ''}}",
        "version: 1\nsafe_prompts: {mine: [my secret words]}",
        "version: 1\nmessages: {mine: {my secret words: 7}}",
        "version: 1\ntenants: {clinic: {hazards: {my secret words: {}}}}",
        "version: 1\nhazards: {my secret words: {}}",
        "version: 1\nmessages: {mine: {en: my secret words\x07}}",
        "version: 1\nmessages: {mine: {en: 'my secret words}}",
    ],
)
def test_a_text_in_the_wrong_place_is_never_repeated(text):
    assert not any("secret words" in problem for problem in problems(text))


FRAGMENTS = [
    "version: 1\n", "hazards:\n", "  hate: {alpha: 0.3}\n", "  privacy:\n", "    bands:\n", "      - {at: 0.5, action: steer}\n",
    "tenants:\n", "  clinic:\n", "    hazards: {hate: {threshold: 0.9}}\n", "output: {enabled: true}\n", "messages: {a: {en: x}}\n",
    "safe_prompts:\n", "  generic:\n", "    en: >-\n      be kind\n", "mode: shadow\n", "\t", "- ", "{", "}", "[", "]", ": ", "? ", "'",
    '"', "\\x", "|\n", "1e999", "0x1F", "0o9", ".nan", "2024-02-31", "~", "<<", "*a", "&a ", "!!set ", "\u2028", "\ud7ff", "%YAML 1.3\n",
]  # fmt: skip


def mistakes(load):
    """What is wrong, as lines; None where a policy was made."""
    try:
        policy = load()
    except PolicyError as error:
        return error.problems
    return None if policy.rules["indiscriminate_weapons"].locked else ["a lock was lost"]


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join) | st.text(max_size=60))
@settings(max_examples=400)
def test_any_text_is_a_policy_or_a_policy_error_with_a_place(text):
    found = mistakes(lambda: Policy.from_yaml(text, name="p.yaml"))
    assert found is None or (found and all(PLACE.match(problem) for problem in found))


@given(st.binary(max_size=40))
def test_any_bytes_are_a_policy_or_a_policy_error(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "bytes.yaml"
    path.write_bytes(b"version: 1\nmessages: {a: {en: '" + data + b"'}}")
    found = mistakes(lambda: Policy.load(path))
    assert found is None or all("bytes.yaml:" in problem for problem in found)
