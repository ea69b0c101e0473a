package maildir

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// What the list notes for POP3 is found whether the folder was opened from the index or not, and when
// another program notes it later.
func TestPOP3Fields(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Maildir")
	s := testStore(t, Options{})
	put(t, makeDirs(t, dir)+"/cur/1.a:2,", "x\n\n")
	fields := func(what, want string) {
		t.Helper()
		f := open(t, testTree(t, s, dir), Inbox)
		defer f.Close()
		_, err := f.Sync(t.Context())
		must(t, err)
		got, err := f.POP3Fields()
		must(t, err)
		if fmt.Sprint(got) != "map["+want+"]" {
			t.Errorf("%s: %v, not %s", what, got, want)
		}
	}
	restart := func() {
		s.Close()
		s = testStore(t, Options{})
	}
	fields("none", "")
	restart()
	fields("none after a restart", "")
	host, _ := os.Hostname()
	put(t, dir+"/"+uidlistName+".lock", "1:"+host) // another process, which gives the UID
	put(t, dir+"/cur/2.b:2,", "x\n\n")
	list, err := os.OpenFile(dir+"/"+uidlistName, os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = list.WriteString("2 W3 Pmine O7 :2.b\n")
	must(t, err)
	must(t, list.Close())
	must(t, os.Remove(dir+"/"+uidlistName+".lock"))
	fields("noted by another", "2:{mine 7}")
	restart()
	fields("after a restart", "2:{mine 7}")
}

// makeDirs makes the directories of an empty folder.
func makeDirs(t *testing.T, dir string) string {
	t.Helper()
	for _, sub := range []string{"cur", "new", "tmp"} {
		must(t, os.MkdirAll(dir+"/"+sub, 0o700))
	}
	return dir
}
