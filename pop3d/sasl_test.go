package pop3d

import (
	"crypto/tls"
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xdg-go/scram"

	"postroom/internal/auth"
)

// users makes the real authenticator with alice's password in SCRAM's form.
func users(t *testing.T) *auth.Service {
	t.Helper()
	stored, err := auth.Hash("SCRAM-SHA-256", password)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(path, []byte("alice:"+stored+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	service, err := auth.New(auth.Options{Users: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(service.Close)
	return service
}

// exchangeSCRAM logs in as RFC 5034 section 4 and RFC 5802 have it and gives the
// line at the end.
func exchangeSCRAM(t *testing.T, c *client, mechanism, secret string, initial bool) string {
	t.Helper()
	cl, err := scram.SHA256.NewClient("alice", secret, "")
	if err != nil {
		t.Fatal(err)
	}
	conv := cl.NewConversation()
	if strings.HasSuffix(mechanism, "-PLUS") {
		state := c.conn.(*tls.Conn).ConnectionState()
		binding, err := scram.NewTLSExporterBinding(&state)
		if err != nil {
			t.Fatal(err)
		}
		conv = cl.NewConversationWithChannelBinding(binding)
	}
	message, err := conv.Step("")
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.StdEncoding.EncodeToString
	if initial {
		c.send("AUTH " + mechanism + " " + encode([]byte(message)) + "\r\n")
	} else {
		c.script("C: AUTH " + mechanism + "\nS: + \nC: " + encode([]byte(message)))
	}
	for {
		line := c.read()
		text, ok := strings.CutPrefix(line, "+ ")
		if !ok {
			return line
		}
		challenge, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		// The last challenge proves the server: conv checks it, and the response is empty.
		if message, err = conv.Step(string(challenge)); err != nil {
			t.Fatal(err)
		}
		c.send(encode([]byte(message)) + "\r\n")
	}
}

func TestSCRAM(t *testing.T) {
	config, trust := certificate(t)
	f := start(t, func(o *Options) { o.TLS, o.Auth = config, users(t) })
	for _, initial := range []bool{true, false} {
		if got := exchangeSCRAM(t, f.dial(), "SCRAM-SHA-256", password, initial); got != "+OK Logged in." {
			t.Errorf("initial response %v: %q", initial, got)
		}
	}
	if got := exchangeSCRAM(t, f.dial(), "SCRAM-SHA-256", "wrong", true); got != "-ERR [AUTH] Authentication failed." {
		t.Errorf("wrong password: %q", got)
	}
	c := f.dial()
	c.script("C: AUTH SCRAM-SHA-256-PLUS\nS: -ERR This mechanism is not on offer.\nC: STLS\nS: +OK*")
	c = newClient(t, tls.Client(c.conn, trust))
	if got := c.multi("AUTH"); !slices.Contains(got, "SCRAM-SHA-256-PLUS") {
		t.Errorf("on offer in TLS: %q", got)
	}
	if got := exchangeSCRAM(t, c, "SCRAM-SHA-256-PLUS", password, true); got != "+OK Logged in." {
		t.Errorf("PLUS: %q", got)
	}
	f.logHas("msg=login", "method=SCRAM-SHA-256-PLUS", "tls=true")
}

func TestLOGINMechanism(t *testing.T) {
	f := start(t, func(o *Options) { o.Auth = users(t) })
	f.dial().script("C: AUTH LOGIN\nS: + VXNlcm5hbWU6\nC: YWxpY2U=\nS: + UGFzc3dvcmQ6\nC: c2VjcmV0IHdvcmQ=\nS: +OK Logged in.")
}
