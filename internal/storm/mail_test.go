package storm

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strings"
)

// newMail writes a message that says who it is and proves that it is whole.
func newMail(id string, rng *rand.Rand) []byte {
	var body strings.Builder
	for range 3 + rng.IntN(30) {
		fmt.Fprintf(&body, "%x line of %s\n", rng.Uint64(), id)
	}
	return fmt.Appendf(nil, "X-Storm-Id: %s\nX-Storm-Sum: %08x\nFrom: storm@example.org\nTo: u@example.org\nSubject: storm token%d\nMessage-ID: <%s@example.org>\nDate: Tue, 24 Nov 2026 10:00:00 +0000\n\n%s",
		id, crc32.ChecksumIEEE([]byte(body.String())), rng.IntN(50), id, body.String())
}

// idOfMail gives the id in a message, and whether the message is whole. Others may
// have added header fields (mbsync does) and changed line ends.
func idOfMail(b []byte) (id string, whole bool) {
	b = bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
	head, body, _ := bytes.Cut(b, []byte("\n\n"))
	sum := ""
	for line := range strings.Lines(string(head) + "\n") {
		if v, ok := strings.CutPrefix(line, "X-Storm-Id: "); ok {
			id = strings.TrimSpace(v)
		}
		if v, ok := strings.CutPrefix(line, "X-Storm-Sum: "); ok {
			sum = strings.TrimSpace(v)
		}
	}
	return id, id != "" && sum == fmt.Sprintf("%08x", crc32.ChecksumIEEE(body))
}
