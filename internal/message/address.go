package message

// What stands in an address for what is not there, so that a client sees that
// the header was broken instead of seeing nothing. The words are Dovecot's.
const (
	missingMailbox = "MISSING_MAILBOX"
	missingDomain  = "MISSING_DOMAIN"
	syntaxError    = "SYNTAX_ERROR"
	invalidRoute   = "INVALID_ROUTE"
)

// addressParser reads an address-list of RFC 5322 section 3.4, obsolete forms
// of section 4.4 included, and goes on behind what it cannot read.
type addressParser struct {
	lexer
	t    text
	cur  Address
	list []Address
}

// parseAddresses reads a field's value; nil if it holds no address at all.
func parseAddresses(v string) []Address {
	a := addressParser{lexer: newLexer(v)}
	a.keep = true
	if a.skipSpace() != more {
		return nil
	}
	for len(a.list) < maxAddresses {
		if a.address() == atEnd || !a.at(',') {
			break
		}
		a.pos++
		if st := a.skipSpace(); st != more {
			if st == broken {
				a.addFixed()
			}
			break
		}
	}
	return a.list
}

func (a *addressParser) take() String { return String{true, a.t.String()} }

func (a *addressParser) add() {
	a.list = append(a.list, a.cur)
	a.cur = Address{}
}

// addFixed adds an address, with a word in the place of each missing half.
func (a *addressParser) addFixed() {
	if !a.cur.Mailbox.Set {
		a.cur.Mailbox = String{true, missingMailbox}
	}
	if a.cur.Host.Value == "" {
		a.cur.Host = String{true, missingDomain}
	}
	a.add()
}

// address = mailbox / group
func (a *addressParser) address() status {
	start := a.pos
	if st := a.group(); st != broken {
		return st
	}
	a.pos = start
	return a.mailbox()
}

// group = display-name ":" [group-list] ";"
func (a *addressParser) group() status {
	a.t.reset()
	if a.phrase(&a.t) != more || !a.at(':') {
		return broken
	}
	a.pos++
	st := a.skipSpace()
	a.cur.Mailbox = a.take()
	a.add()
	if st == more && !a.at(';') {
		for len(a.list) < maxAddresses {
			a.mailbox()
			if !a.at(',') {
				break
			}
			a.pos++
			if a.skipSpace() != more {
				st = broken
				break
			}
		}
	}
	if st != broken {
		if a.at(';') {
			a.pos++
			st = a.skipSpace()
		} else {
			st = broken
		}
	}
	a.add()
	if st == atEnd {
		return atEnd
	}
	return more
}

// mailbox = name-addr / addr-spec
func (a *addressParser) mailbox() status {
	start := a.pos
	st := a.nameAddr()
	if st == broken {
		a.pos = start
		var bad bool
		st, bad = a.addrSpec()
		if bad && !a.cur.Name.Set && a.cur.Mailbox.Set && !a.cur.Host.Set {
			// A quoted string alone is a name rather than a mailbox.
			a.cur.Name, a.cur.Mailbox = a.cur.Mailbox, String{}
		}
	}
	a.addFixed()
	return st
}

// nameAddr = [display-name] "<" ... ">"
func (a *addressParser) nameAddr() status {
	a.t.reset()
	if a.phrase(&a.t) != more || !a.at('<') {
		return broken
	}
	if a.t.len() > 0 {
		a.cur.Name = a.take()
	}
	if a.angleAddr() == broken {
		a.cur.Host = String{true, syntaxError}
	}
	return a.status()
}

// angleAddr = "<" [route ":"] addr-spec ">"
func (a *addressParser) angleAddr() status {
	a.pos++
	if a.skipSpace() != more {
		return broken
	}
	if a.at('@') {
		if a.route() == more && a.at(':') {
			a.pos++
		} else {
			a.cur.Route = String{true, invalidRoute}
			if a.done() {
				return broken
			}
		}
		if a.skipSpace() != more {
			return broken
		}
	}
	if !a.at('>') {
		if a.localPart() != more {
			return broken
		}
		if a.at('@') && a.host() != more {
			return broken
		}
	}
	if !a.at('>') {
		return broken
	}
	a.pos++
	return a.skipSpace()
}

// route = obs-domain-list: "@a,@b", the separators made uniform.
func (a *addressParser) route() status {
	a.t.reset()
	for {
		if a.done() {
			return atEnd
		}
		if !a.at('@') {
			break
		}
		if a.t.len() > 0 {
			a.t.addByte(',')
		}
		a.t.addByte('@')
		if st := a.domain(&a.t); st != more {
			return st
		}
		for a.skipSpace() == more && a.at(',') {
			a.pos++
		}
	}
	a.cur.Route = a.take()
	return more
}

func (a *addressParser) localPart() status {
	a.t.reset()
	var st status
	if a.at('"') {
		st = a.quoted(&a.t)
	} else {
		st = a.lexer.localPart(&a.t)
	}
	if st != broken {
		a.cur.Mailbox = a.take()
	}
	return st
}

func (a *addressParser) host() status {
	a.t.reset()
	st := a.domain(&a.t)
	if st != broken {
		a.cur.Host = a.take()
	}
	return st
}

// addrSpec = local-part "@" domain, with a comment behind it taken as the
// name. It also reads words that are no address; bad says that it did.
func (a *addressParser) addrSpec() (st status, bad bool) {
	a.comment.reset()
	isQuoted := a.at('"')
	st = a.localPart()
	bad = st != more
	hadHost := false
	if st != atEnd && a.at('@') {
		hadHost = true
		if h := a.host(); h != more {
			st = h
		}
	}
	if a.comment.len() > 0 {
		a.cur.Name = String{true, a.comment.String()}
		return st, bad
	}
	if hadHost {
		return st, bad
	}
	// One word is a mailbox without a domain, several are a name without an
	// address.
	a.t.addByte(' ')
	n := a.t.len()
	a.phrase(&a.t)
	if a.t.len() != n {
		a.cur.Mailbox = String{}
		a.cur.Name = a.take()
	} else if !isQuoted {
		a.cur.Host = String{true, ""}
	}
	return broken, true
}
