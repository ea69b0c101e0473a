package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// pageLimit bounds the wait for anything that a page is to show.
const pageLimit = 20 * time.Second

// finder is what every step looks for things with: the elements that a person
// can see and that match a CSS selector, and if a text is given, have it in what
// they show or in what they are called: their label, title or aria-label.
const finder = `((css, text) => {
	const squeeze = (s) => (s || '').replace(/\s+/g, ' ').trim();
	const names = (e) => [e.innerText, e.getAttribute('aria-label'), e.title, e.placeholder,
		e.tagName === 'BUTTON' || e.type === 'submit' ? e.value : '',
		...[...(e.labels || [])].map((l) => l.innerText || l.textContent)].map(squeeze);
	return [...document.querySelectorAll(css)].filter((e) =>
		e.checkVisibility({visibilityProperty: true}) && (text === '' || names(e).some((n) => n.includes(text))));
})`

// evaluate runs a JavaScript expression in the page.
func evaluate[T any](p *webPage, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(p.ctx, pageLimit)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression))
}

// find gives what the function, in JavaScript, says of the list of elements
// found.
func find[T any](p *webPage, css, text, function string) (T, error) {
	return evaluate[T](p, fmt.Sprintf("(%s)(%s(%s, %s))", function, finder, quoted(css), quoted(text)))
}

func quoted(s string) string {
	text, _ := json.Marshal(s)
	return string(text)
}

// wait asks again and again until ok. An error is not the end, because a page
// that is left while it is asked gives one.
func (p *webPage) wait(what string, ok func() (bool, error)) {
	p.t.Helper()
	deadline := time.Now().Add(pageLimit)
	for {
		done, err := ok()
		if done && err == nil {
			return
		}
		if time.Now().After(deadline) {
			url, _ := evaluate[string](p, "location.href")
			text, _ := evaluate[string](p, "document.body.innerText")
			p.t.Fatalf("waited %v in vain for: %s (%v)\nthe page is %s and shows:\n%s", pageLimit, what, err, url, tail(text))
		}
		time.Sleep(15 * time.Millisecond)
	}
}

func named(css, text string) string {
	if text == "" {
		return css
	}
	return fmt.Sprintf("%s with %q", css, text)
}

// open goes to a path of the server, and waits until the page is loaded.
func (p *webPage) open(path string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, pageLimit)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(p.origin+path)); err != nil {
		p.t.Fatalf("opening %s: %v", path, err)
	}
}

// reload loads the page anew.
func (p *webPage) reload() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, pageLimit)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Reload()); err != nil {
		p.t.Fatalf("reloading: %v", err)
	}
}

// sees waits until there is such an element, on a page whose scripts have begun.
func (p *webPage) sees(css, text string) {
	p.t.Helper()
	p.wait("the page to show "+named(css, text), func() (bool, error) {
		return find[bool](p, css, text, "(l) => document.readyState === 'complete' && l.length > 0")
	})
}

// lacks waits until there is no such element, or none that can be seen.
func (p *webPage) lacks(css, text string) {
	p.t.Helper()
	p.wait("the page not to show "+named(css, text), func() (bool, error) {
		return find[bool](p, css, text, "(l) => document.readyState === 'complete' && l.length === 0")
	})
}

// counts waits until there are n such elements.
func (p *webPage) counts(n int, css, text string) {
	p.t.Helper()
	got := -1
	p.wait(fmt.Sprintf("%d times %s", n, named(css, text)), func() (bool, error) {
		var err error
		got, err = find[int](p, css, text, "(l) => l.length")
		if err == nil && got != n {
			err = fmt.Errorf("there are %d", got)
		}
		return got == n, err
	})
}

// texts gives what the elements found show, in the order of the page.
func (p *webPage) texts(css string) []string {
	p.t.Helper()
	list, err := find[[]string](p, css, "", `(l) => l.map((e) => e.innerText.replace(/\s+/g, ' ').trim())`)
	if err != nil {
		p.t.Fatalf("reading %s: %v", css, err)
	}
	return list
}

// attribute waits for the element and gives an attribute of the first.
func (p *webPage) attribute(css, text, name string) string {
	p.t.Helper()
	p.sees(css, text)
	value, err := find[string](p, css, text, "(l) => l[0].getAttribute("+quoted(name)+") || ''")
	if err != nil {
		p.t.Fatalf("reading %s of %s: %v", name, named(css, text), err)
	}
	return value
}

// path is what the address bar shows after the origin.
func (p *webPage) path() string {
	p.t.Helper()
	url, err := evaluate[string](p, "location.href")
	if err != nil {
		p.t.Fatalf("reading the address: %v", err)
	}
	return strings.TrimPrefix(url, p.origin)
}

// spot is a point in the page's window, in CSS pixels.
type spot struct{ X, Y float64 }

// spot waits until the element found first lies still, with nothing above it,
// scrolled to where it can be seen; and gives a point on it.
func (p *webPage) spot(css, text string) spot {
	p.t.Helper()
	var last, at spot
	p.wait("a place to click on "+named(css, text), func() (bool, error) {
		got, err := find[*spot](p, css, text, `(l) => {
			if (document.readyState !== 'complete' || !l.length) return null;
			const e = l[0];
			// Where a wide element has a link or button in its middle, its text is clicked.
			let b = [...e.getClientRects()].find((r) => r.width && r.height);
			if (!b) return null;
			if (b.top < 0 || b.bottom > innerHeight || b.left < 0 || b.right > innerWidth) {
				e.scrollIntoView({block: 'center', inline: 'nearest', behavior: 'instant'});
				b = e.getClientRects()[0];
			}
			const x = (Math.max(b.left, 0) + Math.min(b.right, innerWidth)) / 2;
			const y = (Math.max(b.top, 0) + Math.min(b.bottom, innerHeight)) / 2;
			const top = document.elementFromPoint(x, y);
			if (!top || !(e.contains(top) || [...(e.labels || [])].some((m) => m.contains(top)))) {
				e.scrollIntoView({block: 'nearest', inline: 'nearest', behavior: 'instant'}); // in a pane of its own
				return null;
			}
			return e.disabled ? null : {X: x, Y: y};
		}`)
		if err != nil || got == nil {
			last = spot{}
			return false, err
		}
		at = *got
		still := at == last
		last = at
		return still, nil
	})
	return at
}

// click clicks the first such element with the mouse, once it can be.
func (p *webPage) click(css, text string, modifiers ...chromedp.Modifier) {
	p.t.Helper()
	at := p.spot(css, text)
	p.do("clicking "+named(css, text), chromedp.MouseEvent(chromedp.MouseMoved, at.X, at.Y),
		chromedp.MouseClickXY(at.X, at.Y, chromedp.ButtonModifiers(modifiers...)))
}

// opens clicks a message of the list until it is shown: the list may be drawn anew under the mouse just then, and a person
// clicks again.
func (p *webPage) opens(subject string) {
	p.t.Helper()
	const row = ".row-link"
	p.click(row, subject)
	clicked := time.Now()
	p.wait("the message "+subject, func() (bool, error) {
		shown, err := find[bool](p, ".message h1", subject, "(l) => document.readyState === 'complete' && l.length > 0")
		if err == nil && !shown && time.Since(clicked) > 5*time.Second {
			p.click(row, subject)
			clicked = time.Now()
		}
		return shown, err
	})
}

// tap touches it with a finger; wants a page in narrow look.
func (p *webPage) tap(css, text string) {
	p.t.Helper()
	at := p.spot(css, text)
	p.do("tapping "+named(css, text), chromedp.TapXY(at.X, at.Y))
}

// fill puts a text in place of what the field with that label, or name, has.
func (p *webPage) fill(label, text string) {
	p.t.Helper()
	p.click(fields, label)
	p.press("Ctrl+a")
	if text == "" {
		p.press("Delete")
		return
	}
	p.typed(text)
}

// fields are what a person writes into.
const fields = "input:not([type=checkbox]):not([type=radio]):not([type=submit]):not([type=button]), textarea, [contenteditable]"

// choose picks an option of the list with that label by the option's text.
func (p *webPage) choose(label, option string) {
	p.t.Helper()
	p.wait(fmt.Sprintf("the choice %q in %q", option, label), func() (bool, error) {
		return find[bool](p, "select", label, fmt.Sprintf(`(l) => {
			if (!l.length) return false;
			const o = [...l[0].options].find((o) => o.text.includes(%s));
			if (!o) return false;
			l[0].value = o.value;
			l[0].dispatchEvent(new Event('input', {bubbles: true}));
			l[0].dispatchEvent(new Event('change', {bubbles: true}));
			return true;
		}`, quoted(option)))
	})
}

// typed types a text where the focus is, as one input.
func (p *webPage) typed(text string) {
	p.t.Helper()
	p.do("typing", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := chromedp.Call(ctx, input.InsertText, input.InsertTextParams{Text: text})
		return err
	}))
}

// press presses one key, by its name in KeyboardEvent.key or as its character,
// with Ctrl+, Shift+, Alt+ before it.
func (p *webPage) press(key string) {
	p.t.Helper()
	var modifiers chromedp.Modifier
	for _, m := range []struct {
		name string
		flag chromedp.Modifier
	}{{"Ctrl+", chromedp.ModifierCtrl}, {"Shift+", chromedp.ModifierShift}, {"Alt+", chromedp.ModifierAlt}} {
		if rest, ok := strings.CutPrefix(key, m.name); ok && rest != "" {
			key = rest
			modifiers |= m.flag
		}
	}
	if k, ok := keys[key]; ok {
		key = k
	} else if len([]rune(key)) != 1 {
		p.t.Fatalf("no key %q", key)
	}
	p.do("pressing "+key, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		events := kb.Encode([]rune(key)[0])
		down, up := events[0], events[len(events)-1]
		if len(events) == 3 && modifiers&^chromedp.ModifierShift == 0 {
			// One event with its text, as of a real key: a script that cancels it cancels the text too.
			down.Text, down.UnmodifiedText = events[1].Text, events[1].UnmodifiedText
		}
		for _, e := range []*input.DispatchKeyEventParams{down, up} {
			e.Modifiers |= int64(modifiers)
			if _, err := chromedp.Call(ctx, input.DispatchKeyEvent, *e); err != nil {
				return err
			}
		}
		return nil
	}))
}

var keys = map[string]string{
	"Enter": kb.Enter, "Escape": kb.Escape, "Tab": kb.Tab, "Delete": kb.Delete, "Backspace": kb.Backspace,
	"ArrowDown": kb.ArrowDown, "ArrowUp": kb.ArrowUp, "ArrowLeft": kb.ArrowLeft, "ArrowRight": kb.ArrowRight,
	"Home": kb.Home, "End": kb.End, "Space": " ",
}

// drop drags files from outside the browser onto an element.
func (p *webPage) drop(css, text string, paths ...string) {
	p.t.Helper()
	at := p.spot(css, text)
	data := &input.DragData{Items: []*input.DragDataItem{}, Files: paths, DragOperationsMask: 1}
	p.do(fmt.Sprintf("dropping %q onto %s", paths, named(css, text)), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		for _, step := range []input.DispatchDragEventType{
			input.DispatchDragEventTypeDragEnter, input.DispatchDragEventTypeDragOver, input.DispatchDragEventTypeDrop,
		} {
			_, err := chromedp.Call(ctx, input.DispatchDragEvent,
				input.DispatchDragEventParams{Type: step, X: at.X, Y: at.Y, Data: data})
			if err != nil {
				return err
			}
		}
		return nil
	}))
}

// upload gives files to a file field, which may be hidden behind a button.
func (p *webPage) upload(css string, paths ...string) {
	p.t.Helper()
	p.do("giving files to "+css, chromedp.SetUploadFiles(chromedp.CSS(css), paths))
}

// do carries out steps one after the other.
func (p *webPage) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, pageLimit)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatalf("%s: %v", what, err)
	}
}

// scripts switches JavaScript off and on; what is loaded keeps its state.
func (p *webPage) scripts(on bool) {
	p.t.Helper()
	_, err := chromedp.Call(p.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
	if err != nil {
		p.t.Fatalf("switching scripts: %v", err)
	}
}

// evaluateAsync is evaluate for an expression that gives a promise.
func evaluateAsync[T any](p *webPage, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(p.ctx, pageLimit)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, func(e *runtime.EvaluateParams) {
		yes := true
		e.AwaitPromise = &yes
	}))
}

// frame waits for a frame that shows an address with that piece in it, and
// gives the page in it, to be read. It goes when the frame does.
func (p *webPage) frame(piece string) *webPage {
	p.t.Helper()
	var id target.ID
	p.wait("a frame with "+piece, func() (bool, error) {
		// A sandboxed frame has a process and a target of its own.
		targets, err := chromedp.Targets(p.ctx)
		for _, info := range targets {
			if info.Type == "iframe" && info.BrowserContextID == chromedp.FromContext(p.ctx).BrowserContextID && strings.Contains(info.URL, piece) {
				id = info.TargetID
			}
		}
		return id != "", err
	})
	f := &webPage{t: p.t, origin: p.origin, downloads: p.downloads, watch: p.watch}
	ctx, cancel := chromedp.NewContext(p.ctx, chromedp.WithTargetID(id), chromedp.WithDetachOnCancel(), chromedp.WithListener(f.listen))
	f.ctx = ctx
	p.t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		p.t.Fatalf("attaching to the frame: %v", err)
	}
	f.wait("the frame to be loaded", func() (bool, error) { return evaluate[bool](f, "document.readyState === 'complete'") })
	return f
}
