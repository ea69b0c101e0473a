package maildir

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
)

// Who opens a tree that is being made gets it when it is durable, and not before.
func TestTreeBeingMade(t *testing.T) {
	dir := t.TempDir()
	failure := errors.New("no disk")
	for _, c := range []struct {
		name   string
		failed error // of the first try
	}{{"made", nil}, {"not made", failure}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path := filepath.Join(dir, c.name)
				there, synced := make(chan bool), make(chan bool)
				tries := 0
				m := newTreeMaker(func(path string) error {
					tries++
					if err := os.Mkdir(path, 0o700); err != nil {
						return err
					}
					if tries > 1 {
						return nil
					}
					close(there)
					<-synced
					if c.failed != nil {
						os.Remove(path)
					}
					return c.failed
				})
				open := func(done *error) {
					d, err := m.open(path, true)
					if err == nil {
						d.close()
					}
					*done = err
				}
				waiting := errors.New("waiting")
				first, second := waiting, waiting
				go open(&first)
				<-there
				go open(&second)
				synctest.Wait()
				if second != waiting {
					t.Errorf("the tree was given before it was synced: %v", second)
				}
				close(synced)
				synctest.Wait()
				if first != c.failed || second != nil {
					t.Errorf("the one who made it: %v, the other: %v", first, second)
				}
			})
		})
	}
}
