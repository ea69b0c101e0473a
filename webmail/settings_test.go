package webmail

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSettings(t *testing.T) {
	s := newSite(t)
	s.append("alice", inbox, 0, mail("a@b.c", "x", "x"), mail("a@b.c", "y", "y"))
	b := s.login("alice")
	b.get("/settings").want(t, http.StatusOK, "English", "Deutsch", "Europe/Berlin", "<option selected>50</option>")
	b.post("/settings", "language", "de", "zone", "Asia/Tokyo", "page", "25").redirects(t, "/settings")
	b.get("/settings").want(t, http.StatusOK, "Die Einstellungen wurden gespeichert", `lang="de"`, `value="Asia/Tokyo"`, "<option selected>25</option>")
	b.get("/").want(t, http.StatusOK, "Posteingang", "2 ungelesen", ">21:00<") // 12:00 UTC
	// They are the user's, not the session's.
	s.login("alice").get("/").want(t, http.StatusOK, "Posteingang")
	s.login("bob").get("/").want(t, http.StatusOK, "Inbox")

	for _, bad := range [][]string{
		{"language", "xx", "zone", "", "page", "50"}, {"language", "", "zone", "Mars/Base", "page", "50"}, {"language", "", "zone", "../../etc/passwd", "page", "50"},
		{"language", "", "zone", "Local", "page", "50"}, {"language", "", "zone", "", "page", "0"}, {"language", "", "zone", "", "page", "100000"}, {"language", "", "zone", "", "page", "x"},
	} {
		b.post("/settings", bad...).want(t, http.StatusUnprocessableEntity)
	}
	b.get("/settings").want(t, http.StatusOK, `value="Asia/Tokyo"`)
}

// The file is the user's: what he or a later version wrote there stays, and a broken one stops nobody from reading mail.
func TestSettingsFile(t *testing.T) {
	s := newSite(t)
	b := s.login("alice")
	b.post("/settings", "language", "de", "zone", "", "page", "50").redirects(t, "/settings")
	file := filepath.Join(s.root("alice"), "postroom-web", settingsFile)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(data, "theme = \"dark\"\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	b.post("/settings", "language", "", "zone", "", "page", "100").redirects(t, "/settings")
	if data, err := os.ReadFile(file); err != nil || !strings.Contains(string(data), "theme = \"dark\"") || !strings.Contains(string(data), "page_size = 100") {
		t.Errorf("%s %v", data, err)
	}
	for _, broken := range []string{"language = [", "page_size = -5\n", "time_zone = \"Mars/Base\"\n", "\x00"} {
		if err := os.WriteFile(file, []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		b.get("/").want(t, http.StatusOK, "Inbox")
	}
	b.post("/settings", "language", "de", "zone", "", "page", "50").redirects(t, "/settings")
	b.get("/").want(t, http.StatusOK, "Posteingang")
}

// Without a setting the browser's wish counts.
func TestLanguageOfBrowser(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	for wish, want := range map[string]string{
		"": "Sign in", "de": "Anmelden", "de-AT,de;q=0.9,en;q=0.1": "Anmelden", "fr, de;q=0.5": "Anmelden", "fr": "Sign in", ";;;": "Sign in",
		strings.Repeat("de,", 1000): "Sign in",
	} {
		b.head.Set("Accept-Language", wish)
		b.get("/login").want(t, http.StatusOK, want)
	}
}
