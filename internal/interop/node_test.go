package interop

import (
	"path/filepath"
	"testing"
)

// The clients of the npm registry, each in a script with assertions.
func TestImapflow(t *testing.T) {
	begin(t, "npm:imapflow")
	s := newSite(t)
	root := s.maildir("alice")
	fill(t, root, "imapflow", 5, "S")
	makeMaildir(t, filepath.Join(root, ".Work"))
	v := s.serve(t)
	nodeScript(t, s, "imapflow.js", port(v.imap), root)
}

func TestNodePOP3(t *testing.T) {
	begin(t, "npm:node-pop3")
	s := newSite(t)
	fill(t, s.maildir("alice"), "node", 5, "S")
	v := s.serve(t)
	nodeScript(t, s, "node_pop3.js", port(v.pop3), port(v.pop3s), s.cert)
}

func nodeScript(t *testing.T, s *site, script string, args ...string) {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", script))
	if err != nil {
		t.Fatal(err)
	}
	if out := (client{dir: s.dir}).run(t, "node", append([]string{path}, args...)...); out != "" {
		t.Errorf("%s says:\n%s", script, out)
	}
}
