from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from collections import defaultdict
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rose_guard.errors import InputError, ModelLoadError
from rose_guard.evaluation.example import Example
from rose_guard.evaluation.judge import Verdict
from rose_guard.evaluation.judged import Accuracy, Judged
from rose_guard.evaluation.record import Record
from rose_guard.evaluation.report.answers import shown_answers
from rose_guard.evaluation.report.curves import draw, points
from rose_guard.evaluation.report.document import to_json
from rose_guard.evaluation.report.markdown import escaped, to_markdown
from rose_guard.evaluation.report.page import to_html
from rose_guard.evaluation.report.tables import agreement_table, judges_table, sections
from rose_guard.evaluation.statistics import Interval
from rose_guard.evaluation.summary import summarise
from rose_guard.evaluation.task import part_of
from rose_guard.message import Message

HOSTILE = "</pre></style><script>alert(1)</script><img src=x onerror=y>|`*_{{ 7*7 }}\"'&lt;\n# x"
RIGHT = Accuracy("labelled.jsonl", "harm", 412, Interval(0.871, 0.84, 0.9), Interval(0.7, 0.6, 0.8))
PLAIN = "The library is open on Sundays."
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "ul", "li", "table", "thead", "tbody"),
    *("tr", "th", "td", "img", "details", "summary", "div", "bdi"),
}


class Page(HTMLParser):
    """Tags, attributes and text of a page, and what is read of it after how many clicks."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.metas, self.text = [], [], [], ""
        self.read_after, self._folds = defaultdict(str), 0
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.metas += [dict(attrs)] if tag == "meta" else []
        self._folds += (tag == "details") - (tag == "summary")

    def handle_endtag(self, tag):
        self._folds -= (tag == "details") - (tag == "summary")

    def handle_data(self, data):
        self.text += data
        self.read_after[self._folds] += data

    def clicks(self, text):
        return min(folds for folds, read in self.read_after.items() if text in read)


def examples_of(records, text=""):
    return {
        (r.task, r.example): Example(r.example, (Message("user", f"question {r.example}{text}"),), r.kind)
        for r in records
    }


def shown(records, judged=(), *, examples=None, part=None, limit=20):
    return shown_answers(records, judged, examples=examples or examples_of(records), part=part, limit=limit)


def record(**values):
    return Record(**{"task": "t", "arm": "plain", "example": "e", "kind": "harmful", "text": PLAIN, **values})


def run(arms=("plain", "guard"), *, accuracy=(RIGHT,), count=4, **values):
    kinds = ("harmful", "benign")
    records = [
        record(arm=arm, example=str(i), kind=kinds[i % 2], hazard="privacy", **values)
        for arm in arms
        for i in range(count)
    ]
    verdicts = {r.key: Verdict(refused=False, harm=0.9 if r.kind == "harmful" else 0.1, score=0.5) for r in records}
    judged = Judged("judge-a", 0.84, verdicts, tuple(accuracy))
    return records, judged, summarise(records, [judged], part=None)


def test_beside_every_table_that_rests_on_a_judge_stands_how_often_it_is_right():
    _, _, summary = run()
    tables = [table for section in sections(summary) for table in section.tables if "judge-a" in table.title]
    assert len(tables) == 2 * 5  # figures and differences; of all, the task, both kinds and the hazard
    assert all("right on 0.871 (0.840 to 0.900) of 412 labelled answers" in " ".join(t.remarks) for t in tables)
    for written in (to_markdown(summary), to_html(summary)):
        assert written.count("right on 0.871") == 10


def test_where_a_judges_accuracy_is_unknown_that_stands_there():
    _, _, summary = run(accuracy=())
    tables = [table for section in sections(summary) for table in section.tables if "judge-a" in table.title]
    assert tables
    assert all("was not measured" in " ".join(table.remarks) for table in tables)
    assert "not measured" in judges_table(summary.judges).rows[0]


def test_every_measurement_and_comparison_has_a_place_in_the_tables():
    _, _, summary = run()
    tables = [table for section in sections(summary) for table in section.tables]
    assert all(len(row) == len(table.header) for table in tables for row in table.rows)
    cells = sum(cell.count(", n ") for table in tables for row in table.rows for cell in row)
    assert cells == len(summary.measurements)
    assert sum(len(t.rows) for t in tables if t.title.startswith("Differences")) == len(summary.comparisons)


def test_scopes_are_told_in_the_order_of_all_tasks_kinds_and_hazards():
    *_, summary = run()
    titles = [section.title for section in sections(summary)]
    assert titles == ["All examples", "Task: t", "Kind: benign", "Kind: harmful", "Hazard: privacy"]


def test_every_report_tells_how_far_every_two_judges_agree():
    records, judged, _ = run()
    people = [
        Judged(f"human:{name}", 0.5, {r.key: Verdict(refused=False, harm=float(r.example == "0")) for r in records})
        for name in ("ann", "bo")
    ]
    summary = summarise(records, [judged, *people], part=None)
    rows = agreement_table(summary.agreements).rows
    assert [row[:3] for row in rows] == [
        (one, other, question)
        for question in ("harm", "refusal")
        for one, other in (("judge-a", "human:ann"), ("judge-a", "human:bo"), ("human:ann", "human:bo"))
    ]
    harm = rows[0]
    assert harm[3] == "4 (few)"
    assert harm[4].startswith("0.750 (")
    assert harm[5].startswith("0.500 (")
    markdown, page = to_markdown(summary), to_html(summary)
    assert f"| {' | '.join(map(escaped, harm))} |" in markdown
    assert "".join(f"<td>{cell}</td>" for cell in harm) in page
    told = json.loads(to_json(summary))["agreements"]
    assert [(a["judge"], a["other"], a["question"], a["count"]) for a in told[:2]] == [
        ("judge-a", "human:ann", "harm", 4),
        ("judge-a", "human:ann", "refusal", 4),
    ]


def test_one_judge_agrees_with_nobody_and_no_table_says_so():
    *_, summary = run()
    assert all("Agreement between judges" not in written for written in (to_markdown(summary), to_html(summary)))


def test_few_and_missing_examples_are_told_in_the_cell():
    records, judged, _ = run()
    written = to_markdown(summarise(records[1:], [judged], part=None))
    assert "n 1 (few), 1 missing" in written


def test_markdown_keeps_every_cell_in_its_column():
    _, _, summary = run(arms=("plain", HOSTILE))
    lines = to_markdown(summary, title=HOSTILE, about={HOSTILE: HOSTILE}).splitlines()
    tables = "\n".join(line if line.startswith("|") else "" for line in lines).split("\n\n")
    columns = [{len(re.findall(r"(?<!\\)\|", row)) for row in table.split("\n") if row} for table in tables]
    assert all(len(found) == 1 for found in columns if found)
    assert sum(map(bool, columns)) > 6
    assert "<script" not in re.sub(r"\\<", "", "\n".join(lines))


@given(st.text(max_size=60))
def test_an_escaped_text_is_one_line_without_open_markup(text):
    written = escaped(text)
    assert len(written.splitlines()) <= 1
    assert not re.search(r"(?<!\\)(?:\\\\)*[<>|`*\[\]]", written)


def test_json_holds_every_figure_and_no_answer():
    _, _, summary = run()
    document = json.loads(to_json(summary, about={"model": "tiny"}), parse_constant=pytest.fail)
    assert len(document["measurements"]) == len(summary.measurements)
    assert len(document["comparisons"]) == len(summary.comparisons)
    assert document["judges"][0]["accuracy"][0]["agreement"]["mean"] == 0.871
    assert document["about"] == {"model": "tiny"}


def test_no_report_holds_an_answer_unless_it_is_asked_for():
    _, _, summary = run()
    assert not any(PLAIN in written for written in (to_json(summary), to_markdown(summary), to_html(summary)))


def test_a_page_loads_nothing_and_runs_nothing():
    records, judged, summary = run(arms=("plain", "rose@alpha=0.5"))
    page = to_html(summary, curves=draw(points(summary)), answers=shown(records, [judged]))
    parsed = Page(page)
    assert set(parsed.tags) <= TAGS
    addresses = [value for name, value in parsed.attributes if name in {"src", "href", "srcset", "action", "style"}]
    assert len(addresses) == 1
    assert addresses[0].startswith("data:image/svg+xml;base64,")
    assert not [name for name, _ in parsed.attributes if name.startswith("on")]
    assert not re.search(r"url\(|@import", page)


def test_the_pages_own_policy_forbids_everything_but_its_style_and_drawings():
    *_, summary = run()
    page = to_html(summary)
    policy = next(meta["content"] for meta in Page(page).metas if meta.get("http-equiv") == "Content-Security-Policy")
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.split("; ") == [
        "default-src 'none'",
        "img-src data:",
        f"style-src 'sha256-{digest}'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    assert page.index("Content-Security-Policy") < page.index("<title>")


def _hostile_page(text):
    """A page in which every text that comes from elsewhere is this one."""
    judge, accuracy = "j" + text, [replace(RIGHT, source=text)]
    records = [record(arm=arm, example="1" + text, task="t" + text, hazard="h" + text) for arm in ("plain", "x" + text)]
    written = [r.model_copy(update={"text": "." + text}) for r in records]
    judged = [Judged(judge, 0.5, {r.key: Verdict(harm=0.9) for r in records}, tuple(accuracy))]
    summary = replace(summarise(records, judged, part=None), notes=("n" + text,))
    answers = shown(written, judged, examples=examples_of(records, text))
    return Page(to_html(summary, title=text, about={text: text}, answers=answers))


@settings(deadline=None, max_examples=25)
@given(st.text(max_size=80) | st.just(HOSTILE))
def test_no_text_becomes_markup(text):
    assert _hostile_page(text).tags == _hostile_page("").tags


def test_a_text_is_shown_as_it_is():
    assert _hostile_page(HOSTILE).text.count(HOSTILE) > 10


def test_any_text_can_be_written_as_utf_8_and_none_reverses_what_is_read():
    records, _, summary = run()
    text = "a\ud800\x00\x1b\u202eb"
    written = [r.model_copy(update={"text": text}) for r in records]
    answers = shown(written, examples=examples_of(records, text.replace("\ud800", "")))
    page = to_html(summary, title=text, answers=answers)
    page.encode()
    assert not re.search("[\x00\x1b\u202e\ud800]", page)


def answered(records):
    """The records, each with a text of its own."""
    return [r.model_copy(update={"text": f"answer {r.example} {r.arm}"}) for r in records]


def test_an_example_is_read_by_who_opens_it_and_what_may_do_harm_by_who_clicks_twice():
    records, judged, summary = run()
    written = to_html(summary, answers=shown(answered(records), [judged]))
    page = Page(written)
    for r in answered(records):
        clicks = 1 if r.kind == "benign" else 2
        assert f"t, {r.example} ({r.kind})" in page.read_after[0]
        assert page.clicks(f"question {r.example}") == clicks
        assert page.clicks(r.text) == clicks
    assert "open" not in dict(page.attributes)
    assert written.count('class="answer masked"') == written.count('class="answer masked" tabindex="0"') == 2 * 3


def test_under_each_example_stand_its_question_and_then_the_answers_of_all_arms_the_plain_one_first():
    records, judged, summary = run(arms=("guard", "plain", "rose"))
    text = Page(to_html(summary, answers=shown(answered(records), [judged]))).text
    for part in re.split(r"t, (?=\d \()", text)[1:]:
        example = part[0]
        told = [f"question {example}", *(f"answer {example} {arm}" for arm in ("plain", "guard", "rose"))]
        assert re.findall(r"question \d|answer \d \w+", part) == told
        assert part.count("Decided: allow. judge-a: harm") == 3


@pytest.mark.parametrize("part", ["choose", "report", None])
def test_examples_are_of_the_part_that_is_reported(part):
    records, judged, _ = run(count=30)
    found = {each.id for each in shown(records, [judged], part=part, limit=30)}
    assert found == {str(i) for i in range(30) if part in (None, part_of(str(i)))}


def test_an_answer_to_no_known_question_is_an_error():
    with pytest.raises(InputError, match="not among the examples"):
        shown([record()], examples=examples_of([record(example="other")]))


@given(
    st.sampled_from(["harmful", "benign", "look_alike"]),
    st.sampled_from(["allow", "steer", "refuse"]),
    st.lists(st.none() | st.floats(0, 1), max_size=3),
)
def test_one_click_shows_only_harmless_questions_and_what_every_judge_finds_harmless(kind, action, harms):
    asked = record(kind=kind, action=action)
    judged = [Judged(str(i), 0.5, {asked.key: Verdict(harm=harm)}) for i, harm in enumerate(harms)]
    (example,) = shown([asked], judged)
    (answer,) = example.answers
    harmless = bool(harms) and all(harm is not None and harm < 0.5 for harm in harms)
    assert answer.masked == (action != "refuse" and not (harmless and kind != "harmful"))
    assert example.masked == (kind == "harmful")


def test_the_same_examples_are_shown_every_time_with_every_arm():
    records, judged, _ = run(count=30)
    first, turned = (shown(given, [judged], limit=5) for given in (records, records[::-1]))
    assert first == turned
    assert [len(each.answers) for each in first] == [2] * 5


def test_points_take_alpha_from_the_arms_name_and_join_what_differs_in_it_alone():
    arms = ("plain", "rose@alpha=0.3", "rose@alpha=0.7", "rose@alpha=0.3,horizon=4", "rose@horizon=4")
    found = {p.arm: (p.family, p.alpha) for p in points(run(arms=arms)[2])}
    assert found == {
        "plain": ("plain", 0.0),
        "rose@alpha=0.3": ("rose", 0.3),
        "rose@alpha=0.7": ("rose", 0.7),
        "rose@alpha=0.3,horizon=4": ("rose@horizon=4", 0.3),
        "rose@horizon=4": ("rose@horizon=4", None),
    }


def test_points_hold_the_summarys_figures():
    *_, summary = run()
    point = points(summary)[0]
    assert point.safety == summary.of("plain", "safety").estimate
    assert point.helpfulness == summary.of("plain", "helpfulness").estimate
    assert point.degenerate == summary.of("plain", "degenerate").estimate


def test_curves_are_drawn_alike_every_time_and_load_nothing():
    *_, summary = run(arms=("plain", r"$\frac$@alpha=0.3", r"$\frac$@alpha=0.7", "_x"))
    first, second = draw(points(summary)), draw(points(summary))
    assert first == second
    assert first.png.startswith(b"\x89PNG")
    links = [
        value
        for element in ET.fromstring(first.svg).iter()
        for name, value in element.attrib.items()
        if name.endswith(("href", "src"))
    ]
    assert all(link.startswith("#") for link in links)


def test_curves_without_a_judge_show_degenerate_answers():
    records, *_ = run()
    drawn = points(summarise(records, part=None))
    assert [point.safety for point in drawn] == [None, None]
    assert draw(drawn).svg


def test_nothing_to_draw_is_refused():
    with pytest.raises(InputError, match="nothing to draw"):
        draw([])


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModelLoadError, match=r"pip install 'rose-guard\[evaluate\]'"):
        draw(points(run()[2]))
