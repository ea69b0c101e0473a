package webmail

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"strings"

	"postroom/internal/account"
	"postroom/internal/message"
)

const (
	maxImport  = 1 << 30  // octets of one upload
	maxFiles   = 1000     // messages of one upload
	importOnce = 50       // messages that become part of the mailbox together
	importHead = 32 << 10 // octets of a file that are looked at before it is taken for a message
)

type importData struct{ Box, Action, Back string }

// importPage is the form for who does not drop files onto a list.
func importPage(w http.ResponseWriter, r *http.Request, n *session) error {
	sel, err := n.selectMailbox(r)
	if err != nil {
		return err
	}
	defer sel.Close()
	if !sel.Rights().Has(account.Insert) {
		return account.ErrNoRight
	}
	return n.page(w, r, view{Name: "import", Title: "import.title", Pane: "list", Box: sel.Name(),
		Data: importData{sel.Name(), boxLink("/import", sel.Name(), 0), sel.link("/")}})
}

// importMessages appends the files of an upload to the mailbox that box= of the address names, as they come.
func importMessages(w http.ResponseWriter, r *http.Request, n *session) error {
	box := r.URL.Query().Get("box")
	if box == "" {
		box = inbox
	}
	in, err := r.MultipartReader()
	if err != nil {
		return fail(http.StatusBadRequest, "error.form")
	}
	done, refused := 0, 0
	for err == nil {
		var count, bad int
		var last bool
		count, bad, last, err = n.importSome(r, in, box, maxFiles-done-refused)
		done, refused = done+count, refused+bad
		if last {
			break
		}
	}
	if err != nil && done == 0 {
		return err
	}
	loc := n.locale(r)
	text := loc.N("import.done", done)
	if refused > 0 {
		text += " " + loc.N("import.refused", refused)
	}
	if err != nil {
		text += " " + loc.T(n.srv.failureOf(r, err).key)
	}
	n.say(text)
	return seeOther(w, r, boxLink("/", box, 0))
}

// importSome takes files until there are enough to be stored together; last says that there are no more. What is no
// message, or too large, is counted as bad and left out.
func (n *session) importSome(r *http.Request, in *multipart.Reader, box string, left int) (count, bad int, last bool, err error) {
	var as []*account.Appender
	defer func() {
		for _, a := range as {
			a.Abort()
		}
	}()
	for len(as) < importOnce {
		part, err := in.NextPart()
		if err == io.EOF {
			last = true
			break
		}
		if err != nil {
			return 0, bad, false, uploadError(err)
		}
		if part.FileName() == "" {
			continue
		}
		if len(as)+bad >= left {
			return 0, bad, false, fail(http.StatusRequestEntityTooLarge, "error.large")
		}
		a, err := n.importFile(r, part, box)
		switch {
		case errors.Is(err, errNoMail):
			bad++
		case err != nil:
			return 0, bad, false, err
		default:
			as = append(as, a)
		}
	}
	if len(as) == 0 {
		return 0, bad, last, nil
	}
	count = len(as)
	if _, _, err = account.Commit(r.Context(), as...); err != nil {
		return 0, bad, last, err
	}
	return count, bad, last, nil
}

// errNoMail says that a file is no message, or larger than one may be.
var errNoMail = errors.New("webmail: not a message")

// importFile reads one file into an Appender, which is the caller's to commit.
func (n *session) importFile(r *http.Request, file io.Reader, box string) (*account.Appender, error) {
	in := bufio.NewReaderSize(file, importHead)
	head, err := in.Peek(importHead)
	if err != nil && err != io.EOF {
		return nil, uploadError(err)
	}
	parsed, err := message.Parse(bytes.NewReader(head))
	if err != nil {
		return nil, err
	}
	if e := parsed.Root.Envelope; !e.Date.Set && !e.Subject.Set && e.From == nil && !e.MessageID.Set {
		_, err := io.Copy(io.Discard, in)
		return nil, errors.Join(errNoMail, uploadError(err))
	}
	var opt account.AppendOptions
	if sent, ok := parsed.SentDate(); ok && sent.Before(n.srv.clock()) && sent.Year() > 1970 {
		opt.Date = sent
	}
	a, err := n.user.Append(r.Context(), box, opt)
	if err != nil {
		return nil, err
	}
	size, err := io.Copy(a, io.LimitReader(in, n.srv.lim.Message))
	if err == nil && size == n.srv.lim.Message {
		if rest, err2 := io.Copy(io.Discard, in); rest > 0 || err2 != nil {
			a.Abort()
			return nil, errors.Join(errNoMail, uploadError(err2))
		}
	}
	if err != nil {
		a.Abort()
		return nil, uploadError(err)
	}
	return a, nil
}

// uploadError tells a form that is broken from what else can go wrong.
func uploadError(err error) error {
	var large *http.MaxBytesError
	switch {
	case err == nil, errors.As(err, &large):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF), strings.HasPrefix(err.Error(), "multipart:"):
		return fail(http.StatusBadRequest, "error.form")
	}
	return err
}
