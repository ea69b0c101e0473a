package wire

import (
	"io"
	"testing"
)

// benchFlags are what snapshots append for messages.
var benchFlags = []string{`\Seen`, ``, `\Answered \Seen`, `\Seen $Forwarded`, `\Flagged \Seen NonJunk`}

// BenchmarkFlagsAnswers writes the answers to UID FETCH 1:* (FLAGS) of 10,000 messages.
func BenchmarkFlagsAnswers(b *testing.B) {
	const messages = 10_000
	e := NewEncoder(io.Discard)
	b.ReportAllocs()
	for b.Loop() {
		for i := range messages {
			flags := benchFlags[i%len(benchFlags)]
			e.Raw("* ").Num(uint64(i + 1)).Raw(" FETCH (UID ").Num(uint64(2*i + 1000)).Raw(" FLAGS (")
			e.Append(func(dst []byte) []byte { return append(dst, flags...) }).Raw("))").CRLF()
		}
		if err := e.Flush(); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(e.Total() / int64(b.N))
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/messages, "ns/message")
}

// BenchmarkStrings writes strings that are quoted, with and without escapes, and literals.
func BenchmarkStrings(b *testing.B) {
	e := NewEncoder(io.Discard)
	b.ReportAllocs()
	for b.Loop() {
		for _, s := range []string{"a subject of common length", `with "quotes" and a \`, "Grüße", ""} {
			e.String(s).SP().Nstring(s).SP().Astring(s).CRLF()
		}
		if err := e.Flush(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLiteral passes a body of 64 KiB on in pieces.
func BenchmarkLiteral(b *testing.B) {
	e := NewEncoder(io.Discard)
	body := make([]byte, 64<<10)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		e.Raw("* 1 FETCH (BODY[] ").Literal(int64(len(body)))
		for at := 0; at < len(body); at += 8 << 10 {
			_, _ = e.Write(body[at : at+8<<10])
		}
		if err := e.Raw(")").CRLF().Flush(); err != nil {
			b.Fatal(err)
		}
	}
}
