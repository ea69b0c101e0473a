package search

import (
	"slices"
	"time"

	"postroom/internal/account"
	"postroom/internal/message"
)

// Key is a compiled test of a message. It is safe for concurrent use.
type Key struct {
	cost  Cost
	match func(m *Candidate) (bool, error)
}

// Cost is what trying a key takes.
type Cost int

const (
	CostNone   Cost = iota
	CostFlags       // in the snapshot
	CostInfo        // date and size, mostly known without opening
	CostHeader      // the record in the cache; else it opens and parses
	CostBody        // decodes all of it
)

// Cost of the dearest test in the key.
func (k Key) Cost() Cost { return k.cost }

// Test makes a key of a protocol's own.
func Test(c Cost, match func(m *Candidate) (bool, error)) Key { return Key{c, match} }

// All matches every message.
func All() Key { return Key{CostNone, func(*Candidate) (bool, error) { return true, nil }} }

// Flag matches messages with one of the system flags.
func Flag(f account.Flags) Key {
	return Key{CostFlags, func(m *Candidate) (bool, error) { return m.Flags()&f != 0, nil }}
}

// Keyword matches messages with a keyword; case does not matter.
func Keyword(name string) Key {
	return Key{CostFlags, func(m *Candidate) (bool, error) { return m.HasKeyword(name), nil }}
}

// ModSeq matches messages whose MODSEQ is n or above (RFC 7162 section 3.1.5).
func ModSeq(n uint64) Key {
	return Key{CostFlags, func(m *Candidate) (bool, error) { return m.ModSeq() >= n, nil }}
}

// When compares the days of two dates; RFC 9051 section 6.4.4 disregards times and zones.
type When func(day, want int32) bool

// The comparisons of BEFORE, ON and SINCE.
var (
	Before When = func(day, want int32) bool { return day < want }
	On     When = func(day, want int32) bool { return day == want }
	Since  When = func(day, want int32) bool { return day >= want }
)

// dayOf is a date without its time and its zone, in days since 1970.
func dayOf(t time.Time) int32 {
	_, east := t.Zone()
	return message.Day(t.Unix() + int64(east))
}

// Arrived compares the day of INTERNALDATE in a zone with that of a date.
func Arrived(is When, date time.Time, zone *time.Location) Key {
	want := dayOf(date)
	return Key{CostInfo, func(m *Candidate) (bool, error) {
		day, err := m.arrivalDay(zone)
		return err == nil && is(day, want), err
	}}
}

func (m *Candidate) arrivalDay(zone *time.Location) (int32, error) {
	n, known := m.DateNano()
	if !known {
		var err error
		if n, err = m.Read().DateNano(); err != nil {
			return 0, err
		}
	}
	return dayOf(time.Unix(0, n).In(zone)), nil
}

// Sent compares the day of the Date field likewise; a message without one matches none.
func Sent(is When, date time.Time) Key {
	want := dayOf(date)
	return Key{CostHeader, func(m *Candidate) (bool, error) {
		day, err := m.sentDay()
		return day != message.NoDay && err == nil && is(day, want), err
	}}
}

func (m *Candidate) sentDay() (int32, error) {
	if day, known := m.SentDay(); known {
		return day, nil
	}
	return m.Read().SentDay()
}

// Dated compares the day that a list shows: that of the Date field, or where there is none that of INTERNALDATE.
func Dated(is When, date time.Time, zone *time.Location) Key {
	want := dayOf(date)
	return Key{CostHeader, func(m *Candidate) (bool, error) {
		day, err := m.sentDay()
		if err == nil && day == message.NoDay {
			day, err = m.arrivalDay(zone)
		}
		return err == nil && is(day, want), err
	}}
}

// Larger matches messages whose RFC822.SIZE is above n octets.
func Larger(n uint64) Key { return sized(func(size uint64) bool { return size > n }) }

// Smaller matches messages whose RFC822.SIZE is below n octets.
func Smaller(n uint64) Key { return sized(func(size uint64) bool { return size < n }) }

func sized(test func(size uint64) bool) Key {
	return Key{CostInfo, func(m *Candidate) (bool, error) {
		size, err := m.Read().Size()
		return err == nil && test(uint64(size)), err
	}}
}

// Header matches messages of which a header field of that name holds the text; "" asks whether there is such a field.
func Header(field, text string) Key {
	needle, set := message.NewNeedle(text), message.NewFieldSet([]string{field})
	return Key{CostHeader, func(m *Candidate) (bool, error) {
		if m.Read().Lacks(set, needle) {
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

// Body matches messages whose text parts hold the text, Text those that have it there or in a header. "" is in all.
func Body(text string) Key { return inText((*message.Message).SearchBody, text) }

// Text is Body with the headers.
func Text(text string) Key { return inText((*message.Message).SearchText, text) }

func inText(search func(*message.Message, readerAt, *message.Needle) (bool, error), text string) Key {
	if text == "" {
		return All()
	}
	needle := message.NewNeedle(text)
	return Key{CostBody, func(m *Candidate) (bool, error) {
		parsed, msg, err := m.parts()
		if err != nil {
			return false, err
		}
		return search(parsed, msg, needle)
	}}
}

// Attachment matches messages that have one: message.Record.HasAttachment.
func Attachment() Key {
	return Key{CostHeader, func(m *Candidate) (bool, error) {
		rec, err := m.Read().Record()
		return err == nil && rec.HasAttachment(), err
	}}
}

// And matches where all do. It orders the list by cost.
func And(list ...Key) Key {
	if len(list) == 1 {
		return list[0]
	}
	slices.SortStableFunc(list, byCost)
	return Key{dearest(list), func(m *Candidate) (bool, error) {
		for _, k := range list {
			if ok, err := k.match(m); !ok || err != nil {
				return false, err
			}
		}
		return true, nil
	}}
}

// Or matches where one does. It orders the list by cost.
func Or(list ...Key) Key {
	slices.SortStableFunc(list, byCost)
	return Key{dearest(list), func(m *Candidate) (bool, error) {
		for _, k := range list {
			if ok, err := k.match(m); ok || err != nil {
				return ok, err
			}
		}
		return false, nil
	}}
}

// Not matches where the key does not.
func Not(k Key) Key {
	return Key{k.cost, func(m *Candidate) (bool, error) {
		ok, err := k.match(m)
		return !ok && err == nil, err
	}}
}

func byCost(a, b Key) int { return int(a.cost - b.cost) }

func dearest(list []Key) Cost {
	c := CostNone
	for _, k := range list {
		c = max(c, k.cost)
	}
	return c
}
