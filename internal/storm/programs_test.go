package storm

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// program is a mail program that is run again and again.
type program struct {
	st    *storm
	name  string
	argv  []string
	env   []string
	near  map[string]string // its own copies: folder to Maildir
	talk  *dialogue         // of a program that sees the folders as a server shows them; else nil
	after func(p *program, w *outsider)
}

// programLimit bounds one run.
const programLimit = 3 * time.Minute

// run runs it once, to its end: mbsync does not take up all that it was killed in. A race
// with others may fail it, which is no fault of anybody's.
func (p *program) run(args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), programLimit)
	defer cancel()
	argv := append(append([]string{}, p.argv...), args...)
	cmd := p.st.site.asOwner(exec.CommandContext(ctx, argv[0], argv[1:]...))
	cmd.Env = append(append(os.Environ(), "HOME="+p.st.site.dir), p.env...)
	out, err := cmd.CombinedOutput()
	p.st.o.count("runs of "+p.name, 1)
	if p.talk != nil {
		if kerr := p.talk.keep(out, err); kerr != nil {
			p.st.t.Error(kerr)
		}
	}
	if err != nil {
		p.st.o.count("failed runs of "+p.name, 1)
		err = fmt.Errorf("%s: %w: %s", argv, err, out[max(0, len(out)-2000):])
	}
	return err
}

// startPrograms starts notmuch and mbsync, those that are installed.
func (st *storm) startPrograms(ctx context.Context, wg *sync.WaitGroup) {
	for i, p := range []*program{st.notmuch(), st.mbsync(), st.mbsyncMaildir()} {
		if _, err := exec.LookPath(p.argv[0]); err != nil {
			st.t.Logf("%s is not installed", p.argv[0])
			continue
		}
		st.programs = append(st.programs, p)
		w := &outsider{st: st, ctx: ctx, name: p.name, rng: rand.New(rand.NewPCG(6, uint64(i)))}
		wg.Go(func() {
			for wait(ctx, time.Second) {
				p.after(p, w)
			}
		})
	}
}

// notmuch has a database beside the tree and writes tags as flags into it.
func (st *storm) notmuch() *program {
	db := filepath.Join(st.site.dir, "notmuch")
	st.makeDir(db)
	conf := st.site.write("notmuch.conf", fmt.Sprintf(`[database]
path=%s
mail_root=%s
[user]
name=u
primary_email=u@example.org
[new]
tags=unread;inbox
ignore=/dovecot.*/;/postroom.*/;subscriptions;.uidvalidity;.mbsyncstate
[maildir]
synchronize_flags=true
`, db, st.site.tree()), 0o600)
	return &program{st: st, name: "notmuch", argv: []string{"notmuch"}, env: []string{"NOTMUCH_CONFIG=" + conf}, after: func(p *program, w *outsider) {
		p.run("new")
		for range 3 {
			sign := []string{"+", "-"}[w.rng.IntN(2)]
			tag := []string{"flagged", "replied", "unread", "draft"}[w.rng.IntN(4)]
			p.run("tag", sign+tag, "--", fmt.Sprintf("subject:token%d", w.rng.IntN(50)))
		}
	}}
}

func (st *storm) makeDir(dir string) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		st.t.Fatal(err)
	}
	st.give(dir)
}

// mbsync keeps a copy in step over IMAP.
func (st *storm) mbsync() *program {
	near := filepath.Join(st.site.dir, "near")
	st.makeDir(near)
	conf := st.site.write("mbsyncrc", fmt.Sprintf(`IMAPStore far
Host 127.0.0.1
Port %s
User u
Pass %s
SSLType None
AuthMechs LOGIN

MaildirStore near
Path %s/
Inbox %[3]s/INBOX
SubFolders Verbatim

Channel a
Far :far:
Near :near:
Patterns INBOX Work
Create Near
Expunge Both
SyncState *
`, port(st.servers[0].imap), password, near), 0o600)
	return &program{
		st: st, name: "mbsync", argv: []string{"mbsync", "-Dns", "-c", conf, "a"},
		near:  map[string]string{"INBOX": filepath.Join(near, "INBOX"), "Work": filepath.Join(near, "Work")},
		after: (*program).syncOnce, talk: st.newDialogue("dialogue"),
	}
}

// mbsyncMaildir keeps another copy in step by working on the served files themselves.
func (st *storm) mbsyncMaildir() *program {
	near := filepath.Join(st.site.dir, "backup")
	st.makeDir(near)
	conf := st.site.write("mbsyncrc-maildir", fmt.Sprintf(`MaildirStore far
Inbox %s
SubFolders Maildir++

MaildirStore near
Path %s/
Inbox %[2]s/INBOX
SubFolders Verbatim

Channel a
Far :far:
Near :near:
Patterns Archive
Create Near
Expunge Both
SyncState *
`, st.site.tree(), near), 0o600)
	return &program{
		st: st, name: "mbsync on the Maildir", argv: []string{"mbsync", "-q", "-c", conf, "a"},
		near:  map[string]string{"Archive": filepath.Join(near, "Archive")},
		after: (*program).syncOnce,
	}
}

// syncOnce runs it, and then changes its own copy for the next run to bring over.
func (p *program) syncOnce(w *outsider) {
	if err := p.run(); err != nil {
		p.st.o.mu.Lock()
		if p.st.o.done["failed runs of "+p.name] <= 2 {
			p.st.t.Log(err)
		}
		p.st.o.mu.Unlock()
	}
	for folder, dir := range p.near {
		list := listing(dir)
		for range 3 {
			if len(list) == 0 || w.ctx.Err() != nil {
				break
			}
			p.changeNear(w, folder, dir, list[w.rng.IntN(len(list))])
		}
	}
}

func (p *program) changeNear(w *outsider, folder, dir, name string) {
	path := filepath.Join(dir, name)
	switch w.rng.IntN(3) {
	case 0:
		if p.st.empty(folder) {
			return
		}
		if id := w.idAt(path); id != "" && p.st.o.doom(id) {
			p.st.o.leaves(folder, id, 1)
			os.Remove(path)
		}
	case 1:
		base, info, _ := strings.Cut(filepath.Base(path), ":2,")
		to := "S"
		if info == "S" {
			to = "FS"
		}
		os.Rename(path, filepath.Join(dir, "cur", base+":2,"+to))
	case 2:
		if p.st.full(folder) {
			return
		}
		id := p.st.newID("mbsync")
		p.st.o.leftToProgram(id)
		w.unexpected(w.place(dir, "cur/"+newBase()+":2,F", newMail(id, w.rng), false))
	}
}
