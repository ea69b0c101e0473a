// Package mailtest makes mail for tests: lawful, odd and broken, endlessly
// and the same for the same seed. Nothing but tests imports it.
//
// Messages are grown from a grammar of what standards allow and senders do,
// with boundaries drawn from a small family in which one is the prefix of
// another, and then every second one is damaged: lines lost, doubled and
// swapped, octets flipped, ends cut off.
package mailtest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
)

// Message gives the message of a number in the sequence that a seed begins.
func Message(seed, number uint64) []byte {
	g := gen{r: rand.New(rand.NewPCG(seed, number))}
	g.eol = pick(&g, "\n", "\n", "\n", "\r\n", "\r\n", "")
	b := g.message(0)
	if g.chance(2) {
		b = g.damage(b)
	}
	return b
}

// Damaged gives msg after some accidents, the same ones for the same seed.
func Damaged(seed uint64, msg []byte) []byte {
	g := gen{r: rand.New(rand.NewPCG(seed, 1)), eol: "\n"}
	return g.damage(bytes.Clone(msg))
}

type gen struct {
	r    *rand.Rand
	eol  string   // "" means mixed
	open []string // boundaries in use
	size int      // octets so far, roughly
}

func pick[T any](g *gen, of ...T) T { return of[g.r.IntN(len(of))] }

// chance is true once in n times.
func (g *gen) chance(n int) bool { return g.r.IntN(n) == 0 }

func (g *gen) nl() string {
	if g.eol == "" {
		return pick(g, "\n", "\r\n")
	}
	return g.eol
}

// times calls f up to n times and joins what it gives.
func (g *gen) times(n int, f func() string) string {
	var b strings.Builder
	for range g.r.IntN(n + 1) {
		b.WriteString(f())
	}
	return b.String()
}

// message is a header with its body.
func (g *gen) message(depth int) []byte {
	var b bytes.Buffer
	if g.chance(20) {
		b.WriteString("From alice@example.org Mon Jan  1 00:00:00 2024" + g.nl())
	}
	body := g.entity(&b, depth, func() {
		for range g.r.IntN(9) {
			b.WriteString(g.mailField())
		}
		if !g.chance(4) {
			b.WriteString("MIME-Version: 1.0" + g.nl())
		}
	})
	b.WriteString(body)
	return b.Bytes()
}

// entity writes a header and returns the body that goes with it.
func (g *gen) entity(b *bytes.Buffer, depth int, fields func()) string {
	fields()
	typ, body := g.content(depth)
	b.WriteString(typ)
	for range g.r.IntN(4) {
		b.WriteString(g.mimeField())
	}
	if g.chance(6) {
		b.WriteString(g.oddLine())
	}
	if !g.chance(25) {
		b.WriteString(g.nl())
	}
	g.size += len(body)
	return body
}

// content gives the Content-Type field, or none, and a body.
func (g *gen) content(depth int) (field, body string) {
	n := g.r.IntN(12)
	if depth > 4 || g.size > 20000 {
		n = 0
	}
	switch n {
	case 0, 1, 2, 3, 4:
		if g.chance(4) {
			return "", g.text()
		}
		return g.typeField(pick(g, "text/plain", "text/html", "TEXT/PLAIN", "text/x-y.z+w",
			"application/octet-stream", "image/png", "message/delivery-status",
			"text", "text/", "/plain", "text /plain", "text/plain (comment)", "(c)text/(d)plain",
			"texty/plain", "", "multipart", "foo/bar/baz", "text/plain bogus", "a\x80b/c", "message/rfc822x",
			"message/partial", "text/plain(", "\"text\"/plain"), g.params()), g.text()
	case 5, 6:
		sub := pick(g, "message/rfc822", "message/rfc822", "Message/RFC822", "message / rfc822")
		return g.typeField(sub, ""), string(g.message(depth + 1))
	}
	return g.multipart(depth)
}

func (g *gen) typeField(value, params string) string {
	name := pick(g, "Content-Type: ", "Content-Type: ", "Content-Type: ", "content-type:", "Content-Type : ", "Content-Type:\t")
	return name + value + params + g.nl()
}

var boundaries = []string{"a", "ab", "abc", "b", "b--", "--", "=_x", "a b", "a'()+_,-./:=?", "",
	"aB", strings.Repeat("long", 18), strings.Repeat("z", 79), strings.Repeat("z", 80), strings.Repeat("z", 85)}

func (g *gen) multipart(depth int) (field, body string) {
	bd := pick(g, boundaries...)
	if len(g.open) > 0 && g.chance(4) {
		bd = pick(g, g.open...)
	}
	sub := pick(g, "mixed", "mixed", "alternative", "digest", "digest", "MIXED", "related", "x-unknown", "report")
	q := bd
	if g.chance(2) || strings.ContainsAny(bd, " ()<>@,;:\\\"/[]?=") || bd == "" {
		q = `"` + bd + `"`
	}
	params := pick(g, "; boundary=", "; boundary=", ";boundary=", "; BOUNDARY=", ";"+g.nl()+" boundary=", "; charset=x; boundary=", "; boundary*=", "; boundary*0=", " ; boundary = ") + q
	if g.chance(15) {
		params = ""
	}
	if g.chance(10) {
		params += g.params()
	}
	field = g.typeField("multipart/"+sub, params)

	g.open = append(g.open, bd)
	var b bytes.Buffer
	if g.chance(3) {
		b.WriteString(g.text())
	}
	for range g.r.IntN(4) {
		if b.Len() > 0 && !g.chance(30) {
			b.WriteString(g.nl())
		}
		b.WriteString("--" + bd + pick(g, "", "", "", "", " ", "\t", "x", "-", "--x") + g.nl())
		if g.chance(12) {
			continue
		}
		inner := g.entity(&b, depth+1, func() {})
		b.WriteString(inner)
	}
	g.open = g.open[:len(g.open)-1]
	if !g.chance(5) {
		b.WriteString(g.nl() + "--" + bd + "--" + pick(g, "", "", " ", "x", "--") + pick(g, g.nl(), g.nl(), ""))
	}
	if g.chance(4) {
		b.WriteString(g.text())
	}
	return field, b.String()
}

// text is some lines of body.
func (g *gen) text() string {
	s := g.times(6, func() string {
		line := pick(g, "hello world", "", "", "-", "--", "---", " indented", "From here",
			"Subject: not a header", "gr\xfc\xdfe", "gr\u00fc\u00dfe", ".", "nul\x00nul", "cr\rcr", "cr\r",
			"=3D=C3=BC=", "aGVsbG8gd29ybGQ=", "trailing  ", strings.Repeat("0123456789", 8))
		if len(g.open) > 0 && g.chance(12) {
			line = pick(g, "--", "--", " --", "-") + pick(g, g.open...) + pick(g, "", "--", "x", "-")
		}
		return line + g.nl()
	})
	if g.chance(40) {
		s += strings.Repeat(strings.Repeat("x", 75)+g.nl(), 200)
	}
	if g.chance(100) {
		s += strings.Repeat("y", 70000)
	}
	if g.chance(3) {
		s = strings.TrimRight(s, "\r\n")
	}
	return s
}

// damage does some accidents to a message.
func (g *gen) damage(b []byte) []byte {
	for range 1 + g.r.IntN(4) {
		if len(b) == 0 {
			return b
		}
		at := g.r.IntN(len(b))
		n := min(len(b)-at, 1+g.r.IntN(12))
		switch g.r.IntN(10) {
		case 0: // lose some
			b = append(b[:at:at], b[at+n:]...)
		case 1: // double some
			b = append(b[:at+n:at+n], b[at:]...)
		case 2: // cut the end off
			if g.chance(3) {
				b = b[:at]
			}
		case 3, 4: // another octet
			b[at] = pick[byte](g, 0, '\n', '\r', ' ', '\t', '"', '\\', '(', ')', '<', '>', '@', ',', ';', ':', '=', '-', 0x80, 0xff, 'a', '*', '[')
		case 5: // one more
			c := pick(g, "\n", "\r", "\r\n", "\n\n", "\x00", "\"", "\\", "(", ")", "<", ";", ":", "=", "--", " ", "\n ", "\n\t", "\u00e9")
			b = append(b[:at:at], append([]byte(c), b[at:]...)...)
		case 6: // lose a line end
			if i := bytes.IndexByte(b[at:], '\n'); i >= 0 {
				b = append(b[:at+i:at+i], b[at+i+1:]...)
			}
		case 7, 8, 9:
			b = g.shuffle(b)
		}
	}
	return b
}

// shuffle loses, doubles or swaps whole lines.
func (g *gen) shuffle(b []byte) []byte {
	lines := bytes.SplitAfter(b, []byte("\n"))
	i, j := g.r.IntN(len(lines)), g.r.IntN(len(lines))
	switch g.r.IntN(4) {
	case 0:
		lines = append(lines[:i:i], lines[i+1:]...)
	case 1:
		lines = append(lines[:i+1:i+1], lines[i:]...)
	case 2:
		lines[i], lines[j] = lines[j], lines[i]
	case 3:
		lines = append(lines[:j:j], append([][]byte{lines[i]}, lines[j:]...)...)
	}
	return bytes.Join(lines, nil)
}

// Nested is a message of that many levels, each in a multipart, or in a
// message/rfc822 if embedded.
func Nested(levels int, embedded bool) []byte {
	var b, end bytes.Buffer
	for i := range levels {
		if embedded {
			fmt.Fprintf(&b, "Subject: %d\nContent-Type: message/rfc822\n\n", i)
			continue
		}
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=\"%d:\"\n\n--%d:\n", i, i)
	}
	b.WriteString("Subject: last\n\ninnermost\n")
	if !embedded {
		for i := levels - 1; i >= 0; i-- {
			fmt.Fprintf(&end, "\n--%d:--\n", i)
		}
	}
	return append(b.Bytes(), end.Bytes()...)
}
