package account

import (
	"testing"
	"time"
)

// BenchmarkRefresh is the look at the rights that comes before each command on a mailbox.
func BenchmarkRefresh(b *testing.B) {
	for name, acl := range map[string]string{"no file": "", "a file": "user=bob lr\n"} {
		b.Run(name, func(b *testing.B) {
			h := newHouse(b)
			alice := h.open("alice")
			h.create(alice, "Work")
			if acl != "" {
				h.write("alice", ".Work", acl)
			}
			m, err := alice.Select(b.Context(), "Work", false)
			if err != nil {
				b.Fatal(err)
			}
			defer m.Close()
			time.Sleep(3 * time.Second) // a file that was written just now is read each time
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.Refresh(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
