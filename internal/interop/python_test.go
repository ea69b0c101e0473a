package interop

import (
	"path/filepath"
	"testing"
)

// Python's own modules, each in a script with assertions.
func TestPython(t *testing.T) {
	for _, script := range []string{"imap_client.py", "pop_client.py"} {
		t.Run(script, func(t *testing.T) {
			begin(t, "python3")
			s := newSite(t)
			fill(t, s.maildir("alice"), "python", 5, "S")
			v := s.serve(t)
			path, err := filepath.Abs(filepath.Join("testdata", script))
			if err != nil {
				t.Fatal(err)
			}
			plain, tls := v.imap, v.imaps
			if script == "pop_client.py" {
				plain, tls = v.pop3, v.pop3s
			}
			if out := (client{dir: s.dir}).run(t, "python3", path, "127.0.0.1", port(plain), port(tls), s.cert); out != "" {
				t.Errorf("%s says:\n%s", script, out)
			}
		})
	}
}
