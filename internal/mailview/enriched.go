package mailview

import "strings"

// plainOfEnriched gives the text of text/enriched (RFC 1896), its formatting left out, or of text/richtext (RFC 1341
// section 7.1.3), which came before it and where line ends are nothing and <nl> is one.
func plainOfEnriched(s string, rich bool) string {
	var out strings.Builder
	params := 0
	for s != "" {
		i := strings.IndexAny(s, "<\n")
		if i < 0 {
			i = len(s)
		}
		if params == 0 {
			out.WriteString(s[:i])
		}
		if s = s[i:]; s == "" {
			break
		}
		if s[0] == '\n' {
			n := len(s) - len(strings.TrimLeft(s, "\n"))
			if rich || n == 1 {
				out.WriteByte(' ')
			} else {
				out.WriteString(strings.Repeat("\n", n-1))
			}
			s = s[n:]
			continue
		}
		if strings.HasPrefix(s, "<<") && !rich {
			out.WriteByte('<')
			s = s[2:]
			continue
		}
		end := strings.IndexByte(s, '>')
		if end < 0 || end > 62 { // a command has at most 60 characters
			out.WriteByte('<')
			s = s[1:]
			continue
		}
		switch strings.ToLower(s[1:end]) {
		case "param":
			params++
		case "/param":
			params = max(0, params-1)
		case "nl", "paragraph", "/paragraph":
			out.WriteByte('\n')
		case "lt":
			out.WriteByte('<')
		}
		s = s[end+1:]
	}
	return out.String()
}
