package order

import (
	"iter"
	"strings"
)

// eachID gives the Message-IDs in a field (RFC 5322 section 3.6.4) as they are compared: what stands between the angles,
// space and quotation marks that need not be there left out. What holds no "@" is none, as RFC 5256 section 3 has it.
func eachID(field string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for {
			open := strings.IndexByte(field, '<')
			if open < 0 {
				return
			}
			field = field[open+1:]
			end := strings.IndexByte(field, '>')
			if end < 0 {
				return
			}
			id := field[:end]
			if nested := strings.LastIndexByte(id, '<'); nested >= 0 {
				id = id[nested+1:]
			}
			field = field[end+1:]
			if id = normalID(id); id != "" && !yield(id) {
				return
			}
		}
	}
}

// normalID gives "" for what is none.
func normalID(id string) string {
	if strings.ContainsAny(id, " \t\r\n\"\\") {
		id = strings.Map(func(r rune) rune {
			if strings.ContainsRune(" \t\r\n\"\\", r) {
				return -1
			}
			return r
		}, id)
	}
	if at := strings.IndexByte(id, '@'); at <= 0 || at == len(id)-1 {
		return ""
	}
	return id
}

func firstID(field string) (string, bool) {
	for id := range eachID(field) {
		return id, true
	}
	return "", false
}
