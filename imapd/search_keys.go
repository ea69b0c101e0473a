package imapd

import (
	"strings"
	"time"

	"postroom/internal/account"
	"postroom/internal/search"
)

// searchKeys are the keys of RFC 9051 section 6.4.4 and RFC 3501 section 6.4.4
// (NEW, OLD, RECENT), each with what reads its arguments.
var searchKeys map[string]func(sp *searchParser) (search.Key, bool)

func init() { // not in the declaration: OR and NOT refer back to the map
	searchKeys = map[string]func(sp *searchParser) (search.Key, bool){
		"ALL":        func(*searchParser) (search.Key, bool) { return search.All(), true },
		"ANSWERED":   hasFlag(account.Answered),
		"DELETED":    hasFlag(account.Deleted),
		"DRAFT":      hasFlag(account.Draft),
		"FLAGGED":    hasFlag(account.Flagged),
		"SEEN":       hasFlag(account.Seen),
		"UNANSWERED": negated(hasFlag(account.Answered)),
		"UNDELETED":  negated(hasFlag(account.Deleted)),
		"UNDRAFT":    negated(hasFlag(account.Draft)),
		"UNFLAGGED":  negated(hasFlag(account.Flagged)),
		"UNSEEN":     negated(hasFlag(account.Seen)),
		"KEYWORD":    hasKeyword,
		"UNKEYWORD":  negated(hasKeyword),
		"RECENT":     isRecent,
		"OLD":        negated(isRecent),
		"NEW":        isNew,

		"BEFORE":     arrived(search.Before),
		"ON":         arrived(search.On),
		"SINCE":      arrived(search.Since),
		"SENTBEFORE": sent(search.Before),
		"SENTON":     sent(search.On),
		"SENTSINCE":  sent(search.Since),
		"LARGER":     sized(search.Larger),
		"SMALLER":    sized(search.Smaller),

		"BCC":     inHeader("Bcc"),
		"CC":      inHeader("Cc"),
		"FROM":    inHeader("From"),
		"SUBJECT": inHeader("Subject"),
		"TO":      inHeader("To"),
		"HEADER":  inNamedHeader,
		"BODY":    inText(search.Body),
		"TEXT":    inText(search.Text),

		"UID": func(sp *searchParser) (search.Key, bool) {
			return spaced(sp, func() (search.Key, bool) { return sp.set(true) })
		},
		"NOT":    negation,
		"OR":     either,
		"MODSEQ": modSeqAtLeast,
	}
}

// spaced reads a space, then what next reads.
func spaced(sp *searchParser, next func() (search.Key, bool)) (search.Key, bool) {
	if !sp.SP() {
		return search.Key{}, false
	}
	return next()
}

func hasFlag(f account.Flags) func(*searchParser) (search.Key, bool) {
	return func(*searchParser) (search.Key, bool) {
		return search.Flag(f), true
	}
}

func negated(parse func(*searchParser) (search.Key, bool)) func(*searchParser) (search.Key, bool) {
	return func(sp *searchParser) (search.Key, bool) {
		k, ok := parse(sp)
		if !ok {
			return k, false
		}
		return search.Not(k), true
	}
}

func hasKeyword(sp *searchParser) (search.Key, bool) {
	var name string
	if !sp.SP() || !sp.Flag(&name) {
		return search.Key{}, false
	}
	return search.Keyword(name), true
}

func isRecent(sp *searchParser) (search.Key, bool) {
	cmd := sp.cmd
	return search.Test(search.CostFlags, func(m *search.Candidate) (bool, error) {
		return cmd.sel.recent.Contains(m.UID()), nil
	}), true
}

func isNew(sp *searchParser) (search.Key, bool) {
	recent, _ := isRecent(sp)
	seen, _ := hasFlag(account.Seen)(sp)
	return search.And(recent, search.Not(seen)), true
}

// dated reads a date, for a key that compares a message's with it.
func dated(key func(date time.Time) search.Key) func(*searchParser) (search.Key, bool) {
	return func(sp *searchParser) (search.Key, bool) {
		var date time.Time
		if !sp.SP() || !sp.Date(&date) {
			return search.Key{}, false
		}
		return key(date), true
	}
}

// arrived tests INTERNALDATE by the day.
func arrived(is search.When) func(*searchParser) (search.Key, bool) {
	return dated(func(date time.Time) search.Key { return search.Arrived(is, date, time.Local) })
}

// sent tests the Date field likewise.
func sent(is search.When) func(*searchParser) (search.Key, bool) {
	return dated(func(date time.Time) search.Key { return search.Sent(is, date) })
}

func sized(key func(n uint64) search.Key) func(*searchParser) (search.Key, bool) {
	return func(sp *searchParser) (search.Key, bool) {
		var n uint64
		if !sp.SP() || !sp.Number64(&n) {
			return search.Key{}, false
		}
		return key(n), true
	}
}

func inHeader(field string) func(*searchParser) (search.Key, bool) {
	return func(sp *searchParser) (search.Key, bool) {
		var text string
		if !sp.SP() || !sp.text(&text) {
			return search.Key{}, false
		}
		return search.Header(field, text), true
	}
}

func inNamedHeader(sp *searchParser) (search.Key, bool) {
	var field, text string
	if !sp.SP() || !sp.Astring(&field) || !sp.SP() || !sp.text(&text) {
		return search.Key{}, false
	}
	return search.Header(field, text), true
}

func inText(key func(text string) search.Key) func(*searchParser) (search.Key, bool) {
	return func(sp *searchParser) (search.Key, bool) {
		var text string
		if !sp.SP() || !sp.text(&text) {
			return search.Key{}, false
		}
		return key(text), true
	}
}

func negation(sp *searchParser) (search.Key, bool) {
	k, ok := spaced(sp, func() (search.Key, bool) { return sp.key("") })
	if !ok {
		return k, false
	}
	return search.Not(k), true
}

func either(sp *searchParser) (search.Key, bool) {
	a, ok := spaced(sp, func() (search.Key, bool) { return sp.key("") })
	if !ok {
		return a, false
	}
	b, ok := spaced(sp, func() (search.Key, bool) { return sp.key("") })
	if !ok {
		return b, false
	}
	return search.Or(a, b), true
}

// modSeqAtLeast: RFC 7162 section 3.1.5. An entry name may narrow it to one
// flag; there is one MODSEQ a message, so that makes no difference.
func modSeqAtLeast(sp *searchParser) (search.Key, bool) {
	if !sp.SP() {
		return search.Key{}, false
	}
	if sp.Peek('"') {
		var entry, kind string
		if !sp.Quoted(&entry) || !sp.SP() || !sp.Name(&kind) || !sp.SP() {
			return search.Key{}, false
		}
		if !strings.HasPrefix(strings.ToLower(entry), "/flags/") || kind != "ALL" && kind != "PRIV" && kind != "SHARED" {
			return search.Key{}, sp.Syntax("malformed MODSEQ entry")
		}
	}
	var n uint64
	if !sp.Number64(&n) {
		return search.Key{}, false
	}
	sp.cmd.needModSeq = true
	return search.ModSeq(n), true
}
