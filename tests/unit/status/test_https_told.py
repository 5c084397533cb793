"""HTTPS, redirects and passthrough as `ls` and `explain` tell them."""

import pytest

from proxyctl.cli.layout_explain import explanation_text
from proxyctl.cli.output import Screen
from proxyctl.status.explain import explanation
from proxyctl.status.rows import rows
from proxyctl.status.view import View
from tests.pipeline import decided, pod, running, settings

TLS = """
[haproxy]
mode = "embedded"
[entrypoints.web]
bind = ["127.0.0.1:80"]
[entrypoints.websecure]
bind = [":8443"]
tls = true
"""
GITEA = pod("gitea", host="a.test", port="80",
            labels={"redirect-https": "yes", "redirect-from": "www.a.test"})  # fmt: skip
VAULT = pod("vault", "10.88.0.9", host="*.vault.test", port="8200", mode="passthrough")


@pytest.fixture
def seen():
    decision = decided(GITEA, VAULT, text=TLS)
    return View(
        time=0,
        started=0,
        version="1",
        settings=settings(TLS),
        workloads=(GITEA, VAULT),
        claims=decision.translation.claims,
        shares=decision.resolution.shares,
        desired=decision.desired,
        rendered=decision.rendered,
        running=running(decision),
    )


def told(seen, target):
    return explanation_text(Screen(), explanation(seen, target))


def test_rows_tell_urls_and_where_requests_are_sent(seen):
    found = {row["url"]: (row["status"], row["mode"], row["redirect"]) for row in rows(seen)}

    assert found == {
        "http://a.test/": ("UP", "http", "https://a.test:8443/"),
        "https://a.test:8443/": ("UP", "http", ""),
        "http://www.a.test/": ("REDIRECT", "http", "https://a.test:8443/"),
        "https://www.a.test:8443/": ("REDIRECT", "http", "https://a.test:8443/"),
        "https://*.vault.test:8443/": ("UP", "passthrough", ""),
    }


def test_explain_tells_a_redirect_and_the_backend_behind_it(seen):
    text = told(seen, "http://a.test/x")

    assert "308 to https://a.test:8443/x" in text
    assert "won: backend gitea" in text


def test_explain_tells_that_another_name_leads_elsewhere(seen):
    text = told(seen, "http://www.a.test/x")

    assert "PUBLISHED" in text
    assert "308 to https://a.test:8443/x" in text
    assert "won: a redirect" in text


def test_explain_tells_whose_tls_is_passed_on(seen):
    text = told(seen, "https://x.vault.test:8443/")

    assert "name x.vault.test in TLS, which ends in the pod" in text
    assert "won: backend vault" in text


def test_explain_tells_of_a_workload_where_its_names_lead(seen):
    text = told(seen, "gitea")

    assert "http://a.test/ → https://a.test:8443/" in text
    assert "http://www.a.test/ → https://a.test:8443/" in text
    assert "https://a.test:8443/ → backend gitea" in text
