package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
)

// appendFamily adds messages to a folder, synced one by one where they are
// answered one by one.
func appendFamily(n int, o options) family {
	k := 500
	if o.quick {
		k = 200
	}
	f := floorAppend(k)
	judged := bounds{cpu: 0.8}
	return family{
		name: "append", messages: n, links: true, durable: true,
		works: []work{
			{name: "append-one", title: fmt.Sprintf("APPEND of %d, one by one", k), floor: &f, judge: judged, run: appending(n, k, appendOne)},
			{name: "append-pipelined", title: fmt.Sprintf("APPEND of %d, pipelined", k), floor: &f, judge: judged, run: appending(n, k, appendPipelined)},
			{name: "append-multi", title: fmt.Sprintf("MULTIAPPEND of %d", k), floor: &f, judge: judged, run: appending(n, k, appendMulti)},
		},
	}
}

// appending measures k messages that go to a folder which had n when the
// family began.
func appending(n, k int, how func(c *imapConn, texts [][]byte) error) func(s *site) (sample, error) {
	return func(s *site) (sample, error) {
		texts, err := s.rig.wireTexts(k)
		if err != nil {
			return sample{}, err
		}
		c, err := s.login()
		if err != nil {
			return sample{}, err
		}
		defer c.Close()
		if err := s.rig.settle(); err != nil {
			return sample{}, err
		}
		got, err := s.measure(func() (string, error) { return "", how(c, texts) })
		if err != nil {
			return sample{}, err
		}
		added, _ := s.keep["appended"].(int)
		s.keep["appended"] = added + k
		if err := c.mailboxHas("INBOX", n+added+k); err != nil {
			return sample{}, err
		}
		return got, c.logout()
	}
}

// wireTexts gives the first k messages with CRLF.
func (r *rig) wireTexts(k int) ([][]byte, error) {
	texts := make([][]byte, k)
	for i := range texts {
		text, err := os.ReadFile(r.corpus.path(i % len(r.corpus.mails)))
		if err != nil {
			return nil, err
		}
		texts[i] = bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))
	}
	return texts, nil
}

// appendCommand writes APPEND, with a non-synchronizing literal (RFC 7888).
func appendCommand(b *bytes.Buffer, tag string, text []byte) {
	fmt.Fprintf(b, "%s APPEND INBOX (\\Seen) {%d+}\r\n", tag, len(text))
	b.Write(text)
	b.WriteString("\r\n")
}

func appendOne(c *imapConn, texts [][]byte) error {
	var b bytes.Buffer
	for i, text := range texts {
		b.Reset()
		tag := fmt.Sprint("b", i)
		appendCommand(&b, tag, text)
		if _, err := c.Write(b.Bytes()); err != nil {
			return err
		}
		if err := c.wantOK(tag); err != nil {
			return err
		}
	}
	return nil
}

func (c *imapConn) wantOK(tag string) error {
	a, err := c.d.until(tag)
	if err == nil && a.status != "OK" {
		err = errors.New(a.text)
	}
	return err
}

func appendPipelined(c *imapConn, texts [][]byte) error {
	var b bytes.Buffer
	for i, text := range texts {
		appendCommand(&b, fmt.Sprint("b", i), text)
	}
	written := make(chan error, 1)
	go func() {
		_, err := c.Write(b.Bytes())
		written <- err
	}()
	for i := range texts {
		if err := c.wantOK(fmt.Sprint("b", i)); err != nil {
			c.Close() // ends the writer
			return errors.Join(err, <-written)
		}
	}
	return <-written
}

func appendMulti(c *imapConn, texts [][]byte) error {
	var b bytes.Buffer
	b.WriteString("b APPEND INBOX")
	for _, text := range texts {
		fmt.Fprintf(&b, " (\\Seen) {%d+}\r\n", len(text))
		b.Write(text)
	}
	b.WriteString("\r\n")
	if _, err := c.Write(b.Bytes()); err != nil {
		return err
	}
	return c.wantOK("b")
}
