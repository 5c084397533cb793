from proxyctl.recent import Recent


def test_a_function_is_called_again_only_for_other_arguments() -> None:
    calls = []

    def double(number: int) -> int:
        calls.append(number)
        return 2 * number

    recent = Recent()
    assert [recent.of("a", (n,), double) for n in (1, 1, 2, 1)] == [2, 2, 4, 2]
    assert calls == [1, 2, 1]


def test_keys_do_not_share_results() -> None:
    recent = Recent()
    assert recent.of("a", (1,), str) == "1"
    assert recent.of("b", (1,), float) == 1.0


def test_what_was_not_asked_for_in_a_whole_turn_is_forgotten() -> None:
    calls = []
    recent = Recent()
    for asked in (True, True, False, False, True):
        recent.turn()
        if asked:
            recent.of("a", (1,), calls.append)
    assert calls == [1, 1]
