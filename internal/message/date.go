package message

import (
	"strings"
	"time"
)

// SentDate reads the Date field, for SENTBEFORE and its like and for sorting.
// The time has the zone that the field names; false when there is no date that
// can be read.
func (m *Message) SentDate() (time.Time, bool) {
	if m.record != nil {
		return m.record.SentDate()
	}
	return m.Root.Envelope.SentDate()
}

// SentDate is Message.SentDate for an envelope, also one of an embedded message.
func (e *Envelope) SentDate() (time.Time, bool) {
	if !e.Date.Set {
		return time.Time{}, false
	}
	return parseDate(e.Date.Value)
}

const months = "janfebmaraprmayjunjulaugsepoctnovdec"

// parseDate reads a date-time of RFC 5322 section 3.3 and the obsolete forms
// of section 4.3: comments, two-digit years, named zones, no seconds, no day
// of the week. A missing zone is UTC.
func parseDate(v string) (time.Time, bool) {
	d := dateLexer{lexer: newLexer(v)}
	w := d.word()
	if w != "" && !isDigit(w[0]) { // day of the week, with or without ","
		if d.at(',') {
			d.pos++
		}
		w = d.word()
	}
	day, ok := number(w, 2)
	if !ok || day < 1 || day > 31 {
		return time.Time{}, false
	}
	mon := lower(d.word())
	if len(mon) < 3 {
		return time.Time{}, false
	}
	month := strings.Index(months, mon[:3])
	if month < 0 || month%3 != 0 {
		return time.Time{}, false
	}
	w = d.word()
	year, ok := number(w, 4)
	if !ok {
		return time.Time{}, false
	}
	switch {
	case len(w) == 2 && year < 50:
		year += 2000
	case len(w) < 4:
		year += 1900
	}
	hour, minute, second, ok := d.clock()
	if !ok {
		return time.Time{}, false
	}
	zone := time.FixedZone("", zoneOffset(d.word()))
	date := time.Date(year, time.Month(month/3+1), day, 0, 0, 0, 0, zone)
	if date.Day() != day { // the month is not that long
		return time.Time{}, false
	}
	return date.Add(time.Duration(hour*3600+minute*60+second) * time.Second), true
}

// dateLexer reads the words of a date: whatever stands between space, commas,
// colons and comments.
type dateLexer struct{ lexer }

func (d *dateLexer) word() string {
	d.skipSpace()
	from := d.pos
	for !d.done() && strings.IndexByte(" \t\r\n(,:", d.s[d.pos]) < 0 {
		d.pos++
	}
	w := d.s[from:d.pos]
	d.skipSpace()
	return w
}

// clock reads hour ":" minute [":" second].
func (d *dateLexer) clock() (h, m, s int, ok bool) {
	if h, ok = number(d.word(), 2); !ok || !d.at(':') {
		return 0, 0, 0, false
	}
	d.pos++
	if m, ok = number(d.word(), 2); !ok {
		return 0, 0, 0, false
	}
	if d.at(':') {
		d.pos++
		if s, ok = number(d.word(), 2); !ok {
			return 0, 0, 0, false
		}
	}
	return h, m, s, h < 24 && m < 60 && s <= 60
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func number(w string, digits int) (n int, ok bool) {
	if w == "" || len(w) > digits {
		return 0, false
	}
	for i := 0; i < len(w); i++ {
		if !isDigit(w[i]) {
			return 0, false
		}
		n = n*10 + int(w[i]-'0')
	}
	return n, true
}

// zoneOffset gives seconds east of UTC. RFC 5322 section 4.3 names the zones of
// the USA; all other names, the military ones too, are as good as unknown.
func zoneOffset(w string) int {
	if len(w) == 5 && (w[0] == '+' || w[0] == '-') {
		if n, ok := number(w[1:], 4); ok {
			s := (n/100*60 + n%100) * 60
			if w[0] == '-' {
				return -s
			}
			return s
		}
	}
	switch lower(w) {
	case "edt":
		return -4 * 3600
	case "est", "cdt":
		return -5 * 3600
	case "cst", "mdt":
		return -6 * 3600
	case "mst", "pdt":
		return -7 * 3600
	case "pst":
		return -8 * 3600
	}
	return 0
}
