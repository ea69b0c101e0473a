package interop

import (
	"io"
	"net"
	"net/http"
	"testing"
)

// The watch on the browser is worth something only if it sees what it is there
// for: each fault of this page has to be noted.
func TestBrowserWatch(t *testing.T) {
	begin(t, "chromium", "npm:axe-core")
	page := func(policy, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Content-Security-Policy", policy)
			io.WriteString(w, "<!doctype html><html lang=en><title>t</title><main>"+body+"</main>")
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", page("script-src 'self'", `<h1>Faults</h1><script>window.inline = 1</script>
		<img alt="" src="http://picture.example/x"><script src="/script.js"></script>
		<iframe title=frame sandbox src="/frame"></iframe><form action="/there"><label>Name <input name=n></label><button>Go</button></form>`))
	mux.HandleFunc("/frame", page("script-src 'none'", `<p>In the frame<img alt="" src="https://frame.example/y">`))
	mux.HandleFunc("/script.js", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		io.WriteString(w, "alert('hello'); console.error('said so'); nothing.there();")
	})
	mux.HandleFunc("/there", func(w http.ResponseWriter, r *http.Request) {
		page("", "<h1>Hello "+r.FormValue("n")+"</h1>")(w, r)
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: mux}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })

	p := openPage(t, l.Addr().String())
	for _, fault := range []string{
		"a request out: http://picture.example/x", "a connection out: http://picture.example/x", "picture.example",
		"a connection out: https://frame.example", "(https://frame.example/y)", "exception: Uncaught ReferenceError: nothing",
		`console.error: "said so"`, "Content Security Policy", "dialog: alert hello",
	} {
		p.expect(fault)
	}
	p.open("/")
	p.sees("h1", "Faults")
	if got := p.frame("/frame").texts("p"); len(got) != 1 || got[0] != "In the frame" {
		t.Errorf("the frame shows %q", got)
	}
	p.scripts(false)
	p.fill("Name", "Zoë")
	p.click("button", "Go")
	p.sees("h1", "Hello Zoë")
}
