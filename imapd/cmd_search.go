package imapd

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/ianaindex"

	"postroom/imapd/wire"
	"postroom/internal/search"
)

// searchCommand is SEARCH: RFC 9051 section 6.4.4, with the result options of
// ESEARCH (RFC 4731) and SEARCHRES (RFC 5182), and MODSEQ (RFC 7162 section
// 3.1.5).
type searchCommand struct {
	uid      bool
	extended bool // RETURN was given
	min, max bool
	all      bool
	count    bool
	save     bool

	key        search.Key
	needModSeq bool // MODSEQ was asked for, so the answer carries one
	sets       []*resolved
	sel        *selection // what is searched; set when the command is run, for keys that ask it
	badCharset bool
}

// resolved is a set of a search key; its meaning depends on the mailbox.
type resolved struct {
	set wire.Set
	uid bool
	n   wire.Numbers // sequence numbers
}

func parseSearch(p *parser) action {
	cmd := &searchCommand{uid: p.uid}
	if !p.SP() {
		return nil
	}
	sp := &searchParser{parser: p, cmd: cmd}
	var name string
	if !p.AtSet() && !p.Peek('(') {
		if !p.Name(&name) {
			return nil
		}
		if name == "RETURN" {
			if !p.SP() || !cmd.returnOptions(p) || !p.SP() {
				return nil
			}
			if name = ""; !p.AtSet() && !p.Peek('(') && !p.Name(&name) {
				return nil
			}
		}
		if name == "CHARSET" {
			if !p.SP() || !sp.readCharset() || !p.SP() {
				return nil
			}
			name = ""
		}
	}
	keys, ok := sp.keys(name)
	if !ok {
		return nil
	}
	cmd.key = search.And(keys...)
	return cmd.run
}

func (cmd *searchCommand) returnOptions(p *parser) bool {
	cmd.extended = true
	if !p.List(true, func() bool {
		var name string
		if !p.Name(&name) {
			return false
		}
		switch name {
		case "MIN":
			cmd.min = true
		case "MAX":
			cmd.max = true
		case "ALL":
			cmd.all = true
		case "COUNT":
			cmd.count = true
		case "SAVE":
			cmd.save = true
		default:
			return p.Syntax("unknown result option")
		}
		return true
	}) {
		return false
	}
	if !cmd.min && !cmd.max && !cmd.count && !cmd.save {
		cmd.all = true // RFC 9051 section 6.4.4, RETURN ()
	}
	return true
}

// searchParser reads search keys.
type searchParser struct {
	*parser
	cmd     *searchCommand
	charset encoding.Encoding // nil: UTF-8, or US-ASCII within it
	given   bool
	seen    int
	depth   int
}

func (sp *searchParser) readCharset() bool {
	var name string
	if !sp.Astring(&name) {
		return false
	}
	sp.given = true
	if sp.UTF8 && !strings.EqualFold(name, "UTF-8") { // RFC 6855 section 3
		return sp.Fail(bad("No CHARSET after ENABLE UTF8=ACCEPT"))
	}
	if strings.EqualFold(name, "UTF8") { // no registered name, but sent
		return true
	}
	enc, err := ianaindex.MIME.Encoding(name)
	if err != nil || enc == nil {
		sp.cmd.badCharset = true // said when the whole command was read
		return true
	}
	if canonical, _ := ianaindex.MIME.Name(enc); canonical != "UTF-8" && canonical != "US-ASCII" {
		sp.charset = enc
	}
	return true
}

// text reads an astring and makes it UTF-8.
func (sp *searchParser) text(dst *string) bool {
	if !sp.Astring(dst) {
		return false
	}
	if sp.charset != nil {
		s, err := sp.charset.NewDecoder().String(*dst)
		if err != nil {
			sp.cmd.badCharset = true
			return true
		}
		*dst = s
	}
	if !utf8.ValidString(*dst) {
		sp.cmd.badCharset = true
	}
	return true
}

// keys reads key *(SP key); name is the first key's if it was read already.
func (sp *searchParser) keys(name string) ([]search.Key, bool) {
	var list []search.Key
	for {
		key, ok := sp.key(name)
		if !ok {
			return nil, false
		}
		list = append(list, key)
		if !sp.Accept(' ') {
			return list, sp.Err() == nil
		}
		name = ""
	}
}

func (sp *searchParser) key(name string) (search.Key, bool) {
	none := search.Key{}
	if sp.seen++; sp.seen > sp.lim.SearchKeys {
		return none, sp.Fail(no("LIMIT", "Too many search keys"))
	}
	if sp.depth++; sp.depth > sp.lim.Depth {
		return none, sp.Syntax("search keys nested too deeply")
	}
	defer func() { sp.depth-- }()
	switch {
	case name != "":
	case sp.Peek('('):
		if !sp.Open() {
			return none, false
		}
		list, ok := sp.keys("")
		if !ok {
			return none, false
		}
		return search.And(list...), sp.Close()
	case sp.AtSet():
		return sp.set(false)
	default:
		if !sp.Name(&name) {
			return none, false
		}
	}
	parse := searchKeys[name]
	if parse == nil {
		return none, sp.Syntax("unknown search key " + name)
	}
	return parse(sp)
}

func (sp *searchParser) set(uid bool) (search.Key, bool) {
	r := &resolved{uid: uid}
	if !sp.SequenceSet(&r.set) {
		return search.Key{}, false
	}
	sp.cmd.sets = append(sp.cmd.sets, r)
	return search.Test(search.CostFlags, func(m *search.Candidate) (bool, error) {
		return r.n.Contains(uint32(m.Index() + 1)), nil
	}), true
}
