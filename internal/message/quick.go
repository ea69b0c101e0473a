package message

import "bytes"

// Most header searches meet short values in plain ASCII, and most of them in
// records. These are searched without what encoded words, folding and other
// charsets need.

// plainValue bounds the values that are searched so, in octets.
const plainValue = 512

// isPlain tells whether a field of one line is searched as it stands: nothing in it is encoded or not ASCII,
// its white space is single spaces, as a Subject's is told, and nothing stands between name and colon.
func isPlain(line []byte) bool {
	name := fieldName(line)
	if len(name) == 0 || len(line) > plainValue || line[len(name)] != ':' {
		return false
	}
	value := trimLF(line[len(name)+1:])
	last := byte(' ') // what stands before the value may be left out
	for i, c := range value {
		if c >= 0x80 || c == '?' && last == '=' || c == 0 || isSpace(c) && (c != ' ' || i > 0 && last == ' ') {
			return false
		}
		last = c
	}
	return last != ' '
}

// plainMatch looks for the needle in what stands behind the colon of a plain field.
func plainMatch(value []byte, n *Needle) bool {
	var folded [plainValue]byte
	return bytes.Contains(foldPlain(&folded, value), n.folded)
}

// foldPlain gives such a value in the form in which it is compared.
func foldPlain(dst *[plainValue]byte, value []byte) []byte {
	value = trimLF(value)
	if len(value) > 0 && value[0] == ' ' {
		value = value[1:]
	}
	if len(value) > len(dst) {
		return nil
	}
	for i, c := range value {
		dst[i] = upperASCII[c&0x7f]
	}
	return dst[:len(value)]
}
