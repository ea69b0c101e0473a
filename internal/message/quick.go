package message

import "bytes"

// Most header searches meet short values in plain ASCII, and most of them in
// records. These are searched without what encoded words, folding and other
// charsets need.

// quickValue bounds the values that are searched so, in octets.
const quickValue = 512

// quickSearch looks for the needle in the fields of one name. It is not sure where a
// value is not as simple as that.
func quickSearch(head []byte, name string, n *Needle) (found, sure bool) {
	subject := equalFold(name, "subject")
	matched := false // the line before is of such a field
	for len(head) > 0 {
		end := bytes.IndexByte(head, '\n') + 1
		if end == 0 {
			end = len(head)
		}
		line := head[:end]
		head = head[end:]
		if isBlank(line[0]) {
			if matched {
				return false, false
			}
			continue
		}
		if matched = len(line) > len(name) && lowerByte(line[0]) == lowerByte(name[0]) && equalFold(string(line[:len(name)]), name); !matched {
			continue
		}
		value := line[len(name):]
		if value[0] != ':' {
			if isBlank(value[0]) {
				return false, false // white space before the colon
			}
			matched = false // a longer name
			continue
		}
		if n.Empty() {
			return true, true
		}
		hit, sure := quickMatch(trimLF(value[1:]), subject, n)
		if !sure {
			return false, false
		}
		found = found || hit
	}
	return found, true
}

// quickMatch looks for the needle in one value of one line.
func quickMatch(value []byte, subject bool, n *Needle) (found, sure bool) {
	for len(value) > 0 && isBlank(value[0]) {
		value = value[1:]
	}
	if len(value) > quickValue {
		return false, false
	}
	var folded [quickValue]byte
	var last byte
	for i, c := range value {
		if c >= 0x80 || c == '?' && last == '=' || subject && isSpace(c) && (c != ' ' || last == ' ') {
			return false, false
		}
		folded[i], last = upperASCII[c], c
	}
	if subject && last == ' ' {
		return false, false
	}
	return bytes.Contains(folded[:len(value)], n.folded), true
}
