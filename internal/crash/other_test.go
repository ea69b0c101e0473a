//go:build !(linux && amd64)

package crash

import "testing"

// TestSupervised stands for the tests that the supervisor is wanted for: it knows the registers of one processor.
func TestSupervised(t *testing.T) {
	t.Skip("kills, failing calls and power cuts are tried on Linux on amd64 only")
}
