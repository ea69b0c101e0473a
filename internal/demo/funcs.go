package demo

import (
	"encoding/base64"
	"mime"
	"mime/quotedprintable"
	"strings"
	"text/template"
	"time"

	"golang.org/x/text/encoding/htmlindex"
)

// funcs are what templates can call. Texts in other charsets and the octets of
// attachments are strings too, so that calls can be piped:
//
//	{{`Žluťoučký kůň` | charset "iso-8859-2" | qp}}
func funcs(date, now time.Time) template.FuncMap {
	return template.FuncMap{
		// date is the mail's own, in the zone it is given or else that of now.
		"date": func(zone ...string) (string, error) { return mailDate(date, zone) },
		// ago is the date of an older mail, for quotes, forwards, Received.
		"ago": func(age string, zone ...string) (string, error) {
			d, err := parseAge(age)
			if err != nil {
				return "", err
			}
			return mailDate(now.Add(-d), zone)
		},
		// day names the day that many days from now.
		"day": func(n int) string { return now.AddDate(0, 0, n).Format("Monday 2 January") },
		// ical is a time of that day, as a calendar has it, in UTC.
		"ical": func(n, hour int) string {
			y, m, d := now.UTC().AddDate(0, 0, n).Date()
			return time.Date(y, m, d, hour, 0, 0, 0, time.UTC).Format("20060102T150405Z")
		},

		"charset": charset,
		"qp":      quotedPrintable,
		"base64":  wrappedBase64,
		// q and b make encoded words of UTF-8 text, in the charset.
		"q": func(cs, s string) (string, error) { return encodedWord(mime.QEncoding, cs, s) },
		"b": func(cs, s string) (string, error) { return encodedWord(mime.BEncoding, cs, s) },

		"png":    picture,
		"pdf":    pdf,
		"zip":    zipped,
		"repeat": strings.Repeat,
	}
}

func mailDate(t time.Time, zone []string) (string, error) {
	if len(zone) > 0 {
		z, err := time.Parse("-0700", zone[0])
		if err != nil {
			return "", err
		}
		t = t.In(z.Location())
	}
	return t.Format("Mon, 02 Jan 2006 15:04:05 -0700"), nil
}

func charset(name, s string) (string, error) {
	enc, err := htmlindex.Get(name)
	if err != nil {
		return "", err
	}
	return enc.NewEncoder().String(s)
}

func encodedWord(e mime.WordEncoder, cs, s string) (string, error) {
	if !strings.EqualFold(cs, "utf-8") {
		var err error
		if s, err = charset(cs, s); err != nil {
			return "", err
		}
	}
	return strings.ReplaceAll(e.Encode(cs, s), "?= =?", "?=\n =?"), nil
}

func quotedPrintable(s string) (string, error) {
	var b strings.Builder
	w := quotedprintable.NewWriter(&b)
	if _, err := w.Write([]byte(s)); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	return strings.ReplaceAll(b.String(), "\r\n", "\n"), nil
}

func wrappedBase64(s string) string {
	var b strings.Builder
	for e := base64.StdEncoding.EncodeToString([]byte(s)); e != ""; {
		n := min(76, len(e))
		b.WriteString(e[:n])
		if e = e[n:]; e != "" {
			b.WriteByte('\n')
		}
	}
	return b.String()
}
