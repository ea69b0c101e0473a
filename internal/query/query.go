package query

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"postroom/internal/account"
	"postroom/internal/search"
)

// Bounds of a query.
const (
	MaxLength = 1000 // octets
	MaxTerms  = 50
)

// Kinds of errors; an Error has one of them as its Problem.
const (
	TooLong      = "long"     // more than MaxLength octets or MaxTerms terms
	NotUTF8      = "utf8"     // octets that are no UTF-8
	OpenQuote    = "quote"    // a quotation mark without its second
	NoValue      = "no-value" // from: without anything behind it
	BadDate      = "date"     // before:nonsense
	BadSize      = "size"     // larger:nonsense
	BadState     = "state"    // is:nonsense
	BadHas       = "has"      // has:nonsense
	BadLabel     = "label"    // label: with what is no keyword
	NothingAtAll = "nothing"  // OR or - without a term
)

// Error says what of a query is not understood.
type Error struct {
	Problem string // one of the constants
	Term    string // as it was written; "" where the whole query is meant
}

func (e *Error) Error() string {
	if e.Term == "" {
		return "query: " + e.Problem
	}
	return fmt.Sprintf("query: %s: %q", e.Problem, e.Term)
}

// Context is what the meaning of a query depends on.
type Context struct {
	Now  time.Time
	Zone *time.Location // of the days that are named; must be set
}

// Query is what was understood.
type Query struct {
	Key   search.Key
	Empty bool // no term at all: every message matches
}

// Parse reads a query. Errors are *Error.
func Parse(text string, ctx Context) (Query, error) {
	if len(text) > MaxLength {
		return Query{}, &Error{Problem: TooLong}
	}
	if !utf8.ValidString(text) {
		return Query{}, &Error{Problem: NotUTF8}
	}
	terms, err := split(text)
	if err != nil {
		return Query{}, err
	}
	if len(terms) > MaxTerms {
		return Query{}, &Error{Problem: TooLong}
	}
	if len(terms) == 0 {
		return Query{Key: search.All(), Empty: true}, nil
	}
	var all, either []search.Key // either: terms joined by OR, the last not yet in all
	flush := func() {
		if len(either) > 0 {
			all = append(all, search.Or(either...))
			either = nil
		}
	}
	for i, joined := 0, false; i < len(terms); i++ {
		t := terms[i]
		if t.isOr() {
			if len(either) == 0 || joined || i+1 == len(terms) {
				return Query{}, &Error{NothingAtAll, t.raw}
			}
			joined = true
			continue
		}
		key, err := t.key(ctx)
		if err != nil {
			return Query{}, err
		}
		if !joined {
			flush()
		}
		either, joined = append(either, key), false
	}
	flush()
	return Query{Key: search.And(all...)}, nil
}

// term is one word of a query.
type term struct {
	raw      string // as it was written
	negative bool
	operator string // in small letters, "" for a plain word
	value    string
	quoted   bool // the value, or a part of it
}

func (t *term) isOr() bool { return t.raw == "OR" }

// operators are the names that a colon follows.
var operators = map[string]func(t *term, ctx Context) (search.Key, error){
	"from":    header("From"),
	"to":      header("To"),
	"cc":      header("Cc"),
	"bcc":     header("Bcc"),
	"subject": header("Subject"),
	"body":    func(t *term, _ Context) (search.Key, error) { return search.Body(t.value), nil },
	"has":     has,
	"is":      is,
	"label":   label,
	"before":  dated(func(from, _ time.Time, c Context) search.Key { return search.Dated(search.Before, from, c.Zone) }),
	"after":   dated(func(_, next time.Time, c Context) search.Key { return search.Dated(search.Since, next, c.Zone) }),
	"on": dated(func(from, next time.Time, c Context) search.Key {
		return search.And(search.Dated(search.Since, from, c.Zone), search.Dated(search.Before, next, c.Zone))
	}),
	"larger":  sized(search.Larger),
	"smaller": sized(search.Smaller),
}

// split cuts a query into terms. Quotation marks may stand round a term or round an operator's value.
func split(text string) ([]term, error) {
	var terms []term
	for rest := text; ; {
		rest = strings.TrimLeftFunc(rest, unicode.IsSpace)
		if rest == "" {
			return terms, nil
		}
		t, n, err := cut(rest)
		if err != nil {
			return nil, err
		}
		terms = append(terms, t)
		rest = rest[n:]
	}
}

// cut takes a term off the beginning of s, and tells how many octets it has.
func cut(s string) (term, int, error) {
	var t term
	var b strings.Builder
	i := 0
	if s[0] == '-' && len(s) > 1 && !startsWithSpace(s[1:]) {
		t.negative, i = true, 1
	}
	for i < len(s) {
		if s[i] == '"' {
			end := strings.IndexByte(s[i+1:], '"')
			if end < 0 {
				return t, 0, &Error{OpenQuote, s[i:]}
			}
			b.WriteString(s[i+1 : i+1+end])
			t.quoted = true
			i += end + 2
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if unicode.IsSpace(r) {
			break
		}
		if r == ':' && t.operator == "" && !t.quoted {
			if name := strings.ToLower(b.String()); operators[name] != nil {
				t.operator = name
				b.Reset()
				i += n
				continue
			}
		}
		b.WriteString(s[i : i+n])
		i += n
	}
	t.raw, t.value = s[:i], b.String()
	return t, i, nil
}

func startsWithSpace(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsSpace(r)
}

// key compiles a term.
func (t *term) key(ctx Context) (search.Key, error) {
	var key search.Key
	switch {
	case strings.TrimSpace(t.value) == "" && t.operator != "":
		return key, &Error{NoValue, t.raw}
	case strings.TrimSpace(t.value) == "":
		return key, &Error{NothingAtAll, t.raw}
	case t.operator == "":
		key = anywhere(t.value)
	default:
		var err error
		if key, err = operators[t.operator](t, ctx); err != nil {
			return key, err
		}
	}
	if t.negative {
		key = search.Not(key)
	}
	return key, nil
}

// anywhere is what a plain word means.
func anywhere(text string) search.Key {
	return search.Or(search.Header("From", text), search.Header("Subject", text), search.Header("To", text), search.Header("Cc", text), search.Body(text))
}

func header(field string) func(*term, Context) (search.Key, error) {
	return func(t *term, _ Context) (search.Key, error) { return search.Header(field, t.value), nil }
}

func has(t *term, _ Context) (search.Key, error) {
	switch strings.ToLower(t.value) {
	case "attachment", "attachments":
		return search.Attachment(), nil
	}
	return search.Key{}, &Error{BadHas, t.raw}
}

// states are what is: knows.
var states = map[string]func() search.Key{
	"read":       func() search.Key { return search.Flag(account.Seen) },
	"unread":     func() search.Key { return search.Not(search.Flag(account.Seen)) },
	"flagged":    func() search.Key { return search.Flag(account.Flagged) },
	"unflagged":  func() search.Key { return search.Not(search.Flag(account.Flagged)) },
	"answered":   func() search.Key { return search.Flag(account.Answered) },
	"unanswered": func() search.Key { return search.Not(search.Flag(account.Answered)) },
	"draft":      func() search.Key { return search.Flag(account.Draft) },
	"deleted":    func() search.Key { return search.Flag(account.Deleted) },
}

func is(t *term, _ Context) (search.Key, error) {
	state := states[strings.ToLower(t.value)]
	if state == nil {
		return search.Key{}, &Error{BadState, t.raw}
	}
	return state(), nil
}

// label takes what can be a keyword: an atom of RFC 9051 section 9 that is no system flag.
func label(t *term, _ Context) (search.Key, error) {
	for _, r := range t.value {
		if r <= ' ' || r >= 0x7f || strings.ContainsRune(`(){%*"\]`, r) {
			return search.Key{}, &Error{BadLabel, t.raw}
		}
	}
	return search.Keyword(t.value), nil
}

func dated(key func(from, next time.Time, ctx Context) search.Key) func(*term, Context) (search.Key, error) {
	return func(t *term, ctx Context) (search.Key, error) {
		from, next, ok := span(t.value, ctx)
		if !ok {
			return search.Key{}, &Error{BadDate, t.raw}
		}
		return key(from, next, ctx), nil
	}
}

// span reads a day, a month or a year, and gives its first day and the one after its last.
func span(s string, ctx Context) (from, next time.Time, ok bool) {
	now := ctx.Now.In(ctx.Zone)
	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, time.UTC)
	switch low := strings.ToLower(s); low {
	case "today":
		return today, today.AddDate(0, 0, 1), true
	case "yesterday":
		return today.AddDate(0, 0, -1), today, true
	default:
		if n, err := strconv.Atoi(low[:len(low)-1]); err == nil && n >= 0 && n <= 10000 {
			var day time.Time
			switch low[len(low)-1] {
			case 'd':
				day = today.AddDate(0, 0, -n)
			case 'w':
				day = today.AddDate(0, 0, -7*n)
			case 'm':
				day = today.AddDate(0, -n, 0)
			case 'y':
				day = today.AddDate(-n, 0, 0)
			}
			if !day.IsZero() {
				return day, day.AddDate(0, 0, 1), true
			}
		}
	}
	for _, form := range []struct {
		layout              string
		years, months, days int
	}{
		{"2006-1-2", 0, 0, 1}, {"2006/1/2", 0, 0, 1}, {"2.1.2006", 0, 0, 1}, {"2006-1", 0, 1, 0}, {"2006", 1, 0, 0},
	} {
		if from, err := time.Parse(form.layout, s); err == nil && from.Year() > 0 {
			return from, from.AddDate(form.years, form.months, form.days), true
		}
	}
	return from, next, false
}

func sized(key func(n uint64) search.Key) func(*term, Context) (search.Key, error) {
	return func(t *term, _ Context) (search.Key, error) {
		n, ok := octets(t.value)
		if !ok {
			return search.Key{}, &Error{BadSize, t.raw}
		}
		return key(n), nil
	}
}

// octets reads a number of them, with k, M or G, and B behind that or not.
func octets(s string) (uint64, bool) {
	low := strings.TrimSuffix(strings.ToLower(s), "b")
	unit := uint64(1)
	if low != "" {
		switch low[len(low)-1] {
		case 'k':
			unit = 1 << 10
		case 'm':
			unit = 1 << 20
		case 'g':
			unit = 1 << 30
		}
		if unit > 1 {
			low = low[:len(low)-1]
		}
	}
	n, err := strconv.ParseUint(low, 10, 32)
	return n * unit, err == nil
}
