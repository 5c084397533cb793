"""Asks a host for our token, as the CA will: a name that leads elsewhere is not asked for."""

import ipaddress
import queue
import socket
import threading
import time
import warnings

import requests
from urllib3.exceptions import InsecureRequestWarning

_PATH = "/.well-known/acme-challenge/"
_TIMEOUT = (3, 5)
"""Seconds to connect, and between two packets."""
_LONGEST = 10
"""Seconds for all of it, as with Let's Encrypt: a host may send a byte every four."""
_MOST = 1024
"""Bytes of an answer: a key authorization has less than 200."""
_PAUSE = 0.2


def answers(host: str, token: str, value: str, *, seconds: float, address: str = "") -> str:
    """Return why *host* does not answer with *value*, "" if it does, within some seconds.

    It is asked at each address that DNS has for it, since the CA may choose any; one that cannot
    be connected to is no harm as long as another one answers (the CA does the same). `address`
    (HOST:PORT) is asked instead of these.
    """
    end = time.monotonic() + seconds
    while True:
        flaw = _flaw(host, token, value, address)
        if not flaw or time.monotonic() >= end:
            return flaw
        time.sleep(_PAUSE)


def _flaw(host: str, token: str, value: str, address: str) -> str:
    try:
        places = [address] if address else _places(host)
    except OSError as error:
        return f"DNS: {host}: {error.strerror or error}"
    silent = []
    answered = False
    for place in places:
        try:
            found = _ask_in_time(f"http://{place}{_PATH}{token}", host, follow=not address)
        except requests.RequestException as error:
            silent.append(f"{place}: {_short(error)}")
            continue
        if found != value:
            return f"{place} answers for {host} with something else than our token"
        answered = True
    return "" if answered else "; ".join(silent) or f"DNS: {host} has no address"


def _places(host: str) -> list[str]:
    found = socket.getaddrinfo(host, 80, type=socket.SOCK_STREAM)
    addresses = dict.fromkeys(str(item[4][0]).partition("%")[0] for item in found)
    return [f"[{a}]" if ipaddress.ip_address(a).version == 6 else a for a in addresses]


def _ask_in_time(url: str, host: str, *, follow: bool) -> str:
    results: queue.Queue[str | requests.RequestException] = queue.Queue()

    def work() -> None:
        try:
            results.put(_ask(url, host, follow=follow))
        except requests.RequestException as error:
            results.put(error)

    # Whoever keeps it waiting keeps a thread, which ends with the process.
    threading.Thread(target=work, daemon=True).start()
    try:
        result = results.get(timeout=_LONGEST)
    except queue.Empty:
        raise requests.Timeout from None
    if isinstance(result, requests.RequestException):
        raise result
    return result


def _ask(url: str, host: str, *, follow: bool) -> str:
    """Return the beginning of an answer; a redirect is followed, as the CA does, to any TLS."""
    with requests.Session() as session, warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureRequestWarning)
        session.trust_env = False  # a proxy for web access is not how the CA comes here
        session.max_redirects = 5
        response = session.get(
            url, headers={"Host": host}, timeout=_TIMEOUT, stream=True, allow_redirects=False
        )
        if follow and response.is_redirect:
            location = requests.compat.urljoin(f"http://{host}/", response.headers["Location"])
            response = session.get(location, timeout=_TIMEOUT, stream=True, verify=False)
        with response:
            if response.status_code != requests.codes.ok:
                return ""
            start = next(response.iter_content(_MOST), b"")
            return start.decode("ascii", "replace").rstrip()


def _short(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "no answer"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return str(error)[:200]
