package imapd

import (
	"strings"
	"testing"
	"time"
)

func TestWildcard(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"", "", true}, {"*", "", true}, {"%", "a", true}, {"%", "a/b", false}, {"*", "a/b", true},
		{"a%", "a", true}, {"a%", "abc", true}, {"a%c", "abbc", true}, {"a%c", "a/c", false}, {"a*c", "a/c", true},
		{"%/%", "a/b", true}, {"%/%", "a/b/c", false}, {"*/c", "a/b/c", true}, {"a", "ab", false}, {"ab", "a", false},
		{"*%*", "a/b", true}, {"a/%", "a/", true}, {"inbox", "INBOX", true}, {"inbox/a", "INBOX/a", false}, {"In%", "INBOX", true},
	} {
		if got := newMatcher("", []string{c.pattern}, '/').match(c.name); got != c.want {
			t.Errorf("%q matches %q: %v", c.pattern, c.name, got)
		}
	}
}

// No pattern costs more than its length times the name's.
func TestWildcardStars(t *testing.T) {
	start := time.Now()
	newMatcher("", []string{strings.Repeat("*a", 400) + "b"}, '/').match(strings.Repeat("a", 1000))
	if took := time.Since(start); took > time.Second {
		t.Errorf("took %v", took)
	}
}
