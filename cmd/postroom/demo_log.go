package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"strings"
	"sync"
)

// loginLines is the demo's log: logins, and refused ones, become a short line each
// on the terminal; warnings go on to next; the rest is not shown.
type loginLines struct {
	next  slog.Handler
	out   io.Writer
	attrs map[string]string // of the logger
}

// Enabled implements slog.Handler.
func (h loginLines) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

// Handle implements slog.Handler.
func (h loginLines) Handle(ctx context.Context, r slog.Record) error {
	attrs := maps.Clone(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		attrs[a.Key] = a.Value.String()
		return true
	})
	protocol := "IMAP"
	switch {
	case attrs["protocol"] == "pop3":
		protocol = "POP3"
	case strings.HasPrefix(r.Message, "web "):
		protocol = "web"
	}
	verb := ""
	switch r.Message {
	case "imap login", "login", "web login":
		verb = "logs in"
	case "imap login failed", "authentication failed", "web login failed":
		verb = "is refused"
	}
	if verb != "" {
		_, err := fmt.Fprintf(h.out, "%s  %q %s by %s from %s\n", r.Time.Format("15:04:05"), attrs["user"], verb, protocol, attrs["remote"])
		return err
	}
	if !h.next.Enabled(ctx, r.Level) {
		return nil
	}
	return h.next.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h loginLines) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.attrs, h.next = maps.Clone(h.attrs), h.next.WithAttrs(attrs)
	for _, a := range attrs {
		h.attrs[a.Key] = a.Value.String()
	}
	return h
}

// WithGroup implements slog.Handler.
func (h loginLines) WithGroup(name string) slog.Handler {
	h.next = h.next.WithGroup(name)
	return h
}

// oneWriter lets several goroutines write lines.
type oneWriter struct {
	mu sync.Mutex // guards w
	w  io.Writer
}

func (o *oneWriter) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.w.Write(p)
}
