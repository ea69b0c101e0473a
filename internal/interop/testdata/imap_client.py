"""A session of Python's imaplib with every kind of command it offers.

Usage: imap_client.py HOST PORT PORT_TLS CERT. Silent and status 0 when all is well.
The mailbox INBOX holds messages 1 to 5 with the subjects "python"."""
import imaplib
import ssl
import sys

host, port, port_tls, cert = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]


def ok(answer):
    typ, data = answer
    assert typ == "OK", answer
    return data


def message(subject):
    return ("From: a@example.org\r\nSubject: %s\r\n\r\nHello.\r\n" % subject).encode()


m = imaplib.IMAP4(host, port)
assert "IMAP4REV1" in m.capabilities, m.capabilities
try:
    m.login("alice", "wrong")
    raise AssertionError("a wrong password was taken")
except imaplib.IMAP4.error:
    pass
ok(m.login("alice", "secret"))
assert ok(m.select("INBOX")) == [b"5"]
assert ok(m.search(None, "ALL")) == [b"1 2 3 4 5"]
assert ok(m.search(None, "SUBJECT", '"python"', "NOT", "SEEN")) == [b""]
m.literal = "wörld".encode()  # a literal, which the server has to ask for
assert ok(m.search("UTF-8", "BODY")) == [b"1 2 3 4 5"]
assert ok(m.uid("SEARCH", None, "2:4")) == [b"2 3 4"]

got = ok(m.fetch("1:2", "(UID FLAGS RFC822.SIZE BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))
assert b"UID 1" in got[0][0] and got[0][1].startswith(b"Subject: python"), got
whole = ok(m.fetch("3", "(BODY.PEEK[])"))[0][1]
assert whole.count(b"\r\n") == whole.count(b"\n"), "a bare LF on the wire"
part = ok(m.fetch("3", "(BODY.PEEK[]<10.20>)"))[0]
assert b"BODY[]<10>" in part[0] and part[1] == whole[10:30], part
assert ok(m.fetch("1", "(ENVELOPE BODYSTRUCTURE INTERNALDATE)"))[0] is not None

got = ok(m.store("2", "+FLAGS", r"(\Flagged PyTag)"))
assert rb"\Flagged" in got[0] and b"PyTag" in got[0], got
assert ok(m.search(None, "KEYWORD", "pytag")) == [b"2"]
ok(m.store("2", "-FLAGS.SILENT", "(PyTag)"))
assert ok(m.search(None, "FLAGGED", "UNKEYWORD", "PyTag")) == [b"2"]

ok(m.create("Python"))
ok(m.create("Python/below"))
assert any(b"Python/below" in l for l in ok(m.list())), m.list()
ok(m.subscribe("Python"))
assert any(b"Python" in l for l in ok(m.lsub()))
when = imaplib.Time2Internaldate(1700000000)
ok(m.append("Python", r"(\Seen)", when, message("appended")))
assert any(b"APPENDUID" in l for l in m.untagged_responses.get("OK", [])) or m.response("APPENDUID")
ok(m.copy("1:2", "Python"))
assert b"MESSAGES 3" in ok(m.status("Python", "(MESSAGES UIDNEXT UNSEEN)"))[0]
ok(m.rename("Python/below", "Python/other"))
ok(m.delete("Python/other"))
typ, _ = m.select("Nowhere")
assert typ == "NO", typ

# A second session sees the first one's work, also without selecting anew.
with imaplib.IMAP4_SSL("localhost", port_tls, ssl_context=ssl.create_default_context(cafile=cert)) as n:
    ok(n.login("alice", "secret"))
    assert ok(n.select("Python", readonly=True)) == [b"3"]
    assert b"14-Nov-2023" in ok(n.fetch("1", "(INTERNALDATE)"))[0]
    ok(m.select("Python"))
    ok(m.store("1,3", "+FLAGS", r"\Deleted"))
    # Numbers count down as lines come, so 1 and 3 are told in either order.
    either = [b"1", b"2"], [b"3", b"1"]
    gone = ok(m.expunge())
    assert gone in either, gone
    n.noop()
    gone = n.response("EXPUNGE")[1]
    assert gone in either, gone
    assert ok(n.search(None, "ALL")) == [b"1"]

# STARTTLS, then AUTHENTICATE with PLAIN.
s = imaplib.IMAP4("localhost", port)
ok(s.starttls(ssl.create_default_context(cafile=cert)))
ok(s.authenticate("PLAIN", lambda challenge: b"\0alice\0secret"))
ok(s.select("INBOX", readonly=True))
typ, _ = s.store("1", "+FLAGS", r"\Deleted")
assert typ == "NO" or not s.search(None, "DELETED")[1][0], "a mailbox opened read-only was changed"
s.logout()

ok(m.close())
ok(m.unsubscribe("Python"))
ok(m.delete("Python"))
assert m.logout()[0] == "BYE"
