package order

import (
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// benchSize is how many messages the benchmarks have; ORDER_BENCH says otherwise.
func benchSize(b *testing.B) int {
	if n, err := strconv.Atoi(os.Getenv("ORDER_BENCH")); err == nil {
		return n
	}
	return 10_000
}

// conversations gives n messages, two in three of which answer an earlier one.
func conversations(n int) []string {
	r := rand.New(rand.NewPCG(1, 2))
	mails := make([]string, n)
	refs, roots := make([]string, n), make([]int, n)
	for i := range mails {
		var more strings.Builder
		subject := ""
		roots[i] = i
		if i > 0 && r.IntN(3) > 0 {
			p := max(0, i-1-r.IntN(200))
			roots[i] = roots[p]
			refs[i] = strings.TrimSpace(refs[p] + " <" + strconv.Itoa(p) + "@example.org>")
			if strings.Count(refs[i], "<") > 10 {
				refs[i] = refs[i][strings.Index(refs[i], ">")+2:]
			}
			fmt.Fprintf(&more, "In-Reply-To: <%d@example.org>\nReferences: %s\n", p, refs[i])
			subject = "Re: "
		}
		mails[i] = fmt.Sprintf("From: \"Person %d\" <p%[1]d@example.org>\nTo: alice@example.org\nSubject: %sA matter of some importance, number %d\n"+
			"Date: %s\nMessage-ID: <%d@example.org>\n%s\nText\n", r.IntN(500), subject, roots[i], "Fri, 2 Jan 2026 03:04:05 +0100", i, more.String())
	}
	return mails
}

func BenchmarkOrders(b *testing.B) {
	n := benchSize(b)
	box := newBox(b, conversations(n)...)
	snap := box.sync()
	ctx := b.Context()
	fresh := func() *Index { return &Index{seed: maphash.MakeSeed()} }
	_, err := fresh().Sorted(ctx, box.mbox, snap, Sent) // fills the cache
	must(b, err)
	b.Run("fill from the cache", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, err := fresh().Sorted(ctx, box.mbox, snap, Sent)
			must(b, err)
		}
	})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	x := fresh()
	_, err = x.Sorted(ctx, box.mbox, snap, Sent)
	must(b, err)
	runtime.GC()
	runtime.ReadMemStats(&after)
	for by, name := range map[By]string{Sent: "sent", From: "from", Subject: "subject", Size: "size"} {
		b.Run("sort by "+name, func(b *testing.B) {
			for b.Loop() {
				x.sorted = nil
				_, err := x.Sorted(ctx, box.mbox, snap, by)
				must(b, err)
			}
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(n), "B/message")
		})
	}
	b.Run("threads", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			x.threads = nil
			_, err := x.Threads(ctx, box.mbox, snap)
			must(b, err)
		}
	})
}
