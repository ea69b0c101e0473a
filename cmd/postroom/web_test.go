package main

import (
	"crypto/tls"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
)

// The web mail is served over HTTPS, HTTP/2 too, with the certificate of all; a password that is changed ends the
// session at the next look at the users.
func TestWebOverTLS(t *testing.T) {
	s := newSite(t)
	c := s.serve(s.config("[web]\nlisten = [\"127.0.0.1:0\"]\nlisten_tls = [\"127.0.0.1:0\"]\n"+asRoot()), s.path("notify"), nil)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	defer tr.CloseIdleConnections()
	browser := &http.Client{Transport: tr, Jar: jar}
	base := "https://" + c.addr("web", 1)
	get := func(resp *http.Response, err error) *http.Response {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp
	}
	resp := get(browser.PostForm(base+"/login", url.Values{"user": {"alice"}, "password": {"one"}}))
	if resp.StatusCode != http.StatusOK || resp.Request.URL.Path != "/" || resp.Proto != "HTTP/2.0" || resp.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("%s %s %s %v", resp.Proto, resp.Status, resp.Request.URL, resp.Header)
	}
	if name := resp.TLS.PeerCertificates[0].Subject.CommonName; name != "first" {
		t.Errorf("the certificate is %q", name)
	}
	if cookies := jar.Cookies(resp.Request.URL); len(cookies) != 1 || !strings.HasPrefix(cookies[0].Name, "__Host-") {
		t.Errorf("cookies %v", cookies)
	}
	if resp := get(http.Get("http://" + c.addr("web", 0) + "/login")); resp.StatusCode != http.StatusOK {
		t.Errorf("in clear, on this machine: %s", resp.Status)
	}
	s.rewrite("users", "alice:{PLAIN}new\nbob:{PLAIN}two\n")
	c.reload()
	if resp := get(browser.Get(base + "/")); resp.Request.URL.Path != "/login" {
		t.Errorf("a session goes on with the password changed: %s", resp.Request.URL)
	}
	c.end()
}
