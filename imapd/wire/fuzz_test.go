package wire

import (
	"bytes"
	"io"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzDecoder applies rules in an order the fuzzer chooses. Whatever happens,
// the decoder must neither panic nor take more memory than its limits allow,
// and DiscardLine must end.
func FuzzDecoder(f *testing.F) {
	for _, s := range []string{"a NOOP\r\n", "a (b {3+}\r\nxyz) 1:*,5 \"q\\\"\"\r\n", "{5}\r\n", "~{2+}\r\n\x00\x00\r\n", "$ NIL =\r\n"} {
		f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, []byte(s))
	}
	f.Fuzz(func(t *testing.T, ops, in []byte) {
		d := NewDecoder(bytes.NewReader(in), Limits{Line: 1000, Literal: 100, Discard: 1000, Depth: 4}, func() error { return nil })
		for range 50 {
			if d.Begin() != nil {
				return
			}
			for _, op := range ops {
				if !apply(d, op) {
					break
				}
			}
			if d.Err() == nil && d.CRLF() {
				continue
			}
			if d.DiscardLine() != nil {
				return
			}
		}
	})
}

func apply(d *Decoder, op byte) bool {
	var (
		s    string
		ok   bool
		n    uint32
		set  Set
		b    []byte
		when time.Time
		list []string
		lit  Literal
	)
	switch op % 16 {
	case 0:
		return d.Tag(&s)
	case 1:
		return d.SP()
	case 2:
		return d.Astring(&s)
	case 3:
		return d.Nstring(&s)
	case 4:
		return d.SequenceSet(&set)
	case 5:
		return d.NzNumber(&n)
	case 6:
		return d.FlagList(&list)
	case 7:
		return d.Mailbox(&s, &ok)
	case 8:
		return d.Base64(&b)
	case 9:
		return d.DateTime(&when)
	case 10:
		return d.Date(&when)
	case 11:
		return d.Open()
	case 12:
		return d.ListMailbox(&s, &ok)
	case 13:
		return d.Text(&s)
	case 14:
		if !d.Literal(&lit) {
			return false
		}
		r, ok := d.OpenLiteral(lit)
		if !ok {
			return false
		}
		got, err := io.Copy(io.Discard, r)
		return err == nil && got == lit.Size
	}
	return d.Name(&s)
}

// FuzzUTF7: what decodes is valid UTF-8 and is told back as it came.
func FuzzUTF7(f *testing.F) {
	for _, s := range []string{"INBOX", "A&-B", "&2D3eAA-", "&U,BTFw-/&ZeVnLIqe-", "&AOl-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, ok := DecodeUTF7(s)
		if ok {
			if !utf8.ValidString(name) {
				t.Fatalf("%q gives %q", s, name)
			}
			if back := string(AppendUTF7(nil, name)); back != s {
				t.Fatalf("%q gives %q gives %q", s, name, back)
			}
		}
		if utf8.ValidString(s) {
			if back, ok := DecodeUTF7(string(AppendUTF7(nil, s))); !ok && !bytes.ContainsRune([]byte(s), 0) || ok && back != s {
				t.Fatalf("%q comes back as %q", s, back)
			}
		}
	})
}

// FuzzSet: resolving a set never loses or invents a number.
func FuzzSet(f *testing.F) {
	f.Add("1,3:5,*", uint32(9), uint32(4))
	f.Add("7:*,2", uint32(3), uint32(3))
	f.Fuzz(func(t *testing.T, in string, max, v uint32) {
		d := NewDecoder(bytes.NewReader([]byte(in+"\r\n")), testLimits, nil)
		var s Set
		if d.Begin() != nil || !d.SequenceSet(&s) || max == 0 || v == 0 {
			return
		}
		want := false
		for _, r := range s.Ranges {
			from, to := r.From, r.To
			if from == 0 {
				from = max
			}
			if to == 0 {
				to = max
			}
			want = want || from <= v && v <= to || to <= v && v <= from
		}
		n := s.Resolve(max)
		if n.Contains(v) != want {
			t.Fatalf("%s with * = %d: Contains(%d) is %v", in, max, v, !want)
		}
		for i := 1; i < len(n); i++ {
			if n[i].From <= n[i-1].To+1 {
				t.Fatalf("%s: %v is not normal", in, n)
			}
		}
	})
}
