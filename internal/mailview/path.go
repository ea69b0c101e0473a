package mailview

import (
	"fmt"
	"strconv"
	"strings"
)

const maxPath = 200 // numbers in a part's path: twice the levels of package message

// ParsePath reads a part's number, "1.2.3" (RFC 9051 section 6.4.5.1); "" is the message itself.
func ParsePath(s string) ([]int, error) {
	if s == "" {
		return nil, nil
	}
	fields := strings.Split(s, ".")
	if len(fields) > maxPath {
		return nil, fmt.Errorf("part %.40q: %w", s, ErrNoPart)
	}
	path := make([]int, len(fields))
	for i, f := range fields {
		n, err := strconv.ParseUint(f, 10, 16)
		if err != nil || n == 0 || f[0] == '0' {
			return nil, fmt.Errorf("part %.40q: %w", s, ErrNoPart)
		}
		path[i] = int(n)
	}
	return path, nil
}

// FormatPath writes a part's number.
func FormatPath(path []int) string {
	var b []byte
	for i, n := range path {
		if i > 0 {
			b = append(b, '.')
		}
		b = strconv.AppendInt(b, int64(n), 10)
	}
	return string(b)
}
