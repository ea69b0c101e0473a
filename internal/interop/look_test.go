package interop

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// look is a way to look at a page.
type look struct {
	name          string
	width, height int64
	scheme        string // of prefers-color-scheme
	phone         bool
}

var (
	desktop = look{"light", 1280, 800, "light", false}
	dark    = look{"dark", 1280, 800, "dark", false}
	narrow  = look{"narrow", 390, 844, "light", true}
	night   = look{"narrow-dark", 390, 844, "dark", true}
)

// look gives the page another window, as if it had been opened in it.
func (p *webPage) look(l look) {
	p.t.Helper()
	options := []chromedp.EmulateViewportOption{chromedp.EmulateScale(1)}
	if l.phone {
		options = append(options, chromedp.EmulateMobile, chromedp.EmulateTouch, chromedp.EmulatePortrait)
	}
	p.do("changing to the look "+l.name, chromedp.EmulateViewport(l.width, l.height, options...))
	_, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: l.scheme},
			// A picture is not to catch something half way.
			{Name: "prefers-reduced-motion", Value: "reduce"},
		}})
	if err != nil {
		p.t.Fatalf("changing to the look %s: %v", l.name, err)
	}
}

// pictures is the folder for screenshots: POSTROOM_SCREENSHOTS, or one that
// goes with the test.
var pictures = os.Getenv("POSTROOM_SCREENSHOTS")

// view takes pictures of what the page shows, in every look, and checks in each
// that nothing sticks out at the side and that axe has nothing serious to say.
func (p *webPage) view(name string) {
	p.t.Helper()
	defer p.look(desktop)
	for _, l := range []look{desktop, dark, narrow, night} {
		p.look(l)
		p.shoot(name + "-" + l.name)
		p.fits(name + ", " + l.name)
		p.axe(name + ", " + l.name)
	}
}

// shoot writes a picture of the window. It fails no test: it is also what a
// failed one is looked at with.
func (p *webPage) shoot(name string) {
	dir := pictures
	if dir == "" {
		dir = p.downloads
	}
	ctx, cancel := context.WithTimeout(p.ctx, pageLimit)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Logf("no picture %s: %v", name, err)
		return
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		p.t.Logf("no picture %s: %v", name, err)
	}
}

// fits fails the test where the page can be scrolled sideways.
func (p *webPage) fits(what string) {
	p.t.Helper()
	wide, err := evaluate[[]string](p, `(() => {
		const over = document.documentElement.scrollWidth - innerWidth;
		if (over <= 0) return [];
		return [over + ' px too wide', ...[...document.querySelectorAll('body *')]
			.filter((e) => e.getBoundingClientRect().right > innerWidth + 1).slice(0, 5)
			.map((e) => e.outerHTML.slice(0, 120))];
	})()`)
	if err != nil {
		p.t.Fatal(err)
	}
	if len(wide) > 0 {
		p.t.Errorf("%s: %s", what, strings.Join(wide, "\n  "))
	}
}

var axeSource = sync.OnceValues(func() (string, error) {
	text, err := os.ReadFile(filepath.Join(os.Getenv("POSTROOM_NPM"), "node_modules", "axe-core", "axe.min.js"))
	return string(text), err
})

// axe fails the test for all that axe-core calls serious or critical.
func (p *webPage) axe(what string) {
	p.t.Helper()
	source, err := axeSource()
	if err != nil {
		p.t.Fatal(err)
	}
	there, err := evaluate[bool](p, "typeof axe === 'object'")
	if err != nil {
		p.t.Fatal(err)
	}
	if !there {
		p.do("loading axe", chromedp.Evaluate[chromedp.Void](source))
	}
	// Mail in a frame is as accessible as its author made it.
	found, err := evaluateAsync[[]string](p, `axe.run(document, {iframes: false, resultTypes: ['violations']}).then((r) =>
		r.violations.filter((v) => v.impact === 'serious' || v.impact === 'critical').map((v) =>
			v.impact + ' ' + v.id + ': ' + v.help + v.nodes.slice(0, 4).map((n) =>
				'\n    ' + n.html.slice(0, 200) + '\n      ' + n.any.concat(n.all, n.none).map((c) => c.message).join('; ')).join('')))`)
	if err != nil {
		p.t.Fatalf("axe: %v", err)
	}
	for _, f := range found {
		p.t.Errorf("axe, %s: %s", what, f)
	}
}
