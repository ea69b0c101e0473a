package main

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

const conversation = "* 3 EXISTS\r\n" +
	"* 1 FETCH (UID 5 BODY[] {12}\r\na1 OK ha}\r\n\n FLAGS (\\Seen))\r\n" +
	"* 2 FETCH (UID 6 BODY[HEADER] {4}\r\nx{3} BODY[TEXT] {0}\r\n)\r\n" +
	"* SEARCH 5 6 70\r\n* SEARCH\r\n* 2 EXPUNGE\r\n* 2 FETCH (FLAGS ())\r\n" +
	"+ go on\r\n* 9 RECENT\r\na10 OK not mine\r\n"

func TestDrain(t *testing.T) {
	text := strings.Replace(conversation, "a10 OK not mine\r\n", "", 1) + "a1 OK done\r\na2 NO never\r\n"
	readers := map[string]func(io.Reader) io.Reader{
		"whole": func(r io.Reader) io.Reader { return r },
		"bytes": iotest.OneByteReader,
		"half":  iotest.HalfReader,
		"eof":   iotest.DataErrReader,
	}
	for name, wrap := range readers {
		for _, size := range []int{1, 2, 7, 64, 4096} {
			t.Run(fmt.Sprint(name, size), func(t *testing.T) {
				d := newDrain(wrap(strings.NewReader(text)), size)
				a, err := d.until("a1")
				if err != nil {
					t.Fatal(err)
				}
				want := answer{
					octets: int64(strings.Index(text, "a2 NO")), literals: 16,
					fetch: 3, exists: 3, expunge: 1, found: 3, status: "OK", text: "a1 OK done",
				}
				if *a != want {
					t.Errorf("got  %+v\nwant %+v", *a, want)
				}
				b, err := d.until("a2")
				if err != nil || b.status != "NO" || b.octets != 13 || b.exists != -1 {
					t.Errorf("second answer: %+v, %v", *b, err)
				}
				if _, err := d.until("a3"); err == nil {
					t.Error("no error at the end of the stream")
				}
			})
		}
	}
}

func TestDrainRefuses(t *testing.T) {
	for _, text := range []string{
		"a10 OK another's tag\r\n",
		"* BYE going\r\na1 OK\r\n",
		"* 1 FETCH (BODY[] {10}\r\nshort",
		"rubbish\r\na1 OK\r\n",
	} {
		if a, err := newDrain(strings.NewReader(text), 16).until("a1"); err == nil {
			t.Errorf("%q: got %+v", text, *a)
		}
	}
}

func TestLiteralSize(t *testing.T) {
	for line, want := range map[string]int64{
		"* 1 FETCH (BODY[] {123}\r\n": 123,
		"{0}\r\n":                     0,
		"{}\r\n":                      -1,
		"}\r\n":                       -1,
		"12}\r\n":                     -1,
		"{12\r\n":                     -1,
		"{12}\n":                      -1,
		"{1x2}\r\n":                   -1,
		"":                            -1,
	} {
		n, ok := literalSize([]byte(line))
		if !ok {
			n = -1
		}
		if n != want {
			t.Errorf("%q: %d, want %d", line, n, want)
		}
	}
}
