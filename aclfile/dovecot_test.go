package aclfile

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Dovecot's imap process serves one connection on its standard input and
// output, already logged in, without a master: no port, no privilege. It
// never runs as root.
const (
	dovecotIMAP = "/usr/lib/dovecot/imap"
	nobody      = 65534
)

// haveDovecot skips or fails the test where there is no Dovecot to ask.
func haveDovecot(t *testing.T) {
	t.Helper()
	lack := ""
	if _, err := os.Stat(dovecotIMAP); err != nil {
		lack = "no " + dovecotIMAP + " (Debian package dovecot-imapd)"
	} else if os.Getuid() != 0 {
		lack = "cannot run Dovecot as another user: not root"
	}
	if lack == "" {
		return
	}
	if os.Getenv("POSTROOM_SKIP_DOVECOT") == "" {
		t.Fatalf("%s; set POSTROOM_SKIP_DOVECOT=1 to do without the comparison", lack)
	}
	t.Skipf("NOT COMPARED with Dovecot: %s", lack)
}

// dovecotConf is the configuration of one subject. If the tree is his, it is his
// INBOX; else he finds it below other/, as that of a user of the folder's name.
const dovecotConf = `base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/log
ssl = no
first_valid_uid = 1
mail_location = maildir:%[2]s
mail_plugins = acl
namespace inbox {
  inbox = yes
  separator = /
  prefix =
}
namespace other {
  type = shared
  separator = /
  prefix = other/%%%%u/
  location = maildir:%[1]s/%%%%u
  subscriptions = no
}
protocol imap {
  mail_plugins = $mail_plugins imap_acl
}
plugin {
  acl = vfile
  acl_groups = %[3]s
  acl_anyone = allow
}
`

// TestEffectiveAsDovecot holds grammar and evaluation against Dovecot's own, for
// files of all kinds of entries, good and bad, and for each of the subjects.
func TestEffectiveAsDovecot(t *testing.T) {
	haveDovecot(t)
	folders := 1500
	if testing.Short() {
		folders = 150
	}
	const seed = 20261127
	r := rand.New(rand.NewPCG(seed, 0))
	files := make([]string, folders)
	for i := range files {
		files[i] = someFile(r)
		if i%4 == 0 {
			files[i] = spoil(r, files[i])
		}
	}
	dir := dovecotTree(t, files)
	compared, bad := 0, 0
	for i, s := range subjects {
		answers := dovecotRights(t, dir, i, s, len(files))
		for n, text := range files {
			f, err := Parse([]byte(text))
			if err != nil {
				if strictness(err) {
					continue
				}
				bad++
			}
			if diff := unlikeDovecot(f, s, answers[n]); diff != "" {
				t.Errorf("seed %d, file %d, subject %+v: %s, error %v, file\n%s", seed, n, s, diff, err, text)
			}
			compared++
		}
	}
	t.Logf("%d comparisons with Dovecot, %d of bad files", compared, bad)
	if compared < folders*len(subjects)/2 || bad < folders/10 {
		t.Error("too few comparisons: what is generated has changed")
	}
}

// unlikeDovecot says how an answer differs from what a file means; nil is one
// that cannot be parsed.
func unlikeDovecot(f *File, s Subject, answer string) string {
	if f == nil || strings.HasPrefix(answer, refused) {
		if f == nil && strings.HasPrefix(answer, refused) {
			return ""
		}
		return fmt.Sprintf("Dovecot %q, parsed here: %t", answer, f != nil)
	}
	always := Rights(0)
	if s.Owner {
		always = OwnerAlways
	}
	want := f.Effective(s, 0)
	if answer == `""` {
		answer = "" // he has private rights alone
	}
	// Dovecot tells nobody that he has p alone.
	if s.Owner && answer == "" || want == Post {
		want &^= Post
	}
	if sorted(answer, always) != sorted(want.Wire(), 0) {
		return fmt.Sprintf("Dovecot %q, Effective %q", answer, want.Wire())
	}
	return ""
}

// strictness says whether a file has what Dovecot lets pass, as names of nobody.
func strictness(err error) bool {
	return strings.Contains(err.Error(), "no name after") || strings.Contains(err.Error(), "control character")
}

// sorted gives the letters of an answer by the alphabet, those of always added.
func sorted(answer string, always Rights) string {
	b := slices.Sorted(strings.SplitSeq(answer+always.String(), ""))
	return strings.Join(slices.Compact(b), "")
}

// dovecotTree makes a Maildir with a folder for each file.
func dovecotTree(t *testing.T, files []string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "postroom-aclfile")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for i, text := range files {
		folder := filepath.Join(dir, "Maildir", fmt.Sprintf(".f%d", i))
		for _, d := range []string{"cur", "new", "tmp"} {
			if err := os.MkdirAll(filepath.Join(folder, d), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(folder, "dovecot-acl"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// refused begins an answer that is neither OK nor about a folder that is not there.
const refused = "refused: "

// dovecotRights asks for MYRIGHTS of a subject in each folder. "" stands for the
// answer that there is no such folder.
func dovecotRights(t *testing.T, dir string, number int, s Subject, folders int) []string {
	t.Helper()
	own, prefix := filepath.Join(dir, fmt.Sprint("own", number)), "other/Maildir/"
	if s.Owner {
		own, prefix = filepath.Join(dir, "Maildir"), ""
	}
	commands := make([]string, folders)
	for n := range commands {
		commands[n] = fmt.Sprintf("MYRIGHTS %sf%d", prefix, n)
	}
	answers := make([]string, folders)
	for n, lines := range startDovecot(t, dir, own, s).ask(t, commands) {
		tagged := lines[len(lines)-1]
		switch {
		case strings.HasPrefix(tagged, "OK"):
			words := strings.Fields(lines[0])
			answers[n] = words[len(words)-1]
		case !strings.Contains(tagged, "[NONEXISTENT]"):
			answers[n] = refused + tagged
		}
	}
	return answers
}

// dovecot is one session.
type dovecot struct {
	in  io.Writer
	out *bufio.Reader
}

// startDovecot runs the session of a subject whose own tree is at a path, and reads
// its greeting.
func startDovecot(t *testing.T, dir, own string, s Subject) *dovecot {
	t.Helper()
	conf := filepath.Join(dir, "dovecot.conf")
	text := fmt.Appendf(nil, dovecotConf, dir, own, strings.Join(s.Groups, ","))
	if err := os.WriteFile(conf, text, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := filepath.WalkDir(dir, func(p string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(p, nobody, nobody)
	}); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(dovecotIMAP, "-c", conf)
	cmd.Env = []string{"USER=" + s.User, "HOME=" + dir, "TZ=UTC"}
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: nobody, Gid: nobody},
		Pdeathsig:  syscall.SIGKILL,
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	_ = out.(interface{ SetReadDeadline(time.Time) error }).SetReadDeadline(time.Now().Add(5 * time.Minute))
	d := &dovecot{in: in, out: bufio.NewReader(out)}
	if l, err := d.out.ReadString('\n'); err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "log"))
		t.Fatalf("from Dovecot: %v after %q; its log:\n%.4000s", err, l, log)
	}
	return d
}

// ask sends commands all at once. For each there are its untagged answers, and
// then the tagged one without its tag.
func (d *dovecot) ask(t *testing.T, commands []string) [][]string {
	t.Helper()
	sent := make(chan error, 1)
	go func() {
		w := bufio.NewWriter(d.in)
		for n, c := range commands {
			fmt.Fprintf(w, "%d %s\r\n", n, c)
		}
		sent <- w.Flush()
	}()
	answers := make([][]string, len(commands))
	for n := range answers {
		for {
			l, err := d.out.ReadString('\n')
			if err != nil {
				t.Fatalf("from Dovecot, asked %q: %v after %q", commands[n], err, l)
			}
			tag, rest, _ := strings.Cut(strings.TrimRight(l, "\r\n"), " ")
			answers[n] = append(answers[n], rest)
			if tag == fmt.Sprint(n) {
				break
			}
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	return answers
}
