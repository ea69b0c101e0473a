package mailview

import (
	"bytes"
	"strings"

	"github.com/tdewolff/parse/v2"
	"github.com/tdewolff/parse/v2/css"
)

const (
	maxSheet = 256 << 10 // octets of all style elements of a mail
	maxStyle = 16 << 10  // octets of one style attribute
	maxMedia = 4         // @media in @media
)

// styler filters style sheets. Nothing of the sender's text is passed on as it stands: it is taken apart into tokens, and
// a new sheet is written of those tokens that can only be what they seem. What is left out is left out with all that
// belongs to it, as a browser does with what it does not know. No rule can fetch anything but what picture allows.
type styler struct {
	// picture gives the address that stands in the place of a picture's; false if it is not to be shown.
	picture func(address string) (string, bool)
}

type token = css.Token

// tokens reads all of a style sheet; comments become white space.
func tokens(text string) []token {
	var list []token
	lexer := css.NewLexer(parse.NewInputString(text))
	for {
		kind, data := lexer.Next()
		switch kind {
		case css.ErrorToken:
			return list
		case css.CommentToken:
			kind, data = css.WhitespaceToken, []byte(" ")
		case css.CDOToken, css.CDCToken:
			continue // "<!--" round a sheet, from times long gone
		}
		list = append(list, token{TokenType: kind, Data: data})
	}
}

// sheet filters the content of a style element.
func (s *styler) sheet(text string) string {
	var out strings.Builder
	s.rules(&out, tokens(text), 0)
	return out.String()
}

// style filters the value of a style attribute.
func (s *styler) style(text string) string {
	var out strings.Builder
	s.declarations(&out, tokens(text))
	return out.String()
}

func (s *styler) rules(out *strings.Builder, list []token, depth int) {
	for len(list) > 0 {
		switch list[0].TokenType {
		case css.WhitespaceToken, css.SemicolonToken, css.RightBraceToken:
			list = list[1:]
			continue
		}
		at := list[0].TokenType == css.AtKeywordToken
		prelude, block, hasBlock, rest := cutRule(list, at)
		list = rest
		switch {
		case !hasBlock: // @import, @charset, or cut off
		case !at:
			if selector, ok := selector(prelude); ok {
				var body strings.Builder
				if s.declarations(&body, block); body.Len() > 0 {
					out.WriteString(selector + "{" + body.String() + "}\n")
				}
			}
		case depth < maxMedia && strings.EqualFold(string(prelude[0].Data), "@media"):
			if query, ok := mediaQuery(prelude[1:]); ok {
				out.WriteString("@media " + query + "{")
				s.rules(out, block, depth+1)
				out.WriteString("}\n")
			}
		}
	}
}

// cutRule takes one rule off a list: what stands before its block, and the block without its braces. A rule that begins
// with an at-keyword may have no block and end in a semicolon.
func cutRule(list []token, at bool) (prelude, block []token, hasBlock bool, rest []token) {
	for i, t := range list {
		switch t.TokenType {
		case css.SemicolonToken:
			if at {
				return list[:i], nil, false, list[i+1:]
			}
		case css.LeftBraceToken:
			end := blockEnd(list[i+1:]) + i + 1
			return list[:i], list[i+1 : end], true, list[min(end+1, len(list)):]
		}
	}
	return list, nil, false, nil
}

// blockEnd gives the index of the brace that closes the block in which list begins, or where the list ends.
func blockEnd(list []token) int {
	depth := 0
	for i, t := range list {
		switch t.TokenType {
		case css.LeftBraceToken:
			depth++
		case css.RightBraceToken:
			if depth == 0 {
				return i
			}
			depth--
		}
	}
	return len(list)
}

// selector allows names, classes, ids, attributes, combinators and those pseudo-classes that need no argument.
func selector(list []token) (string, bool) {
	var out strings.Builder
	brackets := 0
	for _, t := range list {
		switch t.TokenType {
		case css.WhitespaceToken:
			out.WriteByte(' ')
			continue
		case css.LeftBracketToken:
			brackets++
		case css.RightBracketToken:
			brackets--
		case css.IdentToken, css.HashToken:
			if !plainName(t.Data) {
				return "", false
			}
		case css.StringToken:
			if brackets == 0 || !plainString(t.Data) {
				return "", false
			}
		case css.DelimToken:
			if !strings.ContainsRune(".*>+~=", rune(t.Data[0])) || len(t.Data) != 1 {
				return "", false
			}
		case css.ColonToken, css.CommaToken, css.IncludeMatchToken, css.DashMatchToken, css.PrefixMatchToken,
			css.SuffixMatchToken, css.SubstringMatchToken:
		default:
			return "", false
		}
		if brackets < 0 || brackets > 1 {
			return "", false
		}
		out.Write(t.Data)
	}
	text := strings.TrimSpace(out.String())
	return text, text != "" && brackets == 0
}

// mediaQuery allows types, features and their comparison with numbers.
func mediaQuery(list []token) (string, bool) {
	var out strings.Builder
	depth := 0
	for _, t := range list {
		switch t.TokenType {
		case css.WhitespaceToken:
			out.WriteByte(' ')
			continue
		case css.LeftParenthesisToken:
			depth++
		case css.RightParenthesisToken:
			depth--
		case css.IdentToken, css.DimensionToken, css.NumberToken:
			if !plainName(bytes.ReplaceAll(t.Data, []byte("."), nil)) {
				return "", false
			}
		case css.ColonToken, css.CommaToken:
		default:
			return "", false
		}
		if depth < 0 {
			return "", false
		}
		out.Write(t.Data)
	}
	return strings.TrimSpace(out.String()), depth == 0
}

// declarations writes those declarations of a list that are allowed.
func (s *styler) declarations(out *strings.Builder, list []token) {
	for len(list) > 0 {
		end := declarationEnd(list)
		s.declaration(out, list[:end])
		list = list[min(end+1, len(list)):]
	}
}

// declarationEnd gives the index of the semicolon that ends a declaration.
func declarationEnd(list []token) int {
	depth := 0
	for i, t := range list {
		switch t.TokenType {
		case css.LeftParenthesisToken, css.FunctionToken, css.LeftBracketToken, css.LeftBraceToken:
			depth++
		case css.RightParenthesisToken, css.RightBracketToken, css.RightBraceToken:
			depth = max(0, depth-1)
		case css.SemicolonToken:
			if depth == 0 {
				return i
			}
		}
	}
	return len(list)
}

func trimSpace(list []token) []token {
	for len(list) > 0 && list[0].TokenType == css.WhitespaceToken {
		list = list[1:]
	}
	for len(list) > 0 && list[len(list)-1].TokenType == css.WhitespaceToken {
		list = list[:len(list)-1]
	}
	return list
}

func (s *styler) declaration(out *strings.Builder, list []token) {
	list = trimSpace(list)
	if len(list) == 0 || list[0].TokenType != css.IdentToken {
		return
	}
	name := strings.ToLower(string(list[0].Data))
	list = trimSpace(list[1:])
	if len(list) < 2 || list[0].TokenType != css.ColonToken || !allowedProperty(name) {
		return
	}
	if value, ok := s.value(name, trimSpace(list[1:])); ok {
		out.WriteString(name + ":" + value + ";")
	}
}

// value writes a declaration's value anew; false if something stands in it that is not allowed.
func (s *styler) value(name string, list []token) (string, bool) {
	var out strings.Builder
	depth := 0
	for _, t := range list {
		switch t.TokenType {
		case css.WhitespaceToken:
			out.WriteByte(' ')
		case css.IdentToken:
			if !plainName(t.Data) || name == "position" && !allowedPosition(t.Data) {
				return "", false
			}
			out.Write(t.Data)
		case css.HashToken:
			if !plainName(t.Data[1:]) {
				return "", false
			}
			out.Write(t.Data)
		case css.NumberToken, css.PercentageToken, css.DimensionToken:
			if !plainNumber(t.Data) {
				return "", false
			}
			out.Write(t.Data)
		case css.StringToken:
			if !plainString(t.Data) {
				return "", false
			}
			out.Write(t.Data)
		case css.CommaToken:
			out.WriteByte(',')
		case css.DelimToken:
			switch string(t.Data) {
			case "+", "-", "*", "/":
				// Alone they are operators; never may two of them become a comment's beginning.
				out.WriteString(" " + string(t.Data) + " ")
			case "!":
				out.WriteByte('!')
			default:
				return "", false
			}
		case css.FunctionToken:
			if !allowedFunctions[strings.ToLower(string(t.Data[:len(t.Data)-1]))] {
				return "", false
			}
			depth++
			out.Write(t.Data)
		case css.LeftParenthesisToken:
			depth++
			out.WriteByte('(')
		case css.RightParenthesisToken:
			if depth--; depth < 0 {
				return "", false
			}
			out.WriteByte(')')
		case css.URLToken:
			out.WriteString(s.url(name, t.Data))
		default:
			return "", false
		}
	}
	return out.String(), depth == 0 && out.Len() > 0
}

// url writes what stands for a url(): a picture that may be shown, else none.
func (s *styler) url(property string, data []byte) string {
	inner := data[bytes.IndexByte(data, '(')+1:]
	inner = bytes.TrimSpace(bytes.TrimSuffix(inner, []byte(")")))
	if n := len(inner); n >= 2 && (inner[0] == '"' || inner[0] == '\'') && inner[n-1] == inner[0] {
		inner = inner[1 : n-1]
	}
	if !pictureProperties[property] || bytes.IndexByte(inner, '\\') >= 0 {
		return "none"
	}
	address, ok := s.picture(strings.TrimSpace(string(inner)))
	if !ok {
		return "none"
	}
	return `url("` + cssAddress.Replace(address) + `")`
}

// cssAddress makes an address fit to stand between quotes in a sheet.
var cssAddress = strings.NewReplacer(`"`, "%22", `'`, "%27", `\`, "%5C", "<", "%3C", ">", "%3E", "(", "%28", ")", "%29",
	"\n", "", "\r", "", "\f", "", " ", "%20")

// plainName tells whether a name has nothing in it that would be read differently elsewhere: no escapes above all.
func plainName(b []byte) bool {
	for _, c := range b {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '#', c >= 0x80:
		default:
			return false
		}
	}
	return len(b) > 0
}

func plainNumber(b []byte) bool {
	for _, c := range b {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '+', c == '.', c == '%':
		default:
			return false
		}
	}
	return true
}

// plainString tells whether a quoted string is closed and has neither escapes nor what could end a style element.
func plainString(b []byte) bool {
	n := len(b)
	return n >= 2 && b[n-1] == b[0] && !bytes.ContainsAny(b, "\\<>\n\r\f\x00") && bytes.IndexByte(b[1:n-1], b[0]) < 0
}
