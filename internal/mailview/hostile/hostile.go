// Package hostile is mail that tries to do what mail must not: to run something, to fetch something, to be taken for
// something else. Tests show it, by themselves and in a browser; nothing but tests imports it.
//
// Each mail wants one of two things: to call the script of Script, or to fetch an address that begins with the beacon.
// Neither may ever happen.
package hostile

import (
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf16"
)

// Mail is one message with what it tries.
type Mail struct {
	Name string
	Raw  []byte // with CRLF line ends
}

// Script is what vectors run if they can: it names the document "pwned" and asks the beacon, so that a browser's test sees
// it. Shown as text, as a subject say, it does not have that word in it.
func Script(beacon string) string {
	return "document.title=['pwn','ed'].join('');(new Image).src='" + beacon + "ran'"
}

// Mails makes the corpus. The beacon is an address, "http://127.0.0.1:1234/", that nothing may ask.
func Mails(beacon string) []Mail {
	var list []Mail
	for i, v := range vectors(beacon) {
		list = append(list, htmlMail(fmt.Sprintf("html-%03d", i), v))
	}
	list = append(list, htmlMail("all vectors", strings.Join(vectors(beacon), "\n")))
	list = append(list, structures(beacon)...)
	list = append(list, charsets(beacon)...)
	return append(list, headers(beacon)...)
}

func crlf(s string) []byte { return []byte(strings.ReplaceAll(s, "\n", "\r\n")) }

func htmlMail(name, html string) Mail {
	return Mail{name, crlf("From: Mallory <m@example.com>\nTo: a@example.org\nSubject: " + name + "\nMIME-Version: 1.0\n" +
		"Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n<p>" + name + "</p>\n" + html + "\n")}
}

// charsets are mails whose markup is there only for who reads them in another charset.
func charsets(beacon string) []Mail {
	js := Script(beacon)
	script := "<script>" + js + "</script><img src=x onerror=\"" + js + "\">"
	head := "From: m@example.com\nSubject: charset\nMIME-Version: 1.0\nContent-Type: text/html%s\nContent-Transfer-Encoding: base64\n\n"
	var wide []byte
	for _, u := range utf16.Encode([]rune(script)) {
		wide = append(wide, byte(u>>8), byte(u))
	}
	utf7 := strings.NewReplacer("<", "+ADw-", ">", "+AD4-", "\"", "+ACI-").Replace(script)
	var list []Mail
	for _, c := range []struct{ name, param, body string }{
		{"utf-7 named", "; charset=utf-7", utf7},
		{"utf-7 by meta", "", `<meta http-equiv="content-type" content="text/html; charset=utf-7">` + utf7},
		{"utf-7 by BOM", "", "+/v8-" + utf7},
		{"utf-16", "; charset=utf-16be", string(wide)},
		{"utf-16 by meta", "", `<meta charset="utf-16be">` + string(wide)},
		{"utf-16 by BOM", "; charset=utf-16", "\xfe\xff" + string(wide)},
		{"iso-2022-jp", "; charset=iso-2022-jp", "<img alt=\"\x1b$B\x22\x1b(B\" src=x onerror=\"" + js + "\">\x1b(J" + script},
		{"shift_jis eats a quote", "; charset=shift_jis", "<img alt=\"\x83\" title=\" onerror=" + js + " x=\">" + script},
		{"gbk eats a backslash", "; charset=gbk", "<a title=\"\xbf\x5c\" onmouseover=\"" + js + "\">x</a>" + script},
		{"overlong UTF-8", "; charset=utf-8", "\xc0\xbcscript\xc0\xbe" + js + "\xc0\xbc/script\xc0\xbe"},
		{"x-user-defined", "; charset=x-user-defined", script},
		{"markup in the charset", "; charset=\"\\\"><script>" + js + "</script>\"", script},
		{"NULs", "; charset=utf-8", "<scr\x00ipt>" + js + "</scr\x00ipt><img src=x on\x00error=\"" + js + "\">"},
		{"ebcdic", "; charset=ibm1047", "\x4c\xa2\x83\x99\x89\x97\xa3\x6e"},
	} {
		list = append(list, Mail{"charset: " + c.name, append(crlf(fmt.Sprintf(head, c.param)), lines64(c.body)...)})
	}
	return list
}

// lines64 is base64 in lines.
func lines64(s string) string {
	var out strings.Builder
	digits := base64.StdEncoding.EncodeToString([]byte(s))
	for len(digits) > 76 {
		out.WriteString(digits[:76] + "\r\n")
		digits = digits[76:]
	}
	return out.String() + digits + "\r\n"
}
