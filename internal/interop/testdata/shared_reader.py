"""Somebody else's mailbox, read with imaplib by one who has been let in.

Usage: shared_reader.py PORT USER MAILBOX MESSAGES. Silent and status 0 when the
mailbox is listed, has that many messages, can be read, and cannot be changed.
"""
import imaplib
import sys

port, user, mailbox, messages = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4].encode()
quoted = '"%s"' % mailbox


def ok(answer):
    typ, data = answer
    assert typ == "OK", (typ, data)
    return data


m = imaplib.IMAP4("127.0.0.1", port)
ok(m.login(user, "secret"))
assert any(line and quoted.encode() in line for line in ok(m.list('""', '"*"'))), "it is not listed"
try:
    m.select(quoted)
    raise AssertionError("it was opened read-write")
except imaplib.IMAP4.readonly:
    pass
assert ok(m.select(quoted, readonly=True)) == [messages]
got = ok(m.fetch("1", "(BODY.PEEK[])"))[0][1]
assert b"This is message 1." in got, got
typ, _ = m.store("1", "+FLAGS", r"(\Deleted)")
assert typ == "NO", typ
typ, _ = m.append(quoted, None, None, b"Subject: no\r\n\r\nno\r\n")
assert typ == "NO", typ
m.logout()
