package webmail

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"postroom/internal/account"
)

// lookAgain is after how many messages of an export the rights are looked at once more.
const lookAgain = 100

// exportFolder is all messages of a mailbox as one mbox in a zip, made while it is sent.
func exportFolder(w http.ResponseWriter, r *http.Request, n *session) error {
	sel, err := n.selectMailbox(r)
	if err != nil {
		return err
	}
	defer sel.Close()
	name := cleanName(sel.Name(), "mail")
	fileHeaders(w.Header(), "application/zip", name+".zip")
	z := zip.NewWriter(w)
	f, err := z.CreateHeader(&zip.FileHeader{Name: name + ".mbox", Method: zip.Deflate, Modified: n.srv.clock()})
	for i := 0; err == nil && i < sel.Snap.Len(); i++ {
		if i%lookAgain == 0 {
			if _, err = sel.Refresh(); err != nil {
				break
			}
		}
		err = exportMessage(r.Context(), f, sel, i)
		if errors.Is(err, account.ErrExpunged) {
			err = nil // gone in the meantime
		}
	}
	if err == nil {
		err = z.Close()
	}
	return broken(n, r, err)
}

func exportMessage(ctx context.Context, w io.Writer, sel *selection, i int) error {
	date, err := sel.Date(ctx, sel.Snap, i)
	if err != nil {
		return err
	}
	file, err := sel.Message(ctx, sel.Snap, i)
	if err != nil {
		return err
	}
	defer file.Close()
	return writeMbox(w, whileOpen{ctx, io.NewSectionReader(file, 0, file.Size())}, date)
}

// writeMbox writes a message in the form mboxrd: a line that begins it, lines that would look like one quoted, so that it can be
// undone, LF at the ends of lines and an empty line at the end.
func writeMbox(w io.Writer, r io.Reader, date time.Time) error {
	out := bufio.NewWriter(w)
	out.WriteString("From MAILER-DAEMON " + date.UTC().Format(time.ANSIC) + "\n") // an error comes back from Flush
	in := bufio.NewReaderSize(r, 16<<10)
	begins := true // a line
	for {
		piece, err := in.ReadSlice('\n')
		if begins && strings.HasPrefix(string(bytes.TrimLeft(piece[:min(len(piece), 1000)], ">")), "From ") {
			out.WriteByte('>')
		}
		begins = err == nil
		switch {
		case begins:
			out.Write(bytes.TrimSuffix(piece[:len(piece)-1], []byte("\r")))
			out.WriteByte('\n')
		case errors.Is(err, bufio.ErrBufferFull):
			// A CR at the end may belong to the line's end.
			if n := len(piece); piece[n-1] == '\r' {
				piece = piece[:n-1]
				if err := in.UnreadByte(); err != nil {
					return err
				}
			}
			out.Write(piece)
		default:
			out.Write(piece)
			if len(piece) > 0 {
				out.WriteByte('\n')
			}
			if err != io.EOF {
				return err
			}
			out.WriteByte('\n')
			return out.Flush()
		}
	}
}
