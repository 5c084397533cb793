from dataclasses import replace

from proxyctl.plan.planner import make_plan
from proxyctl.plan.steps import (
    PutCertificate,
    PutMapEntry,
    Reload,
    RemoveCertificate,
    ServeCertificate,
    WriteFiles,
)
from proxyctl.state.certificates import DEFAULT
from tests.fakes.keyring import FakeKeyring, offer
from tests.pipeline import decided, pod, running

TLS = """
[entrypoints.websecure]
bind = [":443"]
tls = true
"""
POD = pod("a", host="a.test", port="80")


def decide(*offers, pods=(POD,)):
    keyring = FakeKeyring.of(*offers)
    keyring.provide([""])
    return decided(*pods, text=TLS, keyring=keyring)


def steps(before, after):
    plan = make_plan(after.desired, after.rendered, running(before))
    return [step for step in plan.steps if not isinstance(step, WriteFiles)]


def test_nothing_is_done_where_everything_is_loaded():
    made = decide(offer("a.test"))

    assert make_plan(made.desired, made.rendered, running(made)).steps == ()


def test_a_new_certificate_is_loaded_and_served_before_the_entry_of_its_host():
    before = decide(offer("a.test"), pods=(pod("a", host="z.test", port="80"),))
    after = decide(offer("a.test"), offer("b.test"), pods=(pod("a", host="b.test", port="80"),))

    found = steps(before, after)

    kinds = [type(step) for step in found]
    assert kinds.index(ServeCertificate) < kinds.index(PutMapEntry)
    assert kinds.index(PutCertificate) < kinds.index(ServeCertificate)
    assert kinds[-1] is RemoveCertificate  # of z.test, which was made for it
    assert Reload not in kinds


def test_a_renewed_one_is_replaced_and_nothing_else():
    before, after = decide(offer("a.test")), decide(offer("a.test", seed="renewed"))

    (one,) = [c for c in after.desired.certificates if c.name == "a.test"]
    assert steps(before, after) == [PutCertificate(one)]


def test_another_chain_of_the_same_certificate_is_loaded():
    made = decide(offer("a.test"))
    there = running(made)
    short = replace(there.certificates["a.test"], chain=3)
    there = replace(there, certificates={**there.certificates, "a.test": short})

    (one,) = [c for c in made.desired.certificates if c.name == "a.test"]
    assert make_plan(made.desired, made.rendered, there).steps == (PutCertificate(one),)


def test_names_change_without_loading_anything():
    before = decide(offer("a.test", "a.test", "b.test"))
    after = decide(offer("a.test", "a.test", "b.test"), offer("b.test", days=200))

    assert ServeCertificate("certs/a.test.pem", ("a.test",)) in steps(before, after)


def test_a_removed_one_is_forgotten_last_and_the_default_one_never():
    before, after = decide(offer("a.test"), offer("b.test")), decide(offer("a.test"))
    strange = running(before)

    assert steps(before, after) == [RemoveCertificate("certs/b.test.pem")]
    without = replace(after.desired, certificates=after.desired.certificates[1:])
    plan = make_plan(without, after.rendered, strange)
    assert RemoveCertificate(f"certs/{DEFAULT}.pem") not in plan.steps


def test_somebodys_own_change_is_taken_back():
    made = decide(offer("a.test"))
    there = running(made)
    for strange in (
        replace(there.certificates["a.test"], fingerprint="00"),
        replace(there.certificates["a.test"], hosts=None),
        replace(there.certificates["a.test"], hosts=("other.test",)),
    ):
        drifted = replace(there, certificates={**there.certificates, "a.test": strange})

        assert make_plan(made.desired, made.rendered, drifted).cost == "runtime"


def test_one_that_is_too_big_for_a_command_needs_a_reload():
    big = offer("a.test", seed="new")
    big = replace(big, pair=replace(big.pair, pem=big.pair.pem + "A" * 15_000))

    found = steps(decide(offer("a.test")), decide(big))

    assert found == [Reload(("certs/a.test.pem is too big for a command",))]


def test_where_no_list_is_loaded_there_is_nothing_to_change():
    made = decide(offer("a.test"))
    there = replace(running(made), certificates=None)

    assert make_plan(made.desired, made.rendered, there).steps == ()
