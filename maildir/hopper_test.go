package maildir

import (
	"sync"
	"testing"
)

// A client that goes from one process to another, while others change flags by both, misses no change at or below
// the HIGHESTMODSEQ that it was told.
func TestHop(t *testing.T) {
	const n = 200
	bothWays(t, func(t *testing.T, opt Options) {
		a := shareWith(t, n, opt)
		procs := []*sharing{a, a.againWith(t, opt)}
		var done sync.WaitGroup
		for k, p := range procs {
			done.Go(func() {
				for uid := uint32(1 + k); uid <= n; uid += 2 {
					if _, err := p.folder.Store(t.Context(), []uint32{uid}, Change{Op: StoreAdd, Flags: Flagged}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		end := make(chan struct{})
		go func() {
			done.Wait()
			close(end)
		}()
		client := cachedBy(a.folder.Snapshot())
		for k, going := 0, true; going; k++ {
			select {
			case <-end:
				going = false
			default:
			}
			p := procs[k/3%2]
			s := p.folder.Snapshot()
			if k%3 == 0 || !going { // it has come from the other: SELECT
				var err error
				s, err = p.folder.Sync(t.Context())
				must(t, err)
			}
			client.back(t, s)
		}
		for uid, flags := range client.flags {
			if flags != Flagged {
				t.Errorf("UID %d: %05b", uid, flags)
			}
		}
	})
}
