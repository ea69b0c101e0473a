package webmail

import (
	"archive/zip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"postroom/internal/mailview"
	"postroom/internal/message"
)

// partPage is the octets of a part. With show= pictures and PDF are shown by the browser, if their first octets say that they
// are that; all else is saved, whatever the sender calls it.
func partPage(w http.ResponseWriter, r *http.Request, n *session, sel *selection, o *openedMessage) error {
	a, err := mailview.Part(o.parsed, o.part)
	if err != nil {
		return errNoPart
	}
	body, err := mailview.Open(o, o.parsed, o.part)
	if err != nil {
		return errNoPart
	}
	head := make([]byte, 512)
	size, err := io.ReadFull(body, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return err
	}
	head = head[:size]
	h := w.Header()
	h.Set("Content-Type", a.Type)
	h.Set("Content-Security-Policy", filePolicy)
	how := "attachment"
	if r.FormValue("show") != "" {
		if typ := mailview.PictureType(head); typ != "" {
			how = "inline"
			h.Set("Content-Type", typ)
		} else if mailview.IsPDF(head) {
			how = "inline"
			h.Set("Content-Type", "application/pdf")
			h.Set("Content-Security-Policy", pdfPolicy)
		}
	}
	h.Set("Content-Disposition", disposition(how, a.Name))
	h.Set("Cache-Control", "private, max-age=600")
	_, err = w.Write(head)
	if err == nil {
		_, err = io.Copy(w, whileOpen{r.Context(), body})
	}
	return broken(n, r, err)
}

// whileOpen reads as long as the request goes on, and the session that it is of.
type whileOpen struct {
	ctx context.Context
	r   io.Reader
}

func (x whileOpen) Read(b []byte) (int, error) {
	if err := x.ctx.Err(); err != nil {
		return 0, err
	}
	return x.r.Read(b)
}

// disposition is a Content-Disposition (RFC 6266): the name as ASCII for who reads no other, and as it is.
func disposition(how, name string) string {
	ascii := strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e || r == '"' || r == '\\' || r == '%' {
			return '_'
		}
		return r
	}, name)
	return how + `; filename="` + ascii + `"; filename*=UTF-8''` + strings.ReplaceAll(url.QueryEscape(name), "+", "%20")
}

// attachmentsZip is all that is attached to a message, made while it is sent.
func attachmentsZip(w http.ResponseWriter, r *http.Request, n *session, sel *selection, o *openedMessage) error {
	v, err := o.view(r)
	if err != nil {
		return err
	}
	date, err := sel.Date(r.Context(), sel.Snap, o.index)
	if err != nil {
		return err
	}
	fileHeaders(w.Header(), "application/zip", zipName(v.Subject(), "attachments"))
	z := zip.NewWriter(w)
	names := make(map[string]bool)
	for _, a := range v.Attachments {
		if err = zipPart(r.Context(), z, o, a, oneName(names, a.Name), date); err != nil {
			break
		}
	}
	if err == nil {
		err = z.Close()
	}
	return broken(n, r, err)
}

func zipPart(ctx context.Context, z *zip.Writer, o *openedMessage, a mailview.Attachment, name string, date time.Time) error {
	body, err := mailview.Open(o, o.parsed, a.Path)
	if err != nil {
		return err
	}
	method := zip.Deflate
	if a.Picture || strings.HasPrefix(a.Type, "video/") || strings.HasPrefix(a.Type, "audio/") {
		method = zip.Store // these are small as they are
	}
	f, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: method, Modified: date})
	if err == nil {
		_, err = io.Copy(f, whileOpen{ctx, body})
	}
	return err
}

// oneName makes a name differ from those before it, also where letters' case does not count.
func oneName(taken map[string]bool, name string) string {
	ext := path.Ext(name)
	stem := strings.TrimSuffix(name, ext)
	for i := 2; taken[strings.ToLower(name)]; i++ {
		name = fmt.Sprintf("%s (%d)%s", stem, i, ext)
	}
	taken[strings.ToLower(name)] = true
	return name
}

// fileHeaders are those of a file to be saved.
func fileHeaders(h http.Header, typ, name string) {
	h.Set("Content-Type", typ)
	h.Set("Content-Security-Policy", filePolicy)
	h.Set("Content-Disposition", disposition("attachment", name))
}

// zipName names a file after a subject or a mailbox.
func zipName(text, otherwise string) string { return cleanName(text, otherwise) + ".zip" }

func cleanName(text, otherwise string) string {
	if name := mailview.SafeName(strings.ReplaceAll(text, "/", "-")); name != "" {
		return name
	}
	return otherwise
}

// emlFile is a message, or one that it embeds, as it is, to be saved.
func emlFile(w http.ResponseWriter, r *http.Request, n *session) error {
	return n.wholeMessage(w, r, func(h http.Header, subject string) {
		fileHeaders(h, "message/rfc822", cleanName(subject, "message")+".eml")
	})
}

// sourcePage shows a message's octets as text.
func sourcePage(w http.ResponseWriter, r *http.Request, n *session) error {
	return n.wholeMessage(w, r, func(h http.Header, _ string) {
		h.Set("Content-Type", "text/plain; charset=utf-8")
		h.Set("Content-Security-Policy", filePolicy)
	})
}

func (n *session) wholeMessage(w http.ResponseWriter, r *http.Request, headers func(h http.Header, subject string)) error {
	sel, err := n.selectMailbox(r)
	if err != nil {
		return err
	}
	defer sel.Close()
	o, err := openMessage(r, sel)
	if err != nil {
		return err
	}
	defer o.Close()
	v, err := o.view(r)
	if err != nil {
		return err
	}
	section, ok := o.parsed.Section(o.part, message.Whole)
	if !ok {
		return errNoPart
	}
	headers(w.Header(), v.Subject())
	w.Header().Set("Content-Length", fmt.Sprint(section.Size))
	_, err = io.Copy(w, whileOpen{r.Context(), message.NewReader(o, o.parsed, section)})
	return broken(n, r, err)
}

// fieldsData is all header fields of a message.
type fieldsData struct {
	Subject string
	Back    string
	Fields  []headerField
	Cut     bool
}

type headerField struct{ Name, Value string }

const (
	maxFields = 2000      // header fields that are shown
	maxShown  = 512 << 10 // octets of them
)

// fieldsPage shows all header fields of a message, decoded.
func fieldsPage(w http.ResponseWriter, r *http.Request, n *session, sel *selection, o *openedMessage) error {
	v, err := o.view(r)
	if err != nil {
		return err
	}
	head := o.parsed.Root.Head
	if len(o.part) > 0 {
		head, _ = o.parsed.Section(o.part, message.Header)
	}
	d := fieldsData{Subject: v.Subject(), Back: o.link(sel, "/message")}
	left := maxShown
	err = message.EachField(o, o.parsed, head, func(name, value string) bool {
		f := headerField{message.Printable(name), message.Printable(message.DecodeText(value))}
		left -= len(f.Name) + len(f.Value)
		if len(d.Fields) == maxFields || left < 0 {
			d.Cut = true
			return false
		}
		d.Fields = append(d.Fields, f)
		return true
	})
	if err != nil {
		return err
	}
	return n.page(w, r, view{Name: "fields", Title: "read.fields", Data: d, Pane: "message", Box: sel.Name()})
}
