package compose

import (
	"io"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// htmlText gives the words of HTML for quoting and editing: paragraphs as lines, lists, quotes with >, links with where
// they lead. It reads tokens, not a tree, so that its memory is what it yields, max octets at most.
func htmlText(in string, max int) string {
	t := htmlReader{max: max}
	z := html.NewTokenizer(strings.NewReader(in))
	z.SetMaxBuf(1 << 20)
	for t.out.Len() < max {
		switch z.Next() {
		case html.ErrorToken:
			if z.Err() != io.EOF {
				t.words(string(z.Raw()))
			}
			return t.String()
		case html.TextToken:
			if t.hidden == 0 {
				t.words(string(z.Text()))
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			t.open(z)
		case html.EndTagToken:
			name, _ := z.TagName()
			t.close(atom.Lookup(name))
		}
	}
	return t.String()
}

type htmlReader struct {
	out    strings.Builder
	max    int
	hidden int // depth in what is not shown
	quote  int // depth of blockquotes
	pre    int
	// What is to come before the next word: line ends, a space.
	lines int
	space bool
	begun bool   // a word has been written
	href  string // of the link that is open
	link  strings.Builder
}

func (t *htmlReader) String() string {
	s := strings.TrimRight(t.out.String(), " \n")
	if s == "" {
		return ""
	}
	return cleanText(s) + "\n"
}

// breakLine asks for n line ends before the next word.
func (t *htmlReader) breakLine(n int) {
	t.lines = max(t.lines, n)
	t.space = false
}

func (t *htmlReader) put(word string) {
	if !t.begun {
		t.lines = 0
	}
	switch {
	case t.lines > 0 || !t.begun:
		prefix := strings.Repeat("> ", min(t.quote, 20))
		for i := range t.lines {
			t.out.WriteByte('\n')
			if i < t.lines-1 && prefix != "" {
				t.out.WriteString(strings.TrimRight(prefix, " "))
			}
		}
		t.out.WriteString(prefix)
	case t.space:
		t.out.WriteByte(' ')
	}
	t.begun, t.lines, t.space = true, 0, false
	t.out.WriteString(word)
	if t.href != "" {
		t.link.WriteString(word)
	}
}

func (t *htmlReader) words(s string) {
	if t.pre > 0 {
		for i, line := range strings.Split(s, "\n") {
			if i > 0 {
				t.lines++
			}
			if line != "" {
				t.put(line)
			}
		}
		return
	}
	s = strings.ReplaceAll(s, "\u00a0", " ")
	for i, w := range strings.Fields(s) {
		if i > 0 || strings.TrimLeft(s, " \t\r\n\f") != s {
			t.space = true
		}
		t.put(w)
	}
	if s != "" && strings.TrimRight(s, " \t\r\n\f") != s && t.lines == 0 {
		t.space = true
	}
}

func (t *htmlReader) open(z *html.Tokenizer) {
	name, more := z.TagName()
	tag := atom.Lookup(name)
	switch tag {
	case atom.Script, atom.Style, atom.Title, atom.Head, atom.Template:
		t.hidden++
	case atom.Body:
		t.hidden = 0 // whatever was left open
	}
	if t.hidden > 0 {
		return
	}
	switch tag {
	case atom.Br:
		t.lines++
		t.space = false
	case atom.P, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
		t.breakLine(2)
	case atom.Div, atom.Tr, atom.Table, atom.Ul, atom.Ol, atom.Dl, atom.Dt, atom.Dd, atom.Section, atom.Article, atom.Header, atom.Footer:
		t.breakLine(1)
	case atom.Td, atom.Th:
		t.space = true
	case atom.Li:
		t.breakLine(1)
		t.put("- ")
	case atom.Hr:
		t.breakLine(1)
		t.put("--------")
		t.breakLine(1)
	case atom.Blockquote:
		t.breakLine(1)
		t.quote++
	case atom.Pre:
		t.breakLine(1)
		t.pre++
	case atom.A:
		t.href = ""
		t.link.Reset()
		if h := attribute(z, more, "href"); strings.HasPrefix(h, "http://") || strings.HasPrefix(h, "https://") {
			t.href = h
		}
	case atom.Img:
		if alt := strings.TrimSpace(attribute(z, more, "alt")); alt != "" && len(alt) < 200 {
			t.space = true
			t.put("[" + alt + "]")
			t.space = true
		}
	}
}

func (t *htmlReader) close(tag atom.Atom) {
	switch tag {
	case atom.Script, atom.Style, atom.Title, atom.Head, atom.Template:
		t.hidden = max(0, t.hidden-1)
	case atom.P, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
		t.breakLine(2)
	case atom.Div, atom.Tr, atom.Table, atom.Ul, atom.Ol, atom.Li:
		t.breakLine(1)
	case atom.Blockquote:
		t.breakLine(1)
		t.quote = max(0, t.quote-1)
	case atom.Pre:
		t.breakLine(1)
		t.pre = max(0, t.pre-1)
	case atom.A:
		href := t.href
		t.href = "" // before put, which would add to the link's words
		if said := strings.TrimSuffix(t.link.String(), "/"); href != "" && said != "" && said != strings.TrimSuffix(href, "/") && len(href) < 500 {
			t.space = true
			t.put("<" + href + ">")
		}
	}
}

func attribute(z *html.Tokenizer, more bool, want string) string {
	for more {
		var k, v []byte
		k, v, more = z.TagAttr()
		if string(k) == want {
			return string(v)
		}
	}
	return ""
}
