package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// A tree that Dovecot wrote is served by the server under test, changed there,
// and served by Dovecot again, twice over: at each change of hands every
// client-visible fact is the same, and so is what each server goes on to add.
func TestDovecotRoundTrip(t *testing.T) {
	begin(t, "dovecot")
	s := newSite(t)
	v := s.dovecot(t)
	dovecotLife(t, v)
	handOver := func(to func(*testing.T) *server) {
		t.Helper()
		before := dump(t, v)
		from := v.name
		v.stop(t)
		v = to(t)
		same(t, fmt.Sprintf("what %s shows of the tree that %s left", v.name, from), dump(t, v), before)
	}
	handOver(s.serve)
	changes(t, v, "first")
	handOver(s.dovecot)
	changes(t, v, "second")
	handOver(s.serve)
	changes(t, v, "third")
	handOver(s.dovecot)
	// An expunge leaves stale lines in the uid list; the next UID stays above.
	c := dial(t, v, nil)
	if got := put(t, c, "INBOX", "last", nil); got < 30 {
		t.Errorf("the last APPEND got UID %d, which an earlier message must have had", got)
	}
}

// keywords are more than a few, and of the kinds that clients use.
var keywords = []imap.Flag{"$Forwarded", "$MDNSent", "$Label1", "Junk", "NonJunk", "todo", "$label5", "Project-X"}

// dovecotLife leaves behind what years of use would: folders of all kinds of
// names, flags, keywords, expunged and moved messages, mail from others.
func dovecotLife(t *testing.T, v *server) {
	t.Helper()
	c := dial(t, v, nil)
	for _, name := range []string{"Archive/2024", "Přílohy", "R&D", "sp ace", "Sent", "日本語/東京", "Trash"} {
		check(t, "CREATE", c.Create(name, nil).Wait())
		check(t, "SUBSCRIBE", c.Subscribe(name).Wait())
	}
	check(t, "UNSUBSCRIBE", c.Unsubscribe("Trash").Wait())
	for n := range 20 {
		flags := []imap.Flag{keywords[n%len(keywords)], keywords[(n+3)%len(keywords)]}
		flags = append(flags, [][]imap.Flag{nil, {imap.FlagSeen}, {imap.FlagSeen, imap.FlagAnswered}, {imap.FlagFlagged, imap.FlagDraft}}[n%4]...)
		put(t, c, "INBOX", fmt.Sprint("life ", n), flags)
		put(t, c, "R&D", fmt.Sprint("plain ", n), nil)
	}
	for n := range 5 {
		deliver(t, v.site.maildir("alice"), fmt.Sprintf("1710000000.M%dP9.host", n), mail("delivered", n))
		deliver(t, v.site.maildir("alice"), fmt.Sprintf("1710000000.M%dP9.host,S=%d", n+5, len(mail("delivered", n+5))), mail("delivered", n+5))
	}
	open(t, c, "INBOX")
	copied, err := c.Copy(imap.UIDSetNum(1, 2, 3, 4), "Přílohy").Wait()
	check(t, "COPY", err)
	if copied.DestUIDs.String() != "1:4" {
		t.Errorf("COPY gave UIDs %v", copied.DestUIDs)
	}
	_, err = c.Move(imap.UIDSetNum(5, 6, 7), "sp ace").Wait()
	check(t, "MOVE", err)
	_, err = c.Move(imap.UIDSetNum(8, 9), "日本語/東京").Wait()
	check(t, "MOVE", err)
	store(t, c, imap.UIDSetNum(10, 11), imap.StoreFlagsAdd, imap.FlagDeleted)
	check(t, "EXPUNGE", c.Expunge().Close())
	check(t, "RENAME", c.Rename("Trash", "Bin", nil).Wait())
	check(t, "LOGOUT", c.Logout().Wait())
}

// changes does one of everything that a client can do to a tree.
func changes(t *testing.T, v *server, round string) {
	t.Helper()
	root := v.site.maildir("alice")
	c := dial(t, v, nil)
	open(t, c, "INBOX")
	found, err := c.UIDSearch(&imap.SearchCriteria{}, nil).Wait()
	check(t, "SEARCH", err)
	uids := found.AllUIDs()
	store(t, c, imap.UIDSetNum(uids[0]), imap.StoreFlagsAdd, imap.FlagFlagged, imap.Flag("new-"+round))
	store(t, c, imap.UIDSetNum(uids[1]), imap.StoreFlagsSet, imap.FlagAnswered, keywords[4], keywords[6])
	store(t, c, imap.UIDSetNum(uids[2]), imap.StoreFlagsDel, imap.FlagSeen, keywords[2])
	folder := "Made/" + round + " Ü"
	check(t, "CREATE", c.Create(folder, nil).Wait())
	check(t, "SUBSCRIBE", c.Subscribe(folder).Wait())
	_, err = c.Copy(imap.UIDSetNum(uids[0], uids[1], uids[2]), folder).Wait()
	check(t, "COPY", err)
	_, err = c.Move(imap.UIDSetNum(uids[3]), "Sent").Wait()
	check(t, "MOVE", err)
	put(t, c, "INBOX", "appended "+round, []imap.Flag{imap.FlagSeen, keywords[0], imap.Flag("also-" + round)})
	put(t, c, "Archive/2024", "appended "+round, nil)
	store(t, c, imap.UIDSetNum(uids[4]), imap.StoreFlagsAdd, imap.FlagDeleted)
	check(t, "UID EXPUNGE", c.UIDExpunge(imap.UIDSetNum(uids[4])).Close())
	check(t, "CREATE", c.Create("Old-"+round, nil).Wait())
	put(t, c, "Old-"+round, "renamed "+round, keywords[:3])
	check(t, "RENAME", c.Rename("Old-"+round, "Renamed-"+round, nil).Wait())
	check(t, "UNSUBSCRIBE", c.Unsubscribe(map[string]string{"first": "Sent", "second": "R&D", "third": "sp ace"}[round]).Wait())
	check(t, "CREATE", c.Create("Gone-"+round, nil).Wait())
	check(t, "DELETE", c.Delete("Gone-"+round).Wait())
	check(t, "LOGOUT", c.Logout().Wait())
	// Others go on writing the tree, whoever serves it.
	deliver(t, root, fmt.Sprintf("1720000000.M1P9.%s", round), mail("delivered "+round, 30))
	// Keyword letters without a name: whoever sees one first has to name it.
	write(t, root, fmt.Sprintf("cur/1720000000.M2P9.%s:2,S%c", round, 'v'+len(round)%3), mail("lettered "+round, 31))
	fill(t, filepath.Join(root, ".Outside-"+round), "outside", 3, "FS")
	setInfo(t, pick(t, filepath.Join(root, ".Outside-"+round), 2), "")
}

func check(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func open(t *testing.T, c *imapclient.Client, name string) {
	t.Helper()
	_, err := c.Select(name, nil).Wait()
	check(t, "SELECT", err)
}

func store(t *testing.T, c *imapclient.Client, uids imap.UIDSet, op imap.StoreFlagsOp, flags ...imap.Flag) {
	t.Helper()
	check(t, "STORE", c.Store(uids, &imap.StoreFlags{Op: op, Flags: flags, Silent: true}, nil).Close())
}

// put appends a message and gives its UID.
func put(t *testing.T, c *imapclient.Client, folder, subject string, flags []imap.Flag) imap.UID {
	t.Helper()
	text := crlf(mail(subject, len(subject)))
	cmd := c.Append(folder, int64(len(text)), &imap.AppendOptions{Flags: flags, Time: time.Unix(1650000000, 0)})
	_, err := cmd.Write([]byte(text))
	check(t, "APPEND", err)
	check(t, "APPEND", cmd.Close())
	data, err := cmd.Wait()
	check(t, "APPEND", err)
	return data.UID
}

// Both servers on one tree at one time: nobody's UIDs change, and each shows
// what the other did.
func TestBesideDovecot(t *testing.T) {
	begin(t, "dovecot")
	s := newSite(t)
	dovecot := s.dovecot(t)
	v := s.serve(t)
	a, b := dial(t, dovecot, nil), dial(t, v, nil)
	for n := range 20 {
		put(t, a, "INBOX", fmt.Sprint("by dovecot ", n), []imap.Flag{imap.FlagSeen, keywords[n%8]})
		put(t, b, "INBOX", fmt.Sprint("by the other ", n), []imap.Flag{imap.FlagFlagged, keywords[(n+4)%8]})
		deliver(t, s.maildir("alice"), fmt.Sprintf("1710000000.M%dP9.host", n), mail("delivered", n))
	}
	open(t, a, "INBOX")
	open(t, b, "INBOX")
	for n := range imap.UID(10) {
		store(t, a, imap.UIDSetNum(3*n+1), imap.StoreFlagsAdd, imap.FlagAnswered)
		store(t, b, imap.UIDSetNum(3*n+2), imap.StoreFlagsAdd, imap.FlagAnswered)
	}
	_, err := a.Move(imap.UIDSetNum(41), "INBOX").Wait()
	check(t, "MOVE", err)
	check(t, "LOGOUT", a.Logout().Wait())
	check(t, "LOGOUT", b.Logout().Wait())
	same(t, "what the two servers show", dump(t, v), dump(t, dovecot))
	list, err := os.ReadFile(filepath.Join(s.maildir("alice"), "dovecot-uidlist"))
	check(t, "the uid list", err)
	if n := strings.Count(string(list), "\n"); n < 61 {
		t.Errorf("the uid list has %d lines, want 61 or more", n)
	}
}
