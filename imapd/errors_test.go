package imapd

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// Each kind of failure has its code, however deep it is wrapped, and what is
// not foreseen is SERVERBUG, with its text in the log alone.
func TestAnswers(t *testing.T) {
	var log syncBuffer
	c := &conn{log: slog.New(slog.NewTextHandler(&log, nil))}
	for _, k := range kinds {
		a := c.answerFor("STORE", fmt.Errorf("/var/mail/alice: %w", fmt.Errorf("inner: %w", k.err)))
		if a.kind != "NO" || a.code != k.code || a.text != k.text || strings.Contains(a.text, "/") {
			t.Errorf("%v: %+v", k.err, a)
		}
	}
	a := c.answerFor("STORE", errors.New("/var/mail/alice: something else"))
	if a.kind != "NO" || a.code != "SERVERBUG" || strings.Contains(a.text, "alice") {
		t.Errorf("%+v", a)
	}
	if !strings.Contains(log.String(), "something else") || !strings.Contains(log.String(), "STORE") {
		t.Errorf("log: %s", log.String())
	}
}
