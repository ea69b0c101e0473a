"""A session of Python's poplib with every command it offers.

Usage: pop_client.py HOST PORT PORT_TLS CERT. Silent and status 0 when all is well.
The mailbox INBOX holds messages 1 to 5 with the subjects "python"."""
import poplib
import ssl
import sys

host, port, port_tls, cert = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
context = ssl.create_default_context(cafile=cert)

p = poplib.POP3(host, port)
caps = p.capa()
assert "UIDL" in caps and "TOP" in caps, caps
p.user("alice")
try:
    p.pass_("wrong")
    raise AssertionError("a wrong password was taken")
except poplib.error_proto:
    pass
p.user("alice")
p.pass_("secret")
count, size = p.stat()
assert count == 5, count
sizes = [int(l.split()[1]) for l in p.list()[1]]
assert sum(sizes) == size, (sizes, size)
for n in range(1, 6):
    _, lines, octets = p.retr(n)
    assert sum(len(l) + 2 for l in lines) == sizes[n - 1], (n, octets, sizes)
    assert b".leading dot" in lines and b"." in lines, lines  # dot-stuffing undone
assert len(p.top(2, 0)[1]) < len(p.retr(2)[1])
uids = [l.split()[1] for l in p.uidl()[1]]
assert len(set(uids)) == 5, uids
p.dele(1)
p.dele(2)
try:
    p.retr(1)
    raise AssertionError("a deleted message was given out")
except poplib.error_proto:
    pass
p.rset()
assert p.stat() == (5, size)
p.dele(3)
p.close()  # without QUIT: nothing is deleted

p = poplib.POP3_SSL("localhost", port_tls, context=context)
p.user("alice")
p.pass_("secret")
assert [l.split()[1] for l in p.uidl()[1]] == uids, "UIDLs changed"
p.dele(4)
p.noop()
p.quit()

p = poplib.POP3("localhost", port)
p.stls(context=context)
p.user("alice")
p.pass_("secret")
assert [l.split()[1] for l in p.uidl()[1]] == uids[:3] + uids[4:]
assert p.uidl(4).split()[2] == uids[4]
p.quit()
