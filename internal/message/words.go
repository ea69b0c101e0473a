package message

import (
	"bytes"
	"encoding/base64"
	"io"
)

// word is one encoded word, RFC 2047 section 2.
type word struct {
	charset  string
	encoding byte // 'q' or 'b'
	text     []byte
}

// cutWord takes an encoded word off the beginning of b, which starts with "=?".
func cutWord(b []byte) (w word, n int, ok bool) {
	c := bytes.IndexByte(b[2:], '?')
	if c <= 0 || c > 100 || len(b) < c+5 || b[c+4] != '?' {
		return w, 0, false
	}
	w.charset = lower(string(b[2 : 2+c]))
	w.encoding = lowerByte(b[c+3])
	if w.encoding != 'q' && w.encoding != 'b' {
		return w, 0, false
	}
	e := bytes.Index(b[c+5:], []byte("?="))
	if e < 0 {
		return w, 0, false
	}
	w.text = b[c+5 : c+5+e]
	return w, c + 5 + e + 2, true
}

func (w word) decode() []byte {
	if w.encoding == 'b' {
		d := make([]byte, 0, base64.StdEncoding.DecodedLen(len(w.text))+3)
		b := bytes.NewBuffer(d)
		io.Copy(b, &base64Reader{r: bytes.NewReader(w.text)})
		return b.Bytes()
	}
	d := bytes.ReplaceAll(w.text, []byte{'_'}, []byte{' '})
	return d[:unquote(d)]
}

// writeWords searches a header value with its encoded words decoded. White
// space between two of them does not count (RFC 2047 section 6.2), and of
// adjacent words in one charset the octets are joined before they are decoded:
// many senders cut characters in two.
func (f *finder) writeWords(v []byte) {
	var run []byte // decoded octets of adjacent words
	var charset string
	flush := func() {
		if len(run) > 0 {
			f.flush()
			if asItIs(charset) {
				f.write(run)
				f.flush()
				run = run[:0]
				return
			}
			// What a bytes.Reader yields cannot fail but in its encoding.
			_ = f.readFrom(toUTF8(bytes.NewReader(run), charset))
			run = run[:0]
		}
	}
	for len(v) > 0 && !f.found {
		i := bytes.Index(v, []byte("=?"))
		if i < 0 {
			break
		}
		w, n, ok := cutWord(v[i:])
		if !ok {
			flush()
			f.write(v[:i+2])
			v = v[i+2:]
			continue
		}
		between := v[:i]
		if len(run) == 0 || len(bytes.Trim(between, " \t")) > 0 {
			flush()
			f.write(between)
		}
		if w.charset != charset {
			flush()
			charset = w.charset
		}
		run = append(run, w.decode()...)
		if len(run) > maxField {
			flush()
		}
		v = v[i+n:]
	}
	flush()
	f.write(v)
}
