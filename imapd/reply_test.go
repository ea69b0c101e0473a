package imapd

import (
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"postroom/imapd/wire"
)

// reply is what a server answered to a command, in a form in which the same
// answers of two servers are the same: what may come in any order is sorted,
// numbers that every server chooses for itself have gone.
type reply struct {
	kind, code string // of the tagged line
	exists     int    // -1: not told
	recent     int
	fetch      map[int]map[string]string // by the sequence number before the command
	lines      []string                  // all else
}

// texts gives the reply line by line.
func (r *reply) texts() []string {
	out := []string{"end: " + strings.TrimSpace(r.kind+" "+r.code)}
	if r.exists >= 0 {
		out = append(out, fmt.Sprint("EXISTS ", r.exists))
	}
	if r.recent >= 0 {
		out = append(out, fmt.Sprint("RECENT ", r.recent))
	}
	for n, items := range r.fetch {
		for k, v := range items {
			out = append(out, fmt.Sprintf("FETCH %d %s %s", n, k, v))
		}
	}
	out = append(out, r.lines...)
	sort.Strings(out)
	return out
}

// noRecent takes out what tells of \Recent. RFC 3501 section 6.4.7 would have it
// on every copy, and 6.3.11 on what was appended, as Dovecot does. With Postroom
// it means that a file lies in new/, where it is new mail to all programs on the
// tree and can have no flags: a copy goes to cur/, and what has flags.
func (r *reply) noRecent() {
	r.recent = -1
	for i, l := range r.lines {
		if strings.HasPrefix(l, "STATUS") {
			r.lines[i] = regexp.MustCompile(` RECENT \d+`).ReplaceAllString(l, "")
		}
	}
	for _, items := range r.fetch {
		if flags, ok := items["FLAGS"]; ok {
			list, _ := parseNodes(strings.Replace(flags, `\recent`, "", 1))
			items["FLAGS"] = list[0].sorted()
		}
	}
}

// node is a value of a response: an atom, a string or a list.
type node struct {
	text   string
	quoted bool
	list   []node
	isList bool
}

// parseNodes reads values up to the end of s or to an unmatched ")".
func parseNodes(s string) (list []node, rest string) {
	for {
		s = strings.TrimLeft(s, " ")
		if s == "" || s[0] == ')' {
			return list, s
		}
		var n node
		n, s = parseNode(s)
		list = append(list, n)
	}
}

var literalHead = regexp.MustCompile(`^~?\{(\d+)\}\r\n`)

func parseNode(s string) (node, string) {
	if s[0] == '(' {
		list, rest := parseNodes(s[1:])
		return node{list: list, isList: true}, strings.TrimPrefix(rest, ")")
	}
	if m := literalHead.FindStringSubmatch(s); m != nil {
		n, _ := strconv.Atoi(m[1])
		s = s[len(m[0]):]
		return node{text: s[:n], quoted: true}, s[n:]
	}
	if s[0] == '"' {
		var b []byte
		for i := 1; i < len(s); i++ {
			switch s[i] {
			case '\\':
				i++
			case '"':
				return node{text: string(b), quoted: true}, s[i+1:]
			}
			b = append(b, s[i])
		}
		return node{text: string(b), quoted: true}, ""
	}
	depth := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '[':
			depth++
		case c == ']':
			depth--
		case depth > 0:
		case c == ' ' || c == '(' || c == ')':
			return node{text: s[:i]}, s[i:]
		}
	}
	return node{text: s}, ""
}

func (n node) String() string {
	switch {
	case n.isList:
		parts := make([]string, len(n.list))
		for i, c := range n.list {
			parts[i] = c.String()
		}
		return "(" + strings.Join(parts, " ") + ")"
	case n.quoted:
		return strconv.Quote(n.text)
	}
	return n.text
}

// sorted is a list whose order means nothing.
func (n node) sorted() string {
	parts := make([]string, len(n.list))
	for i, c := range n.list {
		parts[i] = strings.ToLower(c.String())
	}
	sort.Strings(parts)
	return "(" + strings.Join(parts, " ") + ")"
}

// read makes a reply of a server's lines and keeps what it says of the mailbox.
func (s *side) read(t *testing.T, lines []string) *reply {
	r := &reply{exists: -1, recent: -1, fetch: make(map[int]map[string]string)}
	at := make([]int, s.count) // the number each message had before
	for i := range at {
		at[i] = i + 1
	}
	known := s.count
	for _, l := range lines[:len(lines)-1] {
		body, ok := strings.CutPrefix(l, "* ")
		if !ok {
			t.Fatalf("%s: not a response: %.300q", s.name, l)
		}
		word, rest, _ := strings.Cut(body, " ")
		n, err := strconv.Atoi(word)
		if err != nil {
			s.untagged(r, word, rest)
			if strings.HasPrefix(rest, "[CLOSED]") {
				at, s.count, known = nil, 0, 0
			}
			if word == "VANISHED" && !strings.HasPrefix(rest, "(EARLIER)") {
				s.count -= vanished(rest)
				at = at[:max(0, len(at)-vanished(rest))]
			}
			continue
		}
		kind, rest, _ := strings.Cut(rest, " ")
		switch kind {
		case "EXISTS":
			for len(at) < n {
				known++
				at = append(at, known)
			}
			r.exists, s.count = n, n
		case "RECENT":
			r.recent = n
		case "EXPUNGE":
			if n < 1 || n > len(at) {
				t.Fatalf("%s: EXPUNGE %d of %d", s.name, n, len(at))
			}
			r.lines = append(r.lines, fmt.Sprint("EXPUNGE ", at[n-1]))
			at = slices.Delete(at, n-1, n)
			s.count--
		case "FETCH":
			if n < 1 || n > len(at) {
				t.Fatalf("%s: FETCH %d of %d", s.name, n, len(at))
			}
			s.fetched(r, at[n-1], rest)
		default:
			r.lines = append(r.lines, l)
		}
	}
	last := lines[len(lines)-1]
	_, status, _ := strings.Cut(last, " ")
	kind, text, _ := strings.Cut(status, " ")
	r.kind, r.code = kind, s.respCode(text)
	return r
}

func vanished(set string) int {
	n := 0
	for _, r := range numbers(set) {
		n += int(r.To-r.From) + 1
	}
	return n
}

func numbers(set string) wire.Numbers {
	var out wire.Set
	d := wire.NewDecoder(strings.NewReader(set+"\r\n"), wire.Limits{Line: 1 << 20, Literal: 1 << 20}, nil)
	if d.Begin() != nil || !d.SequenceSet(&out) {
		return nil
	}
	return out.Resolve(1<<32 - 1)
}

// fetched merges the items of one FETCH response.
func (s *side) fetched(r *reply, n int, rest string) {
	list, _ := parseNodes(rest)
	items := r.fetch[n]
	if items == nil {
		items = make(map[string]string)
		r.fetch[n] = items
	}
	if len(list) == 0 {
		return
	}
	list = list[0].list
	for i := 0; i+1 < len(list); i += 2 {
		key, v := strings.ToUpper(list[i].text), list[i+1]
		switch key {
		case "FLAGS":
			items[key] = v.sorted()
		case "MODSEQ":
			items[key] = "N"
		case "INTERNALDATE":
			at, err := time.Parse("_2-Jan-2006 15:04:05 -0700", v.text)
			switch {
			case err != nil:
				items[key] = "malformed " + v.text
			case time.Since(at) < time.Hour:
				items[key] = "now"
			default:
				items[key] = at.UTC().Format(time.RFC3339)
			}
		default:
			items[key] = v.String()
		}
	}
}

// untagged takes all but numbered responses.
func (s *side) untagged(r *reply, word, rest string) {
	list, _ := parseNodes(rest)
	switch word {
	case "OK", "NO", "BAD":
		if code := s.respCode(rest); code != "" || word != "OK" {
			r.lines = append(r.lines, strings.TrimSpace(word+" "+code))
		}
	case "FLAGS":
		r.lines = append(r.lines, "FLAGS "+list[0].sorted())
	case "SEARCH":
		var found []string
		var modSeq string
		for _, n := range list {
			if n.isList {
				modSeq = " MODSEQ N"
			} else {
				found = append(found, fmt.Sprintf("%08s", n.text))
			}
		}
		sort.Strings(found)
		r.lines = append(r.lines, "SEARCH "+strings.Join(found, " ")+modSeq)
	case "ESEARCH":
		r.lines = append(r.lines, "ESEARCH "+eSearch(list))
	case "STATUS":
		r.lines = append(r.lines, s.status(list))
	case "LIST", "LSUB":
		// \Marked and \Unmarked are guesses that a server need not make (RFC 9051
		// section 7.3.1); Dovecot's depend on the clock.
		list[0].list = slices.DeleteFunc(list[0].list, func(n node) bool { return strings.HasSuffix(n.text, "arked") })
		line := word + " " + list[2].text + " " + list[0].sorted() + " " + list[1].text
		for _, more := range list[3:] {
			line += " " + strings.ReplaceAll(more.String(), `"CHILDINFO"`, "CHILDINFO") // an astring
		}
		r.lines = append(r.lines, line)
	case "VANISHED":
		prefix := ""
		if set, ok := strings.CutPrefix(rest, "(EARLIER) "); ok {
			prefix, rest = "(EARLIER) ", set
		}
		r.lines = append(r.lines, "VANISHED "+prefix+string(numbers(rest).Append(nil)))
	default:
		r.lines = append(r.lines, word+" "+rest)
	}
}

func eSearch(list []node) string {
	var parts []string
	for i := 0; i < len(list); i++ {
		switch n := list[i]; {
		case n.isList: // the tag
		case n.text == "UID":
			parts = append(parts, "UID")
		case i+1 < len(list) && n.text == "MODSEQ":
			parts = append(parts, "MODSEQ N")
			i++
		case i+1 < len(list) && n.text == "ALL":
			parts = append(parts, "ALL "+string(numbers(list[i+1].text).Append(nil)))
			i++
		case i+1 < len(list):
			parts = append(parts, n.text+" "+list[i+1].text)
			i++
		default:
			parts = append(parts, n.text)
		}
	}
	sort.Strings(parts)
	return strings.Join(parts, " ")
}

func (s *side) status(list []node) string {
	var items []string
	for i := 0; i+1 < len(list[1].list); i += 2 {
		key, v := list[1].list[i].text, list[1].list[i+1].text
		switch key {
		case "UIDVALIDITY":
			v = "V"
		case "HIGHESTMODSEQ":
			s.modSeq, v = v, "N"
		}
		items = append(items, key+" "+v)
	}
	sort.Strings(items)
	name := list[0].text
	if strings.EqualFold(name, "INBOX") {
		name = "INBOX" // Dovecot repeats it as it was sent
	}
	return "STATUS " + name + " " + strings.Join(items, " ")
}

// respCode is the response code at the head of text.
func (s *side) respCode(text string) string {
	if !strings.HasPrefix(text, "[") {
		return ""
	}
	end := strings.IndexByte(text, ']')
	if strings.HasPrefix(text, "[BADCHARSET") {
		return "BADCHARSET"
	}
	name, arg, _ := strings.Cut(text[1:end], " ")
	switch name {
	case "UIDVALIDITY":
		s.validity, arg = arg, "V"
	case "HIGHESTMODSEQ":
		s.modSeq, arg = arg, "N"
	case "PERMANENTFLAGS":
		list, _ := parseNodes(arg)
		arg = list[0].sorted()
	case "COPYUID", "APPENDUID":
		_, arg, _ = strings.Cut(arg, " ")
	case "MODIFIED":
		arg = string(numbers(arg).Append(nil))
	}
	return strings.TrimSpace(name + " " + arg)
}
