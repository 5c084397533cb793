"""What of a request reaches a pod: asked of a real HAProxy that runs our templates."""

import pytest
from rendered import answering

from tests.pipeline import pod

pytestmark = pytest.mark.contract

STRIPPING = {"host": "a.test", "port": "80", "strip-prefix": "true"}


@pytest.mark.parametrize(
    ("sent", "arrives"),
    [
        ("/st/rip", "/"),
        ("/st/rip/", "/"),
        ("/st/rip/a/b?q=%2f", "/a/b"),
        ("//st///rip//a//b", "/a//b"),
        ("/%73t/r%69p/a", "/a"),
        ("/st/rip/group%2Fproject/%2f", "/group%2Fproject/%2f"),
    ],
)
def test_exactly_the_prefix_is_stripped(tmp_path, sent, arrives):
    with answering(tmp_path, pod("deep", path="/st/rip", **STRIPPING)) as haproxy:
        assert haproxy.ask("a.test", sent) == (200, "deep", arrives)


@pytest.mark.parametrize(
    "sent",
    ["/st%2frip/a", "/st%2Frip", "/st/rip%2fa", "/%2fst/rip/a", "/%2f/st/rip", "/st/%2frip"],
)
def test_a_prefix_with_an_encoded_slash_is_refused_where_it_would_be_stripped(tmp_path, sent):
    plain = {"host": "b.test", "port": "80"}
    pods = pod("deep", path="/st/rip", **STRIPPING), pod("plain", path="/st/rip", **plain)
    with answering(tmp_path, *pods) as haproxy:
        assert haproxy.ask("a.test", sent)[0] == 400
        assert haproxy.ask("b.test", sent) == (200, "plain", sent)


@pytest.mark.parametrize(
    "name",
    [
        "X_Forwarded_For",
        "x-forwarded_for",
        "X_FORWARDED-PROTO",
        "X.Forwarded.For",
        "X_Forwarded_X",
    ],
)
@pytest.mark.parametrize("trusted", [False, True])
def test_a_header_that_cgi_reads_as_x_forwarded_reaches_no_pod(tmp_path, name, trusted):
    settings = 'trusted-proxies = ["127.0.0.1/32"]\n' if trusted else ""
    tell = f"%[req.hdr({name})]|%[req.hdr(X-Forwarded-Forx)]|%[req.hdr(X_Other)]"
    sent = {name: "evil", "X-Forwarded-Forx": "as said", "X_Other": "free"}
    pods = pod("a", host="a.test", port="80")
    with answering(tmp_path, pods, tell=tell, settings=settings) as haproxy:
        assert haproxy.ask("a.test", "/", sent)[2] == f"|{'as said' if trusted else ''}|free"


@pytest.mark.parametrize(
    "name", ["Client-Cert", "client-cert", "Client-Cert-Chain", "Client_Cert"]
)
@pytest.mark.parametrize("trusted", [False, True])
def test_nobody_says_that_he_has_a_certificate_but_a_trusted_proxy(tmp_path, name, trusted):
    settings = 'trusted-proxies = ["127.0.0.1/32"]\n' if trusted else ""
    sent = {name: "mine", "Client-Certainty": "free", "X-Client-Cert": "free"}
    pods = pod("a", host="a.test", port="80")
    tell = f"%[req.hdr({name})]|%[req.hdr(X-Client-Cert)]"
    with answering(tmp_path, pods, tell=tell, settings=settings) as haproxy:
        kept = trusted and "_" not in name
        assert haproxy.ask("a.test", "/", sent)[2] == f"{'mine' if kept else ''}|free"
