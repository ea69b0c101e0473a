package socket

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"
)

// pair gives both ends of a TCP connection.
func pair(t *testing.T) (*Conn, *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	raw, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close(); client.Close() })
	return New(raw, 10*time.Second), client.(*net.TCPConn)
}

func soon() time.Time { return time.Now().Add(10 * time.Second) }

func (c *Conn) expect(t *testing.T, want string) {
	t.Helper()
	c.SetReadDeadline(soon())
	b := make([]byte, len(want))
	if n, err := io.ReadFull(c, b); err != nil || string(b) != want {
		t.Fatalf("read %q, %v; want %q", b[:n], err, want)
	}
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
}

func TestAwait(t *testing.T) {
	c, client := pair(t)
	wantErr(t, c.Await(time.Now().Add(10*time.Millisecond)), ErrDeadline)
	client.Write([]byte("hello"))
	wantErr(t, c.Await(soon()), nil)
	wantErr(t, c.Await(soon()), nil) // it is still there
	c.expect(t, "hello")
	if c.ahead != nil {
		t.Error("a buffer is held")
	}
	c.Wake()
	c.Wake()
	wantErr(t, c.Await(soon()), ErrWoken)
	go func() {
		time.Sleep(20 * time.Millisecond)
		c.Wake()
	}()
	wantErr(t, c.Await(soon()), ErrWoken)
	wantErr(t, c.Await(time.Now().Add(10*time.Millisecond)), ErrDeadline)
	client.CloseWrite()
	wantErr(t, c.Await(soon()), nil)
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Error(err)
	}
}

func TestAwaitInterrupted(t *testing.T) {
	c, client := pair(t)
	go func() {
		time.Sleep(20 * time.Millisecond)
		c.Interrupt()
	}()
	wantErr(t, c.Await(soon()), ErrInterrupted)
	wantErr(t, c.Await(soon()), ErrInterrupted)
	c.SetReadDeadline(soon())
	if _, err := c.Read(make([]byte, 1)); !isTimeout(err) {
		t.Error("an interrupted Read gives", err)
	}
	client.Close()
}

// Wake is for Await: a Read in the middle of a line does not notice.
func TestWakeDuringRead(t *testing.T) {
	c, client := pair(t)
	go func() {
		time.Sleep(20 * time.Millisecond)
		c.Wake()
		time.Sleep(20 * time.Millisecond)
		client.Write([]byte("late"))
	}()
	c.expect(t, "late")
	wantErr(t, c.Await(soon()), ErrWoken)
}

// overTLS makes the handshake. out is what the client sends through.
func overTLS(t *testing.T, c *Conn, out net.Conn) *tls.Conn {
	t.Helper()
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	client := tls.Client(out, &tls.Config{InsecureSkipVerify: true})
	done := make(chan error, 1)
	go func() { done <- client.Handshake() }()
	if err := c.StartTLS(t.Context(), soon(), func(ctx context.Context, nc net.Conn) (*tls.Conn, error) {
		s := tls.Server(nc, config)
		return s, s.HandshakeContext(ctx)
	}); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return client
}

// dribble sends a few octets at a time.
type dribble struct {
	net.Conn
	on bool
}

func (d *dribble) Write(p []byte) (int, error) {
	if !d.on {
		return d.Conn.Write(p)
	}
	for i := range p {
		if _, err := d.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
		time.Sleep(time.Millisecond)
	}
	return len(p), nil
}

// Part of a record is nothing to read yet, and nothing of it is lost by waiting.
func TestAwaitTLS(t *testing.T) {
	c, raw := pair(t)
	out := &dribble{Conn: raw}
	client := overTLS(t, c, out)
	wantErr(t, c.Await(time.Now().Add(10*time.Millisecond)), ErrDeadline)
	out.on = true
	go client.Write([]byte("one"))
	for {
		err := c.Await(time.Now().Add(2 * time.Millisecond))
		if err == nil {
			break
		}
		wantErr(t, err, ErrDeadline)
	}
	c.expect(t, "one")
	out.on = false
	client.Write([]byte("two"))
	client.Write([]byte("three")) // maybe read ahead together, and known to be there
	wantErr(t, c.Await(soon()), nil)
	c.expect(t, "two")
	wantErr(t, c.Await(soon()), nil)
	c.expect(t, "three")
	client.Close()
	wantErr(t, c.Await(soon()), nil)
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Error(err)
	}
}

// The answer arrives, and then the end of the connection and not a reset, whatever
// the client sent that nobody reads.
func TestCloseIsNoReset(t *testing.T) {
	for _, encrypted := range []bool{false, true} {
		c, raw := pair(t)
		var client net.Conn = raw
		if encrypted {
			client = overTLS(t, c, raw)
		}
		go func() {
			client.Write([]byte(strings.Repeat("unread\r\n", 10000)))
			raw.CloseWrite()
		}()
		wantErr(t, c.Await(soon()), nil)
		c.Write([]byte("bye\r\n"))
		c.Close()
		got, err := io.ReadAll(client)
		if string(got) != "bye\r\n" || err != nil {
			t.Errorf("TLS %v: the client got %q, %v", encrypted, got, err)
		}
	}
}

// A client that goes on sending is not listened to for ever.
func TestCloseIsBounded(t *testing.T) {
	c, client := pair(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			if _, err := client.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	}()
	c.Close()
	<-done
}

func TestPresence(t *testing.T) {
	until := func(c *Conn, want Presence) {
		t.Helper()
		for range 1000 {
			if c.Presence() == want {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Errorf("presence is %v, want %v", c.Presence(), want)
	}
	c, client := pair(t)
	until(c, Here)
	client.Write([]byte("unread"))
	until(c, Here)
	client.CloseWrite()
	until(c, Silent)
	c.Write([]byte("it still reads"))
	client.Read(make([]byte, 100))
	until(c, Silent)
	c.expect(t, "unread")

	c, client = pair(t)
	client.Close()
	until(c, Silent)
	c.Write([]byte("is anybody there?"))
	until(c, Gone)

	c, client = pair(t)
	client.SetLinger(0)
	client.Close()
	until(c, Gone)
	c.Cut()
	until(c, Gone)
}
