package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The demo shows what arrives and who logs in, and nothing else; no password. What it says of the shared folder
// holds, and so does the command that it prints.
func TestDemoShowsWhatHappens(t *testing.T) {
	var out lockedBuffer
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- runDemo(ctx, &out, dir, "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0") }()
	wait := func(pattern string) []string {
		t.Helper()
		re := regexp.MustCompile(pattern)
		for began := time.Now(); time.Since(began) < patience; time.Sleep(10 * time.Millisecond) {
			if m := re.FindStringSubmatch(out.String()); m != nil {
				return m
			}
		}
		t.Fatalf("no %s in\n%s", pattern, &out)
		return nil
	}
	addrs := wait(`IMAP  (\S+) +POP3  (\S+) `)
	ask := func(addr, greeting string, commands ...string) {
		t.Helper()
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		if _, err := fmt.Fprint(conn, strings.Join(commands, "\r\n")+"\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 4096)); err != nil {
			t.Error(greeting, err)
		}
		wait(greeting)
	}
	const from = ` from 127\.0\.0\.1\n`
	ask(addrs[1], `\n\d\d:\d\d:\d\d  "alice" logs in by IMAP`+from, "a LOGIN alice demo")
	ask(addrs[1], `\n\d\d:\d\d:\d\d  "alice" is refused by IMAP`+from, "a LOGIN alice wrong")
	ask(addrs[2], `\n\d\d:\d\d:\d\d  "bob" logs in by POP3`+from, "USER bob", "PASS demo")
	ask(addrs[2], `\n\d\d:\d\d:\d\d  "x" is refused by POP3`+from, "USER x", "PASS wrong")
	web := wait(`\n  Web   (http://\S+)\n`)[1]
	signIn := func(password string) *http.Response {
		t.Helper()
		resp, err := http.PostForm(web+"/login", url.Values{"user": {"alice"}, "password": {password}, "next": {"/settings"}})
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp
	}
	if resp := signIn("wrong"); resp.StatusCode != http.StatusForbidden {
		t.Error(resp.Status)
	}
	wait(`\n\d\d:\d\d:\d\d  "alice" is refused by web` + from)
	if resp := signIn("demo"); resp.Request.URL.Path != "/login" { // no cookies are kept here
		t.Error(resp.Request.URL)
	}
	wait(`\n\d\d:\d\d:\d\d  "alice" logs in by web` + from)
	shared := wait(`he has it as ("Other Users/.*")\.`)[1]
	change := wait(`\n  (.* acl set .*)\n`)[1]
	if err := converse(addrs[1], "a LOGIN bob demo", "a OK", "b MYRIGHTS "+shared, "* MYRIGHTS "+shared+" lrs", "c LOGOUT", "c OK"); err != nil {
		t.Error(err)
	}
	t.Setenv("POSTROOM_COMMAND", "1") // the program that runs here is the test
	if out, err := exec.Command("sh", "-c", change).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%s: %v\n%s", change, err, out)
	}
	if err := converse(addrs[1], "a LOGIN bob demo", "a OK", "b MYRIGHTS "+shared, "* MYRIGHTS "+shared+" lrswipted", "c LOGOUT", "c OK"); err != nil {
		t.Error(err)
	}
	if data, err := os.ReadFile(wait(`with any editor: (.*)\n`)[1]); err != nil || !strings.HasSuffix(string(data), "\nuser=bob eilprwts\n") {
		t.Errorf("%q %v", data, err)
	}
	message := filepath.Join(dir, "alice", "Maildir", "new", "1800000000.1.demo")
	// The demo says hello before it watches, so a message may come too early to be new.
	for i := 0; !strings.Contains(out.String(), `"Hello"`); i++ {
		if err := os.WriteFile(fmt.Sprintf("%s%d", message, i), []byte("From: you@example.org\nSubject: Hello\n\nHi!\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(200 * time.Millisecond)
		if i > 200 {
			t.Fatal("no arrival is shown")
		}
	}
	wait(`alice INBOX: "Hello" from you@example.org\n`)
	if strings.Contains(out.String(), "wrong") {
		t.Errorf("a password is shown:\n%s", &out)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
