package message

import (
	"bytes"
	"errors"
	"io"
)

// SearchHeader tells whether a header field of the message holds the needle;
// an empty needle asks whether there is such a field: HEADER, FROM, SUBJECT
// and their like in RFC 9051 section 6.4.4.
func (m *Message) SearchHeader(src io.ReaderAt, field string, n *Needle) (bool, error) {
	return searchFields(func(f func([]byte, bool) bool) error { return headerLines(src, m, m.Root.Head, f) }, field, n)
}

// searchFields looks in the fields of one name among those that lines gives.
func searchFields(lines lineSource, field string, n *Needle) (bool, error) {
	f := newFinder(n)
	defer f.free()
	f.found = false
	err := f.fields(lines, field)
	return f.found, err
}

// fields searches the fields of one name.
func (f *finder) fields(lines lineSource, field string) error {
	return eachField(lines, func(name, value []byte) bool {
		if len(name) != len(field) || !equalFold(string(name), field) {
			return true
		}
		if f.needle.Empty() {
			f.found = true
			return false
		}
		f.breakUp()
		f.writeWords(value)
		f.flush()
		if !f.found && equalFold(field, "subject") {
			// As it is told in the ENVELOPE: white space made single spaces.
			f.breakUp()
			f.writeWords([]byte(tidy(string(value))))
			f.flush()
		}
		return !f.found
	})
}

// SearchBody tells whether the body holds the needle: the bodies of all parts
// of types text and message, decoded. As RFC 9051 section 6.4.4 asks no header
// matches, also not that of an embedded message.
func (m *Message) SearchBody(src io.ReaderAt, n *Needle) (bool, error) {
	f := newFinder(n)
	defer f.free()
	err := f.part(src, m, m.Root, false)
	return f.found, err
}

// SearchText tells whether header or body hold the needle; parts' headers and
// those of embedded messages count too.
func (m *Message) SearchText(src io.ReaderAt, n *Needle) (bool, error) {
	f := newFinder(n)
	defer f.free()
	err := f.part(src, m, m.Root, true)
	return f.found, err
}

// part searches a part and all in it.
func (f *finder) part(src io.ReaderAt, m *Message, p *Part, headers bool) error {
	if f.found {
		return nil
	}
	if headers {
		if err := f.header(src, m, p.Head); err != nil || f.found {
			return err
		}
	}
	for _, c := range p.Children {
		if err := f.part(src, m, c, headers); err != nil || f.found {
			return err
		}
	}
	if p.Kind != Leaf || p.HasType && !equalFold(p.Type, "text") && !equalFold(p.Type, "message") {
		return nil
	}
	r, err := removeCTE(NewReader(src, m, p.Body), p.cte())
	if err != nil {
		return nil // nobody can read it
	}
	f.breakUp()
	in := errorKeeper{r: r}
	if err := f.readFrom(toUTF8(&in, p.Charset())); err != nil && in.err != nil {
		return in.err
	}
	return nil
}

// header searches a header as text: "Name: decoded value".
func (f *finder) header(src io.ReaderAt, m *Message, s Section) error {
	f.breakUp()
	lines := func(g func([]byte, bool) bool) error { return headerLines(src, m, s, g) }
	return eachField(lines, func(name, value []byte) bool {
		if len(name) > 0 {
			f.write(name)
			f.write([]byte(": "))
		}
		f.writeWords(value)
		f.flush()
		f.write([]byte("\r\n"))
		return !f.found
	})
}

// errorKeeper remembers the file's errors, so that they can be told from
// those of text in a broken encoding.
type errorKeeper struct {
	r   io.Reader
	err error
}

func (k *errorKeeper) Read(p []byte) (int, error) {
	n, err := k.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		k.err = err
	}
	return n, err
}

// lineSource calls f for each line of a header, as headerLines does.
type lineSource func(f func(line []byte, first bool) bool) error

// eachField calls f for each field of a header, its value unfolded,
// until it returns false. Of values longer than maxField the beginning counts.
func eachField(lines lineSource, f func(name, value []byte) bool) error {
	var name, value []byte
	have, stopped := false, false
	err := lines(func(line []byte, first bool) bool {
		text := trimLF(line)
		if first {
			if have && !f(name, value) {
				stopped = true
				return false
			}
			have = len(text) > 0
			if !have {
				return false
			}
			n := fieldName(line)
			name, value = append(name[:0], n...), value[:0]
			if i := bytes.IndexByte(text, ':'); i >= 0 {
				text = text[i+1:]
			}
			for len(text) > 0 && isBlank(text[0]) {
				text = text[1:]
			}
		} else if len(text) > 0 && text[0] == '\t' {
			value = append(value, ' ')
			text = text[1:]
		}
		value = append(value, text[:min(len(text), max(0, maxField-len(value)))]...)
		return true
	})
	if err == nil && have && !stopped {
		f(name, value)
	}
	return err
}
