package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Words that the searches look for. rareSubject is in the subject of about one
// message in 50, rareBody in the text of about one in 100 and nowhere else.
const (
	rareSubject = "quarterly"
	rareBody    = "xylophone"
)

// Dates of the messages: evenly from mailBegin, over mailSpan.
var mailBegin = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

const mailSpan = 2 * 365 * 24 * time.Hour

var (
	vocabulary = strings.Fields(`the a of to and in that is was for on with as by at from this are be or an it
		meeting report budget invoice delivery schedule project review customer contract office network server
		storage printer holiday travel ticket order payment account number address question answer please thanks
		regards tomorrow yesterday morning evening week month year release version change request problem solution
		test result measure table figure chapter summary details attached document picture signature proposal offer`)
	people = strings.Fields(`Alice Bob Carol Dave Erin Frank Grace Heidi Ivan Judy Mallory Niaj Olivia Peggy Rupert Sybil Trent Victor Walter Zoë`)
	hosts  = strings.Fields(`example.org example.com mail.example.net lists.example.org office.example.com`)
)

// letter writes one message: its LF text and its date, fixed by seed and i.
// The mean size over many is about 8 KiB.
type letter struct {
	r    *rand.Rand
	b    bytes.Buffer
	i    int
	date time.Time
}

// newLetter makes the i-th of a corpus of n messages.
func newLetter(seed uint64, i, n int) *letter {
	l := &letter{r: rand.New(rand.NewPCG(seed, uint64(i))), i: i}
	l.date = mailBegin.Add(time.Duration(float64(mailSpan) * float64(i) / float64(n))).Truncate(time.Second)
	l.header()
	switch k := l.r.IntN(100); {
	case k < 50:
		l.b.WriteString("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n")
		l.text(600 + l.r.IntN(6400))
	case k < 80:
		l.alternative()
	default:
		l.mixed()
	}
	return l
}

func (l *letter) pick(list []string) string { return list[l.r.IntN(len(list))] }

func (l *letter) person() string {
	name := l.pick(people)
	addr := fmt.Sprintf("%s.%d@%s", strings.ToLower(strings.TrimSuffix(name, "ë")), l.r.IntN(200), l.pick(hosts))
	if strings.HasSuffix(name, "ë") {
		return "=?utf-8?Q?Zo=C3=AB?= <" + addr + ">"
	}
	return fmt.Sprintf("%q <%s>", name+" "+l.pick(people[:10]), addr)
}

func (l *letter) header() {
	date := l.date.Format("Mon, 02 Jan 2006 15:04:05 -0700")
	fmt.Fprintf(&l.b, "Return-Path: <bounce-%d@%s>\nDelivered-To: bench@example.org\n", l.i, l.pick(hosts))
	for range 2 + l.r.IntN(3) {
		h := l.pick(hosts)
		fmt.Fprintf(&l.b, "Received: from %s (%s [192.0.2.%d])\n\tby mx.example.org (Postfix) with ESMTPS id %012X\n\tfor <bench@example.org>; %s\n",
			h, h, l.r.IntN(255), l.r.Uint64N(1<<48), date)
	}
	fmt.Fprintf(&l.b, "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=k1;\n\th=from:to:subject:date; bh=%s;\n\tb=%s\n",
		l.base64(32), l.base64(96))
	fmt.Fprintf(&l.b, "Date: %s\nFrom: %s\nTo: %s", date, l.person(), l.person())
	for range l.r.IntN(4) {
		fmt.Fprintf(&l.b, ",\n\t%s", l.person())
	}
	subject := l.phrase(3 + l.r.IntN(6))
	if l.r.IntN(50) == 0 {
		subject += " " + rareSubject
	}
	if l.r.IntN(10) == 0 {
		subject = "=?utf-8?Q?=C3=9Cbersicht:?= " + subject
	}
	fmt.Fprintf(&l.b, "\nSubject: %s\nMessage-ID: <%d.%x@%s>\n", subject, l.i, l.r.Uint64(), l.pick(hosts))
	if l.r.IntN(2) == 0 {
		fmt.Fprintf(&l.b, "In-Reply-To: <%d.%x@%s>\nReferences: <%[1]d.%[2]x@%[3]s>\n", l.i/2, l.r.Uint64(), l.pick(hosts))
	}
	l.b.WriteString("User-Agent: bench\nMIME-Version: 1.0\n")
}

func (l *letter) base64(n int) string {
	raw := make([]byte, n)
	for i := range raw {
		raw[i] = byte(l.r.Uint32())
	}
	return base64.StdEncoding.EncodeToString(raw)
}

func (l *letter) phrase(words int) string {
	var b strings.Builder
	for k := range words {
		if k > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(l.pick(vocabulary))
	}
	return b.String()
}

// text writes about n octets of lines.
func (l *letter) text(n int) {
	if l.r.IntN(100) == 0 {
		l.b.WriteString("A word that is rare: " + rareBody + ".\n")
	}
	for end := l.b.Len() + n; l.b.Len() < end; {
		if l.r.IntN(12) == 0 {
			l.b.WriteString("Grüße, naïve café.\n\n")
		}
		l.b.WriteString(l.phrase(6+l.r.IntN(6)) + "\n")
	}
}

func (l *letter) html(n int) {
	l.b.WriteString("<!DOCTYPE html>\n<html><head><title>" + l.phrase(3) + "</title></head>\n<body>\n")
	for end := l.b.Len() + n; l.b.Len() < end; {
		fmt.Fprintf(&l.b, "<p style=3D\"color: #%06x\">%s<br>\n%s</p>\n", l.r.IntN(1<<24), l.phrase(8), l.phrase(9))
	}
	l.b.WriteString("</body></html>\n")
}

func (l *letter) boundary() string { return fmt.Sprintf("=_%016x", l.r.Uint64()) }

func (l *letter) alternative() {
	bd := l.boundary()
	n := 600 + l.r.IntN(3600)
	fmt.Fprintf(&l.b, "Content-Type: multipart/alternative; boundary=\"%s\"\n\nThis is MIME.\n--%[1]s\n", bd)
	l.b.WriteString("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n")
	l.text(n)
	fmt.Fprintf(&l.b, "--%s\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n", bd)
	l.html(n * 3 / 2)
	fmt.Fprintf(&l.b, "--%s--\n", bd)
}

func (l *letter) mixed() {
	bd := l.boundary()
	fmt.Fprintf(&l.b, "Content-Type: multipart/mixed; boundary=\"%s\"\n\nThis is MIME.\n--%[1]s\n", bd)
	if l.r.IntN(2) == 0 {
		l.alternative()
	} else {
		l.b.WriteString("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n")
		l.text(500 + l.r.IntN(2500))
	}
	for k := range 1 + l.r.IntN(2) {
		fmt.Fprintf(&l.b, "--%s\nContent-Type: application/octet-stream; name=\"file%d.bin\"\nContent-Disposition: attachment; filename=\"file%[2]d.bin\"\n", bd, k)
		l.b.WriteString("Content-Transfer-Encoding: base64\n\n")
		code := l.base64(1500 + l.r.IntN(8100))
		for len(code) > 76 {
			l.b.WriteString(code[:76] + "\n")
			code = code[76:]
		}
		l.b.WriteString(code + "\n")
	}
	fmt.Fprintf(&l.b, "--%s--\n", bd)
}
