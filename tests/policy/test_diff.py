"""Laws of differences: each one that matters is told, and no prompt is shown."""

import hashlib

from hypothesis import given, settings

from rose_guard import Policy
from rose_guard.policy.diff import Difference, differences
from tests.policy.random_policies import policies

HATE = Policy.default().rules["hate"].bands[0]


def of(text, other="version: 1"):
    return differences(Policy.from_yaml(other), Policy.from_yaml(text))


def test_each_value_that_differs_is_told_with_its_path():
    found = of("version: 1\nmode: shadow\nmax_total_alpha: 0.6\noutput: {enabled: true}\nclassifier: {on_error: block}")
    assert found == (
        Difference("max_total_alpha", "0.7", "0.6"),
        Difference("on_error", "refuse", "block"),
        Difference("mode", "enforce", "shadow"),
        Difference("output.enabled", "false", "true"),
    )


def test_what_happens_where_a_model_cannot_be_steered_is_a_difference_and_part_of_the_digest():
    routed = Policy.from_yaml("version: 1\nunsteerable: route")
    assert differences(Policy.default(), routed) == (Difference("unsteerable", "refuse", "route"),)
    assert routed.digest != Policy.default().digest
    assert Policy.from_yaml("version: 1\nunsteerable: refuse").digest == Policy.from_yaml("version: 1").digest


def test_rules_are_compared_as_they_apply():
    entry = f"{{threshold: {HATE.at}, safe_prompt: hate, reverse_prompt: hate, severity: high}}"
    assert of(f"version: 1\ndefaults: {{alpha: {HATE.alpha}}}\nhazards: {{hate: {entry}}}") == ()
    assert of(f"version: 1\ndefaults: {{alpha: 0.6}}\nhazards: {{hate: {entry}}}") == (
        Difference("hazards.hate.bands.0.alpha", str(HATE.alpha), "0.6"),
    )


def test_what_only_one_of_them_has_has_no_other_side():
    bands = "bands: [{at: 0.85, action: steer}, {at: 0.95, action: block}]"
    found = of(f"version: 1\nattacks: {{obfuscation: {{{bands}, escalate: {{after: 1, within_s: 5, notify: true}}}}}}")
    assert Difference("attacks.obfuscation.bands.1.action", None, "block") in found
    assert Difference("attacks.obfuscation.escalate.notify", None, "true") in found
    back = differences(Policy.from_yaml(f"version: 1\nattacks: {{obfuscation: {{{bands}}}}}"), Policy.default())
    assert Difference("attacks.obfuscation.bands.1.action", "block", None) in back


def test_a_tenants_rule_is_compared_with_what_it_had_before():
    one = "version: 1\ntenants: {clinic: {}}"
    other = "version: 1\ntenants: {clinic: {hazards: {hate: {alpha: 0.6}}}}"
    path, before = "tenants.clinic.hazards.hate.bands.0.alpha", str(HATE.alpha)
    assert of(other, one) == (Difference(path, before, "0.6"),)
    assert of(one, other) == (Difference(path, "0.6", before),)
    assert of(one) == (Difference("tenants.clinic", None, "listed"),)


def test_texts_are_told_by_a_short_digest_and_never_shown():
    one = "version: 1\nsafe_prompts: {mine: {en: my secret words, fr: mes mots}}"
    other = "version: 1\nsafe_prompts: {mine: {en: other secret words}}"
    changed, gone = of(other, one)
    digest = hashlib.sha256(b"my secret words").hexdigest()[:12]
    assert changed == Difference("safe_prompts.mine.en", f"text (sha256 {digest})", changed.after)
    assert changed.after.startswith("text changed (sha256 ")
    assert (gone.path, gone.after) == ("safe_prompts.mine.fr", None)
    assert "words" not in repr((changed, gone))


@given(policies(), policies())
@settings(max_examples=40)
def test_there_is_a_difference_exactly_where_the_digests_differ(one, other):
    found = differences(one, other)
    assert (not found) == (one.digest == other.digest)
    assert differences(one, one) == ()
    assert {difference.path for difference in found} == {difference.path for difference in differences(other, one)}
    assert all(difference.before != difference.after for difference in found)
