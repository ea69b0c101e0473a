package pop3d

import (
	"slices"
	"strings"
	"testing"
)

// Transcripts, by the section that asks for what they show. Messages: 1 of 32
// octets, 2 of 35.
var transcripts = []struct{ name, text string }{
	{"RFC 1939 section 4: greeting, no command of a mailbox, QUIT", `
		S: +OK Postroom ready.
		C: STAT
		S: -ERR Log in first.
		C: NOOP
		S: -ERR Log in first.
		C: QUIT
		S: +OK Logging out.
		END`},
	{"RFC 1939 section 7: USER and PASS", `
		S: +OK*
		C: PASS secret word
		S: -ERR Send USER first.
		C: USER
		S: -ERR USER needs an argument.
		C: USER nobody
		S: +OK Send the password.
		C: PASS secret word
		S: -ERR [AUTH] Authentication failed.
		C: PASS secret word
		S: -ERR Send USER first.
		C: USER alice
		S: +OK Send the password.
		C: PASS wrong
		S: -ERR [AUTH] Authentication failed.
		C: USER bob
		S: +OK Send the password.
		C: user alice
		S: +OK Send the password.
		C: pass secret word
		S: +OK Logged in.
		C: USER alice
		S: -ERR Already logged in.
		C: QUIT
		S: +OK Logging out.
		END`},
	{"RFC 1939 section 5: STAT, LIST, NOOP", `
		LOGIN
		C: STAT
		S: +OK 2 67
		C: STAT 1
		S: -ERR STAT takes no argument.
		C: LIST
		S: +OK 2 messages:
		S: 1 32
		S: 2 35
		S: .
		C: LIST 2
		S: +OK 2 35
		C: LIST 3
		S: -ERR There is no such message.
		C: LIST 0
		S: -ERR There is no such message.
		C: LIST 99999999999999999999
		S: -ERR There is no such message.
		C: LIST -1
		S: -ERR Not a message number.
		C: LIST 1 2
		S: -ERR Not a message number.
		C: NOOP
		S: +OK Nothing done.
		C: NOOP 
		S: +OK Nothing done.`},
	{"RFC 1939 section 5: RETR", `
		LOGIN
		C: RETR 1
		S: +OK 32 octets
		S: Subject: one
		S: 
		S: first
		S: ..
		S: ..dot
		S: .
		C: RETR
		S: -ERR RETR needs an argument.
		C: RETR x
		S: -ERR Not a message number.`},
	{"RFC 1939 section 7: TOP", `
		LOGIN
		C: TOP 1 0
		S: +OK*
		S: Subject: one
		S: 
		S: .
		C: TOP 1 2
		S: +OK*
		S: Subject: one
		S: 
		S: first
		S: ..
		S: .
		C: TOP 1
		S: -ERR TOP needs a message number and a number of lines.
		C: TOP 1 -1
		S: -ERR TOP needs a message number and a number of lines.
		C: TOP 1 99999999999999999999
		S: -ERR Too many lines.
		C: TOP 3 0
		S: -ERR There is no such message.
		C: TOP
		S: -ERR TOP needs an argument.`},
	{"RFC 1939 section 5: DELE and RSET", `
		LOGIN
		C: DELE 1
		S: +OK Marked to be deleted.
		C: DELE 1
		S: -ERR Message is deleted.
		C: RETR 1
		S: -ERR Message is deleted.
		C: TOP 1 0
		S: -ERR Message is deleted.
		C: LIST 1
		S: -ERR Message is deleted.
		C: UIDL 1
		S: -ERR Message is deleted.
		C: STAT
		S: +OK 1 35
		C: LIST
		S: +OK 1 messages:
		S: 2 35
		S: .
		C: UIDL
		S: +OK 1 messages:
		S: 2 00000002*
		S: .
		C: RSET
		S: +OK No message is marked.
		C: STAT
		S: +OK 2 67`},
	{"RFC 2449 section 5: CAPA in AUTHORIZATION", `
		S: +OK*
		C: CAPA
		S: +OK*
		S: TOP
		S: UIDL
		S: USER
		S: SASL PLAIN LOGIN FINAL ENDLESS
		S: UTF8 USER
		S: LANG
		S: PIPELINING
		S: RESP-CODES
		S: AUTH-RESP-CODE
		S: EXPIRE NEVER
		S: IMPLEMENTATION Postroom
		S: .`},
	{"RFC 2449 section 5: CAPA in TRANSACTION", `
		LOGIN
		C: CAPA
		S: +OK*
		S: TOP
		S: UIDL
		S: USER
		S: SASL PLAIN LOGIN FINAL ENDLESS
		S: UTF8 USER
		S: LANG
		S: PIPELINING
		S: RESP-CODES
		S: AUTH-RESP-CODE
		S: EXPIRE NEVER
		S: IMPLEMENTATION Postroom
		S: .`},
	{"RFC 5034 section 4: AUTH with a challenge", `
		S: +OK*
		C: AUTH PLAIN
		S: + 
		C: AGFsaWNlAHNlY3JldCB3b3Jk
		S: +OK Logged in.
		C: AUTH PLAIN
		S: -ERR Already logged in.`},
	{"RFC 5034 section 4: AUTH with an initial response", `
		S: +OK*
		C: auth plain AGFsaWNlAHNlY3JldCB3b3Jk
		S: +OK Logged in.`},
	{"RFC 5034 section 4: refusals of AUTH", `
		S: +OK*
		C: AUTH
		S: +OK*
		S: PLAIN
		S: LOGIN
		S: FINAL
		S: ENDLESS
		S: .
		C: AUTH CRAM-MD5
		S: -ERR This mechanism is not on offer.
		C: AUTH PLAIN
		S: + 
		C: *
		S: -ERR Authentication cancelled.
		C: AUTH PLAIN %%%
		S: -ERR Not BASE64.
		C: AUTH PLAIN
		S: + 
		C: AGFsaWNl AHNl
		S: -ERR Not BASE64.
		C: AUTH PLAIN AGFsaWNlAHdyb25n
		S: -ERR [AUTH] Authentication failed.
		C: AUTH PLAIN =
		S: -ERR [AUTH] Authentication failed.
		C: AUTH LOGIN
		S: -ERR [SYS/TEMP]*
		C: NOOP
		S: -ERR Log in first.`},
	{"RFC 5034 section 4: no success data, an empty challenge instead", `
		S: +OK*
		C: AUTH FINAL =
		S: + dj1kb25l
		C: 
		S: +OK Logged in.`},
	{"RFC 5034 section 4: a response where none is due", `
		S: +OK*
		C: AUTH FINAL =
		S: + dj1kb25l
		C: YQ==
		S: -ERR The response was to be empty.
		C: STAT
		S: -ERR Log in first.`},
	{"RFC 6856 section 2.2: UTF-8 in USER and PASS before UTF8, and what RFC 4013 forbids", `
		S: +OK*
		C: USER müller
		S: +OK Send the password.
		C: PASS falsch ü
		S: -ERR [AUTH] Authentication failed.
		C: USER m` + "u\u0308" + `ller` + "\ue000" + `
		S: -ERR The name is not UTF-8*
		C: USER m` + "\u200e" + `ller
		S: -ERR The name is not UTF-8*
		C: USER m` + "\xfc" + `ller
		S: -ERR The name is not UTF-8*
		C: USER müller
		S: +OK Send the password.
		C: PASS secret` + "\ue000" + `word
		S: -ERR [AUTH] Authentication failed.
		C: PASS secret word
		S: -ERR Send USER first.
		C: USER müller
		S: +OK Send the password.
		C: PASS secret word
		S: +OK Logged in.
		C: QUIT
		S: +OK*
		END`},
	{"RFC 6856 section 2.1: UTF8 twice; it outlives a refused login", `
		S: +OK*
		C: UTF8
		S: +OK UTF-8 it is.
		C: utf8
		S: +OK UTF-8 it is.
		C: USER alice
		S: +OK Send the password.
		C: PASS wrong
		S: -ERR [AUTH] Authentication failed.
		C: UTF8
		S: +OK UTF-8 it is.`},
	{"RFC 6856 section 3: LANG in TRANSACTION", `
		LOGIN
		C: LANG
		S: +OK Language listing follows:
		S: en English
		S: i-default Default language
		S: .
		C: LANG en
		S: +OK en*`},
	{"RFC 6856 section 3: language ranges", `
		S: +OK*
		C: LANG i-default
		S: +OK i-default*
		C: LANG I-DEFAULT
		S: +OK i-default*
		C: LANG en-GB
		S: +OK en *
		C: LANG en-*
		S: -ERR en Not a language range.
		C: LANG en-
		S: -ERR en Not a language range.
		C: LANG en de
		S: -ERR en Not a language range.
		C: LANG en-GB de
		S: -ERR en Not a language range.
		C: LANG enormous9
		S: -ERR en Not a language range.
		C: LANG eng
		S: -ERR en This language is not on offer.
		C: LANG tlh
		S: -ERR en This language is not on offer.
		C: LANG
		S: +OK Language listing follows:
		S: en English
		S: i-default Default language
		S: .`},
	{"RFC 6856 section 2: UTF8", `
		S: +OK*
		C: UTF8 now
		S: -ERR UTF8 takes no argument.
		C: UTF8
		S: +OK UTF-8 it is.
		C: USER müller
		S: +OK Send the password.
		C: PASS secret word
		S: +OK Logged in.
		C: UTF8
		S: -ERR Already logged in.
		C: LIST ü
		S: -ERR Not a printable character.`},
	{"RFC 6856 section 3: LANG", `
		S: +OK*
		C: LANG
		S: +OK Language listing follows:
		S: en English
		S: i-default Default language
		S: .
		C: LANG EN
		S: +OK en*
		C: LANG de
		S: -ERR en*
		C: LANG *
		S: +OK i-default*`},
	{"malformed", `
		S: +OK*
		C: 
		S: -ERR Unknown command.
		C: FOO bar
		S: -ERR Unknown command.
		C: STLS
		S: -ERR There is no TLS here.
		C: APOP alice c4c9334bac560ecc979e58001b3e22fb
		S: -ERR Unknown command.`},
}

func TestTranscripts(t *testing.T) {
	f := start(t)
	f.auth.final = []byte("v=done")
	f.deliver("alice", "1000.M1.h", "Subject: one\n\nfirst\n.\n.dot\n")
	f.deliver("alice", "1001.M1.h", "Subject: two\r\n\r\nsecond, with CRLF\r\n")
	before := f.files()
	for _, c := range transcripts {
		t.Run(c.name, func(t *testing.T) {
			conn := f.dialRaw(f.addr)
			conn.t = t
			conn.script(strings.Replace(c.text, "\n\t\tLOGIN\n",
				"S: +OK*\nC: USER alice\nS: +OK*\nC: PASS "+password+"\nS: +OK*\n", 1))
			conn.conn.Close()
		})
	}
	if after := f.files(); !slices.Equal(before, after) {
		t.Errorf("POP3 moved or flagged files:\nbefore %q\nafter  %q", before, after)
	}
}

// Every row of the table is in a transcript, by its success.
func TestEveryCommandHasATranscript(t *testing.T) {
	var all strings.Builder
	for _, c := range transcripts {
		all.WriteString(strings.ToUpper(c.text))
	}
	for name, cmd := range commandTable() {
		if name != "STLS" && !strings.Contains(all.String(), "C: "+name) {
			t.Errorf("no transcript for %s (%s)", name, cmd.rfc)
		}
	}
}
