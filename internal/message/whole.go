package message

import "bytes"

// WireSize is the number of octets that text has once every line ends in CRLF: RFC822.SIZE of a
// message that is all in memory.
func WireSize(text []byte) int64 {
	n := int64(len(text)) + int64(bytes.Count(text, []byte{'\n'}))
	for i := 0; i < len(text); {
		k := bytes.IndexByte(text[i:], '\r')
		if k < 0 {
			break
		}
		if i += k + 1; i < len(text) && text[i] == '\n' {
			n--
		}
	}
	return n
}

// AppendWire appends text as a Reader yields it: every line ends in CRLF, and
// 0x80 stands for NUL. last is the octet before text, 0 if there is none.
func AppendWire(dst, text []byte, last byte) []byte {
	start := len(dst)
	for len(text) > 0 {
		i := bytes.IndexByte(text, '\n')
		if i < 0 {
			dst = append(dst, text...)
			break
		}
		if i > 0 {
			last = text[i-1]
		}
		if last == '\r' {
			dst = append(dst, text[:i+1]...)
		} else {
			dst = append(dst, text[:i]...)
			dst = append(dst, '\r', '\n')
		}
		text, last = text[i+1:], '\n'
	}
	for out := dst[start:]; ; {
		i := bytes.IndexByte(out, 0)
		if i < 0 {
			return dst
		}
		out[i] = 0x80
		out = out[i+1:]
	}
}
