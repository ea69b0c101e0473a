package message

import (
	"slices"
	"strconv"
	"strings"
)

// contentType reads "type/subtype" (RFC 2045 section 5.1) into t. Broken means
// that no parameters can follow; t is then empty, or the type alone if nothing
// but an open comment follows that.
func (x *lexer) contentType(t *text) status {
	if x.skipSpace() != more {
		return broken
	}
	st := x.token(t)
	if st != more {
		return broken
	}
	if t.len() > 0 && x.at('/') {
		x.pos++
		if x.skipSpace() == more {
			t.addByte('/')
			n := t.len()
			st := x.token(t)
			if t.len() > n && (st == atEnd || st == more && x.at(';')) {
				return st
			}
		}
	}
	t.reset()
	return broken
}

// parseType fills in Content-Type. A broken value still counts as one: its
// part is then no text/plain but of whatever type could be made out. It tells
// whether there was a "/" between type and subtype.
func (p *Part) parseType(v string) (slash bool) {
	x := newLexer(v)
	x.skipSpace()
	var t text
	st := x.contentType(&t)
	p.HasType = true
	p.Type, p.Subtype, slash = strings.Cut(t.String(), "/")
	if st != broken {
		p.Params = x.params()
	}
	return slash
}

func (p *Part) parseEncoding(v string) {
	x := newLexer(v)
	x.skipSpace()
	var t text
	if x.token(&t) != broken && x.skipSpace() == atEnd {
		p.Encoding = t.String()
	}
}

func (p *Part) parseDisposition(v string) {
	x := newLexer(v)
	x.skipSpace()
	var t text
	if x.token(&t) == broken {
		return
	}
	p.Disposition = String{true, t.String()}
	p.DispositionParams = x.params()
}

// parseLanguages reads RFC 3282's list of tags as far as it is one.
func (p *Part) parseLanguages(v string) {
	x := newLexer(v)
	x.skipSpace()
	for len(p.Languages) < 100 {
		var t text
		if x.atom(&t) == broken {
			return
		}
		p.Languages = append(p.Languages, t.String())
		if !x.at(',') {
			return
		}
		x.pos++
		x.skipSpace()
	}
}

// piece is one parameter of RFC 2231: name*index or name*index* or name*.
type piece struct {
	Param
	index    uint32
	extended bool
}

// params reads all parameters to the end of the value. What cannot be read is
// skipped octet by octet until a parameter begins again. The pieces of
// RFC 2231 continuations are put together after the plain parameters.
func (x *lexer) params() []Param {
	var plain []Param
	var pieces []piece
	for !x.done() {
		p, ok := x.param()
		if !ok {
			x.pos++
			continue
		}
		if pc, ok := splitName(p); ok {
			pieces = append(pieces, pc)
		} else {
			plain = append(plain, p)
		}
	}
	if len(pieces) == 0 {
		return plain
	}
	return joinPieces(plain, pieces)
}

// param reads ";" name "=" value.
func (x *lexer) param() (Param, bool) {
	if !x.at(';') {
		return Param{}, false
	}
	x.pos++
	if x.skipSpace() != more {
		return Param{}, false
	}
	var name, value text
	if x.token(&name) != more || !x.at('=') {
		return Param{}, false
	}
	x.pos++
	st := x.skipSpace()
	switch {
	case st != more: // no value
	case x.at('"'):
		st = x.quoted(&value)
	case x.at('='):
		// An encoded word without quotes, name==?utf-8?b?...?=, is no token
		// but is sent.
		from := x.pos
		for !x.done() && strings.IndexByte("; \t\r\n", x.s[x.pos]) < 0 {
			x.pos++
		}
		value = text{src: strings.ReplaceAll(x.s[from:x.pos], "\x00", "\uFFFD")}
		value.to = len(value.src)
	default:
		st = x.token(&value)
	}
	return Param{name.String(), value.String()}, st != broken
}

// splitName takes a name of RFC 2231 sections 3 and 4 apart.
func splitName(p Param) (piece, bool) {
	star := strings.IndexByte(p.Name, '*')
	if star < 0 {
		return piece{}, false
	}
	pc := piece{Param: Param{p.Name[:star], p.Value}}
	rest := p.Name[star+1:]
	if rest == "" {
		pc.extended = true
		return pc, true
	}
	for rest != "" && '0' <= rest[0] && rest[0] <= '9' {
		pc.index = pc.index*10 + uint32(rest[0]-'0')
		rest = rest[1:]
	}
	if rest == "*" {
		pc.extended, rest = true, ""
	}
	return pc, rest == ""
}

// joinPieces appends to plain one parameter for each name whose pieces are
// all there, and the pieces as they came where one is missing. If any piece is
// extended the whole is (its name ends in "*").
func joinPieces(plain []Param, pieces []piece) []Param {
	slices.SortStableFunc(pieces, func(a, b piece) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return int(int64(a.index) - int64(b.index))
	})
	for len(pieces) > 0 {
		n, whole, extended := 0, true, false
		for n < len(pieces) && equalFold(pieces[n].Name, pieces[0].Name) {
			whole = whole && pieces[n].index == uint32(n)
			extended = extended || pieces[n].extended
			n++
		}
		if whole {
			plain = append(plain, joinWhole(pieces[:n], extended))
		} else {
			for _, pc := range pieces[:n] {
				name := pc.Name + "*" + strconv.FormatUint(uint64(pc.index), 10)
				if pc.extended {
					name += "*"
				}
				plain = append(plain, Param{name, pc.Value})
			}
		}
		pieces = pieces[n:]
	}
	return plain
}

func joinWhole(pieces []piece, extended bool) Param {
	p := Param{Name: pieces[0].Name}
	if extended {
		p.Name += "*"
	}
	if len(pieces) == 1 {
		p.Value = pieces[0].Value
		return p
	}
	var b strings.Builder
	if extended && !pieces[0].extended {
		b.WriteString("''") // no charset, no language
	}
	for _, pc := range pieces {
		if extended && !pc.extended {
			b.WriteString(strings.ReplaceAll(pc.Value, "%", "%25"))
		} else {
			b.WriteString(pc.Value)
		}
	}
	p.Value = b.String()
	return p
}
