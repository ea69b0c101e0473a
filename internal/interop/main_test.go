package interop

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"testing"
)

var serverFlag = flag.String("server", "postroom", "the server to test: postroom or dovecot")

// mode is the value of POSTROOM_INTEROP; see doc.go.
var mode = os.Getenv("POSTROOM_INTEROP")

// binary is the postroom under test, built once in TestMain.
var binary string

// tally counts what ran, so that a run in which much was skipped says so.
var tally struct {
	sync.Mutex
	passed, failed int
	skipped        []string // "TestX: why"
}

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	flag.Parse()
	switch mode {
	case "":
		fmt.Println("interop: POSTROOM_INTEROP is not set: the tests with real clients are left to make test")
		return 0
	case "run", "require":
	default:
		fmt.Printf("interop: POSTROOM_INTEROP=%q: want run or require\n", mode)
		return 2
	}
	dir, err := os.MkdirTemp("", "interop-bin")
	if err != nil {
		fmt.Println(err)
		return 2
	}
	defer os.RemoveAll(dir)
	// The mail user executes the binary, so it must be able to reach it.
	if err := os.Chmod(dir, 0o755); err != nil {
		fmt.Println(err)
		return 2
	}
	if *serverFlag == "postroom" {
		binary = filepath.Join(dir, "postroom")
		if err := build(binary); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	code := m.Run()
	closeChromium()
	summary()
	return code
}

// build makes the server with the race detector when the tests have it: a race
// that a real client provokes then ends the server with a status of its own.
func build(out string) error {
	args := []string{"build", "-o", out}
	if raceEnabled {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "postroom/cmd/postroom")...)
	if msg, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building postroom: %v\n%s", err, msg)
	}
	return nil
}

func summary() {
	tally.Lock()
	defer tally.Unlock()
	sort.Strings(tally.skipped)
	for _, s := range tally.skipped {
		fmt.Println("interop: skipped", s)
	}
	fmt.Printf("interop: %d passed, %d failed, %d skipped\n", tally.passed, tally.failed, len(tally.skipped))
}

// begin opens a test: it counts it, and skips it (or fails it, where nothing
// may be skipped) when one of the programs it needs is not there.
func begin(t *testing.T, programs ...string) {
	t.Helper()
	t.Cleanup(func() {
		tally.Lock()
		defer tally.Unlock()
		switch {
		case t.Failed():
			tally.failed++
		case !t.Skipped():
			tally.passed++
		}
	})
	if *serverFlag == "dovecot" {
		programs = append(programs, "dovecot")
	}
	var missing []string
	for _, p := range programs {
		if !present(p) {
			missing = append(missing, p)
		}
	}
	if len(missing) > 0 {
		lack(t, "not there, or (dovecot) only for root: "+strings.Join(missing, ", "))
	}
}

// lack skips the test for want of something, or fails it in CI.
func lack(t *testing.T, why string) {
	t.Helper()
	if mode == "require" {
		t.Fatal(why)
	}
	tally.Lock()
	tally.skipped = append(tally.skipped, t.Name()+": "+why)
	tally.Unlock()
	t.Skip(why)
}

// present tells whether a program is there: "npm:NAME" is a package in the
// folder that POSTROOM_NPM names, "dovecot" also wants root, "roundcube" is
// Debian's, with the plugins.
func present(program string) bool {
	if name, ok := strings.CutPrefix(program, "npm:"); ok {
		if _, err := exec.LookPath("node"); err != nil {
			return false
		}
		_, err := os.Stat(filepath.Join(os.Getenv("POSTROOM_NPM"), "node_modules", name, "package.json"))
		return os.Getenv("POSTROOM_NPM") != "" && err == nil
	}
	if program == "roundcube" {
		_, err := os.Stat(filepath.Join(roundcubePath, "plugins", "acl", "acl.php"))
		return err == nil
	}
	if program == "dovecot" {
		if os.Geteuid() != 0 {
			return false
		}
		_, err := os.Stat(dovecotPath)
		return err == nil
	}
	_, err := exec.LookPath(program)
	return err == nil
}
