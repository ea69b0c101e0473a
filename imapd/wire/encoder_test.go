package wire

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestEncoder(t *testing.T) {
	var out bytes.Buffer
	e := NewEncoder(&out)
	e.Raw("* ").Num(7).SP().Astring("a b").SP().Astring("ab").SP().String("c\r\nd").SP().Nstring("").SP()
	e.Mailbox("Entwürfe").SP().Numbers(Of([]uint32{1, 2, 5})).SP()
	e.DateTime(time.Date(2026, 2, 1, 15, 4, 5, 0, time.FixedZone("", 3600))).CRLF()
	want := "* 7 \"a b\" ab {4}\r\nc\r\nd NIL Entw&APw-rfe 1:2,5 \"01-Feb-2026 15:04:05 +0100\"\r\n"
	if out.Len() != 0 {
		t.Error("written before Flush")
	}
	if err := e.Flush(); err != nil || out.String() != want || e.Total() != int64(len(want)) {
		t.Errorf("%v %q", err, out.String())
	}
	if e.buf != nil {
		t.Error("keeps its buffer while it waits")
	}
}

func TestEncoderLarge(t *testing.T) {
	var out bytes.Buffer
	e := NewEncoder(&out)
	var want strings.Builder
	for i := range 2000 {
		s := strings.Repeat("x", i*7%90000)
		e.String(s).Bytes([]byte(s)).CRLF()
		if len(s) <= 1024 {
			want.WriteString(`"` + s + `"`)
		} else {
			want.WriteString("{" + itoa(len(s)) + "}\r\n" + s)
		}
		want.WriteString(s + "\r\n")
	}
	if e.Flush() != nil || out.String() != want.String() {
		t.Error("differs")
	}
}

type failing struct{ n int }

func (f *failing) Write(p []byte) (int, error) { f.n++; return 0, errors.New("cut") }

func TestEncoderFails(t *testing.T) {
	f := &failing{}
	e := NewEncoder(f)
	for range 10000 {
		e.Raw("0123456789")
	}
	if e.Flush() == nil || f.n != 1 {
		t.Errorf("%d writes after the first failure, error %v", f.n-1, e.Err())
	}
}

func TestNumbers(t *testing.T) {
	n := Of([]uint32{3, 4, 5, 9})
	for v, want := range map[uint32]bool{2: false, 3: true, 5: true, 6: false, 9: true, 10: false} {
		if n.Contains(v) != want {
			t.Errorf("Contains(%d) is %v", v, !want)
		}
	}
	if got := string(AppendInOrder(nil, []uint32{5, 6, 2, 3, 9})); got != "5:6,2:3,9" {
		t.Error(got)
	}
}

func BenchmarkEncoder(b *testing.B) {
	e := NewEncoder(&discard{})
	b.ReportAllocs()
	for i := range b.N {
		e.Raw("* ").Num(uint64(i)).Raw(" FETCH (UID ").Num(uint64(i)).Raw(" FLAGS (").Raw(`\Seen`).Raw("))").CRLF()
	}
	_ = e.Flush()
}

type discard struct{}

func (*discard) Write(p []byte) (int, error) { return len(p), nil }
