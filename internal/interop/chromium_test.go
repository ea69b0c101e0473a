package interop

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	neturl "net/url"
	"strings"
	"sync"
	"testing"
	"time"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// chromium is the one browser of the package. Each page that a test opens has a
// profile of its own in it, as a private window has.
var chromium struct {
	once  sync.Once
	ctx   context.Context
	close func()
	err   error
	trap  *trap
}

// startChromium starts the browser when a first test wants it.
func startChromium() {
	chromium.trap, chromium.err = newTrap()
	if chromium.err != nil {
		return
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath("chromium"),
		chromedp.Flag("lang", "en-US"),
		// Whatever host a page names, the trap answers.
		chromedp.Flag("host-resolver-rules", "MAP * "+chromium.trap.l.Addr().String()+", EXCLUDE 127.0.0.1"))
	alloc, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(alloc)
	chromium.ctx = ctx
	chromium.close = func() {
		cancel()
		stop()
		chromium.trap.l.Close()
	}
	chromium.err = chromedp.Do(ctx)
}

// closeChromium ends the browser, if there was one.
func closeChromium() {
	if chromium.close != nil {
		chromium.close()
	}
}

// trap is what answers for every host but 127.0.0.1: it notes what knocked, and
// hangs up.
type trap struct {
	l  net.Listener
	mu sync.Mutex
	in []string // what came, guarded by mu
}

func newTrap() (*trap, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	t := &trap{l: l}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go t.note(c)
		}
	}()
	return t, nil
}

// note finds out for whom the connection was meant.
func (t *trap) note(c net.Conn) {
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(time.Second))
	r := bufio.NewReader(c)
	var asked string
	if first, err := r.Peek(1); err != nil {
		asked = "nothing"
	} else if first[0] == recordTypeHandshake {
		// A handshake needs no more than its first message to tell the host.
		tls.Server(readerConn{c, r}, &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			asked = "https://" + h.ServerName
			return nil, errors.New("a trap")
		}}).Handshake()
	} else if req, err := http.ReadRequest(r); err == nil {
		asked = "http://" + req.Host + req.RequestURI
	} else {
		asked = fmt.Sprintf("no HTTP: %v", err)
	}
	if isVendor(asked) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.in = append(t.in, "a connection out: "+asked)
}

// recordTypeHandshake is the first octet of a TLS connection (RFC 8446, section 5.1).
const recordTypeHandshake = 22

// isVendor tells what Chromium asks its maker for by itself, whatever is open; the dictionaries for what one writes are at
// redirector.gvt1.com.
func isVendor(url string) bool {
	u, err := neturl.Parse(url)
	return err == nil && (u.Hostname() == "redirector.gvt1.com" || strings.HasSuffix(u.Hostname(), ".googleapis.com") || strings.HasSuffix(u.Hostname(), ".google.com"))
}

// readerConn is a connection of which something was already read.
type readerConn struct {
	net.Conn
	r io.Reader
}

func (c readerConn) Read(p []byte) (int, error) { return c.r.Read(p) }

// take gives what came since it was last called.
func (t *trap) take() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	in := t.in
	t.in = nil
	return in
}

// webPage is one page in a browser profile of its own. All that the browser
// complains of, and all that it asks of another server than this page's, fails
// the test at its end, unless the test said before that it would come.
type webPage struct {
	t         *testing.T
	ctx       context.Context
	origin    string // http://HOST:PORT
	downloads string // folder
	watch     *watch // one for a page and its frames
}

// watch is what the browser complained of.
type watch struct {
	mu       sync.Mutex
	faults   []string // guarded by mu, as all below
	expected []string // pieces of faults that the test provokes
}

// openPage opens an empty page for the server at that address.
func openPage(t *testing.T, addr string) *webPage {
	t.Helper()
	chromium.once.Do(startChromium)
	if chromium.err != nil {
		t.Fatalf("starting chromium: %v", chromium.err)
	}
	p := &webPage{t: t, origin: "http://" + addr, downloads: scratch(t), watch: &watch{}}
	ctx, cancel := chromedp.NewContext(chromium.ctx, chromedp.WithNewBrowserContext(), chromedp.WithListener(p.listen))
	p.ctx = ctx
	if err := chromedp.Do(ctx); err != nil {
		cancel()
		t.Fatalf("opening a page: %v", err)
	}
	chromium.trap.take()
	t.Cleanup(func() {
		if t.Failed() {
			p.shoot("failed-" + strings.ReplaceAll(t.Name(), "/", "-"))
		}
		cancel()
		p.judge()
	})
	p.look(desktop)
	_, err := chromedp.CallBrowser(ctx, cdpbrowser.SetDownloadBehavior, cdpbrowser.SetDownloadBehaviorParams{
		Behavior: cdpbrowser.SetDownloadBehaviorBehaviorAllow, BrowserContextID: chromedp.FromContext(ctx).BrowserContextID,
		DownloadPath: p.downloads,
	})
	if err != nil {
		t.Fatalf("saying where downloads go: %v", err)
	}
	return p
}

// listen hears all events of the page, in the browser's own order.
func (p *webPage) listen(ev any) {
	switch ev := ev.(type) {
	case *runtime.EventExceptionThrown:
		text := ev.ExceptionDetails.Text
		if e := ev.ExceptionDetails.Exception; e != nil {
			text += " " + e.Description
		}
		p.fault("exception: %s (%s)", text, ev.ExceptionDetails.URL)
	case *runtime.EventConsoleAPICalled:
		if ev.Type == runtime.ConsoleAPICalledTypeError || ev.Type == runtime.ConsoleAPICalledTypeWarning ||
			ev.Type == runtime.ConsoleAPICalledTypeAssert {
			var words []string
			for _, a := range ev.Args {
				words = append(words, string(a.Value)+a.Description)
			}
			p.fault("console.%s: %s", ev.Type, strings.Join(words, " "))
		}
	case *log.EventEntryAdded:
		// Breaches of the content policy come this way, and failed requests.
		if e := ev.Entry; e.Level == log.EntryLevelError || e.Level == log.EntryLevelWarning {
			p.fault("%s %s: %s (%s)", e.Source, e.Level, e.Text, e.URL)
		}
	case *network.EventRequestWillBeSent:
		url := ev.Request.URL
		if !strings.HasPrefix(url, p.origin+"/") && !strings.HasPrefix(url, "data:") && url != "about:blank" {
			p.fault("a request out: %s", url)
		}
	case *page.EventJavascriptDialogOpening:
		p.fault("dialog: %s %s", ev.Type, ev.Message)
		// A command may not be given from in here.
		go chromedp.Call(p.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true})
	}
}

func (p *webPage) fault(format string, args ...any) {
	p.watch.mu.Lock()
	defer p.watch.mu.Unlock()
	p.watch.faults = append(p.watch.faults, fmt.Sprintf(format, args...))
}

// expect says that the browser will complain, in a text with that piece in it.
// The test fails if it does not.
func (p *webPage) expect(piece string) {
	p.watch.mu.Lock()
	defer p.watch.mu.Unlock()
	p.watch.expected = append(p.watch.expected, piece)
}

// judge fails the test for each fault that was not expected, and each expected
// one that did not come.
func (p *webPage) judge() {
	p.t.Helper()
	p.watch.mu.Lock()
	defer p.watch.mu.Unlock()
	seen := map[string]bool{}
	for _, f := range append(p.watch.faults, chromium.trap.take()...) {
		known := false
		for _, piece := range p.watch.expected {
			if strings.Contains(f, piece) {
				known, seen[piece] = true, true
			}
		}
		if !known {
			p.t.Errorf("the browser: %s", f)
		}
	}
	for _, piece := range p.watch.expected {
		if !seen[piece] {
			p.t.Errorf("the browser did not complain of %q", piece)
		}
	}
}
