"""Metrics: names, labels, and that nothing changes where the library is missing."""

import socket
import urllib.request

import pytest

from alpenhorn.common import metrics
from alpenhorn.common.metrics import Metric
from alpenhorn.errors import ConfigError

prometheus_client = pytest.importorskip("prometheus_client")


@pytest.fixture(autouse=True)
def fresh(monkeypatch, configure):
    """No metrics yet, and a host name."""
    configure("base: {hostname: here}")
    monkeypatch.setattr(metrics, "_families", {})
    before = set(prometheus_client.REGISTRY._collector_to_names)
    yield
    for collector in set(prometheus_client.REGISTRY._collector_to_names) - before:
        prometheus_client.REGISTRY.unregister(collector)


@pytest.fixture
def no_library(monkeypatch):
    monkeypatch.setattr(metrics, "_library", lambda: None)


def sample(series, /, **labels):
    return prometheus_client.REGISTRY.get_sample_value(series, {"daemon": "here", **labels})


def test_a_gauge_goes_up_and_down_and_can_be_set():
    gauge = Metric("t_gauge", "text", unbound=("name",))
    gauge.set(5, name="a")
    gauge.inc(name="a")
    gauge.dec(name="a")
    gauge.add(2.5, name="a")
    assert sample("alpenhorn_t_gauge", name="a") == 7.5


def test_a_counter_has_the_suffix_and_only_goes_up():
    counter = Metric("t_things", "text", counter=True)
    counter.inc()
    counter.add(2)
    assert sample("alpenhorn_t_things_total") == 3
    with pytest.raises(ValueError, match="cannot go down"):
        counter.dec()
    with pytest.raises(ValueError, match="cannot go down"):
        counter.add(-1)
    with pytest.raises(ValueError, match="0 only"):
        counter.set(1)
    assert sample("alpenhorn_t_things_total") == 3
    counter.set(0)
    assert sample("alpenhorn_t_things_total") == 0


def test_a_series_appears_when_it_is_first_set():
    gauge = Metric("t_gauge", "text", unbound=["name"])
    assert sample("alpenhorn_t_gauge", name="a") is None
    gauge.set(0, name="a")
    assert sample("alpenhorn_t_gauge", name="a") == 0


def test_created_series_are_switched_off():
    Metric("t_things", "text", counter=True).inc()
    assert b"_created" not in prometheus_client.generate_latest()


def test_label_values_are_text_in_the_order_of_the_sorted_names():
    gauge = Metric("t_gauge", "text", unbound=("id", "z"), bound={"a": 1})
    assert gauge.labelnames == ["a", "daemon", "id", "z"]
    assert gauge.labelvalues(z=True, id=7) == ["1", "here", "7", "True"]


def test_the_label_daemon_may_be_given():
    bound = Metric("t_one", "text", bound={"daemon": "other"})
    unbound = Metric("t_two", "text", unbound=("daemon",))
    assert bound.labelvalues() == ["other"]
    assert unbound.labelvalues(daemon="third") == ["third"]
    with pytest.raises(ValueError, match="missing label: daemon"):
        unbound.labelvalues()


def test_one_name_is_one_metric_however_its_labels_are_bound():
    Metric("t_gauge", "text", unbound=("name",)).set(1, name="a")
    Metric("t_gauge", "other", bound={"name": "a"}).inc()
    assert sample("alpenhorn_t_gauge", name="a") == 2
    with pytest.raises(TypeError):
        Metric("t_gauge", "text", counter=True, unbound=("name",))
    with pytest.raises(ValueError, match="has the labels daemon, name"):
        Metric("t_gauge", "text")
    with pytest.raises(KeyError):
        Metric("t_gauge", "text", unbound=("name",), bound={"name": "a"})


@pytest.mark.parametrize("library", [True, False])
def test_exactly_the_unbound_labels_are_needed(library, request):
    if not library:
        request.getfixturevalue("no_library")
    gauge = Metric("t_gauge", "text", unbound=("a",), bound={"b": 1})
    for call in (gauge.inc, gauge.dec, gauge.remove, lambda **k: gauge.set(1, **k)):
        with pytest.raises(ValueError, match="missing label: a"):
            call()
        with pytest.raises(TypeError, match="unexpected label: c"):
            call(a=1, c=2)
        with pytest.raises(TypeError, match="unexpected label: b"):
            call(a=1, b=2)


def test_binding_makes_a_copy():
    gauge = Metric("t_gauge", "text", unbound=("a", "b"))
    half = gauge.bind(a=1)
    half.set(4, b=2)
    gauge.inc(a=1, b=2)
    assert sample("alpenhorn_t_gauge", a="1", b="2") == 5
    with pytest.raises(TypeError):
        half.bind(a=1)


def test_series_can_be_dropped():
    gauge = Metric("t_gauge", "text", unbound=("a",))
    gauge.set(1, a=1)
    gauge.set(1, a=2)
    gauge.remove(a=1)
    gauge.remove(a=3)
    assert sample("alpenhorn_t_gauge", a="1") is None
    assert sample("alpenhorn_t_gauge", a="2") == 1
    gauge.clear()
    assert sample("alpenhorn_t_gauge", a="2") is None


@pytest.mark.usefixtures("no_library")
def test_without_the_library_nothing_happens():
    gauge = Metric("t_gauge", "text", unbound=("a",))
    counter = Metric("t_things", "text", counter=True)
    gauge.set(1, a=1)
    gauge.remove(a=1)
    gauge.clear()
    counter.inc()
    assert gauge.bind(a=1).labelvalues() == ["1", "here"]
    assert sample("alpenhorn_t_gauge", a="1") is None
    assert metrics.start_endpoint(1) is None


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_endpoint_serves_the_metrics():
    Metric("t_gauge", "text").set(5)
    port = free_port()
    stop = metrics.start_endpoint(port, "127.0.0.1")
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as page:
            assert 'alpenhorn_t_gauge{daemon="here"} 5.0' in page.read().decode()
    finally:
        stop()


def test_a_port_in_use_is_one_line():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(ConfigError, match=f"127.0.0.1 port {port}: Address already in use"):
            metrics.start_endpoint(port, "127.0.0.1")
