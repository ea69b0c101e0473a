package maildir

import (
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// What Courier notes is taken over when a folder, or a tree, is first seen and has no notes of
// our own or of Dovecot's form. Courier's files stay as they are. (courierimapuiddb: adopt.go.)
//
// courierimapkeywords/:list has the names of keywords, one a line, an empty line, and then
// "<base name>:<i> <i> ..." with places in that list, from 0. Beside it a file that bears a base name
// says anew which keywords the message has, one a line. Names with a dot before are temporary or superseded.
//
// courierimapsubscribed has a name a line, "INBOX" or "INBOX.Sent", as on disk; those with '#'
// are folders of others.
const (
	courierKeywordsDir    = "courierimapkeywords"
	courierKeywordsList   = ":list"
	courierSubscriptions  = "courierimapsubscribed"
	maxCourierKeywordFile = 64 << 20 // octets
	maxCourierPending     = 1 << 20  // files
)

// readCourierKeywords gives the keywords of base names; nil where Courier has noted none.
func readCourierKeywords(home *dir) (map[string][]string, error) {
	d, err := home.openDir(courierKeywordsDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, wrapSys("open", courierKeywordsDir, err)
	}
	defer d.close()
	list, _, err := d.readFile(courierKeywordsList, maxCourierKeywordFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, wrapSys("read", courierKeywordsList, err)
	}
	out := parseCourierList(string(list))
	var pending []string
	_, err = d.readNames(false, func(name []byte, _ direntType, _ uint64) {
		if usable(name) && len(pending) < maxCourierPending {
			pending = append(pending, string(name))
		}
	})
	for _, base := range pending {
		data, _, rerr := d.readFile(base, maxCourierKeywordFile)
		if rerr != nil {
			continue // a directory, or just folded into the list
		}
		delete(out, baseOf(base))
		if words := validWords(strings.Split(string(data), "\n")); len(words) > 0 {
			out[baseOf(base)] = words
		}
	}
	return out, wrapSys("read", courierKeywordsDir, err)
}

func parseCourierList(text string) map[string][]string {
	out := make(map[string][]string)
	head, body, _ := strings.Cut(text, "\n\n")
	names := strings.Split(head, "\n")
	for line := range strings.SplitSeq(body, "\n") {
		colon := strings.LastIndexByte(line, ':')
		if colon < 0 || !usable([]byte(line[:colon])) {
			continue
		}
		var words []string
		for num := range strings.SplitSeq(line[colon+1:], " ") {
			if i, err := strconv.Atoi(num); err == nil && i >= 0 && i < len(names) {
				words = append(words, names[i])
			}
		}
		if words = validWords(words); len(words) > 0 {
			out[baseOf(line[:colon])] = words
		}
	}
	return out
}

// validWords keeps what IMAP can name, once each.
func validWords(words []string) []string {
	var out []string
	for _, w := range words {
		if w = strings.TrimSuffix(w, "\r"); validKeyword(w) && !hasWord(out, w) {
			out = append(out, w)
		}
	}
	return out
}

// adoptCourierLocked takes Courier's keywords over into postroom-keywords. The caller holds the list's lock,
// unless nothing can be written.
func (f *Folder) adoptCourierLocked() error {
	entries, err := readCourierKeywords(f.home)
	if err != nil || len(entries) == 0 {
		return err
	}
	var names []string
	var b []byte
	for _, base := range slices.Sorted(maps.Keys(entries)) { // in one order, so that spellings are always the same
		words := entries[base]
		for i, w := range words {
			words[i] = f.more.intern(w, func(w string) { names = append(names, w) })
		}
		b = appendMoreLine(b, words, base)
	}
	f.kw = f.kw.withMore(names)
	f.applyMoreLocked(entries, false)
	if !f.writable {
		return nil
	}
	f.log.Info("keywords of Courier's were taken over", "messages", len(entries))
	return f.writeMoreLocked(b, len(entries))
}

// readCourierSubscriptions gives each name's parts as stored.
func (t *Tree) readCourierSubscriptions() ([][]string, error) {
	data, _, err := t.top.readFile(courierSubscriptions, maxSubscriptions)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, wrapSys("read", courierSubscriptions, err)
	}
	var names [][]string
	for line := range strings.SplitSeq(string(data), "\n") {
		line = strings.TrimSuffix(line, "\r")
		if strings.HasPrefix(line, "#") || strings.ContainsFunc(line, unicode.IsControl) {
			continue
		}
		parts := strings.Split(line, ".")
		if !strings.EqualFold(parts[0], Inbox) {
			continue
		}
		if parts[0] = Inbox; len(parts) > 1 {
			parts = parts[1:]
		}
		valid := true
		for _, p := range parts {
			valid = valid && p != ""
		}
		if valid {
			names = append(names, parts)
		}
	}
	return names, nil
}
