"""Laws of a policy's check of answers."""

from rose_guard import Policy
from rose_guard.policy import OutputCheck


def output(entry, rest=""):
    return Policy.from_yaml(f"version: 1\noutput: {{{entry}}}\n{rest}").output


def test_answers_are_not_checked_unless_a_policy_says_so():
    assert Policy.default().output == Policy.from_yaml("version: 1").output == OutputCheck()
    assert not OutputCheck().enabled


def test_every_key_of_a_file_gets_into_force():
    given = (
        "enabled: true, threshold: 0.25, action: restart, message: crisis, window_tokens: 16, hold_back_tokens: 16, "
        "restarts: 5, restart_alpha: 0.5, reverse_prompt: hate, safe_prompt: privacy, on_error: block"
    )
    assert output(given) == OutputCheck(
        enabled=True, threshold=0.25, action="restart", message="crisis", window_tokens=16, hold_back_tokens=16,
        restarts=5, restart_alpha=0.5, reverse_prompt="hate", safe_prompt="privacy", on_error="block",
    )  # fmt: skip


def test_keys_left_out_have_the_values_of_the_reference():
    assert output("enabled: true") == OutputCheck(enabled=True)


def test_the_smallest_and_largest_values_are_allowed():
    assert output("window_tokens: 8, hold_back_tokens: 1").window_tokens == 8
    assert output("threshold: 1").threshold == 1.0
    assert output("action: restart, restarts: 1, restart_alpha: 0.7").restart_alpha == 0.7


def test_a_low_ceiling_needs_no_word_on_restarts_that_never_happen():
    assert not output("enabled: false", "max_total_alpha: 0.1").enabled


def test_its_prompts_and_messages_may_be_the_files_own():
    found = output("message: mine, safe_prompt: mine", "messages: {mine: {en: x}}\nsafe_prompts: {mine: {en: y}}")
    assert (found.message, found.safe_prompt) == ("mine", "mine")


def test_what_cannot_be_put_on_record_is_refused_unless_it_is_to_be_blocked():
    assert Policy.default().on_audit_error == "refuse"
    assert Policy.from_yaml("version: 1\non_audit_error: block").on_audit_error == "block"
