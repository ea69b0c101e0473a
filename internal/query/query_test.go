package query

import (
	"errors"
	"testing"
	"time"

	"postroom/internal/search"
)

var noon = Context{Now: time.Date(2026, 11, 27, 23, 30, 0, 0, time.UTC), Zone: time.FixedZone("", 3600)}

func TestErrors(t *testing.T) {
	for text, want := range map[string]Error{
		`"open`:         {OpenQuote, `"open`},
		`from:"open x`:  {OpenQuote, `"open x`},
		"from:":         {NoValue, "from:"},
		`a subject:" "`: {NoValue, `subject:" "`},
		"before:soon":   {BadDate, "before:soon"},
		"on:2026-13-01": {BadDate, "on:2026-13-01"},
		"larger:big":    {BadSize, "larger:big"},
		"larger:-1":     {BadSize, "larger:-1"},
		"is:new":        {BadState, "is:new"},
		"-has:money":    {BadHas, "-has:money"},
		`label:\Seen`:   {BadLabel, `label:\Seen`},
		"OR a":          {NothingAtAll, "OR"},
		"a OR":          {NothingAtAll, "OR"},
		"a OR OR b":     {NothingAtAll, "OR"},
		`a ""`:          {NothingAtAll, `""`},
		"\xff":          {NotUTF8, ""},
	} {
		_, err := Parse(text, noon)
		var got *Error
		if !errors.As(err, &got) || *got != want {
			t.Errorf("%q: %v, want %v", text, err, &want)
		}
	}
	long := make([]byte, MaxLength+1)
	for _, text := range []string{string(long), repeated("a ", MaxTerms+1)} {
		var got *Error
		if _, err := Parse(text, noon); !errors.As(err, &got) || got.Problem != TooLong {
			t.Errorf("%d octets: %v", len(text), err)
		}
	}
}

func repeated(s string, n int) (out string) {
	for range n {
		out += s
	}
	return out
}

// TestSpans: days are those of the user's zone, in which it is the 28th already.
func TestSpans(t *testing.T) {
	day := func(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }
	for text, want := range map[string][2]time.Time{
		"today":      {day(2026, 11, 28), day(2026, 11, 29)},
		"Yesterday":  {day(2026, 11, 27), day(2026, 11, 28)},
		"3d":         {day(2026, 11, 25), day(2026, 11, 26)},
		"2w":         {day(2026, 11, 14), day(2026, 11, 15)},
		"1m":         {day(2026, 10, 28), day(2026, 10, 29)},
		"1y":         {day(2025, 11, 28), day(2025, 11, 29)},
		"2026-03-09": {day(2026, 3, 9), day(2026, 3, 10)},
		"9.3.2026":   {day(2026, 3, 9), day(2026, 3, 10)},
		"2026/3/9":   {day(2026, 3, 9), day(2026, 3, 10)},
		"2026-12":    {day(2026, 12, 1), day(2027, 1, 1)},
		"2026":       {day(2026, 1, 1), day(2027, 1, 1)},
	} {
		from, next, ok := span(text, noon)
		if !ok || !from.Equal(want[0]) || !next.Equal(want[1]) {
			t.Errorf("%q: %v to %v, %v", text, from, next, ok)
		}
	}
}

// TestTerms: what a term is, and what it costs to try.
func TestTerms(t *testing.T) {
	terms, err := split(`from:"Ann B" -"two words" Re: http://x/ -  subject:-x`)
	if err != nil {
		t.Fatal(err)
	}
	want := []term{
		{raw: `from:"Ann B"`, operator: "from", value: "Ann B", quoted: true},
		{raw: `-"two words"`, negative: true, value: "two words", quoted: true},
		{raw: "Re:", value: "Re:"}, {raw: "http://x/", value: "http://x/"}, {raw: "-", value: "-"},
		{raw: "subject:-x", operator: "subject", value: "-x"},
	}
	for i := range terms {
		if i >= len(want) || terms[i] != want[i] {
			t.Errorf("term %d: %+v", i, terms[i])
		}
	}
	for text, want := range map[string]search.Cost{
		"": search.CostNone, "is:unread -label:x": search.CostFlags, "larger:2M smaller:1gb": search.CostInfo, "from:x is:flagged": search.CostHeader, "x": search.CostBody,
	} {
		q, err := Parse(text, noon)
		if err != nil || q.Key.Cost() != want || q.Empty != (text == "") {
			t.Errorf("%q: cost %d, %v", text, q.Key.Cost(), err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`from:"a b" -c OR d before:2026 larger:2M`, `"`, "OR", "is:", "on:é", "before:\u00e9"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if q, err := Parse(s, noon); err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Problem == "" {
				t.Errorf("%q: %v", s, err)
			}
		} else if q.Empty != (len(mustSplit(t, s)) == 0) {
			t.Errorf("%q is empty: %v", s, q.Empty)
		}
	})
}

func mustSplit(t *testing.T, s string) []term {
	terms, err := split(s)
	if err != nil {
		t.Fatal(err)
	}
	return terms
}
