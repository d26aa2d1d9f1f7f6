"""A transform recipe says what it means, and where it is wrong."""

from __future__ import annotations

import pytest

from backends.contract import Invalid
from console.data.transform.grammar import Impute, Split
from console.data.transform.reading import parse_recipe

SPLIT = '[[step]]\ndo = "split"\n'


def test_a_recipe_is_its_steps_in_order() -> None:
    recipe = parse_recipe(
        'name = "prepare"\nlabels = ["y"]\n[[step]]\ndo = "impute"\ncolumns = ["x"]\nwith = "mean"\n'
        '[[step]]\ndo = "drop"\ncolumns = ["z"]\n',
        "r.toml",
    )
    assert recipe.name == "prepare"
    assert recipe.labels == ("y",)
    assert [step.do for step in recipe.steps] == ["impute", "drop"]
    assert recipe.steps[0] == Impute(columns=("x",), with_="mean")


def test_a_split_gives_three_quarters_to_training_unless_told_otherwise() -> None:
    step = parse_recipe(SPLIT, "r.toml").split
    assert isinstance(step, Split)
    assert step.parts == {"train": 0.75, "test": 0.25}
    assert step.fit_part == "train"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[step]]\ndo = "imput"\n', "r.toml:2: step 1 do = 'imput' is not a step; did you mean 'impute'?"),
        ('[[step]]\ncolumns = ["x"]\n', "r.toml:1: step 1 says not what to do."),
        ('[[step]]\ndo = "impute"\ncolumn = "x"\n', "r.toml:3: 'column' is not a key of step 1 (impute); did you mean"),
        ('[[step]]\ndo = "impute"\n', "r.toml:1: step 1 (impute): has no columns, which it needs"),
        (
            '[[step]]\ndo = "impute"\ncolumns = "x"\nwith = "medan"\n',
            "r.toml:4: step 1 (impute): with: 'medan' is not known; did you mean 'median'?",
        ),
        ('[[step]]\ndo = "bucket"\ncolumns = "x"\nbins = 2.5\n', "r.toml:4: step 1 (bucket): bins: expected `int`"),
        (
            'stps = 1\n[[step]]\ndo="dedupe"\n',
            "r.toml:1: 'stps' is not a key of a transform recipe; did you mean 'step'?",
        ),
        ("[step\n", "r.toml:1"),
        ("", "the recipe has no step"),
        ('[[step]]\ndo = "clip"\ncolumns = "x"\n', "give low and high"),
        ('[[step]]\ndo = "clip"\ncolumns = "x"\nlow = 3\nhigh = 1\n', "low = 3 is above high = 1"),
        ('[[step]]\ndo = "bucket"\ncolumns = "x"\nedges = [0, 2, 1]\n', "each above the one before"),
        ('[[step]]\ndo = "impute"\ncolumns = "x"\nvalue = 1\n', 'goes with with = "constant"'),
        ('[[step]]\ndo = "sample"\n', "give share = 0.1"),
        ('[[step]]\ndo = "filter"\nwhere = "x"\nparts = ["train"]\n', "no split stands before it"),
        (SPLIT + '[[step]]\ndo = "filter"\nwhere = "x"\nparts = ["trian"]\n', "did you mean 'train'?"),
        (SPLIT + SPLIT, "one split is enough"),
        (SPLIT + "parts = { train = 0.5, test = 0.4 }\n", "the shares make 0.9 together"),
        (SPLIT + "parts = { train = 1.0 }\n", "names fewer than two parts"),
        (SPLIT + 'fit = "tran"\n', "did you mean 'train'?"),
        (SPLIT + 'by = "time"\n', "by = 'time' needs a column"),
        (SPLIT + 'parts = { "a/b" = 0.5, test = 0.5 }\n', "use letters, digits"),
    ],
)
def test_what_is_wrong_is_told_with_its_place_and_the_nearest_right_word(text: str, said: str) -> None:
    with pytest.raises(Invalid) as error:
        parse_recipe(text, "r.toml")
    assert said in str(error.value)


def test_a_step_that_learns_cannot_stand_before_the_split() -> None:
    with pytest.raises(Invalid, match=r"r\.toml:2: step 1 .standardise.: learns from the rows, and stands"):
        parse_recipe('[[step]]\ndo = "standardise"\ncolumns = "x"\n' + SPLIT, "r.toml")
    parse_recipe('[[step]]\ndo = "clip"\ncolumns = "x"\nlow = 0\n' + SPLIT, "r.toml")  # its bounds are given
