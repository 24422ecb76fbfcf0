"""The exception a person may be shown."""

import json
from pathlib import Path

from core.errors import UserError, fill, sentence


def test_values_fill_message_and_hint() -> None:
    error = UserError("{file}, row {row}.", "Mend {file}.", file="a.csv", row=3)
    assert (error.message, error.hint, str(error)) == ("a.csv, row 3.", "Mend a.csv.", "a.csv, row 3. Mend a.csv.")


def test_braces_inside_a_value_stay() -> None:
    error = UserError("It said: {why}", why='{"a": {}} {b}')
    assert str(error) == 'It said: {"a": {}} {b}'
    assert sentence(error.as_dict()) == str(error)


def test_a_word_goes_with_its_number() -> None:
    text = "{count} {count:run|runs}, {share:.0%}"
    assert [fill(text, {"count": n, "share": 0.5}) for n in (0, 1, 2)] == ["0 runs, 50%", "1 run, 50%", "2 runs, 50%"]
    assert fill("{rows} {rows:row|rows}", {"rows": "1,000"}) == "1,000 rows"


def test_braces_in_a_text_without_values_stay() -> None:
    error = UserError("Wrap them.", 'Like [{"input": …}]')
    assert str(error) == 'Wrap them. Like [{"input": …}]'
    assert sentence(error.as_dict()) == str(error)


def test_a_message_without_a_hint_has_no_space_at_its_end() -> None:
    assert str(UserError("Gone.")) == "Gone."
    assert sentence(UserError("Gone.").as_dict()) == "Gone."


def test_kept_as_json_it_says_the_same() -> None:
    error = UserError("{path}: {count} of {share}", "Use {path}.", path=Path("/data/数据"), count=3, share=0.5)
    kept = json.loads(json.dumps(error.as_dict()))
    assert sentence(kept) == str(error) == "/data/数据: 3 of 0.5. Use /data/数据."
    assert kept["message"] == "{path}: {count} of {share}", "the template is kept, so that it can be translated"


def test_no_error_is_no_sentence() -> None:
    assert sentence(None) == ""
    assert sentence({}) == ""


def test_another_languages_template_takes_the_same_values() -> None:
    assert fill("第 {row} 行：{file}", {"file": "a.csv", "row": 3}) == "第 3 行：a.csv"
