package mailview

import (
	"html"
	"html/template"
	"io"
	"strings"

	"postroom/internal/message"
)

const (
	maxText    = 1 << 20 // octets of plain text that are looked at
	maxTextOut = 4 << 20 // octets of HTML made of it
	foldOver   = 5       // quotes of more lines are folded
	maxQuote   = 6       // levels of quotes that look different
)

// TextOptions say how plain text is written.
type TextOptions struct {
	// Summary is what stands for a quote of so many lines that is folded.
	Summary func(lines int) string
}

// Text gives a block as HTML for a page: links to the web and to mail addresses, quotes in <details> where they are
// long, the signature apart. Line ends are as in the text: it wants white-space: pre-wrap. cut says that it was too long.
// It is for blocks of any format; of HTML it shows the source. The only errors are those of reading.
func (v *View) Text(b Block, opt TextOptions) (text template.HTML, cut bool, err error) {
	lines, cut, err := v.lines(b)
	if err != nil {
		return "", false, err
	}
	w := textWriter{opt: opt}
	w.lines(lines)
	return template.HTML(w.out.String()), cut || w.cut, nil
}

// PlainText gives a block's text as it is, at most 1 MiB of UTF-8 with LF line ends: what is quoted in an answer.
func (v *View) PlainText(b Block) (string, error) {
	lines, _, err := v.lines(b)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, l := range lines {
		if l.depth > 0 {
			out.WriteString(strings.Repeat(">", l.depth) + " ")
		}
		out.WriteString(l.text + "\n")
	}
	return out.String(), nil
}

func (v *View) lines(b Block) (lines []line, cut bool, err error) {
	r := io.LimitReader(message.NewTextReader(v.open(b.part, b.Path), b.part.Charset()), maxText+1)
	raw, err := io.ReadAll(r)
	if err != nil {
		return nil, false, err
	}
	text := string(raw)
	if len(text) > maxText {
		text, cut = cutRunes(text, maxText), true
	}
	text = strings.TrimPrefix(text, "\uFEFF")
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if b.Format == Enriched {
		_, subtype := b.part.MediaType()
		text = strings.TrimRight(plainOfEnriched(text, subtype == "richtext"), " ")
	}
	format, _ := b.part.Param("format")
	delSp, _ := b.part.Param("delsp")
	return splitLines(text, strings.EqualFold(format, "flowed"), strings.EqualFold(delSp, "yes")), cut, nil
}

// readAll reads at most n octets; errors end it.
func readAll(r io.Reader, n int64) string {
	b, _ := io.ReadAll(io.LimitReader(r, n))
	return string(b)
}

// line is one line, or one paragraph of flowed text, with how deep it is quoted.
type line struct {
	depth int
	text  string
}

// splitLines takes text apart. Flowed text is put together to paragraphs (RFC 3676 section 4).
func splitLines(text string, flowed, delSp bool) []line {
	var out []line
	open := false // the last line goes on
	for raw := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		raw = strings.Map(printableInText, raw)
		l := line{text: raw}
		if flowed {
			for strings.HasPrefix(l.text, ">") {
				l.depth++
				l.text = l.text[1:]
			}
			l.text = strings.TrimPrefix(l.text, " ") // space-stuffed
		} else {
			l.depth, l.text = quoteDepth(raw)
		}
		last := len(out) - 1
		goesOn := flowed && strings.HasSuffix(l.text, " ") && l.text != "-- "
		if open && out[last].depth == l.depth && l.text != "-- " && len(out[last].text) < maxText {
			joined := out[last].text
			if delSp {
				joined = joined[:len(joined)-1]
			}
			out[last].text = joined + l.text
		} else {
			out = append(out, l)
		}
		open = goesOn
	}
	return out
}

// quoteDepth counts the ">" before a line, as mail programs of all kinds write them, and takes them off.
func quoteDepth(s string) (depth int, rest string) {
	rest = s
	for strings.HasPrefix(rest, ">") || depth > 0 && strings.HasPrefix(rest, " >") {
		rest = strings.TrimPrefix(rest, " ")[1:]
		depth++
	}
	if depth > 0 {
		rest = strings.TrimPrefix(rest, " ")
	}
	return depth, rest
}

// printableInText drops control characters, which could only harm. Marks of direction stay: text in Hebrew and Arabic
// wants them, and each line has a direction of its own.
func printableInText(r rune) rune {
	switch {
	case r == '\t':
		return r
	case r < 0x20, 0x7f <= r && r < 0xa0:
		return -1
	case r == 0x2028, r == 0x2029:
		return ' '
	}
	return r
}

type textWriter struct {
	opt TextOptions
	out strings.Builder
	cut bool
}

func (w *textWriter) lines(list []line) {
	signed := false
	for len(list) > 0 {
		if w.out.Len() > maxTextOut {
			w.cut = true
			break
		}
		n := 0
		for n < len(list) && (list[n].depth > 0) == (list[0].depth > 0) && (list[n].depth > 0 || n == 0 || list[n].text != "-- ") {
			n++
		}
		switch {
		case list[0].depth > 0:
			w.quote(list[:n])
		case list[0].text == "-- " && !signed:
			signed = true
			w.out.WriteString(`<div class="signature">`)
			w.text(list[:n])
		default:
			w.text(list[:n])
		}
		list = list[n:]
	}
	if signed {
		w.out.WriteString("</div>")
	}
}

func (w *textWriter) text(list []line) {
	for _, l := range list {
		if w.out.Len() > maxTextOut {
			w.cut = true
			return
		}
		w.line(l.text)
	}
}

// quote writes lines that are all quoted, those of each depth together.
func (w *textWriter) quote(list []line) {
	folded := len(list) > foldOver
	if folded {
		w.out.WriteString(`<details class="quote"><summary>` + html.EscapeString(w.opt.Summary(len(list))) + `</summary>`)
	}
	depth := 0
	for _, l := range list {
		if w.out.Len() > maxTextOut {
			w.cut = true
			break
		}
		if d := min(l.depth, maxQuote); d != depth {
			if depth > 0 {
				w.out.WriteString("</div>")
			}
			w.out.WriteString(`<div class="q q` + string(rune('0'+d)) + `">`)
			depth = d
		}
		w.line(l.text)
	}
	w.out.WriteString("</div>")
	if folded {
		w.out.WriteString("</details>")
	}
}

// line writes one line with its links.
func (w *textWriter) line(s string) {
	for {
		from, to, ok := findLink(s)
		if !ok {
			break
		}
		w.escaped(s[:from])
		link := html.EscapeString(s[from:to])
		w.out.WriteString(`<a href="` + link + `" target="_blank" rel="noopener noreferrer nofollow">` + link + `</a>`)
		s = s[to:]
	}
	w.escaped(s)
	w.out.WriteByte('\n')
}

func (w *textWriter) escaped(s string) { w.out.WriteString(html.EscapeString(s)) }
