package interop

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// mail is a message's text, with LF line ends as files in a Maildir have them.
// Every third is a multipart with an attachment, so that clients that look at
// structures have some to look at.
func mail(subject string, n int) string {
	head := fmt.Sprintf("From: =?utf-8?q?Zo=C3=AB?= <zoe%d@example.org>\nTo: alice@example.org\n"+
		"Subject: %s\nDate: %s\nMessage-ID: <%s.%d@example.org>\nMIME-Version: 1.0\n",
		n, subject, time.Date(2024, 1, 1, 0, n, 0, 0, time.UTC).Format(time.RFC1123Z),
		strings.ReplaceAll(subject, " ", "-"), n)
	text := fmt.Sprintf("This is message %d.\n\nHello, wörld.\n.\n.leading dot\nFrom here on nothing.\n", n)
	if n%3 != 0 {
		return head + "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n" + text
	}
	return head + "Content-Type: multipart/mixed; boundary=\"=_b\"\n\nPreamble.\n--=_b\n" +
		"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n" + text +
		"\n--=_b\nContent-Type: application/octet-stream; name=\"a.bin\"\nContent-Transfer-Encoding: base64\n" +
		"Content-Disposition: attachment; filename=\"a.bin\"\n\n" + strings.Repeat("AAECAwQFBgcICQ==\n", n%50+1) + "--=_b--\n"
}

// makeMaildir makes the folder's three directories, and for a folder that is
// not a user's root the marker file of Maildir++.
func makeMaildir(t *testing.T, dir string) {
	t.Helper()
	for _, sub := range []string{"tmp", "new", "cur"} {
		mkdirs(t, filepath.Join(dir, sub))
	}
	if strings.HasPrefix(filepath.Base(dir), ".") {
		write(t, dir, "maildirfolder", "")
	}
}

// deliver drops a message into new/ as delivery agents do: whole in tmp/, then
// renamed.
func deliver(t *testing.T, folder, name, text string) {
	t.Helper()
	tmp := write(t, folder, "tmp/"+name, text)
	if err := os.Rename(tmp, filepath.Join(folder, "new", name)); err != nil {
		t.Fatal(err)
	}
}

// fill puts count messages into a folder's cur/ with the info part given, under
// names that sort as they are numbered.
func fill(t *testing.T, folder, subject string, count int, info string) {
	t.Helper()
	makeMaildir(t, folder)
	for n := 1; n <= count; n++ {
		write(t, folder, fmt.Sprintf("cur/%d.M%dP1.host:2,%s", 1700000000+n, n, info), mail(subject, n))
	}
}

// infos counts the messages of a folder on disk by their flag letters; what
// lies in new/ counts as "new".
func infos(t *testing.T, folder string) map[string]int {
	t.Helper()
	count := map[string]int{}
	for _, sub := range []string{"new", "cur"} {
		entries, err := os.ReadDir(filepath.Join(folder, sub))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if sub == "new" {
				count["new"]++
				continue
			}
			_, info, _ := strings.Cut(e.Name(), ":2,")
			count[info]++
		}
	}
	return count
}

// dial opens an IMAP session of go-imap's client, logged in as alice.
func dial(t *testing.T, v *server, options *imapclient.Options) *imapclient.Client {
	t.Helper()
	c, err := imapclient.DialInsecure(v.imap, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.Login("alice", password).Wait(); err != nil {
		t.Fatalf("LOGIN: %v", err)
	}
	return c
}

// dialAs is dial for another user.
func dialAs(t *testing.T, v *server, user string) *imapclient.Client {
	t.Helper()
	c, err := imapclient.DialInsecure(v.imap, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.Login(user, password).Wait(); err != nil {
		t.Fatalf("LOGIN: %v", err)
	}
	return c
}

// dump lists all that an IMAP client can know of a user's mail, a line a fact,
// in an order of its own: two servers on one tree have to give the same text.
// Left out are \Recent, which belongs to a session, and MODSEQ, which belongs
// to a server's own history.
func dump(t *testing.T, v *server) string {
	t.Helper()
	c := dial(t, v, nil)
	defer c.Close()
	var b strings.Builder
	boxes, err := c.List("", "*", nil).Collect()
	if err != nil {
		t.Fatalf("LIST: %v", err)
	}
	var names []string
	for _, box := range boxes {
		if !has(box.Attrs, imap.MailboxAttrNoSelect) && !has(box.Attrs, imap.MailboxAttrNonExistent) {
			names = append(names, box.Mailbox)
		}
	}
	for _, name := range sorted(names) {
		dumpFolder(t, c, name, &b)
	}
	for _, name := range sorted(subscribed(t, c)) {
		fmt.Fprintf(&b, "subscribed %q\n", name)
	}
	if err := c.Logout().Wait(); err != nil {
		t.Fatalf("LOGOUT: %v", err)
	}
	return b.String()
}

func dumpFolder(t *testing.T, c *imapclient.Client, name string, b *strings.Builder) {
	t.Helper()
	box, err := c.Select(name, &imap.SelectOptions{ReadOnly: true}).Wait()
	if err != nil {
		t.Fatalf("EXAMINE %q: %v", name, err)
	}
	fmt.Fprintf(b, "folder %q uidvalidity %d uidnext %d messages %d\n", name, box.UIDValidity, box.UIDNext, box.NumMessages)
	if box.NumMessages == 0 {
		return
	}
	items := &imap.FetchOptions{
		UID: true, Flags: true, InternalDate: true, RFC822Size: true, Envelope: true,
		BodyStructure: &imap.FetchItemBodyStructure{Extended: true},
		BodySection:   []*imap.FetchItemBodySection{{Peek: true}},
	}
	messages, err := c.Fetch(imap.SeqSet{{Start: 1, Stop: 0}}, items).Collect()
	if err != nil {
		t.Fatalf("FETCH in %q: %v", name, err)
	}
	for _, m := range messages {
		body := m.FindBodySection(items.BodySection[0])
		if int64(len(body)) != m.RFC822Size {
			t.Errorf("%s: %q UID %d: RFC822.SIZE %d, BODY[] has %d octets", c.Mailbox().Name, name, m.UID, m.RFC822Size, len(body))
		}
		fmt.Fprintf(b, " %d uid %d flags %v date %d size %d text %.6x subject %q parts %v\n", m.SeqNum, m.UID,
			sorted(flagsOf(m)), m.InternalDate.Unix(), m.RFC822Size, sha256.Sum256(body), m.Envelope.Subject, parts(m.BodyStructure))
	}
}

// flagsOf leaves out \Recent.
func flagsOf(m *imapclient.FetchMessageBuffer) (flags []string) {
	for _, f := range m.Flags {
		if f != `\Recent` {
			flags = append(flags, string(f))
		}
	}
	return flags
}

func parts(bs imap.BodyStructure) (types []string) {
	bs.Walk(func(_ []int, part imap.BodyStructure) bool {
		types = append(types, part.MediaType())
		return true
	})
	return types
}

func subscribed(t *testing.T, c *imapclient.Client) (names []string) {
	t.Helper()
	// The selection option wants LIST-EXTENDED, which both servers have.
	boxes, err := c.List("", "*", &imap.ListOptions{SelectSubscribed: true}).Collect()
	if err != nil {
		t.Fatalf("LIST (SUBSCRIBED): %v", err)
	}
	for _, box := range boxes {
		names = append(names, box.Mailbox)
	}
	return names
}
