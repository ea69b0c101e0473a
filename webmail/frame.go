package webmail

import (
	"bytes"
	"html"
	"io"
	"net/http"

	"postroom/internal/mailview"
)

// The content policies of what is a mail's. A sandbox has an origin of its own, with no cookies and no way to our pages;
// nothing runs in it. Links open windows that are none of it.
const (
	framePolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; " +
		"frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
	picturesPolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data: http: https:; form-action 'none'; base-uri 'none'; " +
		"frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
	filePolicy = "default-src 'none'; frame-ancestors 'none'; sandbox"
	// pdfPolicy has no sandbox: in one browsers refuse to show PDF. Their viewers run nothing of it in our origin.
	pdfPolicy = "default-src 'none'; style-src 'unsafe-inline'; object-src 'self'; frame-ancestors 'none'"
)

// errNoPart answers a request for a part that the message does not have.
var errNoPart = fail(http.StatusNotFound, "error.part")

// mailHeaders are those of a document that is a mail's.
func mailHeaders(h http.Header, remote bool) {
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", framePolicy)
	if remote {
		h.Set("Content-Security-Policy", picturesPolicy)
	}
	h.Set("X-Frame-Options", "SAMEORIGIN")
	h.Set("X-DNS-Prefetch-Control", "off")
}

// framePage is HTML of a mail, for a frame of the page that shows the message.
func framePage(w http.ResponseWriter, r *http.Request, n *session, sel *selection, o *openedMessage) error {
	v, err := o.view(r)
	if err != nil {
		return err
	}
	path, err := mailview.ParsePath(r.FormValue("block"))
	if err != nil {
		return errNoPart
	}
	b, ok := v.Block(path)
	if !ok || b.Format != mailview.HTML {
		return errNoPart
	}
	remote := r.FormValue("pictures") != ""
	page, err := v.Page(b, remote)
	if err != nil {
		return err
	}
	mailHeaders(w.Header(), remote)
	_, err = page.WriteTo(w)
	return broken(n, r, err)
}

// broken ends an answer that has begun: the browser shall see that it is not whole.
func broken(n *session, r *http.Request, err error) error {
	if err != nil {
		n.srv.log.Debug("web answer broken off", "path", r.URL.Path, "error", err)
		panic(http.ErrAbortHandler)
	}
	return nil
}

// printStyle is what is added to FrameStyle for who prints.
const printStyle = `body{margin:24px}.text{white-space:pre-wrap}.q{border-left:2px solid #999;padding-left:8px}.hidden{display:none}
.print-head{border-bottom:1px solid #888;margin-bottom:16px;padding-bottom:8px}.print-head h1{font-size:20px}
.print-head dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 12px;margin:0}.print-head dt{color:#555}.print-head dd{margin:0}
`

// printPage is a message as a document of its own, to be printed: in a sandbox, as a frame is.
func printPage(w http.ResponseWriter, r *http.Request, n *session, sel *selection, o *openedMessage) error {
	v, err := o.view(r)
	if err != nil {
		return err
	}
	d, err := n.message(r, sel, o)
	if err != nil {
		return err
	}
	loc := n.locale(r)
	var head bytes.Buffer
	if err := n.srv.pages.byLanguage[loc.Tag].ExecuteTemplate(&head, "print", d); err != nil {
		return err
	}
	remote := r.FormValue("pictures") != ""
	var pages []*mailview.Page // by block, nil for plain text
	for i, b := range v.Blocks {
		pages = append(pages, nil)
		if b.Format == mailview.HTML && i < maxCleaned {
			if pages[i], err = v.Page(b, remote); err != nil {
				return err
			}
		}
	}
	mailHeaders(w.Header(), remote)
	_, err = io.WriteString(w, `<!DOCTYPE html><html lang="`+loc.Tag+`"><head><meta charset="utf-8"><title>`+html.EscapeString(d.Subject)+
		`</title><style>`+mailview.FrameStyle+printStyle+`</style></head><body>`+head.String())
	for i, page := range pages {
		switch {
		case err != nil:
		case page != nil:
			err = page.WriteSection(w)
		default:
			_, err = io.WriteString(w, `<div class="text">`+string(d.Blocks[i].Text)+`</div>`)
		}
	}
	if err == nil {
		_, err = io.WriteString(w, `</body></html>`)
	}
	return broken(n, r, err)
}
