package crash

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// seed makes the tree that a script begins with, as other programs leave it:
// no uid list, arrivals in new/, flags in cur/, a name without its info.
func (s *session) seed(root string) error {
	for _, d := range []string{"", ".Old"} {
		for _, sub := range []string{"tmp", "new", "cur"} {
			if err := os.MkdirAll(filepath.Join(root, d, sub), 0o700); err != nil {
				return err
			}
		}
	}
	s.boxes["Old"] = newBox(true)
	for _, m := range []struct{ box, name, flags string }{
		{"INBOX", "new/1700000001.M1P1.other", ""},
		{"INBOX", "new/1700000002.M1P1.other,S=%d", ""},
		{"INBOX", "cur/1700000003.M1P1.other", ""},
		{"INBOX", "cur/1700000004.M1P1.other:2,FS", `\Flagged \Seen`},
		{"Old", "new/1700000005.M1P1.other", ""},
		{"Old", "cur/1700000006.M1P1.other:2,R", `\Answered`},
	} {
		if err := s.place(root, m.box, m.name, m.flags); err != nil {
			return err
		}
	}
	return nil
}

// place puts a file into the tree as another program would.
func (s *session) place(root, mailbox, name, flags string) error {
	s.letterNo++
	m := s.newLetter(fmt.Sprintf("o%d", s.letterNo), "", 3)
	text := strings.ReplaceAll(m.text, "\r\n", "\n")
	if strings.Contains(name, "%d") {
		name = fmt.Sprintf(name, len(text))
	}
	dir := root
	if mailbox != "INBOX" {
		dir = filepath.Join(root, "."+mailbox)
	}
	temp := filepath.Join(dir, "tmp", filepath.Base(name))
	if err := os.WriteFile(temp, []byte(text), 0o600); err != nil {
		return err
	}
	b := s.boxes[mailbox]
	b.maybe(m.id, setOf(strings.Fields(flags)...))
	s.toGuest(mailbox, func(g *box) { g.maybe(m.id, unseen(setOf(strings.Fields(flags)...))) })
	final := filepath.Join(dir, name)
	fi, err := os.Lstat(temp)
	if err != nil {
		return err
	}
	err = errors.Join(syncPath(temp), os.Rename(temp, final), syncPath(filepath.Dir(final)))
	if err == nil && s.placed != nil {
		s.placed(final, fi, []byte(text))
	}
	b.extra[m.id].sure = err == nil
	s.toGuest(mailbox, func(g *box) { g.extra[m.id].sure = err == nil })
	return err
}

// syncPath syncs a file or a directory.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// someDate is the INTERNALDATE that some messages are given.
const someDate = " 7-Feb-2024 13:37:11 +0100"

// inTurn does steps up to the first error.
func inTurn(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// alone is what a client does who has his mail for himself, step by step; after the
// first error it is over. restart ends the server and starts another.
func (s *session) alone(root string, restart func() error) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lookAt := func(name string) func() error { return func() error { return s.look(name) } }
	err = inTurn(
		lookAt("INBOX"),
		func() error { return s.append("INBOX", part{"a1", `\Seen`, someDate, 5}) },
		func() error { return s.append("INBOX", part{"a2", "", "", 2000}) },
		func() error { return s.append("INBOX", part{"a3", `\Flagged $Label1 Work`, someDate, 5}) },
		func() error {
			return s.append("INBOX", part{"m1", "", "", 5}, part{"m2", `\Draft`, someDate, 900}, part{"m3", "Work", "", 5})
		},
		func() error { return s.store(s.uids("a1", "a2"), "+", `\Flagged`) },
		func() error { return s.store(s.uids("a2", "a3", "o1"), "+", "NewWord", `\Answered`) },
		func() error { return s.store(s.uids("a3", "o4"), "-", `\Flagged`, "Work") },
		lookAt("INBOX"),
		func() error { return s.store(s.uids("m1"), "", `\Seen`, "Other") },
		func() error { return s.store(s.uids("a3", "m2"), "+", manyWords()...) },
		func() error { return s.append("INBOX", part{"w1", `\Seen Word28 Extra99`, "", 5}) },
		func() error { return s.create("Work", "") },
		func() error { return s.create("Work/Sub", "") },
		func() error { return s.create("Keep", `\Archive`) },
		func() error { return s.subscribe("Work", true) },
		func() error { return s.subscribe("INBOX", true) },
		lookAt("INBOX"),
		func() error { return s.copy("COPY", s.uids("a1", "a3", "o1"), "Work") },
		func() error { return s.copy("MOVE", s.uids("a2", "m3", "w1"), "Work/Sub") },
		func() error { return s.copy("COPY", s.uids("m2"), "INBOX") },
		func() error { return s.expunge(s.uids("m1", "o2")) },
		func() error { return s.place(root, "INBOX", "new/1700000011.M1P1.other", "") },
		lookAt("INBOX"),
		lookAt("Work"),
		func() error { return s.store(s.all(), "+", `\Seen`, "NewWord", "Third") },
		lookAt("INBOX"),
		func() error { return s.rename("Work", "Job") },
		func() error { return s.subscribe("Job", true) },
		func() error { return s.subscribe("Work", false) },
		lookAt("Job"), lookAt("Old"),
		func() error { return s.copy("MOVE", s.all(), "Keep") },
	)
	if err != nil {
		return err
	}
	s.hangUp()
	if s.wait(func() { err = restart() }); err != nil {
		return err
	}
	return inTurn(
		lookAt("INBOX"), lookAt("Job/Sub"), lookAt("Keep"),
		func() error { return s.store(s.all(), "-", `\Answered`) },
		func() error { return s.append("Keep", part{"k1", "", "", 5}) },
		func() error { return s.remove("Job/Sub") },
		func() error { return s.create("Job/Sub", "") },
		func() error { return s.append("Job/Sub", part{"k2", "Fourth", "", 5}) },
		func() error { return s.popDelete(2) },
		lookAt("INBOX"), lookAt("Job/Sub"),
		func() error { return s.remove("Old") },
	)
}

// seedNothing leaves the making of the tree to the server.
func (s *session) seedNothing(root string) error { return os.RemoveAll(filepath.Dir(root)) }

// newcomer is what a user begins with whose tree is made on the way.
func (s *session) newcomer(string, func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return inTurn(
		func() error { return s.append("INBOX", part{"n1", `\Seen`, someDate, 5}) },
		func() error { return s.look("INBOX") },
		func() error { return s.create("Work", "") },
		func() error { return s.append("Work", part{"n2", "Word", "", 5}) },
		func() error { return s.subscribe("Work", true) },
	)
}

// manyWords are more keywords than file names have letters for.
func manyWords() (words []string) {
	for i := range 30 {
		words = append(words, fmt.Sprint("Word", i))
	}
	return words
}

// epilogue is what must be answered OK after a fault has passed: it serves on.
func (s *session) epilogue() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.refused)
	for _, step := range []func() error{
		func() error { return s.look("INBOX") },
		func() error { return s.append("INBOX", part{"e1", `\Seen Last`, "", 5}, part{"e2", "", "", 5}) },
		func() error { return s.store(s.uids("e2"), "+", `\Flagged`) },
		func() error { return s.copy("COPY", s.uids("e1"), "INBOX") },
		func() error { return s.expunge(s.uids("e2")) },
		// What came while there was no room gets its UID with the next change, or a while later.
		func() error {
			if s.guest == nil {
				return nil // only INBOX had mail that came then
			}
			return s.append(shared, part{"e3", "", "", 5})
		},
	} {
		if err := step(); err != nil {
			return err
		}
	}
	if len(s.refused) > before {
		return fmt.Errorf("refused after the fault: %v", s.refused[before:])
	}
	return nil
}

// agreeWhen tries until ok or the patience is over.
func agreeWhen(ok func() bool) bool {
	for end := time.Now().Add(clientPatience); ; time.Sleep(2 * time.Millisecond) {
		if ok() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}
