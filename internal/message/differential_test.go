package message

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"testing"

	"postroom/internal/message/mailtest"
)

var (
	diffN    = flag.Int("dovecot.n", compareN, "messages to compare with Dovecot")
	diffSeed = flag.Uint64("dovecot.seed", 1, "seed of the messages compared with Dovecot")
)

// sectionFields are asked for by HEADER.FIELDS.
var sectionFields = []string{"SUBJECT", "FROM", "X-OTHER", "CONTENT-TYPE"}

// questions gives the items to ask of a message, with our answers.
func questions(t *testing.T, m *Message, src []byte) map[string]string {
	q := map[string]string{
		"RFC822.SIZE":   strconv.FormatInt(m.Size, 10),
		"ENVELOPE":      canon(t, m.AppendEnvelope(nil)),
		"BODY":          canon(t, m.AppendBody(nil)),
		"BODYSTRUCTURE": canon(t, m.AppendBodyStructure(nil)),
	}
	section := func(path []int, spec Spec, name string) {
		s, ok := m.Section(path, spec)
		if !ok {
			q["BODY["+name+"]"] = "none"
			return
		}
		q["BODY["+name+"]"] = strconv.Quote(string(readSection(t, m, src, s)))
	}
	askSections(t, m, src, q, section)
	// A partial fetch at some place that differs from message to message. Of
	// files with LF and CR both, Dovecot sends one octet too few and breaks the
	// connection, or begins one too late.
	if m.Size > 0 && (m.Size == m.RawSize || bytes.IndexByte(src, '\r') < 0) {
		off := int64(len(src)) * 7919 % m.Size
		s, _ := m.Section(nil, Whole)
		r := NewReader(bytes.NewReader(src), m, s)
		if err := r.Skip(off); err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(io.LimitReader(r, 40))
		if err != nil {
			t.Fatal(err)
		}
		q[fmt.Sprintf("BODY[]<%d>", off)] = strconv.Quote(string(b))
	}
	return q
}

// askSections asks for every section of every part.
func askSections(t *testing.T, m *Message, src []byte, q map[string]string, section func([]int, Spec, string)) {
	section(nil, Whole, "")
	section(nil, Header, "HEADER")
	section(nil, Text, "TEXT")
	fields := func(path []int, prefix string) {
		s, ok := m.Section(path, Header)
		if !ok {
			return
		}
		for _, not := range []bool{false, true} {
			b, err := HeaderFields(bytes.NewReader(src), m, s, sectionFields, not)
			if err != nil {
				t.Fatal(err)
			}
			name := "BODY[" + prefix + "HEADER.FIELDS (" + strings.Join(sectionFields, " ") + ")]"
			if not {
				name = strings.Replace(name, "FIELDS", "FIELDS.NOT", 1)
			}
			q[name] = strconv.Quote(string(b))
		}
	}
	fields(nil, "")
	for _, path := range paths(m) {
		n := strings.Trim(strings.ReplaceAll(fmt.Sprint(path), " ", "."), "[]")
		section(path, Whole, n)
		section(path, Mime, n+".MIME")
		section(path, Header, n+".HEADER")
		section(path, Text, n+".TEXT")
		fields(path, n+".")
	}
}

func readSection(t *testing.T, m *Message, src []byte, s Section) []byte {
	t.Helper()
	b, err := io.ReadAll(NewReader(bytes.NewReader(src), m, s))
	if err != nil || int64(len(b)) != s.Size {
		t.Fatalf("section %+v: %d octets, %v", s, len(b), err)
	}
	return b
}

func canon(t *testing.T, wire []byte) string {
	return value(t, bufio.NewReader(bytes.NewReader(wire)))
}

// paths gives the numbers of a message's parts, not too many, and some that
// no part has.
func paths(m *Message) [][]int {
	out := [][]int{{1}, {2}, {1, 1}, {1, 2}, {1, 1, 1}}
	var walk func(p *Part, path []int)
	walk = func(p *Part, path []int) {
		if len(out) > 30 {
			return
		}
		if len(path) > 0 {
			out = append(out, append([]int(nil), path...))
		}
		if p.Kind == Embedded {
			p = p.Children[0]
			if p.Kind != Multipart {
				out = append(out, append(append([]int(nil), path...), 1))
				return
			}
		}
		for i, c := range p.Children {
			walk(c, append(path, i+1))
		}
	}
	walk(m.Root, nil)
	return out
}

// request makes the FETCH items of a question's name.
func request(name string) string {
	if name == "BODY" || !strings.HasPrefix(name, "BODY[") {
		return name
	}
	name = "BODY.PEEK" + name[4:]
	return strings.TrimSuffix(strings.Replace(name, ">", ".40>", 1), "")
}

// TestDifferentialDovecot asks Dovecot everything about thousands of messages
// and compares each answer with ours.
func TestDifferentialDovecot(t *testing.T) {
	haveDovecot(t)
	msgs := extremes()
	for _, c := range cases {
		msgs = append(msgs, []byte(c.msg))
	}
	msgs = append(msgs, corpus(t)...)
	for i := range *diffN {
		msgs = append(msgs, mailtest.Message(*diffSeed, uint64(i)))
	}
	compare(t, msgs)
}

// corpus is what fuzzing FuzzParse has found worth keeping.
func corpus(t *testing.T) (msgs [][]byte) {
	files, err := filepath.Glob("testdata/fuzz/FuzzParse/*")
	if err != nil || len(files) == 0 {
		t.Fatalf("no corpus: %v", err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		_, b, _ = bytes.Cut(b, []byte("[]byte("))
		s, err := strconv.Unquote(strings.TrimSuffix(strings.TrimSpace(string(b)), ")"))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if s != "" { // Dovecot takes an empty file for none
			msgs = append(msgs, []byte(s))
		}
	}
	return msgs
}

// extremes are messages at and beyond the bounds, and large ones.
func extremes() (msgs [][]byte) {
	for _, n := range []int{97, 98, 99, 100, 101, 120} {
		msgs = append(msgs, mailtest.Nested(n, false), mailtest.Nested(n, true))
	}
	for _, n := range []int{9997, 9998, 9999, 10000, 10003} {
		parts := strings.Repeat("--a\n\nx\n", n)
		msgs = append(msgs, []byte("Content-Type: multipart/mixed; boundary=a\n\n"+parts+"--a--\n"),
			[]byte("Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=a\n\n"+parts+
				"--a--\n--b\n\ny\n--b--\n"))
	}
	msgs = append(msgs, []byte("Content-Type: message/global\n\nSubject: x\n\nbody\n"))
	long := strings.Repeat("0123456789 ", 20000)
	for _, eol := range []string{"\n", "\r\n"} {
		for _, s := range []string{
			"Subject: " + long + "\n\nbody\n",
			"Subject: " + strings.ReplaceAll(long, " ", "\n ") + "\n\nbody\n",
			strings.ReplaceAll(long, " ", "_") + ": x\nSubject: y\n\nbody\n",
			"To: " + strings.Repeat("a@b,", 9000) + "c@d\n\nbody\n",
			"Content-Type: multipart/mixed; boundary=a\n\n" + long + "\n--a\n\n" + long + "\n" + long + "\n--a--" + long + "\n" + long,
			"Content-Type: multipart/mixed; boundary=a\n\n--a" + long + "\n\n" + strings.ReplaceAll(long, " ", "\n") + "\n--a--\n",
			strings.Repeat("X: y\n", 30000) + "Subject: z\n\nb\n",
		} {
			msgs = append(msgs, []byte(strings.ReplaceAll(s, "\n", eol)))
		}
	}
	return msgs
}

func compare(t *testing.T, msgs [][]byte) {
	d := startDovecot(t, msgs)
	answers, differ := 0, 0
	allowed := map[string]int{}
	for i, b := range msgs {
		m, err := Parse(bytes.NewReader(b))
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		q := questions(t, m, b)
		names := make([]string, 0, len(q))
		for name := range q {
			names = append(names, request(name))
		}
		sort.Strings(names)
		// One command at a time: Dovecot answers pipelined ones in any order.
		d.send(fmt.Sprintf("%d FETCH %d (%s)", i, d.number[i], strings.Join(names, " ")))
		got := d.fetch(strconv.Itoa(i))
		if e, ok := got["error"]; ok {
			t.Errorf("message %d: Dovecot: %s", i, e)
		}
		for name, ours := range q {
			theirs, ok := got[name]
			answers++
			if ours == "none" && (theirs == "NIL" || theirs == `""`) || ok && ours == theirs {
				continue
			}
			if why := deliberate(m, b, name, ours, theirs); why != "" {
				allowed[why]++
				continue
			}
			if differ++; differ <= 6 {
				t.Errorf("message %d: %s\nours:   %s\nDovecot: %s\n%.3000q", i, name, ours, theirs, b)
			}
		}
	}
	t.Logf("%d messages, %d answers compared, %d differ", len(msgs), answers, differ)
	for why, n := range allowed {
		t.Logf("%d times on purpose: %s", n, why)
	}
}

// differences are those on purpose.
var differences = []struct {
	why  string
	when func(m *Message, src []byte, item, ours, theirs string) bool
}{
	{
		"RFC 2231 section 3 gives name*=value no number; Dovecot takes that of the parameter before",
		func(m *Message, src []byte, item, ours, theirs string) bool {
			return strings.HasPrefix(item, "BODY") && (numbered.MatchString(theirs) || numbered.MatchString(ours))
		},
	},
	{
		"a NUL in a field's name is told as 0x80, as BODY[HEADER] does; Dovecot drops what follows it",
		func(m *Message, src []byte, item, ours, theirs string) bool {
			return strings.Contains(item, "HEADER.FIELDS") && nulInName.Match(src)
		},
	},
	{
		"RFC 9051 section 7.5.2 tells of message/global as of message/rfc822; Dovecot 2.3 takes it for opaque",
		func(m *Message, src []byte, item, ours, theirs string) bool {
			return bytes.Contains(src, []byte("message/global"))
		},
	},
	{
		"types are told in the case they have; of plain messages Dovecot remembers only that they are text/plain",
		func(m *Message, src []byte, item, ours, theirs string) bool {
			return strings.HasPrefix(item, "BODY") && strings.EqualFold(ours, theirs) &&
				strings.HasPrefix(theirs, `("text" "plain" ("charset" "us-ascii")`)
		},
	},
	{
		"of an unclosed quoted string or comment all is kept up to the last fold; Dovecot keeps less if the field ends in a line of one blank",
		func(m *Message, src []byte, item, ours, theirs string) bool {
			return oneBlank.Match(src) && !strings.HasPrefix(item, "BODY[")
		},
	},
	{
		"a CR before the CRLF of a line is kept, as BODY[HEADER] does; in HEADER.FIELDS Dovecot drops it",
		func(m *Message, src []byte, item, ours, theirs string) bool {
			return strings.HasPrefix(item, "BODY[HEADER.FIELDS (") &&
				strings.ReplaceAll(ours, `\r`, ``) == strings.ReplaceAll(theirs, `\r`, ``)
		},
	},
	{
		"of an embedded message whose header a boundary or the end cuts short, HEADER.FIELDS tells no more than the header; Dovecot reads on into what follows",
		func(m *Message, src []byte, item, ours, theirs string) bool {
			n, found := strings.CutPrefix(item, "BODY[")
			i := strings.Index(n, ".HEADER.FIELDS")
			if !found || i < 0 {
				return false
			}
			var path []int
			for _, f := range strings.Split(n[:i], ".") {
				k, _ := strconv.Atoi(f)
				path = append(path, k)
			}
			s, ok := m.Section(path, Header)
			h := src[s.Off:s.End]
			return ok && !bytes.HasSuffix(h, []byte("\n\n")) && !bytes.HasSuffix(h, []byte("\n\r\n")) &&
				string(h) != "\n" && string(h) != "\r\n"
		},
	},
	{
		"a NUL in name==?charset?q?text?= is U+FFFD, as elsewhere; there Dovecot drops what follows it",
		func(m *Message, src []byte, item, ours, theirs string) bool {
			return strings.HasPrefix(item, "BODY") && strings.Contains(ours, "\uFFFD") &&
				nulAfterEquals.Match(src)
		},
	},
}

var (
	numbered       = regexp.MustCompile(`\*[0-9]+\*`)
	oneBlank       = regexp.MustCompile(`["(](?s:.*)\n[ \t](\r?\n|\z)`)
	nulInName      = regexp.MustCompile(`(?m)^[^:\r\n]*\x00[^\r\n]*:`)
	nulAfterEquals = regexp.MustCompile(`=(\([^)]*\))?=[^;\r\n]*\x00`)
)

func deliberate(m *Message, src []byte, item, ours, theirs string) string {
	for _, d := range differences {
		if d.when(m, src, item, ours, theirs) {
			return d.why
		}
	}
	return ""
}
