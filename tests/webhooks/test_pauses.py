"""How long is waited between two tries, and what webhooks are called."""

import base64

from settings import Settings
from webhooks.building import webhooks_of
from webhooks.sender import FIRST_PAUSE, LIFETIME, LONGEST_PAUSE, pause_after

SECRET = "whsec_" + base64.b64encode(bytes(32)).decode()


def test_pauses_double_up_to_the_longest_and_have_a_random_part() -> None:
    for tries in (*range(1, 30), 1_000_000):
        longest = min(FIRST_PAUSE * 2 ** min(tries - 1, 30), LONGEST_PAUSE)

        pauses = [pause_after(tries) for _ in range(200)]

        assert all(longest / 2 <= pause <= longest for pause in pauses)
        assert max(pauses) - min(pauses) > longest / 4


def test_an_event_is_tried_some_seventy_times_in_its_day() -> None:
    tries, at = 1, 0.0
    while at < LIFETIME.total_seconds():
        at += pause_after(tries)
        tries += 1

    assert 55 < tries < 95


def test_webhooks_are_called_by_their_hosts_without_paths() -> None:
    urls = [
        *("https://a.example.org/one?token=x", "https://a.example.org/two"),
        *("https://b.example.org:8443/", "https://a.example.org/three", "http://[::1]:80/"),
    ]
    settings = Settings(webhooks=[{"url": url, "secret": SECRET} for url in urls])

    names = [webhook.name for webhook in webhooks_of(settings.webhooks)]

    assert [
        *("a.example.org", "a.example.org#2", "b.example.org:8443"),
        *("a.example.org#3", "[::1]"),
    ] == names
