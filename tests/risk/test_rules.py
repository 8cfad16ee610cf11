"""Laws of a deployment's own rules: what matches, what it scores, and every mistake told with its place."""

import sys
import time
import unicodedata
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rose_guard.errors import ClassifierError, ModelLoadError, SettingsError
from rose_guard.message import ROLES, Message
from rose_guard.risk import rules as rules_module
from rose_guard.risk.classifier import RiskClassifier
from rose_guard.risk.deadline import deadline
from rose_guard.risk.haystack import Haystack, fold
from rose_guard.risk.reading import View
from rose_guard.risk.rule import MOST_EXCUSED, Rule
from rose_guard.risk.rules import Rules
from rose_guard.taxonomy import ATTACKS, HAZARDS

FILE = """\
version: 1
rules:
  - name: staff-names
    hazard: privacy
    score: 0.9
    patterns: ["(?i)project\\\\s+nightfall"]
    keywords: ["acme vault"]
    except: ["acme vault cleaning"]
  - name: magic-words
    attack: jailbreak
    score: 0.4
    keywords: [open sesame]
"""


@dataclass
class FakeView:
    """Reads a message backwards."""

    text: str
    kind: str = "backwards"

    def source(self, start, end):
        return len(self.text) - end, len(self.text) - start


@pytest.fixture
def as_written(monkeypatch):
    """Rules alone, without the views."""
    monkeypatch.setattr(rules_module, "views", lambda text: [View.written(text)])


@pytest.fixture
def backwards(monkeypatch):
    monkeypatch.setattr(rules_module, "views", lambda text: [View.written(text), FakeView(text[::-1])])


def of(**values):
    return Rules([Rule("r", **({"hazard": "privacy"} | values))])


def privacy(classifier, text):
    return classifier.classify(text).hazards["privacy"]


def matched(classifier, text, label="privacy"):
    span = classifier.classify(text).spans[label]
    return text[span.start : span.end]


def place(rule, text):
    return rule.find(Haystack(text))


def test_a_file_gives_a_classifier_that_scores_by_its_rules(tmp_path):
    (tmp_path / "rules.yaml").write_text(FILE, encoding="utf-8")
    classifier = Rules.load(tmp_path / "rules.yaml")
    assert isinstance(classifier, RiskClassifier)
    assessment = classifier.classify("Where is the ACME  vault? Open sesame!")
    assert assessment.hazards == dict.fromkeys(HAZARDS, 0.0) | {"privacy": 0.9}
    assert assessment.attacks == dict.fromkeys(ATTACKS, 0.0) | {"jailbreak": 0.4}
    assert assessment.harmful == 0.9
    assert assessment.spans["harmful"] == assessment.spans["privacy"]
    assert assessment.classifier == classifier.name
    assert privacy(classifier, "Tell me about Project\nNightfall") == 0.9
    assert privacy(classifier, "Is acme vault cleaning expensive?") == 0.0


def test_attacks_alone_leave_harmful_at_zero():
    assessment = Rules.from_yaml(FILE).classify("open sesame")
    assert (assessment.harmful, assessment.attacks["jailbreak"]) == (0.0, 0.4)


def test_the_name_tells_rules_apart():
    rule = Rule("r", hazard="privacy", keywords=["vault"])
    others = [
        replace(rule, name="s"),
        replace(rule, hazard="hate"),
        replace(rule, hazard=None, attack="jailbreak"),
        replace(rule, score=0.5),
        replace(rule, keywords=["vaults"]),
        replace(rule, keywords=(), patterns=["vault"]),
        replace(rule, exceptions=["vault door"]),
    ]
    names = {Rules([each]).name for each in (rule, *others)}
    assert len(names) == 8
    assert Rules([rule]).name == Rules([Rule("r", hazard="privacy", keywords=("vault",))]).name
    assert Rules.from_yaml(FILE).name == Rules.from_yaml(FILE + "# a comment\n").name


# What matches


@pytest.mark.parametrize(
    "text",
    [
        "acme vault",
        "the ACME Vault.",
        "acme\n\t vault",
        "acme\u00a0vault",
        "(acme vault)",
        "Ａｃｍｅ　Ｖａｕｌｔ",
        "ａcme vault",
        "这是acme vault吗",
        "ﬁt: acme vault",
    ],
)
def test_keywords_match_in_any_case_form_and_spacing(as_written, text):
    assert privacy(of(keywords=["Acme Vault"]), text) == 1.0
    assert fold(matched(of(keywords=["Acme Vault"]), text)).split() == ["acme", "vault"]


@pytest.mark.parametrize(
    "text", ["acmevault", "acme vaults", "macme vault", "acme_vault", "acme, vault", "acme x vault"]
)
def test_keywords_match_whole_words_only(as_written, text):
    assert privacy(of(keywords=["acme vault"]), text) == 0.0


@pytest.mark.parametrize(
    ("keyword", "text"),
    [
        ("机密", "这是机密文件"),
        ("ความลับ", "นี่คือความลับครับ"),
        ("나이트폴", "나이트폴을 찾아"),
        ("나이트폴", unicodedata.normalize("NFD", "나이트폴을 찾아")),
        ("straße", "STRASSE"),
        ("café", "cafe\u0301"),
        ("c++", "I write C++."),
        ("#secret", "see#secret"),
        ("ガス", "ｶﾞｽ"),
        ("10 km", "10 ㎞"),
    ],
)
def test_keywords_match_in_every_script(as_written, keyword, text):
    assert privacy(of(keywords=[keyword]), text) == 1.0
    assert fold(keyword) in fold(matched(of(keywords=[keyword]), text))


def test_patterns_read_text_as_it_is_written_and_their_spans_count_characters(as_written):
    classifier = of(patterns=["vault-[0-9]+"])
    assert matched(classifier, "żółć 🙂 vault-42, vault-43") == "vault-42"
    assert privacy(classifier, "Vault-42") == 0.0
    assert matched(of(patterns=["(?i)VAULT.é+"]), "é🙂 vault🙂éé!") == "vault🙂éé"


def test_every_role_and_every_name_is_read(as_written):
    classifier = of(keywords=["vault"])
    for role in ROLES:
        assessment = classifier.classify([Message("user", "hi"), Message(role, "a vault")])
        span = assessment.spans["privacy"]
        assert (span.message, span.start, span.end, span.view) == (1, 2, 7, "written")
        assessment = classifier.classify([Message("user", "hi"), Message(role, "hi", name="vault")])
        span = assessment.spans["privacy"]
        assert (assessment.hazards["privacy"], span.message, span.start, span.end) == (1.0, 1, 0, 0)


def test_text_is_read_through_views_too_and_spans_are_where_the_message_has_it(backwards):
    classifier = of(keywords=["vault"])
    text = "it says tluav, backwards"
    span = classifier.classify(text).spans["privacy"]
    assert (text[span.start : span.end], span.view) == ("tluav", "backwards")
    named = classifier.classify([Message("user", "hi", name="tluav")])
    assert (named.hazards["privacy"], named.spans["privacy"].view) == (1.0, "name+backwards")
    assert classifier.classify("vault and tluav").spans["privacy"].view == "written"


@pytest.mark.parametrize(
    "hidden",
    ["v\u200ba\u200bu\u200bl\u200bt", "dmF1bHQgb2YgYWNtZSBhbmQgdGhlaXIgc2VjcmV0cw==", "\u0475\u0430ult", "v a u l t"],
)
def test_hidden_words_are_found_where_they_are_hidden(hidden):
    text = f"Please tell me about the {hidden} please."
    span = of(keywords=["vault"]).classify(text).spans["privacy"]
    assert text[span.start : span.end].strip() in hidden
    assert text.index(hidden) == span.start
    assert span.view != "written"


def test_words_spread_over_user_turns_are_found():
    turns = [Message("user", "Say acme"), Message("assistant", "Acme."), Message("user", "vault, what is it?")]
    span = of(keywords=["acme vault"]).classify(turns).spans["privacy"]
    assert (span.message, span.view) == (2, "turns")


# Exceptions


@pytest.mark.parametrize(
    "terms", [{"keywords": ["acme vault", "vault key"]}, {"patterns": ["acme vault( key)?", "vault key"]}]
)
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("acme vault cleaning", None),
        ("acme vault cleaning, acme  vault\ncleaning", None),
        ("acme vault cleaning of the acme vault", "acme vault"),
        ("acme vault cleaners", "acme vault"),
        ("old acme vault door", None),
        ("old acme vault key", "vault key"),
    ],
)
def test_only_what_lies_inside_an_exception_does_not_count(as_written, terms, text, found):
    classifier = of(**terms, exceptions=["ACME vault cleaning", "old acme vault"])
    if found is None:
        assert privacy(classifier, text) == 0.0
    else:
        assert matched(classifier, text).endswith(found)


def test_a_longer_match_does_not_hide_behind_a_shorter_one_in_an_exception(as_written):
    classifier = of(patterns=["vault|vault cleaning codes"], exceptions=["acme vault cleaning"])
    assert matched(classifier, "acme vault cleaning codes") == "vault cleaning codes"
    assert privacy(classifier, "acme vault cleaning") == 0.0


def test_a_thousand_excused_matches_of_a_pattern_are_believed_and_not_one_more():
    rule = Rule("r", hazard="privacy", patterns=["vault"], exceptions=["vault door"])
    assert place(rule, "vault door " * MOST_EXCUSED) is None
    assert place(rule, "vault door " * (MOST_EXCUSED + 1)) is not None
    keywords = replace(rule, patterns=(), keywords=["vault"])
    assert place(keywords, "vault door " * 5000) is None


# Laws

words = st.sampled_from(["acme", "vault", "door", "key", "Ｋey", "é", "的", "x1"])
phrases = st.lists(words, min_size=1, max_size=3).map(" ".join)
texts = st.lists(words | st.sampled_from([" ", "  ", "\n", ".", "-", "e\u0301", "ﬁ", "가"]), max_size=30).map("".join)


@st.composite
def some_rules(draw):
    hazard = draw(st.sampled_from(["privacy", "hate"]))
    axis = draw(st.sampled_from([{"hazard": hazard}, {"attack": "jailbreak"}]))
    score = draw(st.floats(0.01, 1.0))
    patterns = draw(st.lists(st.sampled_from(["v.ult", "(?i)KEY", "[a-z]+ door", "[^ ]{9}"]), max_size=2))
    keywords = draw(st.lists(phrases, min_size=1, max_size=2))
    exceptions = draw(st.lists(phrases, max_size=2))
    return Rule("r", **axis, score=score, patterns=patterns, keywords=keywords, exceptions=exceptions)


@given(st.lists(some_rules(), min_size=1, max_size=4), some_rules(), texts)
def test_one_more_rule_never_lowers_a_score(rules, more, text):
    named = [replace(rule, name=f"r{index}") for index, rule in enumerate(rules)]
    before = Rules(named).classify([Message("user", text)])
    after = Rules([*named, replace(more, name="more")]).classify([Message("user", text)])
    assert after.harmful >= before.harmful
    assert all(after.scores[label] >= score for label, score in before.scores.items())


@given(st.lists(some_rules(), min_size=1, max_size=4), texts)
def test_each_label_has_the_highest_score_of_its_rules_that_match(rules, text):
    named = [replace(rule, name=f"r{index}") for index, rule in enumerate(rules)]
    together = Rules(named).classify([Message("user", text)])
    alone = [Rules([rule]).classify([Message("user", text)]) for rule in named]
    assert together.scores == {label: max(each.scores[label] for each in alone) for label in together.scores}
    assert together.harmful == max(together.hazards.values())
    assert set(together.spans) - {"harmful"} == {label for label, score in together.scores.items() if score}


@given(st.text(), phrases, st.text(), st.sampled_from([" ", "\n", "\u3000 "]))
def test_a_keyword_among_any_text_is_found_where_it_stands(before, keyword, after, space):
    written = keyword.replace(" ", space)
    text = f"{before} {written}. {after}"
    start, end = place(Rule("r", hazard="hate", keywords=[keyword]), text)
    assert fold(text[start:end]).split() == fold(keyword).split()
    assert start <= len(before) + 1


@given(st.text(max_size=30))
def test_folding_by_pieces_is_folding_the_whole(text):
    whole = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    assert fold(text) == whole


@given(st.text(), st.data())
def test_folded_characters_know_where_they_came_from(text, data):
    haystack = Haystack(text)
    if haystack.folded:
        index = data.draw(st.integers(0, len(haystack.folded) - 1))
        start, end = haystack.source(index, index + 1)
        assert 0 <= start < end <= len(text)
        assert haystack.folded[index] in fold(text[start:end])


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+$b", "(a|aa)+c", "(.*a){20}c", "[ab]*a[ab]{900}c", "(x+x+)+y", "(?:a?){100}c", ".{0,150}x", "(a*)*(a*)*c"],
)
@pytest.mark.parametrize("text", ["a" * 200_000, "ab" * 100_000, "é a" * 66_666], ids=["a", "ab", "é a"])
def test_patterns_that_choke_other_engines_take_linear_time(pattern, text):
    started = time.perf_counter()
    place(Rule("r", hazard="hate", patterns=[pattern], exceptions=["acme"]), text)
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"keywords": ["a a a a b"]}, "a  " * 66_666),
        ({"keywords": ["a b"]}, f"a{' ' * 200_000}"),
        ({"keywords": ["的" * 199 + "b"]}, "的" * 199_999 + "b"),
        ({"keywords": ["vault"], "exceptions": ["vault door"]}, "vault door " * 18_000),
        ({"patterns": ["vault(.*x)?"], "exceptions": ["vault door"]}, "vault door " * 18_000),
        ({"patterns": ["."], "exceptions": ["vault door"]}, "vault door" * 18_000),
        ({"keywords": ["vault"]}, "a" + "\u0301\u0323" * 100_000 + " vaul"),
        ({"keywords": ["vault"]}, "\ufdfa" * 10_000),
    ],
)
def test_keywords_and_exceptions_take_linear_time(values, text):
    started = time.perf_counter()
    place(Rule("r", hazard="hate", **values), text)
    assert time.perf_counter() - started < 2


@settings(deadline=None)
@given(texts)
def test_many_are_scored_as_each_alone(text):
    classifier = Rules.from_yaml(FILE)
    conversations = [[Message("user", text or " ")], [Message("user", "acme vault"), Message("tool", text)]]
    assert classifier.classify_many(conversations) == [classifier.classify(messages) for messages in conversations]


def test_time_that_is_up_is_an_error_and_no_score():
    classifier = of(keywords=["vault"])
    with pytest.raises(ClassifierError, match="longer"), deadline(-1.0):
        classifier.classify("vault")


# Mistakes


def complaints(text):
    with pytest.raises(SettingsError) as caught:
        Rules.from_yaml(text, name="r.yaml")
    return str(caught.value).splitlines()


def rule(text, *, rest="keywords: [vault]"):
    return f"version: 1\nrules:\n- {{name: a, {text}, {rest}}}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "r.yaml:1:1: a rule file is a mapping of `version: 1` and `rules`"),
        ("- a", "r.yaml:1:1: a rule file is a mapping"),
        ("rules:\n- {name: a, hazard: hate, keywords: [v]}", "r.yaml:1:1: `version` is missing or unknown; begin with"),
        ("version: 2\nrules:\n- {name: a, hazard: hate, keywords: [v]}", "r.yaml:1:1: `version`"),
        ("version: true\nrules:\n- {name: a, hazard: hate, keywords: [v]}", "r.yaml:1:1: `version`"),
        ("version: 1", "r.yaml:1:1: `rules` is a list with at least one rule"),
        ("version: 1\nrules: []", "r.yaml:2:1: `rules` is a list with at least one rule"),
        ("version: 1\nrules:\n- vault", "r.yaml:3:3: a rule is a mapping"),
        ("version: 1\nruels: []\nrules:\n- {name: a, hazard: hate, keywords: [v]}", "r.yaml:2:1: unknown key 'ruels'; did you mean 'rules'?"),
        (rule("hazard: hate, keyword: [x]"), "r.yaml:3:27: unknown key 'keyword'; did you mean 'keywords'?"),
        (rule("hazard: hate, 7: [x]"), "r.yaml:3:27: unknown key 7; there are name, hazard"),
        (rule("hazard: hat"), "r.yaml:3:13: unknown hazard 'hat'; did you mean 'hate'?"),
        (rule("attack: jailbrake"), "r.yaml:3:13: unknown attack 'jailbrake'; did you mean 'jailbreak'?"),
        (rule("hazard: jailbreak"), "r.yaml:3:13: unknown hazard 'jailbreak'; it is an attack, write `attack: jailbreak`"),
        (rule("hazard: [hate]"), "r.yaml:3:13: unknown hazard ['hate']"),
        (rule("hazard: hate, attack: jailbreak"), "r.yaml:3:27: names exactly one `hazard` or `attack`"),
        (rule("score: 0.5"), "r.yaml:3:3: names exactly one `hazard` or `attack`"),
        (rule("hazard: hate, score: 0"), "r.yaml:3:27: `score` is a number above 0 and at most 1, not 0"),
        (rule("hazard: hate, score: 1.5"), "r.yaml:3:27: `score` is a number above 0 and at most 1, not 1.5"),
        (rule("hazard: hate, score: .nan"), "r.yaml:3:27: `score` is a number above 0 and at most 1, not nan"),
        (rule("hazard: hate, score: true"), "r.yaml:3:27: `score` is a number above 0 and at most 1"),
        (rule("hazard: hate, score: ~"), "r.yaml:3:27: `score` has no value; give one or leave the key out"),
        (rule("hazard: hate", rest="score: 1"), "r.yaml:3:3: has nothing to look for; give `keywords` or `patterns`"),
        (rule("hazard: hate", rest="keywords: []"), "r.yaml:3:3: has nothing to look for"),
        (rule("hazard: hate", rest="keywords: vault"), "r.yaml:3:27: `keywords` is a list of texts; put them in brackets"),
        (rule("hazard: hate", rest="keywords: [a, 7]"), "r.yaml:3:41: item 2 of `keywords` is no text; put it in quotes"),
        (rule("hazard: hate", rest="keywords: [a, ' ']"), "r.yaml:3:41: item 2 of `keywords` holds no word; write one or more"),
        (rule("hazard: hate", rest=f"keywords: [{'a' * 201}]"), "r.yaml:3:38: item 1 of `keywords` has 201 characters, more than 200"),
        (rule("hazard: hate, except: ['']"), "r.yaml:3:36: item 1 of `except` holds no word"),
        (rule("hazard: hate", rest="patterns: ['(ab']"), "r.yaml:3:38: item 1 of `patterns` is no regular expression of RE2 (missing ))"),
        (rule("hazard: hate", rest="patterns: ['a(?!b)']"), "use `except`"),
        (rule("hazard: hate", rest="patterns: ['(a)\\1']"), "back-references cannot be matched in linear time"),
        (rule("hazard: hate", rest="patterns: ['a*']"), "r.yaml:3:38: item 1 of `patterns` matches the empty text"),
        (rule("hazard: hate", rest="patterns: ['.{0,1000}x']"), "r.yaml:3:38: item 1 of `patterns` is too large"),
        (rule("hazard: hate", rest='patterns: ["\\ud800"]'), "r.yaml:3:38: item 1 of `patterns`"),
        ("version: 1\nrules:\n- {hazard: hate, keywords: [v]}", "r.yaml:3:3: `name` is missing; every rule has its own"),
        ("version: 1\nrules:\n- {name: 7, hazard: hate, keywords: [v]}", "r.yaml:3:4: a rule's name is a text; put it in quotes"),
        (
            "version: 1\nrules:\n- {name: a, hazard: hate, keywords: [v]}\n- {name: a, hazard: hate, keywords: [v]}",
            "r.yaml:4:4: the name 'a' is given twice; every rule has its own",
        ),
        ("version: 1\nrules: &all []", "r.yaml:2:8: anchors and aliases are not allowed"),
        ("version: 1\nrules:\n- {name: !x a, hazard: hate, keywords: [v]}", "r.yaml:3:10: tags are not allowed"),
        ("version: 1\nrules: !!python/object:os.system []", "r.yaml:2:8: tags are not allowed"),
        ("version: 1\nversion: 1", "r.yaml:2:1: a key is given twice; keep one"),
        ("version: [1", "r.yaml:1:12: not YAML: "),
        ("version: 1\n\trules: []", "not YAML: "),
        ("version: \x00", "r.yaml:1:1: not YAML"),
        ("[" * 5000 + "]" * 5000, "r.yaml:1:7: nested deeper than a rule file is"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place_and_a_suggestion(text, expected):
    told = complaints(text)
    assert any(line.startswith(expected) or expected in line for line in told), told
    assert all(line.startswith("r.yaml:") for line in told)


def test_every_mistake_is_told_at_once_in_the_files_order():
    told = complaints(
        "version: 1\nrules:\n- {name: a, hazard: hat, keywords: [v]}\n- {name: b, hazard: hate, score: 2}\nx: 1"
    )
    assert [line.split(": ", 1)[0] for line in told] == ["r.yaml:3:13", "r.yaml:4:3", "r.yaml:4:27", "r.yaml:5:1"]


def test_terms_are_not_repeated_in_messages():
    for text in ("keywords: nightfall", "patterns: ['(nightfall']", "patterns: ['(?!nightfall)x']"):
        assert not any("nightfall" in line for line in complaints(rule("hazard: hate", rest=text)))


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00", b"version: 1 #" + b"x" * 1_000_001])
def test_a_file_that_cannot_be_read_is_a_settings_error(tmp_path, content):
    path = tmp_path / "rules.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"rules.yaml:1:1: (cannot be read|has more than)"):
        Rules.load(path)


def test_mistakes_in_python_are_told_too():
    with pytest.raises(SettingsError, match="rule 'a': unknown hazard 'hat'; did you mean 'hate'"):
        Rule("a", hazard="hat", keywords=["v"])
    with pytest.raises(SettingsError, match="list of texts"):
        Rule("a", hazard="hate", keywords="vault")
    with pytest.raises(SettingsError, match="nothing to look for"):
        Rule("a", hazard="hate", exceptions=["vault"])
    with pytest.raises(SettingsError, match="at least one"):
        Rules([])
    with pytest.raises(SettingsError, match="given twice: a"):
        Rules([Rule("a", hazard="hate", keywords=["v"]), Rule("a", attack="jailbreak", keywords=["v"])])


@pytest.mark.parametrize("engine", [None, sys], ids=["missing", "another package"])
def test_without_the_linear_engine_keywords_work_and_patterns_name_the_command(monkeypatch, engine, as_written):
    monkeypatch.setitem(sys.modules, "re2", engine)
    assert privacy(of(keywords=["vault"]), "a vault") == 1.0
    with pytest.raises(ModelLoadError, match=r"pip install 'rose-guard\[rules\]'"):
        of(patterns=["vault"])
    with pytest.raises(ModelLoadError, match=r"pip install 'rose-guard\[rules\]'"):
        Rules.from_yaml(FILE)
