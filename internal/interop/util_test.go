package interop

import (
	"slices"
	"strings"
	"testing"
)

func has[T comparable](list []T, v T) bool { return slices.Contains(list, v) }

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

// same compares two listings line by line and shows where they part.
func same(t *testing.T, what, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	var b strings.Builder
	shown := 0
	for i := 0; i < max(len(g), len(w)) && shown < 10; i++ {
		var gl, wl string
		if i < len(g) {
			gl = g[i]
		}
		if i < len(w) {
			wl = w[i]
		}
		if gl != wl {
			shown++
			b.WriteString("\n got  " + gl + "\n want " + wl)
		}
	}
	t.Errorf("%s differs:%s", what, b.String())
}

// contains fails the test for each wanted piece that the text lacks.
func contains(t *testing.T, what, text string, wanted ...string) {
	t.Helper()
	for _, w := range wanted {
		if !strings.Contains(text, w) {
			t.Errorf("%s: %q is missing in:\n%s", what, w, tail(text))
		}
	}
}

// tail keeps the end of a long text, for failures that show a program's output.
func tail(text string) string {
	const most = 6000
	if len(text) <= most {
		return text
	}
	return "[...]" + text[len(text)-most:]
}
