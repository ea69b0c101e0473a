package compose

import (
	"strings"
	"unicode/utf8"
)

// flowWidth is where lines of format=flowed are broken, in characters (RFC 3676 section 4.2).
const flowWidth = 74

// flow writes text as format=flowed (RFC 3676): long lines become several that end in a space, quoted ones too. Lines
// end in CRLF.
func flow(text string) string {
	var out strings.Builder
	text = strings.TrimRight(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for line := range strings.SplitSeq(text, "\n") {
		quote, rest := cutQuote(line)
		if quote == 0 && rest == "-- " {
			out.WriteString("-- \r\n") // section 4.3: the signature's line is fixed
			continue
		}
		flowLine(&out, quote, strings.TrimRight(rest, " "))
	}
	return out.String()
}

// cutQuote counts the > that a line begins with; people put spaces between them.
func cutQuote(line string) (depth int, rest string) {
	rest = line
	for strings.HasPrefix(rest, ">") {
		depth++
		rest = rest[1:]
		if strings.HasPrefix(rest, " >") {
			rest = rest[1:]
		}
	}
	if depth > 0 {
		rest = strings.TrimPrefix(rest, " ")
	}
	return depth, rest
}

func flowLine(out *strings.Builder, quote int, line string) {
	prefix := strings.Repeat(">", quote)
	for {
		piece, rest := cutWords(line, max(20, flowWidth-quote))
		out.WriteString(prefix)
		if quote > 0 && piece != "" || strings.HasPrefix(piece, " ") || strings.HasPrefix(piece, ">") || strings.HasPrefix(piece, "From ") {
			out.WriteByte(' ') // section 4.4: stuffing
		}
		out.WriteString(piece)
		out.WriteString("\r\n")
		if rest == "" {
			return
		}
		line = rest
	}
}

// cutWords takes as many words as fit, with the space behind them, and at least one.
func cutWords(line string, width int) (piece, rest string) {
	if utf8.RuneCountInString(line) <= width {
		return line, ""
	}
	at, n := 0, 0
	for i, r := range line {
		n++
		// What is quoted or fixed would begin otherwise in the next line, and a line of spaces alone would be lost.
		if r == ' ' && i+1 < len(line) && line[i+1] != ' ' && strings.TrimSpace(line[:i]) != "" {
			if at > 0 && n > width {
				break
			}
			at = i + 1
			if n > width {
				break
			}
		}
	}
	if at == 0 {
		return line, ""
	}
	return line[:at], line[at:]
}

// unflow undoes format=flowed; with delsp the spaces at the ends of broken lines were not the writer's.
func unflow(text string, delsp bool) string {
	var out strings.Builder
	open, openQuote := false, 0 // whether the last line goes on
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		quote := len(line) - len(strings.TrimLeft(line, ">"))
		rest := strings.TrimPrefix(line[quote:], " ")
		signature := rest == "-- "
		if open && (quote != openQuote || signature) {
			out.WriteByte('\n') // section 4.5: what cannot go on ends
			open = false
		}
		if !open && quote > 0 {
			out.WriteString(strings.Repeat(">", quote))
			out.WriteByte(' ')
		}
		goesOn := strings.HasSuffix(rest, " ") && !signature
		if goesOn && delsp {
			rest = rest[:len(rest)-1]
		}
		out.WriteString(rest)
		if !goesOn {
			out.WriteByte('\n')
		}
		open, openQuote = goesOn, quote
	}
	if open {
		out.WriteByte('\n')
	}
	return out.String()
}
