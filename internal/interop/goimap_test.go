package interop

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// go-imap's client: selecting, fetching, and a delivery, a flag and an expunge
// by others pushed to it while it idles.
func TestGoIMAP(t *testing.T) {
	begin(t)
	s := newSite(t)
	root := s.maildir("alice")
	fill(t, root, "goimap", 5, "S")
	v := s.serve(t)

	events := make(chan string, 100)
	c := dial(t, v, &imapclient.Options{UnilateralDataHandler: &imapclient.UnilateralDataHandler{
		Mailbox: func(data *imapclient.UnilateralDataMailbox) {
			if data.NumMessages != nil && *data.NumMessages == 6 {
				events <- "exists 6"
			}
		},
		Expunge: func(seq uint32) {
			if seq == 2 {
				events <- "expunge 2"
			}
		},
		Fetch: func(msg *imapclient.FetchMessageData) {
			if buf, err := msg.Collect(); err == nil && buf.SeqNum == 1 && has(buf.Flags, imap.FlagFlagged) {
				events <- "flagged 1"
			}
		},
	}})
	if !c.Caps().Has(imap.CapIdle) || !c.Caps().Has(imap.CapUIDPlus) || !c.Caps().Has(imap.CapMove) {
		t.Errorf("capabilities: %v", c.Caps())
	}
	if box, err := c.Select("INBOX", nil).Wait(); err != nil || box.NumMessages != 5 || box.UIDNext != 6 {
		t.Fatalf("SELECT: %+v, %v", box, err)
	}
	goimapIdle(t, c, root, events)

	if err := c.Create("Moved", nil).Wait(); err != nil {
		t.Fatalf("CREATE: %v", err)
	}
	moved, err := c.Move(imap.SeqSetNum(1, 2), "Moved").Wait()
	if err != nil {
		t.Fatalf("MOVE: %v", err)
	}
	if got := moved.SourceUIDs.String() + " " + moved.DestUIDs.String(); got != "1,3 1:2" {
		t.Errorf("MOVE: UIDs %q, want 1,3 to 1:2", got)
	}
	goimapAppend(t, c)
	if n := infos(t, filepath.Join(root, ".Moved")); n["FS"] != 1 || n["S"] != 1 || n["DFS"] != 1 {
		t.Errorf("on disk: %v", n)
	}
	if err := c.Logout().Wait(); err != nil {
		t.Errorf("LOGOUT: %v", err)
	}
}

// goimapIdle changes the tree from outside while the client idles.
func goimapIdle(t *testing.T, c *imapclient.Client, root string, events <-chan string) {
	t.Helper()
	idle, err := c.Idle()
	if err != nil {
		t.Fatalf("IDLE: %v", err)
	}
	expect := func(event string) {
		t.Helper()
		// A server may tell more than is asked for here; the order is ours.
		limit := time.After(20 * time.Second)
		for {
			select {
			case got := <-events:
				if got == event {
					return
				}
			case <-limit:
				t.Fatalf("no %q within 20 s of the change", event)
			}
		}
	}
	deliver(t, root, "1710000000.M1P9.host", mail("pushed", 6))
	expect("exists 6")
	setInfo(t, pick(t, root, 1), "FS")
	expect("flagged 1")
	client{dir: root}.run(t, "rm", pick(t, root, 2))
	expect("expunge 2")
	if err := idle.Close(); err != nil {
		t.Fatalf("end of IDLE: %v", err)
	}
	if err := idle.Wait(); err != nil {
		t.Fatalf("end of IDLE: %v", err)
	}
}

func goimapAppend(t *testing.T, c *imapclient.Client) {
	t.Helper()
	text := crlf(mail("appended", 20))
	cmd := c.Append("Moved", int64(len(text)), &imap.AppendOptions{
		Flags: []imap.Flag{imap.FlagSeen, imap.FlagFlagged, imap.FlagDraft},
		Time:  time.Unix(1700000000, 0),
	})
	if _, err := cmd.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := cmd.Wait()
	if err != nil || data.UID != 3 {
		t.Fatalf("APPEND: %+v, %v", data, err)
	}
	if _, err := c.Select("Moved", nil).Wait(); err != nil {
		t.Fatalf("SELECT: %v", err)
	}
	section := &imap.FetchItemBodySection{Peek: true}
	got, err := c.Fetch(imap.UIDSetNum(3), &imap.FetchOptions{InternalDate: true, BodySection: []*imap.FetchItemBodySection{section}}).Collect()
	if err != nil || len(got) != 1 {
		t.Fatalf("UID FETCH 3: %v, %v", got, err)
	}
	if string(got[0].FindBodySection(section)) != text || got[0].InternalDate.Unix() != 1700000000 {
		t.Errorf("UID FETCH 3: date %v and %q", got[0].InternalDate, got[0].FindBodySection(section))
	}
	found, err := c.UIDSearch(&imap.SearchCriteria{Flag: []imap.Flag{imap.FlagDraft}}, nil).Wait()
	if err != nil || len(found.AllUIDs()) != 1 || found.AllUIDs()[0] != 3 {
		t.Errorf("UID SEARCH DRAFT: %v, %v", found, err)
	}
}
