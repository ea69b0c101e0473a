package imapd

import (
	"strings"
	"time"

	"postroom/internal/account"
	"postroom/internal/message"
)

// searchKeys are the keys of RFC 9051 section 6.4.4 and RFC 3501 section 6.4.4
// (NEW, OLD, RECENT), each with what reads its arguments.
var searchKeys map[string]func(sp *searchParser) (searchKey, bool)

func init() { // not in the declaration: OR and NOT refer back to the map
	searchKeys = map[string]func(sp *searchParser) (searchKey, bool){
		"ALL":        func(*searchParser) (searchKey, bool) { return always(), true },
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

		"BEFORE":     arrived(before),
		"ON":         arrived(on),
		"SINCE":      arrived(since),
		"SENTBEFORE": sent(before),
		"SENTON":     sent(on),
		"SENTSINCE":  sent(since),
		"LARGER":     sized(func(size, n int64) bool { return size > n }),
		"SMALLER":    sized(func(size, n int64) bool { return size < n }),

		"BCC":     inHeader("Bcc"),
		"CC":      inHeader("Cc"),
		"FROM":    inHeader("From"),
		"SUBJECT": inHeader("Subject"),
		"TO":      inHeader("To"),
		"HEADER":  inNamedHeader,
		"BODY":    inText((*message.Message).SearchBody),
		"TEXT":    inText((*message.Message).SearchText),

		"UID": func(sp *searchParser) (searchKey, bool) {
			return spaced(sp, func() (searchKey, bool) { return sp.set(true) })
		},
		"NOT":    negation,
		"OR":     either,
		"MODSEQ": modSeqAtLeast,
	}
}

// spaced reads a space, then what next reads.
func spaced(sp *searchParser, next func() (searchKey, bool)) (searchKey, bool) {
	if !sp.SP() {
		return searchKey{}, false
	}
	return next()
}

func always() searchKey {
	return searchKey{costNone, func(*candidate) (bool, error) { return true, nil }}
}

func hasFlag(f account.Flags) func(*searchParser) (searchKey, bool) {
	return func(*searchParser) (searchKey, bool) {
		return searchKey{costFlags, func(m *candidate) (bool, error) { return m.Flags()&f != 0, nil }}, true
	}
}

func negated(parse func(*searchParser) (searchKey, bool)) func(*searchParser) (searchKey, bool) {
	return func(sp *searchParser) (searchKey, bool) {
		k, ok := parse(sp)
		if !ok {
			return k, false
		}
		return not(k), true
	}
}

func hasKeyword(sp *searchParser) (searchKey, bool) {
	var name string
	if !sp.SP() || !sp.Flag(&name) {
		return searchKey{}, false
	}
	return searchKey{costFlags, func(m *candidate) (bool, error) { return m.HasKeyword(name), nil }}, true
}

func isRecent(*searchParser) (searchKey, bool) {
	return searchKey{costFlags, func(m *candidate) (bool, error) {
		return m.sel.recent.Contains(m.UID()), nil
	}}, true
}

func isNew(sp *searchParser) (searchKey, bool) {
	recent, _ := isRecent(sp)
	seen, _ := hasFlag(account.Seen)(sp)
	return and([]searchKey{recent, not(seen)}), true
}

// arrived tests INTERNALDATE by the day.
func arrived(test func(d, want int32) bool) func(*searchParser) (searchKey, bool) {
	return func(sp *searchParser) (searchKey, bool) {
		var want time.Time
		if !sp.SP() || !sp.Date(&want) {
			return searchKey{}, false
		}
		day := dayOf(want)
		return searchKey{costInfo, func(m *candidate) (bool, error) {
			n, known := m.DateNano()
			if !known {
				var err error
				if n, err = m.read().DateNano(); err != nil {
					return false, err
				}
			}
			return test(dayOf(time.Unix(0, n)), day), nil
		}}, true
	}
}

// sent tests the Date field likewise; a message without one matches none.
func sent(test func(d, want int32) bool) func(*searchParser) (searchKey, bool) {
	return func(sp *searchParser) (searchKey, bool) {
		var want time.Time
		if !sp.SP() || !sp.Date(&want) {
			return searchKey{}, false
		}
		day := dayOf(want)
		return searchKey{costHeader, func(m *candidate) (bool, error) {
			d, known := m.SentDay()
			if !known {
				var err error
				if d, err = m.read().SentDay(); err != nil {
					return false, err
				}
			}
			return d != message.NoDay && test(d, day), nil
		}}, true
	}
}

func before(d, want int32) bool { return d < want }
func on(d, want int32) bool     { return d == want }
func since(d, want int32) bool  { return d >= want }

// dayOf is a date without its time and its zone, which the date keys disregard
// (RFC 9051 section 6.4.4), in days since 1970.
func dayOf(t time.Time) int32 {
	_, east := t.Zone()
	return message.Day(t.Unix() + int64(east))
}

func sized(test func(size, n int64) bool) func(*searchParser) (searchKey, bool) {
	return func(sp *searchParser) (searchKey, bool) {
		var n uint64
		if !sp.SP() || !sp.Number64(&n) {
			return searchKey{}, false
		}
		return searchKey{costInfo, func(m *candidate) (bool, error) {
			size, err := m.read().Size()
			return err == nil && test(size, int64(n)), err
		}}, true
	}
}

func inHeader(field string) func(*searchParser) (searchKey, bool) {
	return func(sp *searchParser) (searchKey, bool) {
		var text string
		if !sp.SP() || !sp.text(&text) {
			return searchKey{}, false
		}
		return headerKey(field, text), true
	}
}

func inNamedHeader(sp *searchParser) (searchKey, bool) {
	var field, text string
	if !sp.SP() || !sp.Astring(&field) || !sp.SP() || !sp.text(&text) {
		return searchKey{}, false
	}
	return headerKey(field, text), true
}

func headerKey(field, text string) searchKey {
	needle, set := message.NewNeedle(text), message.NewFieldSet([]string{field})
	return searchKey{costHeader, func(m *candidate) (bool, error) {
		if m.read().Lacks(set, needle) {
			return false, nil
		}
		rec, err := m.rd.Record()
		if err != nil {
			return false, err
		}
		if found, known := rec.SearchHeader(set, needle); known {
			return found, nil
		}
		parsed, msg, err := m.parts()
		if err != nil {
			return false, err
		}
		return parsed.SearchHeader(msg, field, needle)
	}}
}

func inText(search func(*message.Message, readerAt, *message.Needle) (bool, error)) func(*searchParser) (searchKey, bool) {
	return func(sp *searchParser) (searchKey, bool) {
		var text string
		if !sp.SP() || !sp.text(&text) {
			return searchKey{}, false
		}
		if text == "" { // in every message
			return always(), true
		}
		needle := message.NewNeedle(text)
		return searchKey{costBody, func(m *candidate) (bool, error) {
			parsed, msg, err := m.parts()
			if err != nil {
				return false, err
			}
			return search(parsed, msg, needle)
		}}, true
	}
}

func negation(sp *searchParser) (searchKey, bool) {
	k, ok := spaced(sp, func() (searchKey, bool) { return sp.key("") })
	if !ok {
		return k, false
	}
	return not(k), true
}

func either(sp *searchParser) (searchKey, bool) {
	a, ok := spaced(sp, func() (searchKey, bool) { return sp.key("") })
	if !ok {
		return a, false
	}
	b, ok := spaced(sp, func() (searchKey, bool) { return sp.key("") })
	if !ok {
		return b, false
	}
	return or([]searchKey{a, b}), true
}

// modSeqAtLeast: RFC 7162 section 3.1.5. An entry name may narrow it to one
// flag; there is one MODSEQ a message, so that makes no difference.
func modSeqAtLeast(sp *searchParser) (searchKey, bool) {
	if !sp.SP() {
		return searchKey{}, false
	}
	if sp.Peek('"') {
		var entry, kind string
		if !sp.Quoted(&entry) || !sp.SP() || !sp.Name(&kind) || !sp.SP() {
			return searchKey{}, false
		}
		if !strings.HasPrefix(strings.ToLower(entry), "/flags/") || kind != "ALL" && kind != "PRIV" && kind != "SHARED" {
			return searchKey{}, sp.Syntax("malformed MODSEQ entry")
		}
	}
	var n uint64
	if !sp.Number64(&n) {
		return searchKey{}, false
	}
	sp.cmd.needModSeq = true
	return searchKey{costFlags, func(m *candidate) (bool, error) { return m.ModSeq() >= n, nil }}, true
}
