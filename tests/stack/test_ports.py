"""Free ports differ, and a server can take them."""

import socket

from keepline.jobs.stack import ports


def test_ports_differ_and_can_be_bound():
    found = ports.free_ports(50)
    assert len(set(found)) == 50
    assert all(map(ports.is_free, found))
    assert not set(found) & set(ports.free_ports(50))


def test_a_port_in_use_is_passed_over(monkeypatch):
    with socket.socket() as taken:
        taken.bind((ports.HOST, 0))
        port = taken.getsockname()[1]
        assert not ports.is_free(port)
        (free,) = ports.free_ports(1)
        monkeypatch.setattr(ports, "_PORTS", iter([port, free]))
        assert ports.free_ports(1) == [free]
