package mailtest

import "strings"

// mailField is a field of an RFC 5322 header.
func (g *gen) mailField() string {
	name := pick(g, "Date", "Subject", "From", "From", "Sender", "Reply-To", "To", "To", "Cc", "Bcc",
		"In-Reply-To", "Message-ID", "X-Other", "Received", "REPLY-to", "subject", "References")
	var v string
	switch strings.ToLower(name) {
	case "from", "sender", "reply-to", "to", "cc", "bcc":
		v = g.addresses()
	case "date":
		v = pick(g, "Mon, 1 Jan 2024 12:34:56 +0100", "1 Jan 24 12:34 EST", "Tue, 02 Feb 1999 01:02:03 GMT (comment)",
			"", "  ", "nonsense \"x\\y\"", "Mon,"+g.nl()+" 1 Jan 2024"+g.nl()+"\t12:34:56 +0000", "Fri, 1\x00 Jan\xff 2021")
	case "message-id", "in-reply-to", "references":
		v = pick(g, "<a@b>", "<a.b.c@[1.2.3.4]>", "no brackets", "<a@b>"+g.nl()+" <c@d>", "", "<\"q\\\"q\"@x>", "<a\x00@b>", "\t <x@y> ")
	default:
		v = pick(g, "hello", "hello  two  spaces", " leading", "trailing ", "tab\there", "=?utf-8?Q?gr=C3=BC=C3=9Fe?=",
			"=?iso-8859-1?b?Z3L832U=?= =?x-none?q?_y?=", "gr\xfc\xdfe", "gr\u00fc\u00dfe", "\"quoted\" \\back", "fold"+g.nl()+" ed",
			"fold"+g.nl()+"\t \ted"+g.nl()+" more", "", " ", "\t ", g.nl()+" below", g.nl()+" ", "nul\x00nul", "cr\rcr", "a: b", "\x00", "\"\"\"\"\"\\", "end"+g.nl()+"  "+g.nl()+" x")
	}
	colon := pick(g, ": ", ": ", ": ", ": ", ":", " : ", ":\t", "\t:", ":   ")
	return name + colon + v + g.nl()
}

// addresses is an address list, mostly readable.
func (g *gen) addresses() string {
	var b strings.Builder
	for i := range 1 + g.r.IntN(4) {
		if i > 0 {
			b.WriteString(pick(g, ", ", ", ", ",", " , ", ","+g.nl()+" ", ",,", "; ", " ", ", ,"))
		}
		b.WriteString(g.address())
	}
	return b.String()
}

func (g *gen) address() string {
	spec := g.local() + pick(g, "@", "@", "@", "@", " @ ", "", "@@") + g.domain()
	name := g.name()
	switch g.r.IntN(16) {
	case 0, 1, 2:
		return spec
	case 3, 4, 5, 6:
		return name + pick(g, " ", "") + "<" + spec + ">"
	case 7:
		return spec + " (" + name + ")"
	case 8:
		return name + ": " + pick(g, "", " ", g.local()+"@x", g.local()+"@x, "+name+" <b@y>", g.local()) + pick(g, ";", ";", " ;", "") + pick(g, "", " (c)")
	case 9:
		return name + " <@" + g.domain() + pick(g, ",@r2", ", @r2", ",,@r2", " @r2", "", " ") + pick(g, ":", ":", "", ";") + spec + ">"
	case 10:
		return name + " <" + spec + pick(g, "", "x>", ">>", " > junk")
	case 11:
		return pick(g, "<>", "< >", "()", "(", "\"", "\"x", "@", ";", ":", ":;", "a:;", "<", ">", "[", "]", ".", "a.", ".a", "\"\"", "\"\" <>", "(c)", "(c", "a (c) b", "\\", "a\\b", "\x00", "a\x00b@c")
	case 12:
		return name
	case 13:
		return "(" + name + ") " + spec + pick(g, "", " (x)", " (x\\)y)", " (n(es)t)", " (\x00)", " (x")
	}
	return pick(g, "<", "") + spec + pick(g, ">", "", " ")
}

func (g *gen) local() string {
	return pick(g, "alice", "bob.smith", "a", "\"quoted local\"", "\"q\\\"x\"", "a . b", "a..b", ".a", "a.", "gr\u00fc\u00df", "\xff", "a (c) . b", "x+y=z", "\"a\".b", "\"a\""+g.nl()+" ", "\"\x00\"", "\"a"+g.nl()+" b\"", "a b", "\"\"")
}

func (g *gen) domain() string {
	return pick(g, "example.org", "x", "x", "[127.0.0.1]", "[IPv6:::1]", "x . y", "x.", "x..y", "[a\\]b]", "[a", "(c)x(d)", "m\u00fcnchen.de", "x_y", "", "[a\x00]", "x,", "\"x\"", "x (Comment)")
}

func (g *gen) name() string {
	return pick(g, "Alice", "Bob Smith", "\"Smith, Bob\"", "\"a\\\"b\"", "J. Doe", "=?utf-8?q?=C3=BC?=", "Gr\xfc\xdfe", "gr\u00fc\u00dfe", "", "\"\"", "A \"b\" c", "\"two  spaces\"", "a\tb", "(c) d", "d (c)", "\"fo"+g.nl()+" ld\"", ".", "a.", ".b", "\"\x00\"", "a,b", "\"open", "a\\b", "\"tr \"", "a\"b\"c", "[x]")
}

// mimeField is a field of a MIME part's header other than Content-Type.
func (g *gen) mimeField() string {
	return pick(g, "", g.nl()+" ", "X-Y: z"+g.nl()) + pick(g,
		"Content-Transfer-Encoding: "+pick(g, "7bit", "8bit", "base64", "quoted-printable", "BASE64", "x-uuencode", "", "base64 (c)", "(c) base64", "base64 junk", "base64;", "\"base64\"", "7bit(", "b\x80"),
		"Content-ID: "+pick(g, "<id@x>", "", "two"+g.nl()+"\tlines", "id \"q\" \\", "\xe9", "\x00"),
		"Content-Description: "+pick(g, "some text", "", "  ", "fold"+g.nl()+" ed", "\u00e9", "tab\t"),
		"Content-MD5: "+pick(g, "Q2hlY2sgSW50ZWdyaXR5IQ==", ""),
		"Content-Location: "+pick(g, "http://x/", "a"+g.nl()+" b", ""),
		"Content-Language: "+pick(g, "en", "en, de", "en,de , fr", "en de", "", ",en", "en,", "(c) en", "en(", "\"en\"", "\x80x"),
		"Content-Disposition: "+pick(g, "inline", "attachment", "ATTACHMENT", "", "attachment; ", "\"attachment\"", "a b", "(c) attachment", "attach(")+g.params(),
		"Content-Type: "+pick(g, "text/plain", "image/gif; name=x", "multipart/mixed; boundary=a"),
		"Content-Other: x") + g.nl()
}

// params is a list of MIME parameters.
func (g *gen) params() string {
	return g.times(3, func() string {
		sep := pick(g, "; ", ";", "; ", "; ", ";"+g.nl()+"\t", " ; ", ";;", " ", ",", "; (c) ")
		name := pick(g, "charset", "name", "filename", "name*", "name*0", "name*1", "name*0*", "name*1*", "filename*", "Name*0", "x", "CHARSET", "name*x", "name*01", "*", "*0", "a b", "\u00e9", "name**", "delsp")
		eq := pick(g, "=", "=", "=", " = ", "", "==", "=(c)")
		value := pick(g, "utf-8", "us-ascii", "\"quoted value\"", "\"q\\\"q\"", "utf-8''%c3%bc", "iso-8859-1'en'%fc%25", "plain.txt", "\"100%\"", "\"\"", "", "a b", "\"open", "\u00e9\u00e8", "\"\u00e9\"", "=?utf-8?q?x?=", "\"fo"+g.nl()+" ld\"", "\"n\x00ul\"", "n\x00ul", "x(c)", "a/b", "a@b", "\"sp  aces\"")
		return sep + name + eq + value
	})
}

// oddLine is what should not stand in a header and does.
func (g *gen) oddLine() string {
	return pick(g, "no colon here", ": no name", ":", "From x@y Mon Jan  1 00:00:00 2024", "name with space: x", "Subject", "Content-Type",
		"-", "--", "--x", "\x00: nul", "Subj\x00ect: nul", "Subject\x00: nul", "\rSubject: x", "x\r", "\xffX: y", ">From x", "To"+g.nl()+" folded", " starts: with space", strings.Repeat("n", 500)+": long name", "X-Long: "+strings.Repeat("long ", 400)) + g.nl()
}
