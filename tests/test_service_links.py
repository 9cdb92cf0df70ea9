"""What Kubernetes tells of Services whose names begin as our settings do is passed over."""

import pytest

from settings import SettingsError, load
from tests.launching import Launcher


def links(
    service: str, address: str = "10.0.0.1", ports: dict[str, int] | None = None, kind: str = "tcp"
) -> dict[str, str]:
    """What kubelet makes of a Service (pkg/kubelet/envvars): `ports` are its named ones."""
    name = service.upper().replace("-", "_")
    numbers = list((ports or {"": 8080}).values())
    host = f"[{address}]" if ":" in address else address
    made = {
        f"{name}_SERVICE_HOST": address,
        f"{name}_SERVICE_PORT": str(numbers[0]),
        f"{name}_PORT": f"{kind}://{host}:{numbers[0]}",
    }
    for port, number in (ports or {}).items():
        made[f"{name}_SERVICE_PORT_{port.upper().replace('-', '_')}"] = str(number)
    for number in numbers:
        link = f"{name}_PORT_{number}_{kind.upper()}"
        made[link] = f"{kind}://{host}:{number}"
        made[f"{link}_PROTO"] = kind
        made[f"{link}_PORT"] = str(number)
        made[f"{link}_ADDR"] = address
    return made


SERVICES = {
    "the plain one": links("headrace", ports={"http": 8080}),
    "without a named port": links("headrace"),
    "with two ports": links("headrace", ports={"http": 80, "metrics-http": 9108}),
    "IPv6": links("headrace", "fd00::1", {"http": 8080}),
    "another protocol": links("headrace-dns", ports={"dns": 53}, kind="udp"),
    "for metrics": links("headrace-metrics", ports={"metrics": 9108}),
    "for the page": links("headrace-web"),
    "named as half a setting": links("headrace-reuse", ports={"http": 1}),
    "named as a link": links("headrace-service") | links("headrace-port"),
    "a namespace full": links("headrace") | links("headrace-mongodb") | links("headrace-a--b"),
}


@pytest.mark.parametrize("environ", SERVICES.values(), ids=SERVICES.keys())
def test_what_a_service_makes_is_no_setting(environ: dict[str, str]) -> None:
    assert load(None, {}) == load(None, environ)


def test_a_port_of_ones_own_beats_the_services() -> None:
    environ = links("headrace", ports={"http": 8080}) | {"HEADRACE_PORT": "9000"}

    assert 9000 == load(None, environ).port


@pytest.mark.parametrize(
    ("beside", "wrong"),
    [
        ({}, {"HEADRACE_SERVICE_HOST": "10.0.0.1"}),
        ({}, {"HEADRACE_SERVICE_PORT": "8080"}),
        ({}, {"HEADRACE_METRICS_PORT": "9108"}),
        ({}, {"HEADRACE_PORT": "tcp://10.0.0.1:8080"}),
        (links("headrace"), {"HEADRACE_METRICS_PORT": "9108"}),
        (links("headrace"), {"HEADRACE_SERVICE_HOSTS": "10.0.0.1"}),
        (links("headrace"), {"HEADRACE_SERVICE_PORT_HTTP": "http"}),
        (links("headrace"), {"HEADRACE_PORT": "localhost:8080"}),
        (links("headrace"), {"HEADRACE_PORT_8080": "tcp://10.0.0.1:8080"}),
        (links("headrace"), {"HEADRACE_WEB_SERVICE_HOST": "10.0.0.2"}),
        (links("headrace-web"), {"HEADRACE_PROT": "1"}),
        ({}, {"HEADRACE_WEB_SERVICE_HOST": "localhost", "HEADRACE_WEB_SERVICE_PORT": "80"}),
    ],
)
def test_a_misspelt_setting_is_one_beside_a_service_too(
    beside: dict[str, str], wrong: dict[str, str]
) -> None:
    with pytest.raises(SettingsError) as caught:
        load(None, beside | wrong)

    assert all(name in str(caught.value) for name in wrong)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_the_server_starts_and_says_once_what_it_passed_over(launcher: Launcher) -> None:
    environ = links("headrace", ports={"http": 8080}) | links("headrace-metrics")
    launcher.settings.write_text("port = 0")

    launched = await launcher.serve(**environ)

    (line,) = (line for line in launcher.log(launched.process).splitlines() if "Kubernetes" in line)
    assert all(name in line for name in environ)
