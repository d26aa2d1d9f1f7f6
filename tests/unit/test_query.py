"""The query language: what a text means, and what is said about one that means nothing."""

from __future__ import annotations

from datetime import datetime

import pytest

from backends.query import (
    DATASET_FIELDS,
    JOURNAL_FIELDS,
    MODEL_FIELDS,
    MONITOR_FIELDS,
    RUN_FIELDS,
    And,
    Compare,
    Has,
    In,
    Key,
    Not,
    Or,
    Order,
    Query,
    QueryError,
    Text,
    parse,
    parse_order,
)

NOW = 1_800_000_000_000
AUC = Key("metric", "auc")
STATUS = Key("attribute", "status")
FINISHED = Compare(STATUS, "=", "finished")
GOOD = Compare(AUC, ">", 0.7)


def where(text, fields=RUN_FIELDS):
    return parse(text, fields, now=NOW).where


@pytest.mark.parametrize("text", ["", "   ", "\n\t"])
def test_nothing_is_everything(text):
    assert parse(text, RUN_FIELDS) == Query()


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("status = finished", FINISHED),
        ("status=finished", FINISHED),
        ("STATUS == FINISHED", FINISHED),
        ("status <> finished", Compare(STATUS, "!=", "finished")),
        ("metrics.auc > 0.7", GOOD),
        ("metric.auc>.7", GOOD),
        ("metrics.auc >= -1e-3", Compare(AUC, ">=", -0.001)),
        ("metrics.auc < inf", Compare(AUC, "<", float("inf"))),
        ("metrics.train.auc > 0.7", Compare(Key("metric", "train.auc"), ">", 0.7)),
        ("metrics.val/loss-2 > 0.7", Compare(Key("metric", "val/loss-2"), ">", 0.7)),
        ('metrics."a b" > 0.7', Compare(Key("metric", "a b"), ">", 0.7)),
        ("metrics.`it``s` > 0.7", Compare(Key("metric", "it`s"), ">", 0.7)),
        ("params.lr = 0.1", Compare(Key("param", "lr"), "=", 0.1)),
        ("params.lr = '0.1'", Compare(Key("param", "lr"), "=", "0.1")),
        ("params.lr >= '0.1'", Compare(Key("param", "lr"), ">=", 0.1)),
        ("params.name ~ it's", Compare(Key("param", "name"), "~", "it's")),
        ("tags.team !~ 'a ''b'''", Compare(Key("tag", "team"), "!~", "a 'b'")),
        ("name like 'ch%'", Compare(Key("attribute", "name"), "like", "ch%")),
        ("name not like 'ch%'", Not(Compare(Key("attribute", "name"), "like", "ch%"))),
        ("status in (failed, LOST)", In(STATUS, ("failed", "lost"))),
        ("status not in (failed)", In(STATUS, ("failed",), negated=True)),
        ("params.lr in (0.1, '0.2')", In(Key("param", "lr"), (0.1, "0.2"))),
        ("has:metrics.auc", Has(AUC)),
        ("has:metrics.`a b`", Has(Key("metric", "a b"))),
        ("has:note", Has(Key("attribute", "note"))),
        ("tags.x is null", Not(Has(Key("tag", "x")))),
        ("tags.x IS NOT NULL", Has(Key("tag", "x"))),
        ("deleted = yes", Compare(Key("attribute", "deleted"), "=", True)),
        ("duration > 10m", Compare(Key("attribute", "duration"), ">", 600.0)),
        ("dataset = flights@4", Compare(Key("dataset", "ref"), "=", "flights@4")),
        ("dataset = flights", Compare(Key("dataset", "name"), "=", "flights")),
        ("dataset.digest = 'd1'", Compare(Key("dataset", "digest"), "=", "d1")),
        ("churn", Text("churn")),
        ("'two words'", Text("two words")),
        ("like", None),
        ("flights-hgb", Text("flights-hgb")),
        ("status", Text("status")),
        ("metrics.auc > 0.7 and status = finished", And((GOOD, FINISHED))),
        ("metrics.auc > 0.7 status = finished", And((GOOD, FINISHED))),
        ("a b or c", Or((And((Text("a"), Text("b"))), Text("c")))),
        ("a and (b or c)", And((Text("a"), Or((Text("b"), Text("c")))))),
        ("a and (b and c)", And((Text("a"), Text("b"), Text("c")))),
        ("not a and b", And((Not(Text("a")), Text("b")))),
        ("not (a or b)", Not(Or((Text("a"), Text("b"))))),
        ("not not a", Not(Not(Text("a")))),
    ],
)
def test_a_condition_is_read_as_a_person_means_it(text, tree):
    if tree is None:
        with pytest.raises(QueryError, match="quote the word"):
            where(text)
    else:
        assert where(text) == tree


def test_order_stands_behind_the_condition_or_alone():
    order = (Order(AUC, descending=True), Order(Key("attribute", "created")))
    assert parse("status = finished order by metrics.auc DESC, created asc", RUN_FIELDS) == Query(FINISHED, order)
    assert parse("order by metrics.auc desc, created", RUN_FIELDS) == Query(None, order)
    assert parse_order("metrics.auc DESC, created", RUN_FIELDS) == order


def test_ages_count_back_from_now():
    assert where("created > 7d") == Compare(Key("attribute", "created"), ">", NOW - 7 * 86_400_000)
    assert where("created < 90m") == Compare(Key("attribute", "created"), "<", NOW - 90 * 60_000)


def test_times_are_local_unless_they_say_otherwise():
    def created(text):
        return where(f"created > {text}").value

    assert created("2026-11-01T10:00:00Z") == 1_793_527_200_000
    assert created("1664067852747") == 1_664_067_852_747
    assert created("2026-11-01") == round(datetime(2026, 11, 1).astimezone().timestamp() * 1000)
    assert created("'2026-11-01 10:30'") == round(datetime(2026, 11, 1, 10, 30).astimezone().timestamp() * 1000)
    assert created("2026") == round(datetime(2026, 1, 1).astimezone().timestamp() * 1000)


def test_equal_to_a_date_is_within_that_day():
    tree = where("created = 2026-11-01")
    low, high = (part.value for part in tree.nodes)
    assert [part.op for part in tree.nodes] == [">=", "<"]
    assert datetime.fromtimestamp(low / 1000) == datetime(2026, 11, 1)
    assert datetime.fromtimestamp(high / 1000) == datetime(2026, 11, 2)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        # The filters of MLflow's "Search Runs" page and of reference clients, as written there.
        ("metrics.rmse < 1", Compare(Key("metric", "rmse"), "<", 1.0)),
        (
            'metrics.rmse < 1 and params.model = "tree"',
            And((Compare(Key("metric", "rmse"), "<", 1.0), Compare(Key("param", "model"), "=", "tree"))),
        ),
        ("params.model LIKE 'GPT%'", Compare(Key("param", "model"), "like", "GPT%")),
        ("params.model ILIKE '%gpt%'", Compare(Key("param", "model"), "ilike", "%gpt%")),
        (
            "metrics.\"cross-entropy loss\" < 0.5 and params.`learning rate` != '0.01'",
            And(
                (
                    Compare(Key("metric", "cross-entropy loss"), "<", 0.5),
                    Compare(Key("param", "learning rate"), "!=", "0.01"),
                )
            ),
        ),
        ("metrics.`a b/c` = 1", Compare(Key("metric", "a b/c"), "=", 1.0)),
        ("params.`model_type` = 'x'", Compare(Key("param", "model_type"), "=", "x")),
        ('attributes.status = "ACTIVE"', None),
        ("attributes.status='FINISHED'", FINISHED),
        ("attribute.status != 'KILLED'", Compare(STATUS, "!=", "stopped")),
        ("attr.`status` = 'SCHEDULED'", Compare(STATUS, "=", "queued")),
        ("run.status IN ('FINISHED', 'FAILED')", In(STATUS, ("finished", "failed"))),
        ("attributes.run_id IN ('a450a81a', 'dc8a6b1f')", In(Key("attribute", "id"), ("a450a81a", "dc8a6b1f"))),
        ("run_id NOT IN ('a')", In(Key("attribute", "id"), ("a",), negated=True)),
        ('attributes.run_name = "my-run"', Compare(Key("attribute", "name"), "=", "my-run")),
        ("`run name` ILIKE '%x%'", Compare(Key("attribute", "name"), "ilike", "%x%")),
        ("attributes.start_time >= 1664067852747", Compare(Key("attribute", "started"), ">=", 1_664_067_852_747)),
        ("attributes.`end_time` < 1664067852747", Compare(Key("attribute", "ended"), "<", 1_664_067_852_747)),
        ("attributes.user_id = 'user1'", Compare(Key("attribute", "user"), "=", "user1")),
        (
            "tags.mlflow.source.type = 'NOTEBOOK'",
            Compare(Key("tag", "mlflow.source.type"), "=", "NOTEBOOK"),
        ),
        ("tags.`mlflow.parentRunId` = 'abc'", Compare(Key("tag", "mlflow.parentRunId"), "=", "abc")),
        ("tag.`mlflow.user` ILIKE 'U%'", Compare(Key("tag", "mlflow.user"), "ilike", "U%")),
        (
            "dataset.name='x' AND dataset.digest='d1'",
            And((Compare(Key("dataset", "name"), "=", "x"), Compare(Key("dataset", "digest"), "=", "d1"))),
        ),
        ("datasets.context = 'training'", Compare(Key("dataset", "context"), "=", "training")),
        (
            "metrics.auc > 0.5 and params.lr != '7' and attributes.status='FINISHED' and tags.git='abc'",
            And(
                (
                    Compare(AUC, ">", 0.5),
                    Compare(Key("param", "lr"), "!=", "7"),
                    FINISHED,
                    Compare(Key("tag", "git"), "=", "abc"),
                )
            ),
        ),
    ],
)
def test_a_pasted_mlflow_filter_means_the_same(text, tree):
    if tree is None:
        with pytest.raises(QueryError, match="unknown status"):
            where(text)  # no run of MLflow has that status either
    else:
        assert where(text) == tree


@pytest.mark.parametrize("text", ["name = 'churn'", "name LIKE 'ch%' and tags.`team` = 'a'", "name ILIKE '%x%'"])
def test_a_pasted_mlflow_model_filter_is_read(text):
    assert where(text, MODEL_FIELDS) is not None


def test_mlflow_orders_are_read():
    assert parse_order("metrics.auc DESC", RUN_FIELDS) == (Order(AUC, True),)
    assert parse_order("attributes.start_time ASC, params.`a b`", RUN_FIELDS) == (
        Order(Key("attribute", "started")),
        Order(Key("param", "a b")),
    )


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ("statsu = x", 0, "unknown attribute 'statsu' at character 1; did you mean status?"),
        ("a and statsu = x", 6, "at character 7; did you mean status?"),
        ("metrcs.auc > 1", 0, "did you mean metrics.?"),
        ("lr = 3", 0, "params.lr"),
        ("status = finsihed", 9, "did you mean finished?"),
        ("metrics.auc > good", 14, "'good' is no number"),
        ("metrics.auc > nan", 14, "use has:"),
        ("metrics.auc ~ 3", 12, "knows no '~'"),
        ("metrics.auc >", 13, "found the end"),
        ("metrics. > 3", 8, "names nothing"),
        ("name < x", 5, "knows no '<'"),
        ("params.lr > high", 12, "needs a number"),
        ("created > soon", 10, "is no time"),
        ("created > 99999999999999999999", 10, "is no time"),
        ("deleted = maybe", 10, "neither true nor false"),
        ("artifact_uri = 'x'", 0, "use id or name"),
        ("(a", 0, "'(' is not closed"),
        ("a)", 1, "closes nothing"),
        ("a or", 4, "found the end"),
        ("and a", 0, "expected a condition"),
        ("name = 'x", 7, "a quotation is not closed"),
        ("status in failed", 10, "expected '(' after in"),
        ("status in (failed", 10, "'(' is not closed"),
        ("status in ()", 11, "expected a value"),
        ("status:failed", 0, "write status = failed"),
        ("a = b = c", 0, "unknown attribute"),
        ("name = b = c", 9, "found '='"),
        ("order by", 8, "found the end"),
        ("order by dataset.name", 9, "give no order"),
        ("order by name, ", 15, "found the end"),
        ("order by name desc asc", 19, "unexpected 'asc'"),
        ("dataset.nmae = x", 8, "did you mean name?"),
        ("name = a\0b", 8, "U+0000"),
        ("''", 0, "nothing is quoted"),
        ("has:", 4, "names nothing"),
    ],
)
def test_an_error_points_at_the_character_and_says_what_to_do(text, position, says):
    with pytest.raises(QueryError) as caught:
        parse(text, RUN_FIELDS)
    assert says in caught.value.summary
    assert caught.value.position == position
    assert f"at character {position + 1}" in caught.value.message
    caret = str(caught.value).splitlines()[-1]
    assert caret == " " * (position + 2) + "^"


def test_the_caret_stands_under_wide_and_combining_characters_too():
    with pytest.raises(QueryError) as caught:
        parse("name = '日本' and statsu = x", RUN_FIELDS)
    shown, caret = str(caught.value).splitlines()[1:]
    cells = sum(2 if character in "日本" else 1 for character in shown[: shown.index("statsu")])
    assert caret.index("^") == cells


@pytest.mark.parametrize(
    "text",
    [
        "(" * 100_000,
        "not " * 4_000,
        " or ".join("a" * 1 for _ in range(2_000)),
        "(" * 60 + "a" + ")" * 60,
        "x" * 30_000,
    ],
)
def test_an_enormous_query_is_refused_and_not_crashed_on(text):
    with pytest.raises(QueryError):
        parse(text, RUN_FIELDS)


def test_every_noun_has_its_own_attributes():
    assert where("rows > 1000", DATASET_FIELDS) == Compare(Key("attribute", "rows"), ">", 1000.0)
    assert where("alias.champion = 7", MODEL_FIELDS) == Compare(Key("alias", "champion"), "=", "7")
    assert where("who = user1 and undone = false", JOURNAL_FIELDS) == And(
        (Compare(Key("attribute", "actor"), "=", "user1"), Compare(Key("attribute", "undone"), "=", False))
    )
    assert where("state = firing or state = 'no data'", MONITOR_FIELDS) is not None
    with pytest.raises(QueryError, match=r"unknown key 'metrics\.auc'"):
        where("metrics.auc > 1", DATASET_FIELDS)
