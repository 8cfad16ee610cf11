"""Laws of verification: an untouched log verifies, any single change of one is found, and nothing harms the reader."""

import json
import os
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rose_guard.audit import AuditKey, Head, verify
from rose_guard.audit import raw_line as raw_line_module
from rose_guard.audit.chain import next_line
from rose_guard.audit.name import FileName
from rose_guard.audit.report import Findings
from rose_guard.errors import AuditError
from tests.audit.samples import KEY, contents, folder_of, opened, written


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """A chain over four files, and its heads."""
    folder = tmp_path_factory.mktemp("log")
    heads = written(folder, 12, max_bytes=1800)
    files = contents(folder)
    assert len(files) == 4
    return files, heads


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Another chain of the same key."""
    folder = tmp_path_factory.mktemp("other")
    written(folder, 6)
    return contents(folder)


def judged(files, heads=None):
    with folder_of(files) as folder:
        return verify(folder, KEY, heads)


def kinds(report):
    return {finding.kind for finding in report.findings}


def with_lines(files, name, lines):
    return {**files, name: b"".join(lines)}


def places(files):
    return [(name, index) for name, data in files.items() for index in range(len(data.splitlines()))]


def split(files):
    return {name: data.splitlines(keepends=True) for name, data in files.items()}


def joined(lines):
    return {name: b"".join(parts) for name, parts in lines.items()}


def test_an_untouched_log_verifies_with_any_of_its_heads(log):
    files, heads = log
    for some in (None, [], heads, heads[:3], heads[-1:], heads * 2):
        report = judged(files, some)
        assert report.intact, str(report)
        assert report.chains[0].vouched == (some[-1].sequence if some else None)


@given(st.data())
@settings(max_examples=400)
def test_any_flipped_bit_is_found_without_a_head(log, data):
    files, heads = log
    name = data.draw(st.sampled_from(sorted(files)))
    bit = data.draw(st.integers(0, len(files[name]) * 8 - 1))
    changed = bytearray(files[name])
    changed[bit // 8] ^= 1 << bit % 8
    report = judged({**files, name: bytes(changed)})
    assert not report.intact
    line = files[name][: bit // 8].count(b"\n") + 1
    assert any(finding.file == name and abs(finding.line - line) <= 1 for finding in report.findings)
    assert judged({**files, name: bytes(changed)}, heads[-1:]).tampered


def test_every_single_bit_of_a_small_log_matters(tmp_path):
    written(tmp_path, 1)
    (path,) = tmp_path.iterdir()
    data = path.read_bytes()
    for bit in range(len(data) * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        assert not verify(path, KEY).intact, bit


def test_any_dropped_line_is_found(log):
    files, heads = log
    for name, index in places(files):
        lines = split(files)
        del lines[name][index]
        report = judged(joined(lines), heads[-1:])
        assert report.tampered, (name, index)
        last = (name, index) == places(files)[-1]
        assert judged(joined(lines)).intact == last  # which only a head can tell


def test_any_duplicated_line_is_found_wherever_it_is_put(log):
    files, _ = log
    for name, index in places(files):
        for at, position in places(files):
            lines = split(files)
            lines[at].insert(position + 1, lines[name][index])
            assert judged(joined(lines)).tampered, (name, index, at, position)


def test_any_two_swapped_lines_are_found(log):
    files, _ = log
    everywhere = places(files)
    for first, (a, i) in enumerate(everywhere):
        for b, j in everywhere[first + 1 :]:
            lines = split(files)
            lines[a][i], lines[b][j] = lines[b][j], lines[a][i]
            assert judged(joined(lines)).tampered, (a, i, b, j)


@given(st.data())
@settings(max_examples=200)
def test_any_reordering_is_found(log, data):
    files, _ = log
    name = data.draw(st.sampled_from(sorted(files)))
    lines = split(files)
    shuffled = data.draw(st.permutations(lines[name]))
    report = judged({**files, name: b"".join(shuffled)})
    assert report.intact == (shuffled == lines[name])


def test_a_line_of_another_chain_is_found_wherever_it_is_put(log, other):
    files, _ = log
    ((_, data),) = other.items()
    for foreign in data.splitlines(keepends=True):
        for name, index in places(files):
            lines = split(files)
            lines[name].insert(index, foreign)
            report = judged(joined(lines))
            found = next(finding for finding in report.findings if finding.kind == "foreign")
            assert (found.file, found.line) == (name, index + 1)
            lines[name][index + 1 : index + 2] = []
            assert judged(joined(lines)).tampered


@given(st.data())
def test_a_forged_line_is_found_wherever_it_is_put(log, data):
    files, _ = log
    name, index = data.draw(st.sampled_from(places(files)))
    lines = split(files)
    forged, _ = next_line(Head("f" * 32, 3, "e" * 64), "end", {}, "t", AuditKey(b"another key of 32 bytes or more."))
    junk = data.draw(
        st.sampled_from([forged, b"\n", b"{}\n", b"\xff\xfe\n", b"[" * 5000 + b"\n"])
        | st.binary().map(lambda b: b + b"\n")
    )
    lines[name].insert(index, junk)
    report = judged(joined(lines))
    assert report.tampered
    assert any((finding.file, finding.line) == (name, index + 1) for finding in report.findings)


def test_any_cut_is_found_against_the_head(log):
    files, heads = log
    names = list(files)
    for number, name in enumerate(names):
        for size in range(0, len(files[name]), 37):
            cut = {**{before: files[before] for before in names[:number]}, name: files[name][:size]}
            assert judged(cut, heads[-1:]).tampered, (name, size)


def test_a_cut_between_lines_is_found_against_the_head_alone_and_the_report_says_so(log):
    files, heads = log
    name, lines = list(split(files).items())[-1]
    cut = with_lines(files, name, lines[:-1])
    without = judged(cut)
    assert without.intact
    assert "cannot be told" in str(without)
    against = judged(cut, heads[-1:])
    assert kinds(against) == {"cut off"}
    assert str(heads[-1].sequence) in str(against)


def test_lines_behind_the_latest_head_may_be_cut_and_the_report_says_so(log):
    files, heads = log
    name, lines = list(split(files).items())[-1]
    report = judged(with_lines(files, name, lines[:-1]), heads[-2:-1])
    assert report.intact
    assert f"up to {heads[-2].sequence}; whether lines were cut off after" in report.chains[0].tail


def test_a_torn_tail_is_told_from_tampering(log):
    files, heads = log
    name = list(files)[-1]
    lines = files[name].splitlines(keepends=True)
    last = lines[-1]
    for size in range(1, len(last)):
        torn = with_lines(files, name, [*lines[:-1], last[:size]])
        report = judged(torn, heads[-2:-1])
        assert [(finding.kind, finding.file, finding.line) for finding in report.findings] == [
            ("torn tail", name, len(lines))
        ]
        assert not report.tampered
        assert not report.intact
        assert judged(torn, heads[-1:]).tampered


def test_a_crash_while_a_file_begins_is_a_torn_tail(log):
    files, _ = log
    *before, last = files
    for data in (b"", files[last][:20]):
        torn = {**{name: files[name] for name in before}, last: data}
        report = judged(torn)
        assert kinds(report) == {"torn tail"}
    assert kinds(judged({before[0]: b""})) == {"torn tail"}


def test_a_torn_line_before_the_last_file_is_tampering(log):
    files, _ = log
    for name in list(files)[:-1]:
        assert judged({**files, name: files[name][:-5]}).tampered
        assert judged({**files, name: files[name][:-1]}).tampered
        assert judged({**files, name: b""}).tampered


def test_a_missing_file_is_found(log):
    files, heads = log
    for name in files:
        left = {other: data for other, data in files.items() if other != name}
        report = judged(left, heads[-1:])
        assert report.tampered
        assert kinds(judged(left)) == ({"missing"} if name != list(files)[-1] else set())
        following = str(FileName.parse(name).following)
        if following in files:
            assert any(finding.file == following and finding.line is None for finding in report.findings)


def test_two_swapped_files_are_found(log):
    files, _ = log
    names = list(files)
    for first, a in enumerate(names):
        for b in names[first + 1 :]:
            assert judged({**files, a: files[b], b: files[a]}).tampered


def test_a_renamed_file_is_found(log):
    files, _ = log
    for name in files:
        parsed = FileName.parse(name)
        left = {other: data for other, data in files.items() if other != name}
        for renamed in (
            FileName("20250101T000000.000000Z", parsed.chain, parsed.pid, parsed.part),
            FileName(parsed.start, "0" * 32, parsed.pid, parsed.part),
            FileName(parsed.start, parsed.chain, parsed.pid + 1, parsed.part),
            FileName(parsed.start, parsed.chain, parsed.pid, parsed.part + 10),
            "renamed.jsonl",
        ):
            assert judged({**left, str(renamed): files[name]}).tampered, str(renamed)


def test_two_joined_files_are_found(log):
    files, heads = log
    for first, second in pairwise(files):
        others = {name: data for name, data in files.items() if name != second}
        for data in (files[first] + files[second], files[second] + files[first]):
            report = judged({**others, first: data}, heads[-1:])
            assert "misplaced" in kinds(report)


def test_a_copied_file_is_found(log, tmp_path):
    files, heads = log
    (tmp_path / "more").mkdir()
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    twin = tmp_path / "more" / next(iter(files))
    twin.write_bytes(files[twin.name])
    assert verify(tmp_path, KEY, heads).intact
    (finding,) = verify([tmp_path, twin], KEY).findings
    assert (finding.kind, finding.file, finding.line) == ("out of order", twin.name, None)


def test_a_whole_chain_is_missed_only_where_a_head_lists_it(log, other):
    files, heads = log
    assert judged({**files, **other}, heads[-1:]).intact
    assert judged(other).intact
    report = judged(other, heads[-1:])
    assert kinds(report) == {"missing"}
    assert heads[-1].chain in str(report)


def test_another_line_under_the_same_number_is_found_against_the_head(log):
    files, heads = log
    for head in heads:
        forged = Head(head.chain, head.sequence, "0" * 64)
        assert kinds(judged(files, [forged])) == {"changed"}


def test_the_wrong_key_is_said_once_a_file(log):
    files, _ = log
    with folder_of(files) as folder:
        report = verify(folder, b"x" * 32)
    assert [(finding.kind, finding.file, finding.line) for finding in report.findings] == [
        ("wrong key", name, 1) for name in files
    ]
    assert "nothing can be told" in str(report)


def test_a_changed_first_line_is_not_taken_for_the_wrong_key(log):
    files, _ = log
    name, lines = next(iter(split(files).items()))
    lines[0] = lines[0].replace(b"start", b"stort")
    report = judged(with_lines(files, name, lines))
    assert "wrong key" not in kinds(report)
    assert [(finding.file, finding.line) for finding in report.findings if finding.kind == "changed"] == [(name, 1)]


def test_lines_in_their_place_are_not_blamed_for_those_that_are_not(tmp_path):
    written(tmp_path, 20)
    (path,) = tmp_path.iterdir()
    lines = path.read_bytes().splitlines(keepends=True)
    lines[4], lines[15] = lines[15], lines[4]
    report = judged({path.name: b"".join(lines)})
    assert {finding.line for finding in report.findings} <= {5, 6, 16, 17}


def test_two_histories_of_one_chain_cannot_be_mixed_even_where_each_verifies(tmp_path):
    written(tmp_path, 2)
    (path,) = tmp_path.iterdir()
    first, _, third = path.read_bytes().splitlines(keepends=True)
    start = json.loads(first)
    twin, _ = next_line(Head(start["chain"], 0, start["mac"]), "end", {"another": "history"}, start["time"], KEY)
    assert judged({path.name: first + twin}).intact
    report = judged({path.name: first + twin + third})
    assert [(finding.kind, finding.line) for finding in report.findings] == [("changed", 3)]


def test_findings_name_the_file_and_the_line(log):
    files, _ = log
    name, lines = list(split(files).items())[1]
    lines[2] = lines[2].replace(b'"number"', b'"nomber"')
    report = judged(with_lines(files, name, lines))
    assert [(finding.kind, finding.file, finding.line) for finding in report.findings] == [("changed", name, 3)]
    assert str(report).startswith(f"{name}:3: changed: ")


def test_findings_hold_nothing_of_a_payload(tmp_path):
    with opened(tmp_path, prompts="clear") as log:
        log.append("end", {"text": "canary"})
        path = log.path
    path.write_bytes(path.read_bytes().replace(b"canary", b"kanary"))
    assert "anary" not in str(verify(tmp_path, KEY))


def test_an_empty_folder_is_no_clean_log(tmp_path):
    assert kinds(verify(tmp_path, KEY)) == {"missing"}
    with pytest.raises(AuditError, match="cannot be read"):
        verify(tmp_path / "nowhere", KEY)


def test_a_folder_a_file_and_files_can_be_given(tmp_path):
    head = written(tmp_path, 3)[-1]
    (path,) = tmp_path.iterdir()
    (tmp_path / "README").write_text("not a log")
    for logs in (tmp_path, str(tmp_path), path, [path], [str(path), path]):
        assert verify(logs, KEY, [head]).intact


def test_links_pipes_and_folders_are_unreadable_and_not_waited_for(log, tmp_path):
    names = list(log[0])
    os.mkfifo(tmp_path / names[0])
    (tmp_path / names[1]).symlink_to("/dev/zero")
    (tmp_path / names[2]).mkdir()
    (tmp_path / "elsewhere").write_bytes(log[0][names[3]])
    (tmp_path / names[3]).symlink_to(tmp_path / "elsewhere")
    assert [finding.kind for finding in verify(tmp_path, KEY).findings] == ["unreadable"] * 4


def test_names_that_would_play_with_a_terminal_are_shown_escaped(tmp_path):
    (tmp_path / "\x1b[31maudit.jsonl").write_bytes(b"")
    report = verify(tmp_path, KEY)
    assert kinds(report) == {"misplaced", "missing"}
    assert "\x1b" not in str(report)


@given(st.binary(max_size=400))
def test_whatever_a_file_holds_the_reader_says_what_is_wrong(data):
    name = str(FileName("20260101T000000.000000Z", "a" * 32, 1))
    report = judged({name: data})
    assert not report.intact


def test_lines_without_end_take_bounded_memory(log, monkeypatch):
    monkeypatch.setattr(raw_line_module, "MAX_LINE_BYTES", 10_000)
    files, _ = log
    name, lines = next(iter(split(files).items()))
    lines.insert(1, b"x" * 30_000_000 + b"\n")
    with folder_of(with_lines(files, name, lines)) as folder:
        del lines
        tracemalloc.start()
        report = verify(folder, KEY)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert [(finding.kind, finding.file, finding.line) for finding in report.findings] == [("changed", name, 2)]
    assert peak < 5_000_000


def test_memory_does_not_grow_with_the_log(tmp_path):
    def peak(events):
        folder = tmp_path / str(events)
        head = written(folder, events)[-1]
        tracemalloc.start()
        assert verify(folder, KEY, [head]).intact
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    peak(100)
    assert peak(4000) < peak(200) + 100_000


def test_findings_are_bounded_and_counted(tmp_path):
    written(tmp_path, 1)
    (path,) = tmp_path.iterdir()
    first, last = path.read_bytes().splitlines(keepends=True)
    for data in (first + b"x\n" * 5000 + last, b"x\n" * 5000 + last):
        path.write_bytes(data)
        report = verify(tmp_path, KEY)
        assert len(report.findings) == Findings().limit
        assert len(report.findings) + report.omitted >= 5000
        assert "more findings" in str(report)


def test_a_log_of_another_version_is_not_read_as_this_one(tmp_path):
    written(tmp_path, 0)
    (path,) = tmp_path.iterdir()
    fields = json.loads(path.read_bytes())
    del fields["mac"]
    body = json.dumps({**fields, "version": 2}, sort_keys=True, separators=(",", ":")).encode()
    path.write_bytes(body[:-1] + b',"mac":"' + KEY.mac(body).encode() + b'"}\n')
    assert not verify(tmp_path, KEY).intact
