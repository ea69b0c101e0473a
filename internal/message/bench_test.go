package message

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
)

const benchHeader = "Return-Path: <alice@example.org>\n" +
	"Received: from mx.example.org (mx.example.org [192.0.2.1])\n\tby mail.example.net (Postfix) with ESMTPS id 4ABCDEF\n\tfor <bob@example.net>; Mon,  1 Jan 2024 12:34:56 +0100 (CET)\n" +
	"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=mail;\n\th=from:to:subject:date; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\n\tb=" +
	"dzdVyOfAKCdLXdJOc9G2q8LoXSlEniSbav+yuU4zGeeruD00lszZVoG4ZHRNiYzR\n" +
	"From: Alice Example <alice@example.org>\nTo: Bob <bob@example.net>, \"Carol, C.\" <carol@example.com>\n" +
	"Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?= and a subject of common length\nDate: Mon, 01 Jan 2024 12:34:56 +0100\n" +
	"Message-ID: <20240101123456.GA1234@example.org>\nMIME-Version: 1.0\n"

// benchMessage has a text and a base64 attachment of so many lines.
func benchMessage(lines int, eol string) []byte {
	var b bytes.Buffer
	b.WriteString(benchHeader + "Content-Type: multipart/mixed; boundary=\"----=_Part_0123456789\"\n\n")
	b.WriteString("------=_Part_0123456789\nContent-Type: text/plain; charset=utf-8\n\n")
	b.WriteString(strings.Repeat("The quick brown fox jumps over the lazy dog, and so on and on.\n", 40))
	b.WriteString("------=_Part_0123456789\nContent-Type: application/pdf; name=\"x.pdf\"\nContent-Transfer-Encoding: base64\n" +
		"Content-Disposition: attachment; filename=\"x.pdf\"\n\n")
	b.WriteString(strings.Repeat(strings.Repeat("QUJD", 19)+"\n", lines))
	b.WriteString("------=_Part_0123456789--\n")
	return bytes.ReplaceAll(b.Bytes(), []byte("\n"), []byte(eol))
}

func BenchmarkParse(b *testing.B) {
	for _, eol := range []string{"\n", "\r\n"} {
		for _, lines := range []int{10, 1000, 100000} {
			msg := benchMessage(lines, eol)
			b.Run(fmt.Sprintf("%dKB/%q", len(msg)>>10, eol), func(b *testing.B) {
				b.SetBytes(int64(len(msg)))
				b.ReportAllocs()
				r := bytes.NewReader(nil)
				for b.Loop() {
					r.Reset(msg)
					if _, err := Parse(r); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkParsePlain(b *testing.B) {
	msg := []byte(benchHeader + "\n" + strings.Repeat("The quick brown fox jumps over the lazy dog, and so on and on.\n", 2000))
	b.SetBytes(int64(len(msg)))
	b.ReportAllocs()
	r := bytes.NewReader(nil)
	for b.Loop() {
		r.Reset(msg)
		if _, err := Parse(r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWire(b *testing.B) {
	m, err := Parse(bytes.NewReader(benchMessage(10, "\n")))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	var buf []byte
	for b.Loop() {
		buf = m.AppendEnvelope(buf[:0])
		buf = m.AppendBodyStructure(buf)
	}
}

func BenchmarkReader(b *testing.B) {
	for _, eol := range []string{"\n", "\r\n"} {
		msg := benchMessage(20000, eol)
		m, err := Parse(bytes.NewReader(msg))
		if err != nil {
			b.Fatal(err)
		}
		s, _ := m.Section(nil, Whole)
		src := bytes.NewReader(msg)
		b.Run(fmt.Sprintf("whole/%q", eol), func(b *testing.B) {
			b.SetBytes(s.Size)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := NewReader(src, m, s).WriteTo(io.Discard); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("skip/%q", eol), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := NewReader(src, m, s)
				if err := r.Skip(s.Size - 100); err != nil {
					b.Fatal(err)
				}
				var p [50]byte
				if _, err := io.ReadFull(r, p[:]); err != nil {
					b.Fatal(err)
				}
				r.release()
			}
		})
	}
}

func BenchmarkHeaderFields(b *testing.B) {
	msg := benchMessage(10, "\n")
	m, err := Parse(bytes.NewReader(msg))
	if err != nil {
		b.Fatal(err)
	}
	src := bytes.NewReader(msg)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := HeaderFields(src, m, m.Root.Head, []string{"From", "To", "Subject", "References"}, false); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSearch(b *testing.B) {
	bodies := map[string]string{
		"ascii":  benchHeader + "\n" + strings.Repeat("The quick brown fox jumps over the lazy dog, and so on and on.\n", 5000),
		"utf8":   benchHeader + "Content-Type: text/plain; charset=utf-8\n\n" + strings.Repeat("Zw\u00f6lf Boxk\u00e4mpfer jagen Viktor quer \u00fcber den Deich.\n", 5000),
		"base64": benchHeader + "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n" + strings.Repeat(strings.Repeat("QUJD", 19)+"\n", 5000),
		"qp":     benchHeader + "Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n" + strings.Repeat("Zw=C3=B6lf Boxk=C3=A4mpfer jagen Viktor quer =C3=BCber den Deich.\n", 5000),
		"latin1": benchHeader + "Content-Type: text/plain; charset=iso-8859-1\n\n" + strings.Repeat("Zw\xf6lf Boxk\xe4mpfer jagen Viktor quer \xfcber den Deich.\n", 5000),
	}
	n := NewNeedle("not to be found")
	for name, msg := range bodies {
		m, err := Parse(strings.NewReader(msg))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(msg)))
			b.ReportAllocs()
			src := strings.NewReader(msg)
			for b.Loop() {
				if ok, err := m.SearchText(src, n); ok || err != nil {
					b.Fatal(ok, err)
				}
			}
		})
	}
}
