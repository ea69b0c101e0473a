package imapd

import "postroom/imapd/wire"

// answer is the end of a command: OK, NO or BAD, maybe with a response code.
// It is an error so that whatever stops a command can say how.
type answer struct{ kind, code, text string }

func (a *answer) Error() string { return a.kind + " " + a.text }

func ok(code, text string) error { return &answer{"OK", code, text} }
func no(code, text string) error { return &answer{"NO", code, text} }
func bad(text string) *answer    { return &answer{"BAD", "", text} }

// tagged writes the last line of a command; without a tag it is untagged.
func (c *conn) tagged(tag string, a *answer) {
	if tag == "" {
		tag = "*"
	}
	c.status(tag, a.kind, a.code, a.text)
}

// untagged writes a status response of its own.
func (c *conn) untagged(kind, code, text string) { c.status("*", kind, code, text) }

func (c *conn) status(tag, kind, code, text string) {
	e := c.enc.Raw(tag).SP().Raw(kind).SP()
	if code != "" {
		e.Raw("[").Raw(code).Raw("] ")
	}
	e.Raw(text).CRLF()
}

// number writes "* n NAME".
func (c *conn) number(n int, name string) {
	c.enc.Raw("* ").Num(uint64(n)).SP().Raw(name).CRLF()
}

func codeWithNumbers(name string, n wire.Numbers) string {
	return string(n.Append([]byte(name + " ")))
}
