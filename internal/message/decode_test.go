package message

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func decodeAll(t *testing.T, cte, body string) (string, error) {
	t.Helper()
	msg := "MIME-Version: 1.0\nContent-Transfer-Encoding: " + cte + "\nContent-Type: application/x-y\n\n" + body
	m, err := Parse(strings.NewReader(msg))
	if err != nil {
		t.Fatal(err)
	}
	src := strings.NewReader(msg)
	r, err := OpenDecoded(src, m, []int{1})
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(iotest.HalfReader(r))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := DecodedSize(src, m, []int{1}); n != int64(len(b)) || err != nil {
		t.Errorf("DecodedSize %d, %v of %d", n, err, len(b))
	}
	return string(b), nil
}

func TestOpenDecoded(t *testing.T) {
	for _, c := range []struct{ cte, body, want string }{
		{"7bit", "a\nb\x00\n", "a\r\nb\x00\r\n"},
		{"BINARY", "a\n", "a\r\n"},
		{"base64", "aGVsbG8=\n", "hello"},
		{"base64", "aGVs\nbG8", "hello"},
		{"base64", "aG V-s!\r\nbG8==junk====", "hello\x8e\xe9\xe4"},
		{"base64", "YQ==YQ==", "aa"},
		{"base64", "", ""},
		{"base64", "Y", ""},
		{"quoted-printable", "a=3Db=\nc=20 \nd\n", "a=bc \r\nd\r\n"},
		{"Quoted-Printable", "=C3=bc= \nx  \n", "\u00fcx\r\n"},
		{"quoted-printable", "=\n=", ""},
		{"quoted-printable", "a \nb=20 \t", "a\r\nb "}, // also where the part ends without a line end
		{"quoted-printable", "a=zz=4\n", "a=zz=4\r\n"},
		{"quoted-printable", strings.Repeat("=41", 5000), strings.Repeat("A", 5000)},
		{"quoted-printable", strings.Repeat("x", 4094) + "=41=42", strings.Repeat("x", 4094) + "AB"},
	} {
		if got, err := decodeAll(t, c.cte, c.body); got != c.want || err != nil {
			t.Errorf("%s %.40q: %.40q, %v; want %.40q", c.cte, c.body, got, err, c.want)
		}
	}
	if _, err := decodeAll(t, "x-uuencode", "x"); !errors.Is(err, ErrUnknownCTE) {
		t.Errorf("unknown encoding: %v", err)
	}
	m, _ := Parse(strings.NewReader("\nx"))
	if _, err := OpenDecoded(nil, m, []int{2}); !errors.Is(err, ErrNoPart) {
		t.Errorf("no part: %v", err)
	}
	src := strings.NewReader("\nx")
	r, err := OpenDecoded(src, m, nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(r); string(b) != "\r\nx" {
		t.Errorf("whole message: %q", b)
	}
}

func TestCharsets(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"utf-8", "\u00fc", "\u00fc"},
		{"us-ascii", "x", "x"},
		{"iso-8859-1", "\xfc", "\u00fc"},
		{"windows-1252", "\x80", "\u20ac"},
		{"iso-2022-jp", "\x1b$B$\"\x1b(B", "\u3042"},
		{"cp932", "\x82\xa0", "\u3042"},
		{"gb2312", "\xc4\xe3", "\u4f60"},
		{"koi8-r", "\xc1", "\u0430"},
		{"utf-7", "A+ImIDkQ-.+-Hi Mom +Jjo--!", "A\u2262\u0391.+Hi Mom \u263a-!"},
		{"utf-7", "+2D3cAA-", "\U0001F400"},
		{"utf-16", "\xfe\xff\x00a", "a"},
		{"utf-16", "\xff\xfea\x00", "a"},
		{"utf-32", "\x00\x00\x00a", "a"},
		{"utf-8*en", "\u00fc", "\u00fc"},
		{"x-unknown", "x", "x"},
		{"no-such-charset", "x", "x"},
	} {
		b, err := io.ReadAll(toUTF8(bytes.NewReader([]byte(c.in)), c.name))
		if err != nil || string(b) != c.want {
			t.Errorf("%s %q: %q, %v; want %q", c.name, c.in, b, err, c.want)
		}
	}
}
