import pytest
from figures import NOTHING, middle, percentile, ratios, short, table, values


@pytest.mark.parametrize(
    ("part", "expected"), [(0.5, 50), (0.95, 95), (0.99, 99), (1, 100), (0, 1)]
)
def test_a_percentile_is_a_value_that_was_measured(part, expected):
    assert percentile(range(100, 0, -1), part) == expected


def test_a_percentile_of_few_values_is_the_worst():
    assert percentile([3.0, 9.0, 1.0], 0.95) == 9.0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (7, "7"), (7.0, "7"), (0.95, "0.95"), (0.5, "0.5"), (0.123, "0.12"),
        (12.34, "12.3"), (123.4, "123"), (17450.4, "17 450"), (-3.14159, "-3.14"),
    ],
)  # fmt: skip
def test_numbers_have_the_digits_that_mean_something(value, text):
    assert short(value) == text


def test_rows_without_a_figure_do_not_count():
    rows = [{"ms": 1}, {"ms": None}, {}, {"ms": 4}, {"ms": 2}]

    assert values(rows, "ms") == [1, 4, 2]
    assert middle(rows, "ms", 0.001) == 0.002
    assert middle([{}], "ms") is None


def round_of(number, per_second, routes=1):
    return {"round": number, "routes": routes, "per_second": per_second}


def test_a_ratio_is_of_neighbours_in_time():
    rows = {
        "static": [round_of(0, 100), round_of(1, 200), round_of(2, 1000)],
        "proxyctl": [round_of(0, 90), round_of(1, 100), round_of(2, 950)],
    }

    assert ratios(rows, "proxyctl", "per_second", 1) == 0.9
    assert ratios(rows, "static", "per_second", 1) == 1


def test_a_ratio_needs_a_round_that_both_have():
    rows = {
        "static": [round_of(0, 100), {"round": 1, "routes": 1, "error": "ended"}],
        "proxyctl": [round_of(1, 90), round_of(0, 80, routes=1000)],
    }

    assert ratios(rows, "proxyctl", "per_second", 1) is None
    assert ratios({"proxyctl": [round_of(0, 1)]}, "proxyctl", "per_second", 1) is None


def test_a_table_has_a_line_for_each_manager_and_for_each_error():
    rows = {
        "proxyctl": [
            {"first_answer_ms": 40, "failed_later": 1},
            {"first_answer_ms": None, "failed_later": 0},
            {"error": "it ended | so"},
        ],
        "shell": [{"error": "no answer"}],
    }

    head, dashes, *lines = table("new", rows, {"proxyctl": "us"})

    assert head == "| | median ms | p95 ms | never | failed later | runs |"
    assert dashes.count("---") == 6
    assert lines == [
        "| us | 40 | 40 | 1 | 1 | 2 |",
        "| | **it ended / so** |",
        "| shell | **failed** |",
        "| | **no answer** |",
    ]


def test_throughput_is_told_of_the_fewest_and_of_the_most_routes():
    def row(rate, routes):
        return {"round": 0, "routes": routes, "per_second": rate, "p99_ms": rate / 10}

    rows = {"static": [row(100, 1), row(100, 9)], "proxyctl": [row(95, 1), row(80, 9)]}

    assert (
        table("throughput", rows, {})[-1]
        == "| proxyctl | 95 | 0.95 | 0.95 | 80 | 0.80 | 0.80 | 9 |"
    )
    assert table("throughput", {"direct": [row(5, 1)]}, {})[-1].split(" | ")[2] == NOTHING
