package message

import "bytes"

// fieldID names the header fields that a parse looks at.
type fieldID uint8

const (
	fNone fieldID = iota
	fMIMEVersion
	fType
	fEncoding
	fID
	fDescription
	fMD5
	fLocation
	fLanguage
	fDisposition
	fDate // from here on those of the ENVELOPE
	fSubject
	fFrom
	fSender
	fReplyTo
	fTo
	fCC
	fBCC
	fInReplyTo
	fMessageID
)

// fieldNames is sorted by length of the name, so that most lines are told to
// be unwanted by their name's length and first letter.
var fieldNames = func() (t [26][]struct {
	name string
	id   fieldID
}) {
	for _, f := range []struct {
		name string
		id   fieldID
	}{
		{"mime-version", fMIMEVersion}, {"content-type", fType},
		{"content-transfer-encoding", fEncoding}, {"content-id", fID},
		{"content-description", fDescription}, {"content-md5", fMD5},
		{"content-location", fLocation}, {"content-language", fLanguage},
		{"content-disposition", fDisposition},
		{"date", fDate}, {"subject", fSubject}, {"from", fFrom}, {"sender", fSender},
		{"reply-to", fReplyTo}, {"to", fTo}, {"cc", fCC}, {"bcc", fBCC},
		{"in-reply-to", fInReplyTo}, {"message-id", fMessageID},
	} {
		t[len(f.name)] = append(t[len(f.name)], f)
	}
	return t
}()

func lookupField(name []byte) fieldID {
	if len(name) >= len(fieldNames) {
		return fNone
	}
	for _, f := range fieldNames[len(name)] {
		if lowerByte(name[0]) == f.name[0] && equalFold(string(name), f.name) {
			return f.id
		}
	}
	return fNone
}

// field is the header field being read: several lines, of which only wanted
// ones are kept.
type field struct {
	active bool // a field has begun: a line that starts with a space goes on with it
	id     fieldID
	val    []byte
	skip   int // octets of the chunk at hand that are not value
}

// begin looks at a field's first line; f.skip is then where its value starts.
// A line without a colon is no field, nor are those that continue it.
func (f *field) begin(c []byte, envelope bool) {
	f.active = true
	f.id = fNone
	f.val = f.val[:0]
	f.skip = len(c)
	line := trimLF(c)
	colon := bytes.IndexByte(line, ':')
	if colon < 0 {
		return
	}
	name := line[:colon]
	for len(name) > 0 && isBlank(name[len(name)-1]) {
		name = name[:len(name)-1]
	}
	f.setID(name, envelope)
	if f.id == fNone {
		return
	}
	// All white space before the value goes; of a value that is nothing else,
	// one octet.
	i := colon + 1
	for i < len(line) && isBlank(line[i]) {
		i++
	}
	if i == len(line) && len(line) > colon+1 {
		i = colon + 2
	}
	f.skip = i
}

func (f *field) setID(name []byte, envelope bool) {
	if i := bytes.IndexByte(name, 0); i >= 0 {
		name = name[:i]
	}
	if len(name) > 0 {
		f.id = lookupField(name)
	}
	if f.id >= fDate && !envelope {
		f.id = fNone
	}
}

// fold notes that the next line goes on with the field.
func (f *field) fold() {
	if f.id != fNone {
		f.add([]byte{'\n'})
	}
}

func (f *field) add(b []byte) {
	if f.id == fNone || len(b) == 0 {
		return
	}
	f.val = append(f.val, b[:min(len(b), maxField-len(f.val))]...)
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

func trimLF(c []byte) []byte {
	if n := len(c); n > 0 && c[n-1] == '\n' {
		c = c[:n-1]
		if n > 1 && c[n-2] == '\r' {
			c = c[:n-2]
		}
	}
	return c
}

// endField evaluates the field that has been read, if any.
func (p *parser) endField(part *Part, envelope bool) {
	f := &p.field
	id := f.id
	f.active, f.id = false, fNone
	if id == fNone || p.kept > maxKept {
		return
	}
	if id == fMIMEVersion {
		p.isMIME = true
		return
	}
	p.kept += len(f.val)
	v := string(f.val)
	switch id {
	case fType:
		p.isMIME = true
		if !part.HasType {
			p.slash = part.parseType(v)
			p.boundary, p.hasBound = param(part.Params, "boundary")
			p.boundary = p.boundary[:min(len(p.boundary), maxBoundary)]
		}
	case fEncoding:
		if part.Encoding == "" {
			part.parseEncoding(v)
		}
	case fDisposition:
		if part.DispositionParams == nil {
			part.parseDisposition(v)
		}
	case fLanguage:
		if part.Languages == nil {
			part.parseLanguages(v)
		}
	case fID:
		setFirst(&part.ID, v)
	case fDescription:
		setFirst(&part.Description, v)
	case fMD5:
		setFirst(&part.MD5, v)
	case fLocation:
		setFirst(&part.Location, v)
	default:
		part.Envelope.set(id, v)
	}
}

// setFirst: of MIME fields that stand twice the first counts.
func setFirst(s *String, v string) {
	if !s.Set {
		*s = String{true, v}
	}
}

// set fills in one field. Of fields that stand twice the last counts, but for
// addresses, which add up.
func (e *Envelope) set(id fieldID, v string) {
	switch id {
	case fDate:
		e.Date = String{true, v}
	case fSubject:
		e.Subject = String{true, v}
	case fInReplyTo:
		e.InReplyTo = String{true, v}
	case fMessageID:
		e.MessageID = String{true, v}
	case fFrom:
		e.From = append(e.From, parseAddresses(v)...)
	case fSender:
		e.Sender = append(e.Sender, parseAddresses(v)...)
	case fReplyTo:
		e.ReplyTo = append(e.ReplyTo, parseAddresses(v)...)
	case fTo:
		e.To = append(e.To, parseAddresses(v)...)
	case fCC:
		e.CC = append(e.CC, parseAddresses(v)...)
	case fBCC:
		e.BCC = append(e.BCC, parseAddresses(v)...)
	}
}
